"""The board's hardware beside the emulator: the twin in a process of its own, plugged into the emulated machine.

The PRU's memory is a PCI device's memory in the guest (ivshmem), the receiver's line a PCI serial port at the other end
of the twin's pseudo-terminal, and a second page of memory is how the guest tells its time, by which the twin goes.
So what the twin costs is not taken from the guest's processor, and neither runs away from the other.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from rpmu.acquire.uio import PRUSS_ADDRESS, PRUSS_BYTES
from tests.target.wait import until

SPEED = 1.0  # of the twin, by the guest's clock
HZ = 60.1
PAGE_BYTES = 4096
SLOTS = {"pruss": 5, "clock": 6, "gps": 7}  # on the PCI bus
PCI = {name: f"/sys/bus/pci/devices/0000:00:{slot:02x}.0" for name, slot in SLOTS.items()}
# in the guest: show what is plugged in where BeagleBoard's kernel would
CONNECT = f"""\
set -e
echo 1 >{PCI["pruss"]}/enable
echo 1 >{PCI["clock"]}/enable
chmod 666 {PCI["pruss"]}/resource2
maps=/run/board/sys/class/uio/uio0/maps/map0
mkdir -p $maps /run/board/dev
echo {PRUSS_ADDRESS:#x} >$maps/addr
echo {PRUSS_BYTES:#x} >$maps/size
touch /run/board/dev/uio0
mount --bind {PCI["pruss"]}/resource2 /run/board/dev/uio0
port=$(find {PCI["gps"]}/ -name 'ttyS*')
ln -sfn /dev/${{port##*/}} /dev/pmu-gnss
"""
# in the guest: tell the time, every 10 ms: the PRU has a ring of 250 ms
TELL = f"""\
import mmap, os, time
page = os.open("{PCI["clock"]}/resource2", os.O_RDWR)
words = memoryview(mmap.mmap(page, {PAGE_BYTES})).cast("I")
while True:
    words[0] = time.monotonic_ns() // 1_000_000
    time.sleep(0.010)
"""
UNIT = """\
[Unit]
Description=The twin as the board's hardware
DefaultDependencies=no
After=local-fs.target systemd-udevd.service systemd-udev-trigger.service
Before=rpmu.service
[Service]
# what stands still while the guest is busy would be no hardware
CPUSchedulingPolicy=fifo
CPUSchedulingPriority=1
ExecStartPre=/bin/sh /etc/rpmu-twin/connect
ExecStart=/usr/bin/python3 -I -S /etc/rpmu-twin/tell
"""
DROP_IN = """\
[Unit]
Wants=rpmu-twin.service
After=rpmu-twin.service
[Service]
BindPaths=/run/board/sys/class:/sys/class /run/board/dev/uio0:/dev/uio0
"""
IN_ETC = {  # of the guest
    "systemd/system/rpmu-twin.service": UNIT,
    "systemd/system/rpmu.service.d/twin.conf": DROP_IN,
    "rpmu-twin/connect": CONNECT,
    "rpmu-twin/tell": TELL,
}


class Hardware:
    """A twin that starts and ends with its machine.

    Args:
        folder: for its files and its log.
        stays: whether it outlives this process.
    """

    def __init__(self, folder: Path, stays: bool = False) -> None:
        self._folder = folder / "hardware"
        self._log = folder / "twin.log"
        self._note = folder / "twin.pid"
        self._prefix = [] if stays else ["setpriv", "--pdeathsig", "KILL"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Switch on, and wait until it can be plugged in."""
        self.stop()
        self._folder.mkdir(exist_ok=True)
        words = ["twin", "--stand-in", str(self._folder), "--clock", str(self._folder / "clock")]
        words += ["--source", f"nominal,frequency_hz={HZ}", "--speed", str(SPEED)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "rpmu", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._note.write_text(str(self._process.pid))
        until("the twin", self._ready, pause_s=0.1)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        return "a board's hardware in" in self._log.read_text()

    def stop(self) -> None:
        """Off; the next start begins with an empty memory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        elif self._note.exists() and _is_a_twin(pid := int(self._note.read_text())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process = None
        self._note.unlink(missing_ok=True)

    def words(self) -> list[str]:
        """Options of QEMU that plug it in."""
        line = (self._folder / "dev/pmu-gnss").readlink()
        words = ["-chardev", f"serial,id=gps,path={line}", "-device", f"pci-serial,chardev=gps,addr={SLOTS['gps']}"]
        for name, file, size in (("pruss", "dev/uio0", PRUSS_BYTES), ("clock", "clock", PAGE_BYTES)):
            words += ["-object", f"memory-backend-file,id={name},share=on,mem-path={self._folder / file},size={size}"]
            words += ["-device", f"ivshmem-plain,memdev={name},addr={SLOTS[name]}"]
        return words


def _is_a_twin(pid: int) -> bool:
    try:
        return b"--stand-in" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
