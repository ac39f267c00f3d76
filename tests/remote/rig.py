"""A real sshd on loopback with the shipped settings, in front of a board, and the PC that talks to it.

sshd comes from Debian's package, unpacked (`scripts/unpacked-package`) or installed, and has keys of its own. As root
it runs in a mount namespace whose /etc/passwd has the users that it needs; as anybody else it lets in whoever runs the
tests, and nobody else.
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
            f"Host pmu board\nHostName 127.0.0.1\nPort {self.port}\nIdentityFile {self.folder / 'key'}\n"
            "IdentitiesOnly yes\n"
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

    @property
    def environment(self):
        """Of the PC: its ssh knows the board."""
        return {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def rpmu(self, *words, content=b""):
        """The command on the PC."""
        whole = [sys.executable, "-m", "rpmu", "--host", "pmu" if AS_ROOT else f"{USER}@pmu", *words]
        return subprocess.run(whole, env=self.environment, input=content, capture_output=True, timeout=PATIENCE_S)

    def ssh(self, *words, content=b"", timeout=PATIENCE_S):
        """Plain ssh, as somebody who wants more than rpmu offers."""
        whole = [str(self.folder / "bin/ssh"), *words]
        return subprocess.run(whole, input=content, capture_output=True, timeout=timeout)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
