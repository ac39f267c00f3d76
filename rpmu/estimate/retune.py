"""ROCOF away from the nominal frequency: the third filter, turned to the frequency found.

Read through filters that stay at the nominal frequency, ROCOF at a deviation d is p2 + 4 pi d p1 - 2 pi d^2 p0: a small
difference of large numbers, and what it lets through of noise grows to three times that at nominal. Turned by
exp(-j 2 pi d t), the third filter alone gives ROCOF, as quiet as at nominal. It costs an exponential per tap, but only
for the reports that need it, and a large grid never does. Its image is not subtracted: the mask makes the filter reject
it as far as it is turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.bank import ChannelBank
from rpmu.estimate.read_out import Curves, LocalModel, Number, evaluate, ratio

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

RETUNE_HZ = 0.75  # a phase modulation of the standard's test stays within 0.5 Hz of nominal


class RetunedFilter:
    """The third filter of the channels that frequency is read from.

    Args:
        banks: of the channels.
        curves: their read-out curves.
        weights: what each channel counts.
        before: taps before the centre of a window, of the longest bank.
        after: taps after it.
    """

    def __init__(
        self, banks: Sequence[ChannelBank], curves: Curves, weights: Sequence[complex], before: int, after: int
    ) -> None:
        self._turn = -2j * pi / banks[0].rate_hz * np.arange(-before, after + 1)
        padded = [np.pad(bank.taps[2], (before - bank.before, after - bank.after)) for bank in banks]
        self._taps = np.stack(padded) * np.array(weights)[:, None]
        self._curves = curves
        self._bias, self._chirp = evaluate(curves.rocof_bias, 0.0), evaluate(curves.chirp, 0.0)

    def improve(self, windows: Floats, phasor: Number, model: LocalModel) -> Number:
        """ROCOF at the centre of the windows, Hz/s: the model's near the nominal frequency, a better one away from it.

        Args:
            windows: float64 [n_channels, m, taps] of the channels that frequency is read from.
            phasor: the first output of the bank, weighted over the channels, without image: complex128 [m], or one.
            model: as read, for one window or m.
        """
        if isinstance(model.deviation_hz, float):
            if abs(model.deviation_hz) <= RETUNE_HZ:
                return model.rocof_hz_per_s
            far = np.array([True])
        else:
            far = np.abs(model.deviation_hz) > RETUNE_HZ
            if not far.any():
                return model.rocof_hz_per_s
        deviation, x, p0 = (np.atleast_1d(v)[far] for v in (model.deviation_hz, model.x, phasor))
        turned = np.exp(np.multiply.outer(deviation, self._turn))
        p2 = np.einsum("cmn,cn,mn->m", windows[:, far], self._taps, turned)
        relative = ratio(p2, p0 * evaluate(self._curves.retune, x))
        quiet = (relative.imag - self._bias) / self._chirp
        if isinstance(model.rocof_hz_per_s, float):
            return float(quiet[0])
        rocof = model.rocof_hz_per_s.copy()
        rocof[far] = quiet
        return rocof
