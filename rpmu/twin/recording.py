"""A recording played back as mains, at its own sampling rate, onto any grid of true time.

The recording is band-limited by its own sampling; playing it must keep it so. An FIR raises the rate eightfold, which
leaves the spectrum nearly empty above an eighth of the new band, and a polynomial of fifth order between the samples
then reaches any instant. A loop is closed where the fundamental has the same phase at both ends, and cross-faded
there; what was done is said in `notes`. Nobody knows the truth of a recording, so `truth` is None.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError
from rpmu.record import read_waveform
from rpmu.twin.laws import Floats
from rpmu.twin.signals import NS_PER_S, Grid, Truth

UPSAMPLING = 8
HALF_TAPS = 48  # input samples on either side that an output sample is made of
PASSBAND = 0.47  # of the recording's sampling rate
FADE_CYCLES = 6


@functools.cache
def _taps() -> Floats:
    """Low-pass at half the recording's rate for the eightfold rate: flat to 0.47, 80 dB down from 0.53."""
    from scipy import signal  # here, and only here and below: the other sources do without

    beta = signal.kaiser_beta(80.0)
    taps = signal.firwin(2 * HALF_TAPS * UPSAMPLING + 1, 1.0 / UPSAMPLING, window=("kaiser", beta))
    return np.asarray(UPSAMPLING * taps, dtype=np.float64)


REACH = HALF_TAPS + 2  # samples needed beyond the instants wanted
_NODES = np.arange(-2, 4)
_LAGRANGE = np.stack(  # polynomial coefficients, lowest power first, of the six Lagrange basis functions
    [
        np.polynomial.polynomial.polyfromroots(np.delete(_NODES, i)) / np.prod(_NODES[i] - np.delete(_NODES, i))
        for i in range(len(_NODES))
    ]
)


def interpolate(window: Floats, position: Floats) -> Floats:
    """A band-limited signal between its samples.

    Args:
        window: float64 [..., n], samples 0 to n - 1; `REACH` of them on either side of the positions.
        position: float64 [m], in samples.

    Returns:
        float64 [..., m].
    """
    from scipy import signal

    fine = signal.upfirdn(_taps(), window, up=UPSAMPLING, axis=-1)
    at = position * UPSAMPLING + HALF_TAPS * UPSAMPLING  # the filter's delay
    base = np.floor(at).astype(np.intp)
    weights = np.polynomial.polynomial.polyval(at - base, _LAGRANGE.T)  # [6, m]
    result = np.zeros((*window.shape[:-1], len(position)))
    for node, weight in zip(_NODES, weights, strict=True):
        result += weight * fine[..., base + node]
    return result


@dataclass(frozen=True)
class RecordedMains:
    """A recording as the outlet.

    Attributes:
        samples: float64 [phases, n], volts; exactly one loop if `loop`.
        rate_hz: samples per true second.
        start_ns: UTC of sample 0.
        loop: play it again and again; without it the outlet is dead after the end.
        notes: see `MainsSource`.
    """

    samples: Floats
    rate_hz: float
    start_ns: int
    loop: bool
    notes: tuple[str, ...]

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        start_ns: int,
        nominal_hz: int,
        phases: int = 1,
        channels: Sequence[str] = (),
        loop: bool = False,
        scale: float | None = None,
        voltage_v: float | None = None,
        rate_hz: float | None = None,
        array: str | None = None,
    ) -> RecordedMains:
        """Read a recording and make it playable.

        Args:
            path: the file.
            start_ns: UTC at which it starts to play.
            nominal_hz: where to look for the fundamental when closing a loop.
            phases: channels to play.
            channels: their names or positions; by default the first ones.
            loop: close it to a loop.
            scale: volts per unit of the file.
            voltage_v: scale it to this RMS value instead.
            rate_hz: sampling rate, instead of the file's own.
            array: name of the array in an NPZ.

        Raises:
            InputError: it cannot be read, or does not have as many channels.
        """
        wanted = list(channels) or [str(i) for i in range(phases)]
        if len(wanted) != phases:
            raise InputError(f"source file:{path}: {len(wanted)} channels are named for {phases} phases")
        waveform = read_waveform(path, wanted, scale, array=array, rate_hz=rate_hz)
        rate = waveform.sample_rate_hz
        samples = unskewed(waveform.samples, waveform.skew_s, rate)
        if voltage_v is not None:
            samples = samples * (voltage_v / max(float(np.sqrt(np.mean(samples[0] ** 2))), 1e-300))
        notes = [f"{path.name}: {waveform.duration_s:.3f} s at {rate:g} Hz, played at its own rate"]
        if waveform.missing:
            notes.append(f"{path.name}: {waveform.missing} missing samples were filled by straight lines")
        if loop:
            samples, rate, note = close_loop(samples, rate, nominal_hz)
            notes.append(f"{path.name}: {note}")
        else:
            notes.append(f"{path.name}: plays once; the outlet is dead afterwards")
        return cls(samples, rate, start_ns, loop, tuple(notes))

    @property
    def phases(self) -> int:
        """Number of phases."""
        return len(self.samples)

    def volts(self, grid: Grid) -> NDArray[np.float64]:
        """See `MainsSource`."""
        # whole seconds exactly; the rest within float64
        seconds, rest_ns = divmod(grid.start_ns - self.start_ns, NS_PER_S)
        n = self.samples.shape[1]
        whole = seconds * self.rate_hz
        position = (whole % n if self.loop else whole) + (rest_ns * 1e-9 + grid.dt_s) * self.rate_hz
        first = int(np.floor(position[0])) - REACH
        indices = np.arange(first, int(np.ceil(position[-1])) + REACH + 1)
        if self.loop:
            return interpolate(self.samples[:, indices % n], position - first)
        window = np.where((indices >= 0) & (indices < n), self.samples[:, np.clip(indices, 0, n - 1)], 0.0)
        volts = interpolate(window, position - first)
        volts[:, (position < 0) | (position > n - 1)] = 0.0
        return volts

    def truth(self, utc_ns: NDArray[Any]) -> Truth | None:  # noqa: ARG002 (nobody knows, at any instant)
        """See `MainsSource`."""
        return None


