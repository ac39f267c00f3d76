"""What the streaming estimator asks of an algorithm: a window of samples in, one measurement per window out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rpmu.estimate.settings import EstimatorSettings
from rpmu.values import value

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]
One = tuple[list[complex], float, float]  # phasors per channel, frequency, ROCOF: a `Measurement` at one instant


@value
class Measurement:
    """Results at m instants.

    Attributes:
        phasors: complex128 [m, n_channels], RMS; angle of the wave itself at the instant, not yet the synchrophasor's.
        frequency_hz: float64 [m].
        rocof_hz_per_s: float64 [m].
    """

    phasors: Complex
    frequency_hz: Floats
    rocof_hz_per_s: Floats


class Kernel(Protocol):
    """An estimation algorithm without state.

    It measures many instants as arrays, or one as Python numbers: on the target a numpy call on one number costs as
    much as one on a hundred, and some forty times as much as the plain operation.

    Attributes:
        decimation: input samples per decimated sample.
        decimator: taps of the low-pass before the windows, [1.0] for none.
        before: decimated samples wanted before the centre of a window.
        after: decimated samples wanted after it.
        delay_s: a sample taken at t stands for the mains at t - delay_s (first channel).
    """

    decimation: int
    decimator: Floats
    before: int
    after: int
    delay_s: float

    def measure(self, windows: Floats, offset: Sequence[float], shift: Floats, rate_ratio: float) -> Measurement:
        """Measure.

        Args:
            windows: float64 [n_channels, m, before + after + 1], as sampled.
            offset: per channel, what its samples stand above zero.
            shift: float64 [m], the instant minus the time of the centre sample, in decimated samples.
            rate_ratio: true sample rate / nominal sample rate.
        """
        ...

    def measure_one(self, window: Floats, offset: Sequence[float], shift: float, rate_ratio: float) -> One | None:
        """Measure at one instant.

        Args:
            window: float64 [n_channels, before + after + 1], for one channel [before + after + 1].
            offset: as for `measure`, as are the next.
            shift: one of `measure`'s.
            rate_ratio: true sample rate / nominal sample rate.

        Returns:
            None where samples are missing.
        """
        ...


class PlainKernel:
    """For an algorithm that has no shorter way for one instant than for many: it overrides `measure_clean` alone."""

    def measure_clean(self, windows: Floats, shift: Floats, rate_ratio: float) -> Measurement:
        """As `Kernel.measure`, of samples without offset."""
        raise NotImplementedError

    def measure(self, windows: Floats, offset: Sequence[float], shift: Floats, rate_ratio: float) -> Measurement:
        """See `Kernel`."""
        return self.measure_clean(windows - np.array(offset)[:, None, None], shift, rate_ratio)

    def measure_one(self, window: Floats, offset: Sequence[float], shift: float, rate_ratio: float) -> One | None:
        """See `Kernel`."""
        m = self.measure(window.reshape(len(offset), 1, -1), offset, np.array([shift]), rate_ratio)
        if np.isnan(m.phasors).any():
            return None
        return m.phasors[0].tolist(), float(m.frequency_hz[0]), float(m.rocof_hz_per_s[0])


def lead_signal(channels: Complex, phases: int) -> Complex:
    """What frequency is read from: the positive sequence of the first three channels, or the first channel.

    Args:
        channels: complex128 [n_channels, ...].
        phases: 1 or 3.
    """
    if phases == 1:
        return np.asarray(channels[0])
    alpha = np.exp(2j * np.pi / 3)
    return np.asarray((channels[0] + alpha * channels[1] + alpha**2 * channels[2]) / 3)


def undo_front_ends(phasors: Complex, frequency_hz: Floats, settings: EstimatorSettings) -> Complex:
    """Divide by what the channels passed at the measured frequency: all that a plain algorithm can undo.

    Args:
        phasors: complex128 [m, n_channels].
        frequency_hz: float64 [m].
        settings: names the front ends and the decimator.
    """
    f = np.where(np.isfinite(frequency_hz), frequency_hz, settings.nominal_hz)
    passed = np.stack([front_end.response(f) for front_end in settings.front_ends], axis=1)
    if settings.cic is not None:
        passed = passed * settings.cic.response(f)[:, None]
    return np.asarray(phasors / passed)
