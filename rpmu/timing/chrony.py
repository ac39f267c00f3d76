"""What chronyd says about the host clock: the text of `chronyc -c tracking`, and the error bound in it.

chrony states the bound itself: |offset| + root dispersion + root delay / 2 is the largest error that its sources
allow. Reference clocks (PTP, a PPS of the host) have no delay and microseconds; NTP over a network has milliseconds,
most of it half the delay, because an asymmetric path cannot be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from rpmu.errors import InputError

FIELDS = 14
LEAP_STEPS = {"Normal": 0, "Insert second": 1, "Delete second": -1}


@dataclass(frozen=True)
class ChronyTracking:
    """One answer of chronyd.

    Attributes:
        reference: name of the source in use.
        stratum: 1 for a reference clock of this host.
        synchronised: whether chronyd has a source at all.
        bound_ns: largest error of the host clock, ns; infinite if not synchronised.
        leap_step: +1 or -1 if a second is inserted or deleted at the end of this UTC day, else 0.
        skew_ppm: error bound of the frequency.
    """

    reference: str
    stratum: int
    synchronised: bool
    bound_ns: float
    leap_step: int
    skew_ppm: float


def parse_tracking(text: str) -> ChronyTracking:
    """Read the output of `chronyc -c tracking`.

    Args:
        text: one line of comma-separated values: reference, name, stratum, reference time, offset, last offset, RMS
            offset, frequency, residual frequency, skew, root delay, root dispersion, update interval, leap status.

    Raises:
        InputError: the text is something else.
    """
    values = text.strip().split(",")
    if len(values) != FIELDS:
        raise InputError(
            f"chrony: {text.strip()!r} has {len(values)} values, but `chronyc -c tracking` prints {FIELDS}"
        )
    try:
        offset_s, skew, delay_s, dispersion_s = (float(values[i]) for i in (4, 9, 10, 11))
        stratum = int(values[2])
    except ValueError as error:
        raise InputError(f"chrony: {text.strip()!r} is not what `chronyc -c tracking` prints ({error})") from None
    synchronised = values[13] in LEAP_STEPS and 0 < stratum < 16
    bound_ns = (abs(offset_s) + dispersion_s + delay_s / 2) * 1e9 if synchronised else float("inf")
    return ChronyTracking(values[1], stratum, synchronised, bound_ns, LEAP_STEPS.get(values[13], 0), skew)
