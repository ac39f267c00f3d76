"""A board in emulation: qemu-system-arm with the image's disk, two ports, and a root shell on the serial line.

The shell is systemd's own debug shell, asked for on the kernel's command line, so nothing in the image knows of it.
Commands go in as one line; what they print comes back in base64 between marks, so that nothing else on the line can be
taken for it. Nothing here sleeps for a fixed time in the hope that something has happened: it waits for it, for long.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.target.hardware import Hardware
from tests.target.wait import LOOK_S, PATIENCE_S, GuestError, until

# The guest's clock counts its instructions, 2 ns each, about as many as the board's processor does; idle, it goes as
# time does. So nothing in the guest comes too late on a busy machine: seen from here, all of it is slow.
CLOCK = "shift=1,sleep=on"
APPEND = (
    "root=PARTUUID=52504d55-02 ro console=ttyAMA0 loglevel=5 panic=-1 systemd.debug_shell=ttyAMA0 "
    "systemd.mask=serial-getty@ttyAMA0.service systemd.show_status=0"
)


@dataclass(frozen=True)
class Done:
    """What a command in the guest came to."""

    code: int
    out: str


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """One emulated board; `start` switches it on, `cut_power` off, `attach` finds one that runs.

    Args:
        folder: for its serial socket and logs.
        kernel: zImage.
        initramfs: its first file system.
        card: raw image. It keeps what is written to it.
        stays: whether it outlives this process.
    """

    def __init__(self, folder: Path, kernel: Path, initramfs: Path, card: Path, stays: bool = False) -> None:
        self.folder = folder
        self._note = folder / "machine.json"
        noted = json.loads(self._note.read_text()) if self._note.exists() else {}
        self.ssh_port, self.pmu_port = noted.get("ssh_port") or free_port(), noted.get("pmu_port") or free_port()
        self._pid: int = noted.get("pid") or 0
        self._words = [] if stays else ["setpriv", "--pdeathsig", "KILL"]
        self._words += self._command(kernel, initramfs, card)
        self._hardware = Hardware(folder, stays)
        self._process: subprocess.Popen[bytes] | None = None
        self._end: int | None = None  # a descriptor that becomes readable when the emulator ends
        self._line: socket.socket | None = None
        self._heard = b""
        self._count = 0
        self.log = folder / "serial.log"

    def _command(self, kernel: Path, initramfs: Path, card: Path) -> list[str]:
        forward = f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22,hostfwd=tcp:127.0.0.1:{self.pmu_port}-:4712"
        words = ["qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a15", "-m", "512", "-nographic"]
        words += ["-icount", CLOCK]
        words += ["-no-reboot", "-monitor", "none", "-kernel", str(kernel), "-initrd", str(initramfs)]
        words += ["-append", APPEND, "-serial", f"unix:{self.folder}/serial,server=on,wait=off"]
        # "unsafe": what the guest has flushed waits in this machine's memory, where a killed emulator leaves it
        words += ["-drive", f"if=none,id=card,format=raw,file={card},cache=unsafe"]
        words += ["-device", "virtio-blk-device,drive=card"]
        words += ["-netdev", f"user,id=n,restrict=on,{forward}", "-device", "virtio-net-device,netdev=n"]
        return [*words, "-device", "virtio-rng-device"]

    # ---- power ----

    def start(self) -> None:
        """Switch on and wait for the shell."""
        (self.folder / "serial").unlink(missing_ok=True)
        self._hardware.start()
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._words, *self._hardware.words()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watch(self._process.pid)
        self._line = until("the emulator's serial line", self._connect, 60, LOOK_S)
        self._heard = b""
        self._await(re.compile(rb"# $"), PATIENCE_S)
        self._send("dmesg -n 1; stty -echo; PS1= PS2= exec sh")  # a shell that does not edit its line
        self._acknowledged("")

    def attach(self) -> bool:
        """Find the machine that an earlier process left running; False if none does."""
        try:
            if not Path(f"/proc/{self._pid}/comm").read_text().startswith("qemu-system"):
                return False
            self._watch(self._pid)
        except OSError:
            return False
        if self._ended():
            return False
        self._line = until("the emulator's serial line", self._connect, 60, LOOK_S)
        self._acknowledged("")
        return True

    def _watch(self, pid: int) -> None:
        self._pid, self._end = pid, os.pidfd_open(pid)
        self._note.write_text(json.dumps({"ssh_port": self.ssh_port, "pmu_port": self.pmu_port, "pid": pid}))

    def _ended(self) -> bool:
        return self._end is None or bool(select.select([self._end], [], [], 0)[0])

    def _connect(self) -> socket.socket | None:
        self._alive()
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(self.folder / "serial"))
        except OSError:
            line.close()
            return None
        return line

    def _alive(self) -> None:
        if self._ended():
            raise GuestError(f"the emulator has ended: {(self.folder / 'qemu.log').read_text()[-500:]}")

    def cut_power(self) -> None:
        """Off, without a word to the guest; what it had not written is lost."""
        if self._end is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._end, signal.SIGKILL)
            select.select([self._end], [], [])
            os.close(self._end)
        if self._process is not None:
            self._process.wait()
        self._hardware.stop()
        self.leave()
        self._process = self._end = None

    def leave(self) -> None:
        """Hang up; the machine goes on."""
        if self._line is not None:
            self._line.close()
        self._line = None

    def await_power_off(self) -> None:
        """Wait until the guest has switched itself off."""
        until("the guest to switch itself off", lambda: self._ended() or self._drained(), pause_s=LOOK_S)
        self.cut_power()

    def _drained(self) -> bool:
        """Keep the serial line from filling up."""
        self._receive(0.0)
        return False

    # ---- the shell ----

    def run(self, command: str, patience_s: float = PATIENCE_S) -> Done:
        """Run a line of shell as root; its exit code, and all that it printed."""
        self._count += 1
        mark = f"mark{self._count}"
        script = f'( {command}\n) 2>&1 </dev/null | base64 -w 76; echo "{mark}:${{PIPESTATUS[0]}}:"'
        sent = base64.b64encode(script.encode()).decode()
        # Short lines: a terminal takes at most 4095 characters in one.
        self._send("s=")
        for start in range(0, len(sent), 1000):
            self._acknowledged(f"s=${{s}}{sent[start : start + 1000]}; ")
        self._send(f"echo {mark}''begin; echo $s | base64 -d | bash")
        found = self._await(re.compile(rf"{mark}begin\r?\n(.*?){mark}:(\d+):".encode(), re.DOTALL), patience_s)
        self._heard = b""
        return Done(int(found[2]), base64.b64decode(re.sub(rb"\s", b"", found[1])).decode(errors="replace"))

    def check(self, command: str, patience_s: float = PATIENCE_S) -> str:
        """Likewise; it must succeed."""
        done = self.run(command, patience_s)
        if done.code:
            raise GuestError(f"{command!r} ended with {done.code} in the guest: {done.out[-2000:]}")
        return done.out

    def put(self, path: str, content: str) -> None:
        """Write a small file in the guest."""
        sent = base64.b64encode(content.encode()).decode()
        self.check(f"mkdir -p {shlex.quote(str(Path(path).parent))} && echo {sent} | base64 -d > {shlex.quote(path)}")

    def _acknowledged(self, line: str) -> None:
        """Send a line and wait until the shell has read it: its terminal holds 4 kB only."""
        self._count += 1
        self._send(f"{line}echo got''{self._count}")
        self._await(re.compile(rf"got{self._count}\r?\n".encode()), PATIENCE_S)
        self._heard = b""

    def _send(self, line: str) -> None:
        assert self._line is not None
        self._line.sendall(line.encode() + b"\n")

    def _receive(self, wait_s: float) -> None:
        assert self._line is not None
        if select.select([self._line], [], [], wait_s)[0]:
            content = self._line.recv(65536)
            if not content:
                self._alive()
            self._heard += content
            with self.log.open("ab") as log:
                log.write(content)

    def _await(self, pattern: re.Pattern[bytes], patience_s: float) -> re.Match[bytes]:
        deadline = time.monotonic() + patience_s
        while not (found := pattern.search(self._heard)):
            if time.monotonic() > deadline:
                raise GuestError(f"waited {patience_s:g} s for {pattern.pattern!r}; heard {self._heard[-2000:]!r}")
            self._alive()
            self._receive(LOOK_S)
        return found
