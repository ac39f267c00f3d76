"""The PRU under uio_pruss, the driver of BeagleBoard kernels with the UIO overlay: all of the PRUSS in one map.

Map 0 shows the 512 kB of the PRUSS: program memory, control registers and shared RAM at their usual offsets, so
loading is copying and starting is one register. Where pypruss is installed it does the loading and starting, through
TI's prussdrv library; the shared RAM is read through the map either way.
"""

from __future__ import annotations

import importlib
import mmap
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from rpmu.acquire import layout
from rpmu.acquire.link import ImageFormat, image_bytes
from rpmu.acquire.mapping import MappedWords, UioMap, uio_maps
from rpmu.errors import HardwareError

PRUSS_ADDRESS = 0x4A300000
PRUSS_BYTES = 0x80000
CONTROL_OFFSETS = (0x22000, 0x24000)  # of PRU0 and PRU1 in the PRUSS (AM335x TRM, chapter 4)
PROGRAM_OFFSETS = (0x34000, 0x38000)
PROGRAM_BYTES = 0x2000
CONTROL_ENABLE = 1 << 1
CONTROL_NO_RESET = 1 << 0  # cleared by writing 0: the core restarts at the word in bits 31:16, which is 0


class UioLink:
    """One PRU core, driven through its registers or by pypruss.

    Args:
        core: 0 or 1.
        root: root of the file system; tests give one of their own.
        pypruss: the module, to be used for load and start; None to look for it.
    """

    image_format: ImageFormat = "bin"

    def __init__(self, core: int = 0, root: Path = Path("/"), pypruss: ModuleType | None = None) -> None:
        self._root = root
        self._core = core
        self._pypruss = pypruss or _import_pypruss()
        self._opened = False
        self._image = b""
        self._mapped: MappedWords | None = None

    def present(self) -> bool:
        """Whether a UIO device shows the PRUSS."""
        return self._find() is not None

    def load(self, image: Path | bytes) -> None:
        """Take the image: into program memory, or to be handed to pypruss at `start`.

        Raises:
            HardwareError: no such device, or not an image of PRU instructions.
        """
        code = image_bytes(image)
        if not code or len(code) % 4 or len(code) > PROGRAM_BYTES:
            raise HardwareError(
                f"the firmware image has {len(code)} bytes, but must have 4 to {PROGRAM_BYTES} in whole instructions "
                "of 4: this backend needs the .bin, not the ELF"
            )
        self.stop()
        self._image = code
        if self._pypruss is None:
            words = np.frombuffer(self._pruss(), np.uint32)
            start = PROGRAM_OFFSETS[self._core] // 4
            words[start : start + len(code) // 4] = np.frombuffer(code, np.uint32)

    def start(self) -> None:
        """Reset the core and run from its first instruction.

        Raises:
            HardwareError: no image was loaded.
        """
        if not self._image:
            raise HardwareError("the PRU was started without an image: load one first")
        if self._pypruss is None:
            self._control(0)
            self._control(CONTROL_NO_RESET | CONTROL_ENABLE)
        else:
            self._run_by_pypruss(self._pypruss)

    def stop(self) -> None:
        """Halt the core."""
        if self._pypruss is None:
            self._control(CONTROL_NO_RESET)
        elif self._opened:
            self._pypruss.pru_disable(self._core)

    def window(self) -> memoryview:
        """The shared RAM.

        Raises:
            HardwareError: no UIO device shows it.
        """
        start = layout.PRU_SHARED_RAM // 4
        return self._pruss()[start : start + layout.SHARED_RAM_BYTES // 4]

    def close(self) -> None:
        """Stop the core and unmap."""
        if self._mapped is not None or self._opened:
            self.stop()
        if self._opened and self._pypruss is not None:
            self._pypruss.exit()
            self._opened = False
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None

    def _find(self) -> UioMap | None:
        maps = uio_maps(self._root / "sys/class/uio", self._root / "dev")
        return next((uio for uio in maps if uio.address == PRUSS_ADDRESS and uio.size >= PRUSS_BYTES), None)

    def _pruss(self) -> memoryview:
        if self._mapped is None:
            uio = self._find()
            if uio is None:
                raise HardwareError(
                    "no UIO device shows the PRUSS at 0x4a300000: enable the overlay AM335X-PRU-UIO in /boot/uEnv.txt "
                    "and load the module uio_pruss, or use remoteproc"
                )
            remedy = "run as root, or give the service's user access by a udev rule for the subsystem uio"
            self._mapped = MappedWords(uio.device, uio.index * mmap.PAGESIZE, PRUSS_BYTES, remedy)
        return self._mapped.words

    def _control(self, value: int) -> None:
        self._pruss()[CONTROL_OFFSETS[self._core] // 4] = value

    def _run_by_pypruss(self, pypruss: ModuleType) -> None:
        if not self._opened:
            pypruss.init()
            pypruss.open(0)
            self._opened = True
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            file.write(self._image)
            file.flush()
            pypruss.exec_program(self._core, file.name)


def _import_pypruss() -> ModuleType | None:
    try:
        module = importlib.import_module("pypruss")
    except ImportError:  # also when it is there and its library is not
        return None
    # Another package of the same name drives remoteproc by classes; only the wrapper of prussdrv has these functions.
    return module if all(hasattr(module, name) for name in ("init", "open", "exec_program", "pru_disable")) else None
