"""The estimator proper: bank of three filters, image subtraction, read-out, Taylor shift.

Everything is done in units of the nominal sample rate, where the taps and curves are exact whatever the crystal
does; a true rate (1 + e) times the nominal one scales frequencies by (1 + e) and ROCOF by its square on the way out.
"""

from __future__ import annotations

import cmath
from math import nan, pi

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.bank import ChannelBank, channel_bank
from rpmu.estimate.bank_table import BankTable, bank_rates, shipped_table
from rpmu.estimate.classes import design_rate, frequency_range_hz
from rpmu.estimate.front_end import FrontEnd
from rpmu.estimate.kernel import Measurement, One
from rpmu.estimate.read_out import Curves, Number, Rows, build_curves, phasor_at, read_group, weighted
from rpmu.estimate.retune import RetunedFilter
from rpmu.estimate.settings import EstimatorSettings

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

IMAGE_STEPS_M = 1  # of the image subtraction: the filters of class M reject it by themselves
IMAGE_STEPS_P = 2
IMAGE_STEPS_TIGHT = 3  # P at 100 and 120 reports/s, whose windows are under two cycles
RETUNED_FROM_RATE = 20  # class M; slower rates have narrower ranges and are quiet


def find_table(settings: EstimatorSettings) -> BankTable:
    """The shipped table where one fits the nominal sample rate; else a fresh design, which needs scipy."""
    s = settings
    table = shipped_table(s.nominal_hz, s.performance_class, s.reporting_rate, s.sample_rate_hz)
    if table is not None:
        return table
    from rpmu.estimate.design import design_bank  # here, because they import scipy
    from rpmu.estimate.plan import Plan

    rate = bank_rates(s.nominal_hz, s.performance_class, s.reporting_rate)[-1]
    return design_bank(Plan(s.nominal_hz, s.performance_class, rate, s.sample_rate_hz))


