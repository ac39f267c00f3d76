"""The codes that tell a PDC how good the time is, all from one bound on the time error.

Each table is in the docstring of its function, after IEEE C37.118.2-2011 clause 6.2 (TIME_QUALITY, STAT). The bound
they take is not a standard deviation: it is what the error is not expected to exceed.
"""

from __future__ import annotations

import math
from bisect import bisect_right

MSG_TQ_LOCKED = 0x0
MSG_TQ_FAULT = 0xF
PMU_TQ_BELOW_NS = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7)  # of codes 1 to 6


def message_time_quality(locked: bool, bound_ns: float) -> int:
    """MSG_TQ, bits 3-0 of the TIME_QUALITY byte.

    ==== ============================== ==== ==============================
    code meaning                        code meaning
    ==== ============================== ==== ==============================
    0    locked to a UTC source         7    unlocked, time within 1 ms
    1    unlocked, time within 1 ns     8    unlocked, time within 10 ms
    2    unlocked, time within 10 ns    9    unlocked, time within 100 ms
    3    unlocked, time within 100 ns   A    unlocked, time within 1 s
    4    unlocked, time within 1 us     B    unlocked, time within 10 s
    5    unlocked, time within 10 us    F    fault, time not reliable
    6    unlocked, time within 100 us
    ==== ============================== ==== ==============================

    Args:
        locked: whether the clock follows its source now.
        bound_ns: bound of the time error, ns; infinite or NaN if unknown.

    Returns:
        The smallest code whose statement holds.
    """
    if locked:
        return MSG_TQ_LOCKED
    for code in range(1, 0xC):
        if bound_ns <= 10.0 ** (code - 1):
            return code
    return MSG_TQ_FAULT


def pmu_time_quality(bound_ns: float) -> int:
    """PMU_TQ, bits 8-6 of STAT: the largest expected time error, in sync or not.

    ==== ========= ==== =========
    code below     code below
    ==== ========= ==== =========
    1    100 ns    5    1 ms
    2    1 us      6    10 ms
    3    10 us     7    more, or unknown
    4    100 us
    ==== ========= ==== =========

    Code 0, "not used", is for frames of the 2005 edition and never returned.
    """
    return 1 + bisect_right(PMU_TQ_BELOW_NS, bound_ns)  # which takes NaN for larger than all


def unlocked_time(seconds: float) -> int:
    """Unlocked time, bits 5-4 of STAT: how long the clock has been without its source.

    ==== ================================
    code meaning
    ==== ================================
    0    locked, or unlocked for < 10 s
    1    unlocked for 10 s to < 100 s
    2    unlocked for 100 s to < 1000 s
    3    unlocked for 1000 s or more
    ==== ================================
    """
    if math.isnan(seconds):
        return 3
    return (seconds >= 10) + (seconds >= 100) + (seconds >= 1000)


MSG_TQ_WORDS = {
    0x0: "locked",
    **{
        code: f"unlocked, within {reach}"
        for code, reach in enumerate(
            ("1 ns", "10 ns", "100 ns", "1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s", "10 s"), start=1
        )
    },
    0xF: "fault, time not reliable",
}
PMU_TQ_WORDS = {
    0: "not used",
    1: "below 100 ns",
    2: "below 1 us",
    3: "below 10 us",
    4: "below 100 us",
    5: "below 1 ms",
    6: "below 10 ms",
    7: "above 10 ms or unknown",
}
UNLOCKED_TIME_WORDS = {
    0: "locked or unlocked for less than 10 s",
    1: "unlocked for 10 to 100 s",
    2: "unlocked for 100 to 1000 s",
    3: "unlocked for more than 1000 s",
}
