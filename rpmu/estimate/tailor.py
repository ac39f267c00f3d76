"""A ROCOF filter made for its front end: where equaliser and filter one after the other are too noisy.

P class at 100 and 120 reports/s has under two cycles of window, and its third filter is widest where the equaliser of a
100 Hz low-pass amplifies: together they let through 2.2 times the noise of the filter alone. Designed as one filter of
complex taps for samples behind the low-pass, it need not reject again what the low-pass already takes of the harmonics,
and is quieter than behind no low-pass at all. It is designed where it runs, for a certificate's own corner and Q, and
with numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

HARMONICS = (0, *range(2, 13))  # what the low-pass leaves of those above does not matter
HARMONIC_HZ = 0.03  # half width of a zero
HARMONIC_TOLERANCE = 6.67  # Hz/s, relative to the harmonic: 0.4 Hz/s for 1 % of it, with a margin of six
IMAGE_TOLERANCE = 3.0  # Hz/s, relative to the fundamental; the rest is subtracted
NOISE = 0.01  # weight of the taps against the tolerances
ROUNDS = 8


def rocof_taps(
    response: Callable[[Floats], Complex], nominal_hz: float, range_hz: float, rate_hz: float, before: int, after: int
) -> Complex:
    """Taps that give the second derivative over 2 pi of the phasor, from real samples behind a front end.

    Least squares with fewer conditions than taps, in the dual: minimise |taps|^2 and the weighted misses.

    Args:
        response: of everything between the mains and the samples, at a frequency.
        nominal_hz: nominal frequency.
        range_hz: half width of the band that must be right.
        rate_hz: of the samples.
        before: taps before the centre.
        after: taps after it.

    Returns:
        complex128 [before + after + 1], in the scale of `ChannelBank.taps`.
    """
    frequency, value, tolerance = _conditions(nominal_hz, range_hz)
    n = np.arange(-before, after + 1) / rate_hz
    rows = np.exp(2j * pi * np.multiply.outer(frequency, n)) * (response(frequency) / tolerance)[:, None]
    gram, wanted = rows @ rows.conj().T, value / tolerance
    noise = (NOISE * abs(response(np.array([nominal_hz]))[0])) ** 2
    weight, least = np.ones(len(wanted)), np.inf
    best: Complex = np.zeros(len(wanted), dtype=np.complex128)
    for _ in range(ROUNDS):
        multipliers: Complex = np.asarray(np.linalg.solve(gram + np.diag(noise / weight**2), wanted), np.complex128)
        residual = np.abs(wanted - gram @ multipliers)
        worst = float(residual.max())
        if worst < least:
            best, least = multipliers, worst
        if worst < 1:
            break
        weight = weight * np.maximum(residual, 0.8) ** 0.6  # as `design.py` does: what misses, gains weight
        weight /= np.sqrt(np.mean(weight**2))
    return np.asarray(np.sqrt(2) * (rows.conj().T @ best))


def _conditions(nominal_hz: float, range_hz: float) -> tuple[Floats, Floats, Floats]:
    """Frequencies, the response wanted there, and to which tolerance."""
    v = np.linspace(-range_hz - 0.6, range_hz + 0.6, 53)
    image = -nominal_hz + np.linspace(-range_hz - 0.5, range_hz + 0.5, 15)
    width = np.array([-HARMONIC_HZ, 0.0, HARMONIC_HZ])
    zeros = np.concatenate([sign * h * nominal_hz + width for h in HARMONICS for sign in (1, -1)])
    nothing = np.zeros(len(image) + len(zeros))
    tolerances = (
        2e-3 + 0.1 * 2 * pi * v**2,  # modulation at its limits divided by ten, as in `mask.py`
        np.full(len(image), IMAGE_TOLERANCE),
        np.full(len(zeros), HARMONIC_TOLERANCE),
    )
    return (
        np.concatenate([nominal_hz + v, image, zeros]),
        np.concatenate([-2 * pi * v**2, nothing]),
        np.concatenate(tolerances),
    )
