"""The commands of docs/install.md, run in their order where a PC with the twin can stand for the board.

`board` is a twin behind a real sshd. Each command of the page is either run here or has a reason in ELSEWHERE, so that
none can be written there unseen.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess

import pytest

from rpmu.health import vital_of
from tests.e2e.board import RPMU, Board
from tests.packaging.test_install_page import TEXT
from tests.remote.rig import PATIENCE_S, Server, complaint

COMMANDS = [
    re.split(r"\s{2,}#", line)[0].strip()
    for line in re.findall(r"^    ([a-z][a-z-]* .*|depmod)$", TEXT, re.MULTILINE)
    if not re.match(r"\w+ = |publisher ", line)
]
ELSEWHERE = {  # how a command begins: why it is not run here
    "make image": "tests/image builds what can be built without the network",
    "make deb": "tests/packaging/test_deb.py",
    "make -C /usr/src": "needs the kernel's source for the board",
    "scp ": "needs another machine",
    "apt-get ": "changes this machine",
    "tar xf /usr/src": "needs the kernel's source for the board",
    "depmod": "changes this machine",
    "systemctl ": "changes this machine",
    "journalctl ": "needs the service",
    "rpmu --host board update": "tests/update, with packages of its own",
    "rpmu --host rpmu-cellar": "the same as for `board`",
    "rpmu pdc watch --idcode 17 rpmu-cellar": "the same as for `board`",
}
RUN = (
    "rpmu doctor",
    "rpmu config set ",
    "rpmu config check",
    "rpmu status",
    "rpmu pdc watch --idcode 17 board:4712",
    "rpmu --host board doctor",
    "rpmu --host board config ",
)


def test_every_command_is_run_or_has_a_reason():
    for command in COMMANDS:
        reasons = [begin for begin in (*ELSEWHERE, *RUN) if command.startswith(begin)]
        assert reasons, f"{command}: run it here, or say why not"
    for begin in (*ELSEWHERE, *RUN):
        assert any(command.startswith(begin) for command in COMMANDS), f"{begin} is not on the page any more"


class Reader:
    """Follows the page; knows what stands for what."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "rpmu.toml"
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}

    def run(self, command, *more, environment=None):
        """One command, with the files and ports that are here."""
        line, _, output = command.partition(" > ")
        words = [word.replace("/etc/rpmu/rpmu.toml", str(self.file)) for word in shlex.split(line)[1:]]
        done = subprocess.run(
            [*RPMU, *words, *more],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env=environment or self.environment,
            cwd=self.folder,
        )
        if output:
            (self.folder / output).write_text(done.stdout)
        return done


@pytest.mark.slow
@pytest.mark.skipif(bool(complaint()), reason=complaint())
def test_the_page_leads_to_a_frame_and_a_change(tmp_path):
    page = [command for command in COMMANDS if command.startswith(RUN)]
    reader = Reader(tmp_path)
    reader.file.write_text("")
    first_doctor, sets = page[0], [command for command in page if command.startswith("rpmu config set")]
    assert first_doctor == "rpmu doctor"
    assert reader.run(first_doctor, "--root", str(tmp_path)).returncode == 4, "no board, no daemon"
    for command in sets:
        assert reader.run(command).returncode == 0, command
    assert reader.run("rpmu config check", str(reader.file)).returncode == 0
    # The page's PDCs are in a network of examples, and its port may be taken here.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = f"rpmu config set {reader.file} server.listen=127.0.0.1:{port} server.access=127.0.0.0/8 server.notice_s=1"
    assert reader.run(here).returncode == 0
    board = Board(tmp_path, reader.file.read_text())
    try:
        board.until(lambda status: status["time"]["state"] == "locked")
        (tmp_path / f"rpmu-{os.getuid()}.sock").symlink_to(board.socket)
        status = reader.run("rpmu status")
        assert "CELLAR (IDCODE 17)" in status.stdout, status.stderr
        assert reader.run("rpmu doctor").returncode in (0, 1), "a PC, but a daemon runs"
        watched = reader.run(f"rpmu pdc watch --idcode 17 127.0.0.1:{port}", "--frames", "5")
        assert "CELLAR" in watched.stdout, watched.stderr
        server = Server(tmp_path, board)
        try:
            follow_the_administration(reader, server, [command for command in page if "--host board" in command])
        finally:
            server.stop()
    finally:
        board.stop()


def follow_the_administration(reader, server, commands):
    """The part over SSH: `apply` waits, and is confirmed from another terminal."""
    waiting = None
    for command in commands:
        if "config apply" in command:
            words = [*RPMU, *shlex.split(command)[1:]]
            waiting = subprocess.Popen(
                words, cwd=reader.folder, env=server.environment, stdout=subprocess.PIPE, text=True
            )
            for line in waiting.stdout:
                if "confirm it within" in line:
                    break
            continue
        done = reader.run(command, environment=server.environment)
        assert done.returncode == 0 or command.endswith("doctor"), (command, done.stdout, done.stderr)
    assert waiting is not None
    assert waiting.wait(PATIENCE_S) == 0
    assert "in force" in waiting.stdout.read()
    assert vital_of(server.folder / "status.sock").state == "locked"
