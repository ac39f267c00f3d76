"""A temperature sensor as a file of the kernel (hwmon, IIO, 1-Wire), and what the front end does with its value.

Some sensors take most of a second to answer, and the ring must not wait: the file is read by a thread of its own, once
every few hundred reports, and whoever asks gets the last value at once.
"""

from __future__ import annotations

import cmath
import logging
import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

EVERY = 300  # askings between two readings: 5 s at 60 reports/s
LOWEST_C, HIGHEST_C = -60.0, 120.0


class Thermometer:
    """The sensor.

    Args:
        path: of the file; it holds one number.
        scale: degrees Celsius per unit of it: hwmon has thousandths.
    """

    def __init__(self, path: Path, scale: float = 0.001) -> None:
        self._path, self._scale = path, scale
        self._executor = ThreadPoolExecutor(1, "thermometer")
        self._reading: Future[float | None] | None = None
        self._asked = 0
        self._complained = False
        self._last = self._read()

    @property
    def last_c(self) -> float | None:
        """The newest value, °C; None if the sensor says nothing sensible. Asking is what keeps it new."""
        self._asked += 1
        if self._reading is not None and self._reading.done():
            self._last, self._reading = self._reading.result(), None
        if self._asked >= EVERY and self._reading is None:
            self._asked = 0
            self._reading = self._executor.submit(self._read)
        return self._last

    def _read(self) -> float | None:
        try:
            celsius = float(self._path.read_text(encoding="ascii")) * self._scale
        except (OSError, ValueError) as error:
            self._complain(str(error))
            return None
        if not LOWEST_C <= celsius <= HIGHEST_C:
            self._complain(f"it says {celsius:g} °C")
            return None
        self._complained = False
        return celsius

    def _complain(self, why: str) -> None:
        """Once, until the sensor has spoken again."""
        if not self._complained:
            log.warning("%s tells no temperature (%s): nothing is corrected for it", self._path, why)
        self._complained = True


@dataclass(frozen=True)
class TemperatureTerm:
    """What the front end does as it gets warmer.

    Attributes:
        reference_c: where the rest of the calibration holds.
        gain_per_k: relative change of each channel's gain.
        phase_rad_per_k: change of each channel's phase at nominal frequency.
        sensor: says how warm it is.
    """

    reference_c: float
    gain_per_k: tuple[float, ...]
    phase_rad_per_k: tuple[float, ...]
    sensor: Thermometer = field(compare=False)

    @property
    def kelvin(self) -> float | None:
        """How much warmer than the reference temperature it is; None if nobody knows."""
        celsius = self.sensor.last_c
        return None if celsius is None else celsius - self.reference_c

    def factors(self) -> list[complex]:
        """By what each response differs from that at the reference temperature; 1 if nobody knows how warm it is."""
        kelvin = self.kelvin or 0.0
        terms = zip(self.gain_per_k, self.phase_rad_per_k, strict=True)
        return [cmath.rect(math.exp(gain * kelvin), phase * kelvin) for gain, phase in terms]
