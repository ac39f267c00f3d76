"""A designed bank made ready for one channel: front end undone, mixed to complex taps on the real samples.

The tables hold real filters for the demodulated signal. Mixing the taps instead of the samples saves a sine and a
cosine per sample: C(n) = sqrt(2) W(n) exp(-j 2 pi f0 n / fd) acts on the real decimated samples and gives the analytic
phasor X exp(j 2 pi f0 t), which only the report instant turns back. A front end whose gain is not flat around f0 gets
a short real equaliser, folded into the taps; a flat one is a gain and a shift of the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.bank_table import BankTable
from rpmu.estimate.cic import CicResponse
from rpmu.estimate.front_end import FrontEnd

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

FLAT = 2e-4  # what gain and delay alone may leave of a front end over the frequency range, relative
EQUALISER_SPACING_S = 1.2e-3
EQUALISER_TAPS = range(-6, 2)  # one tap ahead


def low_pass_delay_s(front_end: FrontEnd, frequency_hz: float) -> float:
    """Group delay of a front end's low-pass (without its constant delay) at one frequency, s."""
    step = 0.1
    pair = front_end.response(np.array([frequency_hz - step, frequency_hz + step]))
    slope = np.angle(pair[1] / pair[0]) / (2 * step)
    return float(-slope / (2 * np.pi)) - front_end.delay_s


def needs_equaliser(front_end: FrontEnd, nominal_hz: float, range_hz: float) -> bool:
    """Whether a complex gain and a delay do not describe the front end well enough over the frequency range."""
    delay = low_pass_delay_s(front_end, nominal_hz) + front_end.delay_s
    d = np.array([-range_hz, range_hz])
    rest = front_end.response(nominal_hz + d) * np.exp(2j * np.pi * d * delay) / front_end.response(nominal_hz)
    return bool(np.abs(rest - 1).max() > FLAT)


def equaliser(front_end: FrontEnd, nominal_hz: float, rate_hz: float) -> tuple[int, Floats]:
    """Real taps that undo the low-pass over f0 +- 7 Hz (its constant delay apart) and hold the gain elsewhere down.

    Returns:
        Spacing of the taps in samples, and one tap for each position in `EQUALISER_TAPS`.
    """
    spacing = max(1, round(rate_hz * EQUALISER_SPACING_S))
    near = nominal_hz + np.linspace(-7, 7, 41)
    far = np.arange(20.0, min(1500.0, rate_hz / 2), 10.0)
    positions = np.array(EQUALISER_TAPS) * spacing / rate_hz

    def rows(f: Floats) -> Complex:
        passed = front_end.response(f) * np.exp(2j * np.pi * f * front_end.delay_s)
        return np.asarray(np.exp(2j * np.pi * np.multiply.outer(f, positions)) * passed[:, None])

    a = np.vstack([300 * rows(near), 0.02 * rows(far)])
    b = np.concatenate([np.full(len(near), 300.0), np.zeros(len(far))])
    stacked = np.vstack([a.real, a.imag])
    taps = np.linalg.lstsq(stacked, np.concatenate([b, np.zeros(len(b))]), rcond=None)[0]
    return spacing, np.asarray(taps, dtype=np.float64)


