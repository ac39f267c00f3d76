"""The layout of a stream's data frames, compiled once from its configuration.

A data frame carries no counts, so everything about its bytes is known beforehand: one `struct.Struct` unpacks all
numbers of all PMUs at once into a flat tuple, and per PMU two small functions, chosen by FORMAT, turn a slice of it
into engineering values and back. That is what makes a frame cost a few microseconds in Python.

Integer formats (IEEE C37.118.2-2011, 6.3): rectangular phasors are two int16; polar ones a uint16 magnitude and an
int16 angle in 1e-4 rad; FREQ is the deviation from nominal in mHz, DFREQ is in 0.01 Hz/s. A missing value is 0x8000
(of a polar phasor: its angle), NaN among floats.
"""

from __future__ import annotations

import struct
from cmath import polar, rect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isinf, isnan, nan
from typing import TYPE_CHECKING, Any, NamedTuple

from rpmu.c37118.channels import AnalogChannel, PhasorChannel, PmuConfig
from rpmu.c37118.envelope import MIN_FRAME_SIZE
from rpmu.c37118.fields import Format, Stat
from rpmu.errors import InputError

if TYPE_CHECKING:
    from rpmu.c37118.config import ConfigFrame

Number = int | float
Values = tuple[Any, ...]  # numbers as on the wire: STAT and digitals int, the others int or float by FORMAT

MISSING = -0x8000  # 0x8000 as int16
ANGLE_UNIT_RAD = 1e-4
FREQUENCY_UNITS_PER_HZ = 1000
ROCOF_UNITS_PER_HZ_PER_S = 100
_MISSING_PHASOR = complex(nan, nan)


@dataclass(frozen=True, slots=True)
class PmuData:
    """What one PMU reports in one data frame, in engineering units; missing values are NaN.

    Attributes:
        phasors: RMS volts or amperes and synchrophasor angle, complex, in the order of the configuration.
        frequency_hz: frequency (not the deviation).
        rocof_hz_per_s: rate of change of frequency.
        analogs: analog values, scaled.
        digitals: digital words.
        stat: STAT.
    """

    phasors: tuple[complex, ...] = ()
    frequency_hz: float = nan
    rocof_hz_per_s: float = nan
    analogs: tuple[float, ...] = ()
    digitals: tuple[int, ...] = ()
    stat: Stat = Stat(0)  # noqa: RUF009 - an immutable int


class PmuRaw(NamedTuple):
    """The same as the numbers on the wire.

    Attributes:
        stat: STAT.
        phasors: pairs (real, imaginary) or (magnitude, angle), integers or floats as FORMAT says.
        freq: FREQ: mHz off nominal if integer, Hz if float.
        dfreq: DFREQ: 0.01 Hz/s if integer, Hz/s if float.
        analogs: ANALOG.
        digitals: DIGITAL.
    """

    stat: int
    phasors: tuple[tuple[Number, Number], ...]
    freq: Number
    dfreq: Number
    analogs: Values
    digitals: tuple[int, ...]


