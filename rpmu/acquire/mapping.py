"""Map device memory as 32-bit words: /dev/mem, or a map of a UIO device, found by its physical address.

Both are files to mmap. A UIO device offers map N at file offset N pages and says in sysfs which physical address and
size it has (kernel documentation, driver-api/uio-howto).
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from rpmu.errors import HardwareError


@dataclass(frozen=True)
class UioMap:
    """One map of a UIO device: where its file is, which map, and what it shows."""

    device: Path
    index: int
    address: int
    size: int


def uio_maps(sysfs: Path, devices: Path) -> list[UioMap]:
    """Every map of every UIO device.

    Args:
        sysfs: /sys/class/uio.
        devices: /dev.
    """
    maps = []
    for folder in sorted(sysfs.glob("uio*/maps/map*")):
        try:
            address, size = (int((folder / name).read_text(), 0) for name in ("addr", "size"))
        except (OSError, ValueError):
            continue  # not a map, or one that is just vanishing
        device = devices / folder.parts[-3]
        maps.append(UioMap(device, int(folder.name.removeprefix("map")), address, size))
    return maps


class MappedWords:
    """A piece of device memory as a memoryview of 32-bit words.

    Args:
        file: what to map.
        offset: where in the file, whole pages.
        size: bytes.
        remedy: what to do if the file cannot be opened or mapped; ends the message.

    Raises:
        HardwareError: it cannot be opened or mapped.
    """

    def __init__(self, file: Path, offset: int, size: int, remedy: str) -> None:
        try:
            # O_SYNC makes the mapping of /dev/mem uncached: the PRU writes behind the cache's back.
            descriptor = os.open(file, os.O_RDWR | os.O_SYNC | os.O_CLOEXEC)
        except OSError as error:
            raise HardwareError(f"cannot open {file}: {error.strerror}; {remedy}") from error
        try:
            self._map = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)
        except (OSError, ValueError) as error:
            raise HardwareError(f"cannot map {size} bytes of {file} at {offset:#x}: {error}; {remedy}") from error
        finally:
            os.close(descriptor)
        self.words = memoryview(self._map).cast("I")

    def close(self) -> None:
        """Give the memory back; views that others still hold keep it mapped until they are gone."""
        self.words.release()
        try:
            self._map.close()
        except BufferError:
            pass  # a numpy view of it lives on; the map goes with the last of them


def map_shared(maps: list[UioMap], address: int, size: int, memory: Path) -> MappedWords:
    """Map a physical range: through a UIO map that starts there, else through /dev/mem.

    Args:
        maps: what `uio_maps` found.
        address: physical address.
        size: bytes.
        memory: /dev/mem.

    Raises:
        HardwareError: neither works.
    """
    for uio in maps:
        if uio.address == address and uio.size >= size:
            remedy = "run as root, or give the service's user access by a udev rule for the subsystem uio"
            return MappedWords(uio.device, uio.index * mmap.PAGESIZE, size, remedy)
    remedy = (
        "run as root, or add a generic-uio node over the PRU's shared RAM to the device tree; a kernel that refuses "
        "/dev/mem altogether needs the latter"
    )
    return MappedWords(memory, address, size, remedy)
