"""The PRU under the kernel's remoteproc driver: a firmware name and start or stop through sysfs.

The kernel loads the ELF from its firmware folder; the driver offers no window on the shared RAM, so that is mapped
from a generic-uio node where the device tree has one and from /dev/mem otherwise. Numbers in sysfs vary with the order
of probing, hence the search by name.
"""

from __future__ import annotations

from pathlib import Path

from rpmu.acquire import layout
from rpmu.acquire.link import SHARED_RAM_ARM_ADDRESS, ImageFormat, image_bytes
from rpmu.acquire.mapping import MappedWords, map_shared, uio_maps
from rpmu.errors import HardwareError

CORE_NAMES = ("4a334000.pru", "4a338000.pru")  # PRU0 and PRU1 of the AM335x, by the address of their program memory
FIRMWARE_NAME = "rpmu-sampler.elf"


class RemoteprocLink:
    """One PRU core, driven by pru_rproc.

    Args:
        core: 0 or 1.
        root: root of the file system; tests give one of their own.
    """

    image_format: ImageFormat = "elf"

    def __init__(self, core: int = 0, root: Path = Path("/")) -> None:
        self._root = root
        self._core = CORE_NAMES[core]
        self._mapped: MappedWords | None = None

    def present(self) -> bool:
        """Whether the kernel offers this core."""
        return self._find() is not None

    def load(self, image: Path | bytes) -> None:
        """Put the ELF where the kernel looks for firmware and tell it the name.

        Raises:
            HardwareError: no such core, or the firmware folder cannot be written.
        """
        folder = self._folder()
        self.stop()
        self._install(image_bytes(image))
        self._write(folder / "firmware", FIRMWARE_NAME)

    def start(self) -> None:
        """Load and run.

        Raises:
            HardwareError: the kernel refused; its log says why.
        """
        folder = self._folder()
        self._write(folder / "state", "start")
        state = (folder / "state").read_text().strip()
        if state not in ("running", "attached"):
            raise HardwareError(f"the PRU {self._core} is '{state}' after its start: see `dmesg | grep -i pru`")

    def stop(self) -> None:
        """Halt the core if it runs.

        Raises:
            HardwareError: no such core, or the kernel refused.
        """
        state = self._folder() / "state"
        if state.read_text().strip() in ("running", "attached", "crashed"):
            self._write(state, "stop")

    def window(self) -> memoryview:
        """The shared RAM.

        Raises:
            HardwareError: neither a UIO node nor /dev/mem shows it.
        """
        if self._mapped is None:
            maps = uio_maps(self._root / "sys/class/uio", self._root / "dev")
            memory = self._root / "dev/mem"
            self._mapped = map_shared(maps, SHARED_RAM_ARM_ADDRESS, layout.SHARED_RAM_BYTES, memory)
        return self._mapped.words

    def close(self) -> None:
        """Stop the core and unmap."""
        if self.present():
            self.stop()
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None

    def _find(self) -> Path | None:
        for folder in sorted((self._root / "sys/class/remoteproc").glob("remoteproc*")):
            try:
                name = (folder / "name").read_text().strip()
            except OSError:
                continue  # it went away between listing and reading
            if name == self._core:
                return folder
        return None

    def _folder(self) -> Path:
        folder = self._find()
        if folder is None:
            raise HardwareError(
                f"the kernel offers no remoteproc entry named {self._core}: load the modules pruss and pru_rproc, and "
                "enable the PRU in the device tree"
            )
        return folder

    def _install(self, image: bytes) -> None:
        target = self._root / "lib/firmware" / FIRMWARE_NAME
        try:
            if not target.is_file() or target.read_bytes() != image:
                target.write_bytes(image)
        except OSError as error:
            raise HardwareError(
                f"cannot put the firmware into {target}: {error.strerror}; run as root once, or install it with the "
                "rpmu package of the same version"
            ) from error

    def _write(self, file: Path, text: str) -> None:
        try:
            file.write_text(text)
        except OSError as error:
            raise HardwareError(
                f"the kernel refused '{text}' in {file}: {error.strerror}; see `dmesg | grep -i pru`, and run as root "
                "or give the service's user access by a udev rule"
            ) from error