class PmuLayout:
    """Where one PMU's numbers are in the flat tuple, and how they convert.

    Attributes:
        name: of the PMU.
        counts: phasors, analogs and digital words.
        start: first index of this PMU's numbers.
        freq_at: index of FREQ; DFREQ follows.
        analogs_at: index of the first analog.
        digitals_at: index of the first digital word.
        stop: index behind the last number.
        codes: of `struct`, for all of them.
        is_plain: only the phasors need a conversion, the other values are the numbers on the wire.
        write_phasors: numbers on the wire from complex phasors.
    """

    def __init__(self, pmu: PmuConfig, start: int) -> None:
        self.name = pmu.name
        self.counts = (len(pmu.phasors), len(pmu.analogs), len(pmu.digitals))
        self.start = start
        self.freq_at = start + 1 + 2 * len(pmu.phasors)
        self.analogs_at = self.freq_at + 2
        self.digitals_at = self.analogs_at + len(pmu.analogs)
        self.stop = self.digitals_at + len(pmu.digitals)
        self.codes = _codes(pmu)
        self._nominal = None if pmu.format & Format.FLOAT_FREQUENCY else pmu.nominal_hz * FREQUENCY_UNITS_PER_HZ
        self._read_phasors, self.write_phasors = _phasor_functions(pmu)
        self._analogs = None if pmu.format & Format.FLOAT_ANALOGS else pmu.analogs
        self.is_plain = self._nominal is None and not self._analogs

    def read(self, values: Values) -> PmuData:
        """Engineering values of this PMU out of a frame's flat tuple."""
        freq, dfreq = values[self.freq_at], values[self.freq_at + 1]
        if self._nominal is not None:
            freq = nan if freq == MISSING else (self._nominal + freq) / FREQUENCY_UNITS_PER_HZ
            dfreq = nan if dfreq == MISSING else dfreq / ROCOF_UNITS_PER_HZ_PER_S
        analogs = values[self.analogs_at : self.digitals_at]
        if self._analogs:
            analogs = tuple(map(_scaled_analog, self._analogs, analogs))
        return PmuData(
            self._read_phasors(values[self.start + 1 : self.freq_at]),
            freq,
            dfreq,
            analogs,
            values[self.digitals_at : self.stop],
            Stat(values[self.start]),
        )

    def raw(self, values: Values) -> PmuRaw:
        """The same numbers as they are on the wire, only sorted."""
        pairs = values[self.start + 1 : self.freq_at]
        return PmuRaw(
            values[self.start],
            tuple(zip(pairs[::2], pairs[1::2], strict=True)),
            values[self.freq_at],
            values[self.freq_at + 1],
            values[self.analogs_at : self.digitals_at],
            values[self.digitals_at : self.stop],
        )

    def write(self, data: PmuData) -> Values:
        """Numbers for the wire. What an integer format cannot hold becomes missing (0x8000), as NaN does.

        Raises:
            InputError: the number of phasors, analogs or digitals is not the configuration's, or a magnitude has no
                float.
        """
        return self.numbers(
            data.stat, data.phasors, data.frequency_hz, data.rocof_hz_per_s, data.analogs, data.digitals
        )

    def numbers(
        self,
        stat: int,
        phasors: Sequence[complex],
        freq: float,
        dfreq: float,
        analogs: Sequence[Number] = (),
        digitals: Sequence[int] = (),
    ) -> Values:
        """The same from the fields of a `PmuData` that need not be made."""
        if (len(phasors), len(analogs), len(digitals)) != self.counts:
            raise self._wrong_counts(len(phasors), len(analogs), len(digitals))
        if self._nominal is not None:
            freq = _int16(freq * FREQUENCY_UNITS_PER_HZ - self._nominal)
            dfreq = _int16(dfreq * ROCOF_UNITS_PER_HZ_PER_S)
        if self._analogs:
            analogs = tuple(map(_unscaled_analog, self._analogs, analogs))
        try:
            return (stat, *self.write_phasors(phasors), freq, dfreq, *analogs, *digitals)
        except OverflowError:
            raise InputError(f"PMU {self.name!r}: a magnitude in {phasors} is beyond any float") from None

    def _wrong_counts(self, *got: int) -> InputError:
        return InputError(
            f"PMU {self.name!r}: {got[0]} phasors, {got[1]} analogs and {got[2]} digital words given, but its "
            f"configuration has {self.counts[0]}, {self.counts[1]} and {self.counts[2]}"
        )


class Layout:
    """The layout of all data frames of one configuration.

    Attributes:
        body: packs and unpacks the flat tuple of all numbers between FRACSEC and CHK.
        frame_size: FRAMESIZE of every data frame.
        pmus: one part per PMU.
    """

    def __init__(self, config: ConfigFrame) -> None:
        start = 0
        parts = []
        for pmu in config.pmus:
            parts.append(PmuLayout(pmu, start))
            start = parts[-1].stop
        self.pmus = tuple(parts)
        self.body = struct.Struct(">" + "".join(part.codes for part in parts))
        self.frame_size = MIN_FRAME_SIZE + self.body.size


def _codes(pmu: PmuConfig) -> str:
    """The `struct` codes of one PMU's block."""
    fmt = pmu.format
    phasor = "ff" if fmt & Format.FLOAT_PHASORS else "Hh" if fmt & Format.POLAR else "hh"
    frequency = "ff" if fmt & Format.FLOAT_FREQUENCY else "hh"
    analog = "f" if fmt & Format.FLOAT_ANALOGS else "h"
    digitals = f"{len(pmu.digitals)}H"
    return "H" + phasor * len(pmu.phasors) + frequency + analog * len(pmu.analogs) + digitals