class FirKernel:
    """Bank of FIR filters, as `Kernel`."""

    def __init__(self, settings: EstimatorSettings, table: BankTable | None = None) -> None:
        table = table or find_table(settings)
        rate = design_rate(settings.nominal_hz, settings.reporting_rate)
        range_hz = frequency_range_hz(settings.performance_class, rate)
        made: dict[FrontEnd, tuple[ChannelBank, Curves]] = {}
        for front_end in settings.front_ends:
            if front_end not in made:
                bank = channel_bank(table, front_end, settings.cic, range_hz)
                made[front_end] = bank, build_curves(bank, range_hz)
        self._banks = [made[front_end][0] for front_end in settings.front_ends]
        self._curves = [made[front_end][1] for front_end in settings.front_ends]
        self._nominal_hz = settings.nominal_hz
        fast = IMAGE_STEPS_TIGHT if rate >= 100 else IMAGE_STEPS_P
        self._image_steps = IMAGE_STEPS_M if settings.performance_class == "M" else fast
        self._rate_hz = self._banks[0].rate_hz
        self._scale = settings.sample_rate_hz / table.sample_rate_hz
        self.decimation, self.decimator = table.decimation, table.decimator
        self.before, self.after = max(b.before for b in self._banks), max(b.after for b in self._banks)
        self.delay_s = self._banks[0].delay_s
        self._matrix = self._real_matrix()
        self._skew_s = [bank.delay_s - self.delay_s for bank in self._banks]
        self._sensitivity = [_log_slope(bank) for bank in self._banks]
        self._groups = [(group, self._weights(group)) for group in settings.groups]
        lead, weights = self._groups[0]
        self._lead = slice(len(lead))
        self._retuned = None
        if settings.performance_class == "M" and rate >= RETUNED_FROM_RATE:
            banks = [self._banks[i] for i in lead]
            self._retuned = RetunedFilter(banks, self._curves[lead[0]], weights, self.before, self.after)

    def _real_matrix(self) -> Floats:
        """float64 [n_channels or 1, taps, 6]: real and imaginary parts of the three rows, one product for all.

        In memory the six filters lie behind each other, so that the product is six plain dot products.
        """
        filters = []
        for bank in self._banks if len({id(b) for b in self._banks}) > 1 else self._banks[:1]:
            padding = ((0, 0), (self.before - bank.before, self.after - bank.after))
            taps = np.pad(bank.taps, padding)
            filters.append(np.stack([taps.real, taps.imag], axis=1).reshape(6, -1))
        return np.ascontiguousarray(filters).transpose(0, 2, 1)

    def _weights(self, group: tuple[int, ...]) -> list[complex]:
        """Positive sequence over the group, with each channel turned to the time of the first one."""
        turns = [self._nominal_hz * self._skew_s[i] for i in group]
        alpha = np.exp(2j * np.pi * (np.arange(len(group)) / 3 + np.array(turns)))
        return [complex(w) / len(group) for w in alpha]

    def measure(self, windows: Floats, shift: Floats, rate_ratio: float) -> Measurement:
        """See `Kernel`."""
        outputs = (windows @ self._matrix).view(np.complex128)  # [n_channels, m, 3]
        rows: list[Number] = [tuple(channel.T) for channel in outputs]
        shift_s, scale = shift / self._rate_hz, rate_ratio * self._scale
        with np.errstate(invalid="ignore"):  # NaN marks what is missing
            phasors, frequency, rocof = self._read(rows, windows, shift_s, scale)
        return Measurement(np.stack(phasors, axis=1), frequency, rocof)

    def measure_one(self, window: Floats, shift: float, rate_ratio: float) -> One:
        """See `Kernel`."""
        windows = window[:, None, :]
        rows: list[Rows] = [tuple(channel[0]) for channel in (windows @ self._matrix).view(np.complex128).tolist()]
        if any(row[0] != row[0] for row in rows):
            return [complex(nan, nan)] * len(rows), nan, nan
        return self._read(rows, windows, shift / self._rate_hz, rate_ratio * self._scale)

    def _read(
        self, rows: list[Rows], windows: Floats, shift_s: Number, scale: float
    ) -> tuple[list[Number], Number, Number]:
        """Phasors per channel, frequency and ROCOF at the instant, for one report or arrays of them."""
        phasors: list[Number] = [0j] * len(rows)
        results: list[tuple[Number, Number]] = []
        turn = np.exp if isinstance(shift_s, np.ndarray) else cmath.exp
        for group, weights in self._groups:
            curves = [self._curves[i] for i in group]
            model, clean = read_group(curves, weights, [rows[i] for i in group], self._image_steps)
            for i, own in zip(group, clean, strict=True):
                late = shift_s + self._skew_s[i] * scale
                tone = turn(2j * pi * (self._nominal_hz + model.deviation_hz) * late)
                phasors[i] = phasor_at(self._curves[i], model, own, late, tone) / self._drift(i, scale)
            rocof = model.rocof_hz_per_s
            if self._retuned is not None and not results:
                rocof = self._retuned.improve(windows[self._lead], weighted(weights, clean)[0], model)
            frequency = self._nominal_hz + model.deviation_hz + rocof * shift_s
            results.append((frequency * scale, rocof * (scale * scale)))
        return phasors, *results[0]

    def _drift(self, channel: int, scale: float) -> complex:
        """What the front end does at f0 in true units, relative to the nominal units of the curves.

        The rate is off by parts per million, so the first term of the series is exact to parts per billion.
        """
        return 1 + self._sensitivity[channel] * (scale - 1)


def _log_slope(bank: ChannelBank) -> complex:
    """Relative change of the analogue response at f0 per relative change of frequency."""
    f0, step = float(bank.table.nominal_hz), 1e-4
    low, middle, high = bank.analogue(f0 * np.array([1 - step, 1.0, 1 + step]))
    return complex((high - low) / (2 * step * middle))
