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
from rpmu.estimate.pieces import Number
from rpmu.estimate.read_out import Curves, evaluate

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

RETUNE_HZ = 0.75  # a phase modulation of the standard's test stays within 0.5 Hz of nominal


class RetunedFilter:
    """The third filter of the channels that frequency is read from.

    Args:
        banks: of the channels.
        curves: their read-out curves.
        before: taps before the centre of a window, of the longest bank.
        after: taps after it.
    """

    def __init__(self, banks: Sequence[ChannelBank], curves: Curves, before: int, after: int) -> None:
        self._turn = -2j * pi / banks[0].rate_hz * np.arange(-before, after + 1)
        padded = [np.pad(bank.taps[2], (before - bank.before, after - bank.after)) for bank in banks]
        self._taps = np.stack(padded)
        self._curves = curves
        self._bias, self._chirp = evaluate(curves.curvature, 0.0).imag, evaluate(curves.chirp, 0.0)

    def improve(
        self,
        windows: Floats,
        offset: Sequence[float],
        weights: Sequence[Number],
        phasor: Number,
        deviation_hz: Number,
        rocof_hz_per_s: Number,
    ) -> Number:
        """ROCOF at the centre of the windows, Hz/s: as given near the nominal frequency, a better one away from it.

        Args:
            windows: float64 [n_channels, m, taps]; the channels that frequency is read from come first. For one instant
                as `Kernel.measure_one` gets it.
            offset: per channel, what its samples stand above zero.
            weights: what each of those channels counts: one number, or complex128 [m].
            phasor: the first output of the bank, weighted over the channels, without image: complex128 [m], or one.
            deviation_hz: as read, for one window or m, as is the next.
            rocof_hz_per_s: as read.
        """
        if isinstance(deviation_hz, float):
            if abs(deviation_hz) <= RETUNE_HZ:
                return rocof_hz_per_s
            far, windows = np.array([True]), windows.reshape(len(offset), 1, -1)
        else:
            far = np.abs(deviation_hz) > RETUNE_HZ
            if not far.any():
                return rocof_hz_per_s
        deviation, p0 = (np.atleast_1d(v)[far] for v in (deviation_hz, phasor))
        turned = np.exp(np.multiply.outer(deviation, self._turn))
        n = len(self._taps)
        samples = windows[:n, far] - np.array(offset[:n])[:, None, None]
        counts = np.array([np.broadcast_to(weight, len(far))[far] for weight in weights])
        p2 = np.einsum("cmn,cn,cm,mn->m", samples, self._taps, counts, turned)
        x = np.clip(deviation / self._curves.reach_hz, -1, 1)
        relative = p2 / (p0 * evaluate(self._curves.retune, x))
        quiet = (relative.imag - self._bias) / self._chirp
        if isinstance(rocof_hz_per_s, float):
            return float(quiet[0])
        rocof = rocof_hz_per_s.copy()
        rocof[far] = quiet
        return rocof