def _int16(value: float) -> int:
    """Nearest int16, or the mark of a missing value where there is none."""
    return round(value) if -32767.5 <= value <= 32767.49 else MISSING


def _scaled_analog(channel: AnalogChannel, raw: Number) -> float:
    return nan if raw == MISSING else raw * channel.scale + channel.offset


def _unscaled_analog(channel: AnalogChannel, value: float) -> int:
    return _int16((value - channel.offset) / channel.scale) if channel.scale else MISSING


ReadPhasors = Callable[[Values], tuple[complex, ...]]
WritePhasors = Callable[[Iterable[complex]], Iterable[Number]]


def _phasor_functions(pmu: PmuConfig) -> tuple[ReadPhasors, WritePhasors]:
    """Conversions of this PMU's phasors from and to pairs of numbers.

    Float phasors are already in engineering units: PHUNIT and PHSCALE do not apply to them.
    """
    if pmu.format & Format.FLOAT_PHASORS:
        return (_read_float_polar, _write_float_polar) if pmu.format & Format.POLAR else (_read_float, _write_float)
    read_one, write_one = (_read_polar, _write_polar) if pmu.format & Format.POLAR else (_read_rect, _write_rect)
    channels = pmu.phasors

    def read(pairs: Values) -> tuple[complex, ...]:
        return tuple(map(read_one, channels, pairs[::2], pairs[1::2]))

    def write(phasors: Iterable[complex]) -> list[Number]:
        return [number for channel, z in zip(channels, phasors, strict=True) for number in write_one(channel, z)]

    return read, write


def _rect(magnitude: float, angle_rad: float) -> complex:
    """`cmath.rect`; an infinite angle has no direction."""
    return _MISSING_PHASOR if isinf(angle_rad) else rect(magnitude, angle_rad)


def _read_float_polar(pairs: Values) -> tuple[complex, ...]:
    try:
        return tuple(map(rect, pairs[::2], pairs[1::2]))
    except ValueError:  # an angle is infinite: the slow way
        return tuple(map(_rect, pairs[::2], pairs[1::2]))


def _write_float_polar(phasors: Iterable[complex]) -> list[Number]:
    numbers: list[Number] = []
    for z in phasors:  # for a few phasors cheaper than a comprehension of two loops
        numbers += polar(z)
    return numbers


def _read_float(pairs: Values) -> tuple[complex, ...]:
    return tuple(map(complex, pairs[::2], pairs[1::2]))


def _write_float(phasors: Iterable[complex]) -> list[Number]:
    return [number for z in phasors for number in (z.real, z.imag)]


def _read_rect(channel: PhasorChannel, real: Number, imag: Number) -> complex:
    if MISSING in (real, imag):
        return _MISSING_PHASOR
    z = complex(real, imag) * channel.scale
    return z * _rect(1.0, -channel.angle_rad) if channel.angle_rad else z


def _write_rect(channel: PhasorChannel, z: complex) -> tuple[int, int]:
    if not channel.scale:
        return MISSING, MISSING
    if channel.angle_rad:
        z *= _rect(1.0, channel.angle_rad)
    real, imag = _int16(z.real / channel.scale), _int16(z.imag / channel.scale)
    return (MISSING, MISSING) if MISSING in (real, imag) else (real, imag)


def _read_polar(channel: PhasorChannel, magnitude: Number, angle: Number) -> complex:
    if angle == MISSING:
        return _MISSING_PHASOR
    return _rect(magnitude * channel.scale, angle * ANGLE_UNIT_RAD - channel.angle_rad)


def _write_polar(channel: PhasorChannel, z: complex) -> tuple[int, int]:
    if channel.angle_rad:
        z *= _rect(1.0, channel.angle_rad)
    counts, angle = polar(complex(z) / channel.scale) if channel.scale else (nan, nan)
    if isnan(angle) or not counts < 65535.5:
        return -MISSING, MISSING
    return round(counts), round(angle / ANGLE_UNIT_RAD)
