"""The twin as a `PruLink`: load, start, stop and shared memory of the emulated PRU0."""

from __future__ import annotations

from pathlib import Path

from rpmu.acquire.link import ImageFormat, image_bytes
from rpmu.twin.pruss import Pruss


class TwinLink:
    """One core of the emulated PRUSS; see `rpmu.acquire.link.PruLink` for the contract of every method.

    Args:
        pruss: the emulated subsystem.
        core: 0 or 1.
    """

    def __init__(self, pruss: Pruss, core: int = 0) -> None:
        self._pruss = pruss
        self._core = core

    @property
    def image_format(self) -> ImageFormat:
        """Bare instruction words."""
        return "bin"

    def load(self, image: Path | bytes) -> None:
        """Put an image into the stopped core."""
        self._pruss.stop(self._core)
        self._pruss.load(self._core, image_bytes(image))

    def start(self) -> None:
        """Run from the first instruction."""
        self._pruss.start(self._core)

    def stop(self) -> None:
        """Halt the core."""
        self._pruss.stop(self._core)

    def window(self) -> memoryview:
        """The shared RAM as 32-bit words."""
        return self._pruss.shared_ram

    def close(self) -> None:
        """Halt the core; the emulator belongs to the twin."""
        self._pruss.stop(self._core)
