"""What must hold in every scenario, and the limits of each.

The assertion that matters: no frame ever claims a better time than it has, neither by PMU_TQ nor by MSG_TQ. The time
of a frame is its SOC and FRACSEC; what is true is known from the twin (observe.py). The phasor's angle, which needs no
such knowledge, is held to the same claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.simulation.observe import NOMINAL_HZ, RATE, Seen
from tests.simulation.scenarios import SOURCE_HZ, Expect, Scenario

PMU_TQ_BOUND_NS = np.array([np.inf, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, np.inf])
LOCKED_NS = 26_500.0  # MSG_TQ 0 states no figure; the daemon's limit of lock stands for it
MSG_TQ_BOUND_NS = np.array([LOCKED_NS, *(10.0 ** np.arange(11)), np.inf, np.inf, np.inf, np.inf])
ANGLE_NOISE_S = 0.25e-6  # ten standard deviations of what calm reports show
UNLOCKED_AFTER_S = (10.0, 100.0, 1000.0)
LOCK_LINGERS_S = 4.5  # lock is given up so long after the last good edge, from which its loss counts
PENDING, OCCURRED, DELETE = 0x10, 0x20, 0x40
PENDING_S = 59


@dataclass(frozen=True)
class Verdict:
    """What came out.

    Attributes:
        wrong: everything that should not be, in words; empty if all is well.
        frames: reports seen.
        peak_ns, rms_ns: time error of the frames in sync, but for unknowable spans; NaN without any.
        tightest: largest error as a part of what was claimed.
        msg_tq, pmu_tq, unlocked: codes seen, in order.
        first_sync_s: when the first frame was in sync; infinite if none was.
    """

    wrong: tuple[str, ...]
    frames: int
    peak_ns: float
    rms_ns: float
    tightest: float
    msg_tq: tuple[int, ...]
    pmu_tq: tuple[int, ...]
    unlocked: tuple[int, ...]
    first_sync_s: float


def judge(scenario: Scenario, seen: Seen) -> Verdict:
    """Hold what was seen against what must be."""
    knowable = ~reduce(
        np.logical_or, (_within(seen, *span) for span in scenario.unknowable), np.zeros(len(seen.soc), bool)
    )
    claim_ns = np.minimum(PMU_TQ_BOUND_NS[seen.pmu_tq.astype(int)], MSG_TQ_BOUND_NS[seen.msg_tq.astype(int)])
    error_ns = np.abs(seen.error_ns)
    judged = error_ns[seen.in_sync & knowable]
    peak_ns = float(judged.max()) if judged.size else np.nan
    rms_ns = float(np.sqrt(np.mean(judged**2))) if judged.size else np.nan
    first = float(seen.elapsed_s[seen.in_sync][0]) if seen.in_sync.any() else np.inf
    wrong = [
        *_liars(seen, knowable & (error_ns > claim_ns), error_ns, claim_ns, "time"),
        *_liars(seen, knowable & _angle_off(seen, claim_ns), seen.angle_error_s * 1e9, claim_ns, "angle"),
        *_at(seen, seen.in_sync != (seen.msg_tq == 0), "STAT's sync bit contradicts MSG_TQ"),
        *_at(seen, ~seen.grid, "SOC and FRACSEC are no report instant"),
        *_at(seen, _unlocked_wrong(seen), "the unlocked time is wrong"),
        *_at(seen, _leap_bits_wrong(scenario, seen), "the leap bits are wrong"),
        *_at(seen, _phase_broken(seen, claim_ns), "the phase or the row of frames is broken"),
        *_at(seen, np.diff(seen.elapsed_s, prepend=-1.0) <= 0, "time runs backwards"),
    ]
    for expect in scenario.expect:
        wrong += _unexpected(seen, expect)
    if peak_ns > scenario.peak_ns:
        wrong.append(f"in sync with an error of {peak_ns:.0f} ns, more than {scenario.peak_ns:g}")
    if rms_ns > scenario.rms_ns:
        wrong.append(f"in sync with an RMS error of {rms_ns:.0f} ns, more than {scenario.rms_ns:g}")
    if scenario.first_sync_s is None and np.isfinite(first):
        wrong.append(f"in sync after {first:.1f} s, but must never be")
    if scenario.first_sync_s is not None and first > scenario.first_sync_s:
        wrong.append(f"in sync after {first:.1f} s, later than {scenario.first_sync_s:g} s")
    wrong += _miscounts(scenario, seen)
    claims = knowable & np.isfinite(claim_ns)
    tightest = float((error_ns[claims] / claim_ns[claims]).max()) if claims.any() else np.nan
    codes = [tuple(int(code) for code in np.unique(column)) for column in (seen.msg_tq, seen.pmu_tq, seen.unlocked)]
    return Verdict(tuple(wrong), len(seen.soc), peak_ns, rms_ns, tightest, codes[0], codes[1], codes[2], first)


def _within(seen: Seen, from_s: float, to_s: float) -> NDArray[np.bool_]:
    return np.asarray((seen.elapsed_s >= from_s) & (seen.elapsed_s < to_s))


def _at(seen: Seen, wrong: NDArray[np.bool_], what: str) -> list[str]:
    if not wrong.any():
        return []
    i = int(np.argmax(wrong))
    return [
        f"{what}: {np.count_nonzero(wrong)} frames from {seen.elapsed_s[i]:.3f} s (MSG_TQ {seen.msg_tq[i]:X}, PMU_TQ "
        f"{seen.pmu_tq[i]}, unlocked {seen.unlocked[i]}, leap {seen.leap_bits[i]:#x}, SOC {seen.soc[i]})"
    ]


def _liars(
    seen: Seen, lies: NDArray[np.bool_], error_ns: NDArray[np.float64], claim_ns: NDArray[np.float64], what: str
) -> list[str]:
    if not lies.any():
        return []
    i = int(np.argmax(np.where(lies, np.abs(error_ns) - claim_ns, -np.inf)))
    return _at(
        seen, lies, f"{what} outside the claim, by {error_ns[i]:.0f} ns of {claim_ns[i]:g} at {seen.elapsed_s[i]:.3f} s"
    )


def _angle_off(seen: Seen, claim_ns: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Frames whose angle is off by more than is claimed; those without an angle are not."""
    return np.asarray(np.nan_to_num(np.abs(seen.angle_error_s)) > claim_ns * 1e-9 + ANGLE_NOISE_S)


