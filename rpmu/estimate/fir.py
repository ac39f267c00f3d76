"""The estimator proper: bank of three filters, image subtraction, read-out, Taylor shift.

Everything is done in units of the nominal sample rate, where the taps and curves are exact whatever the crystal
does; a true rate (1 + e) times the nominal one scales frequencies by (1 + e) and ROCOF by its square on the way out.
"""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from dataclasses import replace
from math import nan, pi

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.bank import ChannelBank, channel_bank, with_decimator
from rpmu.estimate.bank_table import BankTable, bank_rates, shipped_table
from rpmu.estimate.classes import design_rate, frequency_range_hz
from rpmu.estimate.kernel import Measurement, One
from rpmu.estimate.pieces import Number
from rpmu.estimate.read_out import ROW_SCALES, Channel, GroupReader, build_curves
from rpmu.estimate.retune import RETUNE_HZ, RetunedFilter
from rpmu.estimate.settings import EstimatorSettings

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

CALL_MACS = 4000  # multiply-accumulates that take as long on the target as what is around one more product
ROUNDING = 1e-12  # of the offset: a phasor below that is what taking it off leaves of a dead channel
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


def one_product_is_less(table: BankTable, rate: int) -> bool:
    """Whether bank and decimator cost less as one filter per report than one after the other."""
    n, decimator = table.taps.shape[1], len(table.decimator)
    apart = 6 * n + table.sample_rate_hz / table.decimation / rate * decimator
    return bool(6 * ((n - 1) * table.decimation + decimator) <= apart + CALL_MACS)


def positive_sequence(nominal_hz: float, skews_s: Sequence[float]) -> list[complex]:
    """What each channel of a group counts: turned to the time of the first one, and for three by Fortescue."""
    n = len(skews_s)
    return [cmath.rect(1 / n, 2 * pi * (i / 3 + nominal_hz * skew_s)) for i, skew_s in enumerate(skews_s)]


