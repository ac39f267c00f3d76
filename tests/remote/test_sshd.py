"""`rpmu --host` through a real sshd with the shipped settings, to the forced command, to a running daemon.

sshd comes from Debian's package, unpacked (`scripts/unpacked-package`) or installed; it is started on loopback with
keys of its own. As root it runs in a mount namespace whose /etc/passwd has the users that it needs; as anybody else it
lets in whoever runs the tests, and nobody else.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.test_apply import FIRST, Board

ROOT = Path(__file__).parents[2]
UNPACKED = ROOT / ".cache/unpacked/openssh-server"
SSHD = next((path for path in (Path("/usr/sbin/sshd"), UNPACKED / "usr/sbin/sshd") if path.exists()), None)
PATIENCE_S = 120
AS_ROOT = os.getuid() == 0
USER = "rpmu-admin" if AS_ROOT else getpass.getuser()
PASSWD = (
    "root:x:0:0::/root:/bin/sh\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\nrpmu-admin:x:0:0::{home}:/bin/sh\n"
)
FORCED = """
import functools, sys
from pathlib import Path
from rpmu.remote import shell
folder = Path({folder!r})
shell.SYSLOG = folder / "none"
shell.Board = functools.partial(
    shell.Board, rpmu=(sys.executable, "-m", "rpmu"), files=(folder / "store/current",), store=folder / "store",
    socket=folder / "status.sock", reload="kill -HUP {pid}", updates=folder / "updates",
)
sys.exit(shell.main())
"""


def complaint():
    """Why there can be no sshd here; empty if there can."""
    if SSHD is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return "needs sshd and ssh (Debian packages openssh-server, openssh-client)"
    if AS_ROOT and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        return "needs a mount namespace (unshare --mount)"
    return ""


pytestmark = pytest.mark.skipif(bool(complaint()), reason=complaint())


class Server:
    """sshd in front of a board, and a PC with a key."""

    def __init__(self, folder, board):
        self.folder = folder
        for name in ("host", "key", "stranger"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(words, check=True, timeout=60)
        shutil.copy(folder / "key.pub", folder / "admin_keys")
        (folder / "admin_keys").chmod(0o644)
        (folder / "forced.py").write_text(FORCED.format(folder=str(folder), pid=board.process.pid))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._write_settings()
        self.process = self._start()

    def _write_settings(self):
        shipped = (ROOT / "systemd/sshd.conf").read_text()
        for old, new in (
            ("Match User rpmu-admin", f"Match User {USER}"),
            ("/etc/rpmu/admin_keys", str(self.folder / "admin_keys")),
            ("/usr/bin/rpmu-admin-shell", f"{sys.executable} {self.folder / 'forced.py'}"),
        ):
            assert old in shipped
            shipped = shipped.replace(old, new)
        own = f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder / 'host'}\nStrictModes no\nUsePAM no\n"
        own += f"PidFile {self.folder / 'sshd.pid'}\nSetEnv PYTHONPATH={ROOT}\n"
        (self.folder / "sshd_config").write_text(own + shipped)
        (self.folder / "passwd").write_text(PASSWD.format(home=self.folder))
        (self.folder / "ssh_config").write_text(
            f"Host pmu\nHostName 127.0.0.1\nPort {self.port}\nIdentityFile {self.folder / 'key'}\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {self.folder / 'known'}\nStrictHostKeyChecking accept-new\nBatchMode yes\n"
            "LogLevel ERROR\n"
        )
        program = self.folder / "bin/ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder / "ssh_config"} "$@"\n')
        program.chmod(0o755)

    def _start(self):
        words = [str(SSHD), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        environment = {**os.environ, "LD_LIBRARY_PATH": str(next(UNPACKED.glob("usr/lib/*-linux-gnu*"), ""))}
        if AS_ROOT:
            mounts = f"mount --bind {shlex.quote(str(self.folder / 'passwd'))} /etc/passwd && "
            mounts += "mount -t tmpfs -o mode=755 none /run && mkdir -m 755 /run/sshd && "
            words = ["unshare", "--mount", "sh", "-c", f"{mounts} exec {shlex.join(words)}"]
        log = (self.folder / "sshd.log").open("w")
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return process
            assert process.poll() is None, (self.folder / "sshd.log").read_text()
            time.sleep(0.1)
        raise AssertionError("sshd does not listen")

    def rpmu(self, *words, content=b""):
        """The command on the PC."""
        environment = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        whole = [sys.executable, "-m", "rpmu", "--host", "pmu" if AS_ROOT else f"{USER}@pmu", *words]
        return subprocess.run(whole, env=environment, input=content, capture_output=True, timeout=PATIENCE_S)

    def ssh(self, *words, content=b"", timeout=PATIENCE_S):
        """Plain ssh, as somebody who wants more than rpmu offers."""
        whole = [str(self.folder / "bin/ssh"), *words]
        return subprocess.run(whole, input=content, capture_output=True, timeout=timeout)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


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