def unskewed(samples: Floats, skew_s: Sequence[float], rate_hz: float) -> Floats:
    """Channels that were sampled a little later than they say, moved back to the common instants.

    Args:
        samples: float64 [channels, n].
        skew_s: per channel, how much later it was sampled.
        rate_hz: sampling rate.
    """
    if not any(skew_s):
        return samples
    padded = np.pad(samples, ((0, 0), (REACH, REACH)), mode="edge")
    index = REACH + np.arange(samples.shape[1], dtype=np.float64)
    return np.stack(
        [
            interpolate(row, np.asarray(index - skew * rate_hz, dtype=np.float64))
            for row, skew in zip(padded, skew_s, strict=True)
        ]
    )


def close_loop(samples: Floats, rate_hz: float, nominal_hz: int) -> tuple[Floats, float, str]:
    """Make a recording periodic without a jump of the fundamental's phase.

    The loop's length is chosen so that the fundamental has the same phase at both ends, to a fraction of a sample; the
    recording is resampled by that fraction (less than 1 sample over the whole loop) and cross-faded at the seam.

    Args:
        samples: float64 [phases, n]; the first phase decides.
        rate_hz: its rate.
        nominal_hz: where the fundamental is looked for.

    Returns:
        One loop float64 [phases, m], its rate, and a sentence that says what was done.
    """
    cycle = rate_hz / nominal_hz
    fade = round(FADE_CYCLES * cycle)
    n = samples.shape[1]
    if n < 4 * fade + 2 * REACH:
        return samples, rate_hz, f"loop of {n} samples, {n / rate_hz:.4f} s, repeated as it is: too short to fit a seam"
    lag, mismatch_hz = _same_phase_lag(samples[0], rate_hz, nominal_hz, fade)
    length = int(np.floor(lag))
    position = np.clip(np.arange(length + fade) * (lag / length), 0, n - 1)
    padded = np.pad(samples, ((0, 0), (REACH, REACH)), mode="edge")
    stretched = interpolate(padded, position + REACH)
    weight = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)
    loop = stretched[:, :length].copy()
    loop[:, :fade] = weight * stretched[:, :fade] + (1 - weight) * stretched[:, length:]
    note = (
        f"loop of {lag / rate_hz:.3f} s closed at equal phase, cross-faded over {fade / rate_hz * 1e3:.0f} ms; "
        f"the frequency jumps by {mismatch_hz * 1e3:+.1f} mHz there"
    )
    return loop, rate_hz * length / lag, note


def _same_phase_lag(x: Floats, rate_hz: float, nominal_hz: int, fade: int) -> tuple[float, float]:
    """The longest lag, in samples, after which the fundamental is in the same phase, and how its frequency changed."""
    window = np.hanning(fade + 2)[1:-1]
    t = np.arange(fade) / rate_hz
    probe = window * np.exp(-2j * np.pi * nominal_hz * t)
    quarter = fade // 4

    def phasor(first: int) -> complex:
        return complex(np.exp(-2j * np.pi * nominal_hz * first / rate_hz) * (x[first : first + fade] @ probe))

    def frequency(first: int, step: int) -> float:
        """Local frequency between two windows that `step` apart: a negative step looks back."""
        turn = np.angle(phasor(first + step) * np.conj(phasor(first)))
        return float(nominal_hz + turn * rate_hz / (2 * np.pi * step))

    last = len(x) - fade - 1
    start_hz, end_hz = frequency(0, quarter), frequency(last, -quarter)
    # the absolute phase of the fundamental at sample k is that of phasor(k) plus 2 pi nominal k / rate
    turns = np.angle(phasor(last) * np.conj(phasor(0))) / (2 * np.pi) + nominal_hz * last / rate_hz
    excess = turns % 1.0  # cycles by which `last` lies after a point of equal phase
    return last - excess * rate_hz / end_hz, start_hz - end_hz