@dataclass(frozen=True)
class ChannelBank:
    """Complex taps for one channel and the response of everything from the mains to the three outputs.

    Attributes:
        table: the bank it was made from.
        front_end: what the channel passed.
        cic: droop before the estimator, or None.
        delay_s: a sample taken at t stands for the mains at t - delay_s.
        taps: complex128 [3, before + after + 1].
        before: taps before the centre.
        after: taps after the centre.
    """

    table: BankTable
    front_end: FrontEnd
    cic: CicResponse | None
    delay_s: float
    taps: Complex = field(repr=False)
    before: int
    after: int

    @property
    def rate_hz(self) -> float:
        """Nominal rate of the decimated samples."""
        return self.table.sample_rate_hz / self.table.decimation

    def analogue(self, frequency_hz: Floats | float) -> Complex:
        """Response of the front end, referred to the instant that the samples stand for."""
        f = np.asarray(frequency_hz, dtype=np.float64)
        return np.asarray(self.front_end.response(f) * np.exp(2j * np.pi * f * self.delay_s))

    def response(self, frequency_hz: Floats) -> Complex:
        """Outputs for the tone exp(j 2 pi f t) on the mains, complex128 [3, n]; f may be negative (the image)."""
        return self.taps_response(frequency_hz) * self.path(frequency_hz)

    def taps_response(self, frequency_hz: Floats) -> Complex:
        """Outputs for the tone exp(j 2 pi f t) in the decimated samples, complex128 [3, n]."""
        f = np.asarray(frequency_hz, dtype=np.float64)
        n = np.arange(-self.before, self.after + 1) / self.rate_hz
        return np.asarray((self.taps / np.sqrt(2)) @ np.exp(2j * np.pi * np.multiply.outer(n, f)))

    def path(self, frequency_hz: Floats) -> Complex:
        """Response of all before the taps: front end, decimator of the PRU and our own."""
        return self.analogue(frequency_hz) * _decimators(self.table, self.cic, np.asarray(frequency_hz))


def _decimators(table: BankTable, cic: CicResponse | None, f: Floats) -> Floats:
    half = len(table.decimator) // 2
    n = np.arange(-half, half + 1) / table.sample_rate_hz
    gain = np.cos(2 * np.pi * np.multiply.outer(f, n)) @ table.decimator
    return np.asarray(gain if cic is None else gain * cic.response(f))


def with_decimator(bank: ChannelBank) -> tuple[Complex, int, int]:
    """The taps for samples that are not decimated: bank and decimator as one filter.

    Returns:
        complex128 [3, before + after + 1], and how many lie before and after the centre.
    """
    factor, decimator = bank.table.decimation, bank.table.decimator
    taps = np.zeros((3, (bank.taps.shape[1] - 1) * factor + len(decimator)), dtype=np.complex128)
    for i, tap in enumerate(bank.taps.T):
        taps[:, i * factor : i * factor + len(decimator)] += np.multiply.outer(tap, decimator)
    half = len(decimator) // 2
    return taps, bank.before * factor + half, bank.after * factor + half


def channel_bank(table: BankTable, front_end: FrontEnd, cic: CicResponse | None, range_hz: float) -> ChannelBank:
    """Make a table ready for one channel.

    Args:
        table: designed bank.
        front_end: what the channel passed before it was sampled.
        cic: droop of the decimator before the estimator.
        range_hz: half width of the band around the nominal frequency that must be exact.
    """
    f0, rate = table.nominal_hz, table.sample_rate_hz / table.decimation
    n = np.arange(-table.before, table.after + 1)
    taps = np.sqrt(2) * table.taps * np.exp(-2j * np.pi * f0 * n / rate)
    taps = taps / _decimators(table, cic, np.array([float(f0)]))
    if not needs_equaliser(front_end, f0, range_hz):
        delay = low_pass_delay_s(front_end, f0) + front_end.delay_s
        taps = taps / (front_end.response(f0) * np.exp(2j * np.pi * f0 * delay))
        return ChannelBank(table, front_end, cic, delay, taps, table.before, table.after)
    spacing, weights = equaliser(front_end, f0, rate)
    before, after = table.before - EQUALISER_TAPS[0] * spacing, table.after + EQUALISER_TAPS[-1] * spacing
    folded = np.zeros((3, before + after + 1), dtype=np.complex128)
    for position, weight in zip(EQUALISER_TAPS, weights, strict=True):
        start = (position - EQUALISER_TAPS[0]) * spacing
        folded[:, start : start + len(n)] += weight * taps
    return ChannelBank(table, front_end, cic, front_end.delay_s, folded, before, after)
