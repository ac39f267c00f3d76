"""Read one GPIO by name, through libgpiod (1.x or 2.x) or Adafruit_BBIO, whichever is installed and works.

libgpiod comes first: it finds a line by the name that the device tree gives it ("P9_12 [gpmc_ben1]" on a BeagleBone),
whatever number the kernel chose. Adafruit_BBIO counts on fixed numbers, which kernels since 6.x no longer give, so it
is asked only where libgpiod is missing. No backend is imported before a pin is read.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rpmu.errors import HardwareError

PinReader = Callable[[str, int, float], list[bool]]
"""Reads a pin: its name, how many times, seconds between two readings."""


def read_pin(name: str, count: int, interval_s: float) -> list[bool]:
    """Levels of a pin.

    Args:
        name: as on the header, e.g. P9_12.
        count: readings.
        interval_s: between two of them.

    Raises:
        HardwareError: no backend, or none knows the pin; the message has every backend's answer.
    """
    complaints = []
    for module, backend in (("gpiod", _libgpiod), ("Adafruit_BBIO.GPIO", _adafruit)):
        try:
            return backend(importlib.import_module(module), name, count, interval_s)
        except ImportError:
            complaints.append(f"{module} is not installed")
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            complaints.append(f"{module}: {error}")
    raise HardwareError(f"cannot read the pin {name} ({'; '.join(complaints)}): install python3-libgpiod")


def _libgpiod(gpiod: Any, name: str, count: int, interval_s: float) -> list[bool]:
    second_api = hasattr(gpiod, "request_lines")
    return (_libgpiod_2 if second_api else _libgpiod_1)(gpiod, name, count, interval_s)


def _libgpiod_2(gpiod: Any, name: str, count: int, interval_s: float) -> list[bool]:
    path, offset = _line_2(gpiod, name)
    settings = gpiod.LineSettings(direction=gpiod.line.Direction.INPUT)
    with gpiod.request_lines(path, consumer="rpmu", config={offset: settings}) as request:
        return _sampled(lambda: request.get_value(offset) == gpiod.line.Value.ACTIVE, count, interval_s)


def _line_2(gpiod: Any, name: str) -> tuple[str, int]:
    """Chip and offset of a line."""
    for path in sorted(str(device) for device in Path("/dev").iterdir() if gpiod.is_gpiochip_device(str(device))):
        with gpiod.Chip(path) as chip:
            for offset in range(chip.get_info().num_lines):
                if _is_pin(chip.get_line_info(offset).name, name):
                    return path, offset
    raise LookupError(f"no GPIO line is named {name}")


def _libgpiod_1(gpiod: Any, name: str, count: int, interval_s: float) -> list[bool]:
    lines = (line for chip in gpiod.ChipIter() for line in gpiod.LineIter(chip))
    line = next((line for line in lines if _is_pin(line.name(), name)), None)
    if line is None:
        raise LookupError(f"no GPIO line is named {name}")
    line.request(consumer="rpmu", type=gpiod.LINE_REQ_DIR_IN)
    try:
        return _sampled(lambda: bool(line.get_value()), count, interval_s)
    finally:
        line.release()


def _adafruit(gpio: Any, name: str, count: int, interval_s: float) -> list[bool]:
    gpio.setup(name, gpio.IN)
    try:
        return _sampled(lambda: bool(gpio.input(name)), count, interval_s)
    finally:
        gpio.cleanup(name)


def _is_pin(line: str | None, name: str) -> bool:
    """Whether a line is the pin: by the first word of its name."""
    return bool(line) and str(line).split()[0] == name


def _sampled(read: Callable[[], bool], count: int, interval_s: float) -> list[bool]:
    levels = []
    for index in range(count):
        if index:
            time.sleep(interval_s)
        levels.append(read())
    return levels
