"""`rpmu --host` through a real sshd with the shipped settings, to the forced command, to a running daemon."""

from __future__ import annotations

import subprocess

import pytest

from tests.e2e.board import FIRST, Board
from tests.remote.rig import USER, Server, complaint

pytestmark = pytest.mark.skipif(bool(complaint()), reason=complaint())


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sshd")
    board = Board(folder)
    try:
        board.until(lambda status: status["time"]["state"] == "locked")
        server = Server(folder, board)
        try:
            yield server, board
        finally:
            server.stop()
    finally:
        board.stop()


def test_the_verbs_work_from_a_pc(served, tmp_path):
    server, board = served
    status = server.rpmu("status")
    assert status.returncode == 0, status.stderr
    assert b"locked" in status.stdout
    shown = server.rpmu("config", "show", "--plain")
    assert b'name = "ONE"' in shown.stdout
    file = tmp_path / "rpmu.toml"
    file.write_text(FIRST.replace("ONE", "TWO"))
    assert b'"ONE" -> "TWO"' in server.rpmu("config", "diff", str(file)).stdout
    applied = server.rpmu("config", "apply", str(file), "--confirm-within", "0")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert b"the daemon does as well as before" in applied.stdout
    assert board.status["stream"]["name"] == "TWO"
    assert server.rpmu("config", "rollback").returncode == 0
    board.until(lambda status: status["stream"]["name"] == "ONE" and status["stream"]["change_in_s"] is None)
    assert board.status["time"]["state"] == "locked"
    assert b"1 (in force)" in server.rpmu("config", "revisions").stdout
    assert server.rpmu("config", "confirm").returncode == 3
    assert b"reports" in server.rpmu("doctor").stdout


def test_a_change_is_undone_though_its_connection_dies(served, tmp_path):
    server, board = served
    content = FIRST.replace("ONE", "THREE").encode()
    words = [str(server.folder / "bin/ssh"), "-T", f"{USER}@pmu", "config apply - --confirm-within 4"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ssh:
        ssh.stdin.write(content)
        ssh.stdin.close()
        assert b"announced" in ssh.stdout.readline()
        ssh.kill()
    board.until(lambda _: "THREE" in (board.store / "current").read_text())
    board.until(lambda _: "ONE" in (board.store / "current").read_text())
    board.until(lambda status: status["stream"]["name"] == "ONE" and status["stream"]["change_in_s"] is None)


def test_an_audit_line_names_the_key(served, tmp_path):
    server, _ = served
    file = tmp_path / "rpmu.toml"
    file.write_text("[station]\nidcode = 0\n")
    refused = server.rpmu("config", "apply", str(file))
    assert refused.returncode == 3
    key = (server.folder / "key.pub").read_text()
    digest = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(server.folder / "key.pub")], capture_output=True, text=True, timeout=60
    ).stdout.split()[1]
    assert key.startswith("ssh-ed25519")
    assert f"rpmu-admin: change by ssh-ed25519 {digest} from 127.0.0.1: 'config apply -'".encode() in refused.stderr


@pytest.mark.parametrize(
    "line",
    ["id", "sh", "config apply /etc/shadow", "config show /etc/shadow", "config recover", "status; id", "$(id)",
     "rpmu run", "config apply - --reload id", "logs --lines 1 -u ssh", "/usr/lib/openssh/sftp-server"],
)  # fmt: skip
def test_everything_else_is_refused(served, line):
    server, _ = served
    done = server.ssh("-T", f"{USER}@pmu", line)
    assert done.returncode == 2
    assert b"uid=" not in done.stdout + done.stderr
    assert b"refused ssh-ed25519" in done.stderr


def test_no_shell_no_terminal_no_forwarding_no_file_transfer(served):
    server, board = served
    terminal = server.ssh("-tt", f"{USER}@pmu")
    assert terminal.returncode == 255
    assert b"PTY allocation request failed" in terminal.stderr
    login = server.ssh("-T", f"{USER}@pmu")
    assert login.returncode == 2
    assert b"It understands" in login.stderr
    forwarded = server.ssh("-W", f"127.0.0.1:{board.port}", f"{USER}@pmu")
    assert forwarded.returncode == 255
    assert server.ssh("-s", f"{USER}@pmu", "sftp").returncode != 0
    remote = server.ssh("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", f"{USER}@pmu", "status")
    assert remote.returncode == 255


def test_too_much_is_not_taken(served):
    server, _ = served
    done = server.ssh("-T", f"{USER}@pmu", "config check -", content=b"#" * 70_000)
    assert done.returncode == 3
    assert b"more than 65536 bytes" in done.stderr


def test_another_key_and_a_password_open_nothing(served):
    server, _ = served
    assert server.ssh("-o", f"IdentityFile={server.folder / 'stranger'}", "-o", "IdentityAgent=none", "-F", "none",
                      "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                      "-p", str(server.port), f"{USER}@127.0.0.1", "status").returncode == 255  # fmt: skip