class FirKernel:
    """Bank of FIR filters, as `Kernel`."""

    def __init__(self, settings: EstimatorSettings, table: BankTable | None = None) -> None:
        table = table or find_table(settings)
        rate = design_rate(settings.nominal_hz, settings.reporting_rate)
        range_hz = frequency_range_hz(settings.performance_class, rate)
        # A constant delay is no matter of the taps, so channels that differ in it alone share a bank.
        low_passes = [replace(front_end, delay_s=0.0) for front_end in settings.front_ends]
        distinct = list(dict.fromkeys(low_passes))
        banks = [channel_bank(table, low_pass, settings.cic, range_hz) for low_pass in distinct]
        curves = [build_curves(bank, range_hz) for bank in banks]
        kinds = [distinct.index(low_pass) for low_pass in low_passes]
        delays = [banks[kind].delay_s + own.delay_s for kind, own in zip(kinds, settings.front_ends, strict=True)]
        self._nominal_hz = settings.nominal_hz
        self._scale = settings.sample_rate_hz / table.sample_rate_hz
        self.delay_s = delays[0]
        skews_s = [delay - self.delay_s for delay in delays]
        sensitivities = [_log_slope(bank) for bank in banks]
        self._set_taps(table, rate, banks, kinds)
        self._alone = len(kinds) == 1
        self._groups: list[tuple[slice, GroupReader]] = []  # which of the rows, and what reads them
        for group in settings.groups:
            own = list(dict.fromkeys(kinds[i] for i in group))
            weights = positive_sequence(self._nominal_hz, [skews_s[i] for i in group])
            channels = [
                Channel(own.index(kinds[i]), weight, skews_s[i], sensitivities[kinds[i]])
                for i, weight in zip(group, weights, strict=True)
            ]
            reader = GroupReader(self._nominal_hz, [curves[kind] for kind in own], channels)
            self._groups.append((slice(3 * group[0], 3 * group[-1] + 3), reader))
        self._retuned = None
        if settings.performance_class == "M" and rate >= RETUNED_FROM_RATE:
            lead_banks = [banks[kinds[i]] for i in settings.groups[0]]
            self._retuned = RetunedFilter(lead_banks, curves[kinds[0]], self.before, self.after)

    def _set_taps(self, table: BankTable, rate: int, banks: Sequence[ChannelBank], kinds: Sequence[int]) -> None:
        """The matrix: real and imaginary parts of the three rows, and what they make of a constant.

        float64 [n_channels or 1, 6, 1, taps], for one channel without the first axis. The axis of length 1 makes each
        product of a filter and a window a plain dot product: of a matrix, BLAS takes almost twice as long over a tap.
        For one channel that is `ndarray.dot`, which takes a third less time to begin than `matmul`.
        """
        ready = [(bank.taps, bank.before, bank.after) for bank in banks]
        self.decimation, self.decimator, self._rate_hz = table.decimation, table.decimator, banks[0].rate_hz
        if table.performance_class == "P" and one_product_is_less(table, rate):
            ready = [with_decimator(bank) for bank in banks]
            self.decimation, self.decimator, self._rate_hz = 1, np.ones(1), table.sample_rate_hz
        self.before, self.after = max(before for _, before, _ in ready), max(after for _, _, after in ready)
        padded = [np.pad(taps, ((0, 0), (self.before - before, self.after - after))) for taps, before, after in ready]
        scaled = [taps * np.array(ROW_SCALES)[:, None] for taps in padded]
        filters = np.array([np.stack([taps.real, taps.imag], axis=1).reshape(6, -1) for taps in scaled])
        at_zero = filters.sum(axis=2)[list(kinds)]
        self._at_zero = at_zero.view(np.complex128)  # [n_channels, 3], what the rows make of a constant
        self._set_offset([0.0] * len(kinds))
        if len(kinds) == 1:
            self._matrix: Floats = filters[0][:, None]
            self._sums = np.empty((6, 1))
        else:
            self._matrix = (filters if len(filters) == 1 else filters[list(kinds)])[:, :, None]
            self._sums = np.empty((len(kinds), 6, 1, 1))
        self._outputs = self._sums.reshape(-1).view(np.complex128)  # the same memory, [n_channels * 3]

    def measure(self, windows: Floats, offset: Sequence[float], shift: Floats, rate_ratio: float) -> Measurement:
        """See `Kernel`."""
        above = np.array(offset)[:, None]
        filters = self._matrix.reshape(-1, 6, windows.shape[2]).transpose(0, 2, 1)
        outputs = np.matmul(windows, filters).view(np.complex128)  # [n_channels, m, 3]
        outputs = outputs - (self._at_zero * above)[:, None]
        outputs[np.abs(outputs[:, :, 0]) <= ROUNDING * np.abs(above)] = 0.0
        rows: list[Number] = list(outputs.transpose(0, 2, 1).reshape(-1, len(shift)))
        with np.errstate(invalid="ignore"):  # NaN marks what is missing
            phasors, frequency, rocof = self._read(rows, windows, offset, shift, rate_ratio)
        return Measurement(np.stack(phasors, axis=1), frequency, rocof)

    def measure_one(self, window: Floats, offset: Sequence[float], shift: float, rate_ratio: float) -> One | None:
        """See `Kernel`."""
        if offset is not self._offset:
            self._set_offset(offset)
        if not self._alone:
            return self._measure_channels(window, offset, shift, rate_ratio)
        self._matrix.dot(window, self._sums)
        (p0, p1, p2), (z0, z1, z2) = self._outputs.tolist(), self._above_one
        p0 -= z0
        if p0 != p0:
            return None
        if abs(p0) <= self._least_one:
            return [0j], nan, nan
        shift_s, scale = shift / self._rate_hz, rate_ratio * self._scale
        rows = p0, p1 - z1, p2 - z2
        phasors, deviation, rocof, lead, weights = self._groups[0][1].read(rows, shift_s, scale)
        if self._retuned is not None and abs(deviation) > RETUNE_HZ:
            rocof = self._retuned.improve(window, offset, weights, lead, deviation, rocof)
        return phasors, (self._nominal_hz + deviation + rocof * shift_s) * scale, rocof * (scale * scale)

    def _measure_channels(self, window: Floats, offset: Sequence[float], shift: float, rate_ratio: float) -> One | None:
        """`measure_one` of several channels; a channel that is alone needs no loop over channels and groups."""
        np.matmul(self._matrix, window[:, None, :, None], out=self._sums)
        rows: list[complex] = (self._outputs - self._above).tolist()
        for i, least in self._least:
            p0 = rows[i]
            if p0 != p0:
                return None
            if abs(p0) <= least:
                rows[i : i + 3] = 0j, 0j, 0j
        return self._read(rows, window, offset, shift, rate_ratio)

    def _set_offset(self, offset: Sequence[float]) -> None:
        """What the last offset, which changes once a second, adds to the rows and leaves of those of a dead channel."""
        self._offset = offset
        self._above = (self._at_zero * np.array(offset)[:, None]).reshape(-1)
        self._above_one: list[complex] = self._above[:3].tolist()
        self._least = [(3 * i, ROUNDING * abs(above)) for i, above in enumerate(offset)]
        self._least_one = self._least[0][1]

    def _read(
        self, rows: list[Number], windows: Floats, offset: Sequence[float], shift: Number, rate_ratio: float
    ) -> tuple[list[Number], Number, Number]:
        """Phasors per channel, frequency and ROCOF at the instant, for one report or arrays of them."""
        shift_s, scale = shift / self._rate_hz, rate_ratio * self._scale
        lead, reader = self._groups[0]
        own = rows if len(self._groups) == 1 else rows[lead]
        phasors, deviation, rocof, p0, weights = reader.read(own, shift_s, scale)
        if self._retuned is not None:
            rocof = self._retuned.improve(windows, offset, weights, p0, deviation, rocof)
        for group, reader in self._groups[1:]:
            phasors += reader.read(rows[group], shift_s, scale)[0]
        frequency = self._nominal_hz + deviation + rocof * shift_s
        return phasors, frequency * scale, rocof * (scale * scale)


def _log_slope(bank: ChannelBank) -> complex:
    """Relative change of the analogue response at f0 per relative change of frequency."""
    f0, step = float(bank.table.nominal_hz), 1e-4
    low, middle, high = bank.analogue(f0 * np.array([1 - step, 1.0, 1 + step]))
    return complex((high - low) / (2 * step * middle))
