"""The four things the host can do with the PRU, whatever stands behind them.

A `PruLink` puts a firmware image into the PRU, starts and stops it, and shows its shared memory as 32-bit words.
Sampler, ring reader and statistics are written once on top; remoteproc, UIO, the digital twin and a replayed
recording are four implementations below. None opens anything before `load`, `start` or `window` is called.

A link owns no clock: whoever waits for the PRU awaits a `Pace`, `QuietLoop.wait` on a board (rpmu/quiet_loop.py) and a
step of the simulation on the twin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, Protocol

from rpmu.errors import HardwareError

Pace = Callable[[float], Awaitable[None]]
"""Waits for so many seconds of the PRU's time."""

ImageFormat = Literal["elf", "bin"]
"""The same code twice: an ELF for remoteproc, the bare instruction words for everything else."""

IMAGE_FOLDER = Path(__file__).parent / "firmware"
SHARED_RAM_ARM_ADDRESS = 0x4A310000  # the 12 kB shared RAM as the ARM sees it (pru/layout.h, PRU_SHARED_RAM)


class PruLink(Protocol):
    """One PRU core and its shared memory."""

    @property
    def image_format(self) -> ImageFormat:
        """What `load` wants."""

    def load(self, image: Path | bytes) -> None:
        """Put a firmware image into the stopped PRU.

        Args:
            image: the image in this link's `image_format`, or the path of a file that holds it.

        Raises:
            HardwareError: the PRU or what leads to it is missing, or the image cannot be read.
        """

    def start(self) -> None:
        """Reset the core and let it run from its first instruction.

        Raises:
            HardwareError: it did not start.
        """

    def stop(self) -> None:
        """Halt the core; its memory keeps what it holds. Stopping a stopped core does nothing."""

    def window(self) -> memoryview:
        """The shared RAM, live: a writable memoryview of 32-bit words (format "I", 3072 items).

        On a board this is device memory: read and write whole words only, by index or through a numpy uint32 view.

        Raises:
            HardwareError: it cannot be mapped.
        """

    def close(self) -> None:
        """Stop the core and give the memory and the files back. The link is of no use afterwards."""


def shipped_image(image_format: ImageFormat) -> Path:
    """Path of the committed firmware image in the given format.

    Raises:
        HardwareError: the installation lacks it.
    """
    path = IMAGE_FOLDER / f"sampler.{image_format}"
    if not path.is_file():
        raise HardwareError(
            f"the firmware image {path} is missing: reinstall rpmu, or run `make firmware` in a checkout"
        )
    return path


def image_bytes(image: Path | bytes) -> bytes:
    """The image itself, read from its file where a path was given.

    Raises:
        HardwareError: the file cannot be read.
    """
    if isinstance(image, bytes):
        return image
    try:
        return image.read_bytes()
    except OSError as error:
        raise HardwareError(f"cannot read the firmware image {image}: {error.strerror}") from error
