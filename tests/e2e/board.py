"""A daemon of its own, on the twin, with a folder of revisions: what `rpmu config apply` meets on a board."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from rpmu.health import vital_of
from rpmu.serve.status_socket import read_status

RPMU = [sys.executable, "-m", "rpmu"]
PATIENCE_S = 180
FIRST = """
[station]
name = "ONE"
[server]
listen = ["127.0.0.1:0"]
notice_s = 2
"""


class Board:
    """A twin whose configuration is `current` in a folder of revisions."""

    def __init__(self, folder, first=FIRST):
        self.folder, self.store, self.socket = folder, folder / "store", folder / "status.sock"
        assert self.apply(first, "--reload", "").returncode == 0
        words = ["twin", "--config", str(self.store / "current"), "--status-socket", str(self.socket)]
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen([*RPMU, *words], stdout=subprocess.PIPE, stderr=self.log, text=True)
        hello = self.process.stdout.readline()
        self.port = int(hello.split("serves 127.0.0.1:")[1].split(",")[0])

    def apply(self, text, *more):
        """Carry `config apply` out; without a way to reload for the first, which no daemon has yet."""
        file = self.folder / "new.toml"
        file.write_text(text)
        reload = () if "--reload" in more else ("--reload", f"kill -HUP {self.process.pid}")
        socket = ("--socket", str(self.socket))
        confirm = () if "--confirm-within" in more else ("--confirm-within", "0")
        words = ["config", "apply", str(file), "--store", str(self.store), *reload, *socket, *confirm, *more]
        return subprocess.run([*RPMU, *words], capture_output=True, text=True, timeout=PATIENCE_S)

    @property
    def status(self):
        return read_status(self.socket)

    def until(self, condition):
        """Wait for the status to be so."""
        deadline = time.monotonic() + PATIENCE_S
        while vital_of(self.socket) is None or not condition(self.status):
            assert time.monotonic() < deadline, self.status
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.2)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        self.log.close()
        return self.process.returncode
