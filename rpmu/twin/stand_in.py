"""The twin in the place of the board's hardware, for a daemon in another process: what the kernel shows, as files.

    FOLDER/dev/uio0                     the 512 kB of the PRUSS, as uio_pruss maps them
    FOLDER/sys/class/uio/uio0/maps/     where that map is
    FOLDER/dev/pmu-gnss                 the receiver's serial port

The shared RAM in the map is the emulated PRU's own. Of the rest, two things are alive: program memory is read when the
core starts, and its control register is obeyed. As on the chip, bit 15 of the register says that the core runs; a start
that was written over a running core shows by the missing bit.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from rpmu.acquire import layout
from rpmu.acquire.uio import (
    CONTROL_ENABLE,
    CONTROL_OFFSETS,
    PROGRAM_BYTES,
    PROGRAM_OFFSETS,
    PRUSS_ADDRESS,
    PRUSS_BYTES,
)
from rpmu.errors import HardwareError
from rpmu.twin.pruss import Pruss

RUNS = 1 << 15  # RUNSTATE of the control register (AM335x TRM, chapter 4)
LOOK_S = 0.005  # of the twin's time, between two looks at the control register


class StandIn:
    """One emulated PRUSS and its receiver as files.

    Args:
        folder: where to put them; made if need be.
        pruss: the emulated PRUSS.
        serial_device: the receiver's serial port.

    Raises:
        HardwareError: the folder cannot be written.
    """

    def __init__(self, folder: Path, pruss: Pruss, serial_device: str) -> None:
        self._pruss = pruss
        try:
            self._map = self._lay_out(folder, serial_device)
        except OSError as error:
            raise HardwareError(f"cannot make the stand-in's files in {folder}: {error.strerror}") from error
        self._words = memoryview(self._map).cast("I")
        start = layout.PRU_SHARED_RAM // 4
        pruss.share(self._words[start : start + layout.SHARED_RAM_BYTES // 4])

    @staticmethod
    def _lay_out(folder: Path, serial_device: str) -> mmap.mmap:
        maps, devices = folder / "sys/class/uio/uio0/maps/map0", folder / "dev"
        maps.mkdir(parents=True, exist_ok=True)
        devices.mkdir(exist_ok=True)
        (maps / "addr").write_text(f"{PRUSS_ADDRESS:#x}\n", encoding="ascii")
        (maps / "size").write_text(f"{PRUSS_BYTES:#x}\n", encoding="ascii")
        port = devices / "pmu-gnss"
        port.unlink(missing_ok=True)
        port.symlink_to(serial_device)
        memory = devices / "uio0"
        memory.write_bytes(bytes(PRUSS_BYTES))
        for path in (memory, Path(serial_device)):
            path.chmod(0o666)  # the daemon may be another user; there is nothing to protect
        descriptor = os.open(memory, os.O_RDWR | os.O_CLOEXEC)
        try:
            return mmap.mmap(descriptor, PRUSS_BYTES)
        finally:
            os.close(descriptor)

    def obey(self, core: int = 0) -> str:
        """Do what the control register asks for; returns "started", "stopped" or an empty text."""
        place = CONTROL_OFFSETS[core] // 4
        control = self._words[place]
        if control & CONTROL_ENABLE and not control & RUNS:
            start = PROGRAM_OFFSETS[core]
            self._pruss.stop(core)
            self._pruss.load(core, self._map[start : start + PROGRAM_BYTES])
            self._pruss.start(core)
            self._words[place] = control | RUNS
            return "started"
        if not control & CONTROL_ENABLE and self._pruss.running(core):
            self._pruss.stop(core)
            return "stopped"
        return ""