def _phase_broken(seen: Seen, claim_ns: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Frames in sync that do not follow the one before: one period later, turned as the outlet's frequency turns it.

    This needs no truth, only what a PDC sees: a leap second, like any other second, must not show in the phase.
    """
    if len(seen.soc) < 2:
        return np.zeros(len(seen.soc), bool)
    turn = np.exp(1j * (np.diff(seen.angle) - 2 * np.pi * (SOURCE_HZ - NOMINAL_HZ) / RATE))
    allowed_s = 2 * ANGLE_NOISE_S + (claim_ns[1:] + claim_ns[:-1]) * 1e-9
    jumps = np.nan_to_num(np.abs(np.angle(turn))) > 2 * np.pi * NOMINAL_HZ * allowed_s
    follows = np.abs(np.diff(seen.elapsed_s) - 1 / RATE) < 1e-3
    both = seen.in_sync[1:] & seen.in_sync[:-1] & (seen.run[1:] == seen.run[:-1])
    return np.concatenate([[False], both & (jumps | ~follows)])


def _unlocked_wrong(seen: Seen) -> NDArray[np.bool_]:
    """The code must fit the time since the last frame in sync, or a little more; after a restart it may say "long"."""
    last = np.maximum.accumulate(np.where(seen.in_sync, seen.elapsed_s, -np.inf))
    run_of_last = np.maximum.accumulate(np.where(seen.in_sync, seen.run, -1))
    since_s = seen.elapsed_s - last
    least = np.searchsorted(UNLOCKED_AFTER_S, since_s, side="right")
    most = np.searchsorted(UNLOCKED_AFTER_S, since_s + LOCK_LINGERS_S, side="right")
    most = np.where(run_of_last == seen.run, most, 3)
    return np.asarray(np.where(seen.in_sync, seen.unlocked != 0, (seen.unlocked < least) | (seen.unlocked > most)))


def _leap_bits_wrong(scenario: Scenario, seen: Seen) -> NDArray[np.bool_]:
    """Bits 6-4 of TIME_QUALITY, by the second in which a report really was."""
    leap, second = scenario.leap, np.floor(seen.elapsed_s + 1e-3)
    if leap is None:
        return np.asarray(seen.leap_bits != 0)
    if not leap.step:  # the announcement is passed on; what follows is the receiver's word
        return np.asarray((seen.leap_bits != PENDING) & (second < leap.at))
    direction = DELETE if leap.step < 0 else 0
    after = leap.at + (leap.step > 0)  # first second after the inserted or the deleted one
    # A deleted second is the one before `at`, so the pending bit lasts up to `at` in both cases.
    begin = leap.at - PENDING_S - (leap.step < 0)
    pending = (second >= begin) & (second < after)
    wanted = np.where(second >= after, OCCURRED | direction, np.where(pending & leap.pending, PENDING | direction, 0))
    late = (second >= leap.at) & (seen.elapsed_s < after + leap.occurred_s)
    return np.asarray((seen.leap_bits != wanted) & ~late)


def _unexpected(seen: Seen, expect: Expect) -> list[str]:
    """Frames of a span that say something else than they must; a span without frames is none that says it."""
    span = _within(seen, expect.from_s, expect.to_s)
    where = f"from {expect.from_s:g} to {expect.to_s:g} s"
    if not span.any():
        return [f"{where}: no frames"]
    right = seen.in_sync == expect.sync
    for column, (low, high) in (
        (seen.msg_tq, expect.msg_tq),
        (seen.pmu_tq, expect.pmu_tq),
        (seen.unlocked, expect.unlocked),
    ):
        right &= (column >= low) & (column <= high)
    return _at(seen, span & ~right, f"{where}: not {expect}")


def _miscounts(scenario: Scenario, seen: Seen) -> list[str]:
    found = []
    for name, (low, high) in scenario.counts.items():
        value: Any = seen.outcome if name.startswith("twin.") else seen.outcome.status
        for part in name.split("."):
            value = getattr(value, part)
        if not low <= value <= high:
            found.append(f"{name} is {value}, not from {low:g} to {high:g}")
    return found
