"""One report on its way from the estimator to the frames: numbers, time and health together.

It is the value that the measuring side (`Pipeline`) hands to whoever sends, prints or records.
"""

from __future__ import annotations

from rpmu.timing.status import ReportTime
from rpmu.values import value


@value
class Measurement:
    """One report of one PMU.

    Attributes:
        time_ns: UTC of the report, ns since the Unix epoch, exactly on the reporting grid.
        phasors: RMS volts (or amperes) at the mains with synchrophasor angle, one per phasor of the stream; NaN when
            not valid.
        frequency_hz: frequency.
        rocof_hz_per_s: rate of change of frequency.
        valid: whether the numbers may be used.
        time: SOC, time quality and the time bits of STAT.
        status_word: the DIGITAL status word (rpmu/timing/status.py names its bits).
        test_mode: the numbers are those of a PMU that is not calibrated: STAT says that they are not to be used.
        analogs: values that go with the report, if configured.
    """

    time_ns: int
    phasors: tuple[complex, ...]
    frequency_hz: float
    rocof_hz_per_s: float
    valid: bool
    time: ReportTime
    status_word: int
    analogs: tuple[float, ...] = ()
    test_mode: bool = False
