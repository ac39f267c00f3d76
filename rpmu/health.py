"""Whether the daemon does its work after a change as it did before: one rule for configurations and for updates.

    before = Vital.of(status)
    ... a new configuration, or a new version ...
    complaint = await_health(before, look, clock, within_s)

A change is healthy after a stretch without a break in which, at every look, the daemon answers, its output flows, its
time is not worse than before, no input is clipped that was not, and nothing is lost at more than twice the rate of
before. That rate is one over the time that its counter has counted; less than five minutes tell none, and excuse no
loss. Output is frames where there was a time to stamp them with, samples where there was none. A look that is not so
begins the stretch anew, because a daemon that dies again and again looks well in between. While a change is only
announced to PDCs (STAT bit 10), what is seen is still the old one: the stretch begins when it holds. Where no daemon
answered before, none can be asked for after.

`HealthCheck` is the rule, without clock; `await_health` asks it again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rpmu.errors import HardwareError
from rpmu.serve.status_socket import read_status
from rpmu.timing.states import LockState

LOOK_S = 1.0
STEADY_S = 10.0  # a fresh daemon that dies in the same place does so within seconds
KEPT = {LockState.LOCKED.value: 2, LockState.HOLDOVER.value: 1}  # how good the time is; every other state is 0
LONG_PERIOD_S = 30.0  # between two reports, beyond which samples stand for frames
RATE_FROM_S = 300.0  # of counting, from which on what was lost says at which rate: less may be a start's one burst
LOSSES = {  # counters of what must not happen, by where they stand in the status
    "invalid reports": ("invalid_reports",),
    "restarts of the PRU": ("pru_restarts",),
    "lost samples": ("ring", "lost_samples"),
    "blocks with substituted scans": ("ring", "bad_blocks"),
    "lost PPS events": ("ring", "events_lost"),
    "FIFO overruns": ("ring", "overruns"),
    "FIFO underflows": ("ring", "underflows"),
    "tag slips of the ADC": ("ring", "tag_slips"),
    "stalls of the ADC": ("ring", "stalls"),
    "resynchronisations of the time": ("time", "counters", "resyncs"),
}


@dataclass(frozen=True)
class Vital:
    """What of a status tells whether the work is done.

    Attributes:
        state: of the time.
        frames: published since the daemon started.
        samples: taken since the PRU started.
        reason: of the state, in words.
        clipped: whether an input is.
        losses: counters of what must not happen, by name.
        counted_s: how long each of these counters has counted, s, by name.
        period_s: between two reports, s.
        change_in_s: until an announced change of the stream holds, s; None if none is announced.
    """

    state: str
    frames: int
    samples: int
    reason: str = ""
    clipped: bool = False
    losses: Mapping[str, int] = field(default_factory=dict)
    counted_s: Mapping[str, float] = field(default_factory=dict)
    period_s: float = 0.0
    change_in_s: float | None = None

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> Vital:
        """From the status as the daemon's socket gives it.

        Raises:
            KeyError: it is no such status.
        """
        samples, stream = status["ring"]["samples"], status.get("stream", {})  # no stream: a version before it
        rate = stream.get("reporting_rate_per_s", 1)
        period_s = 1 / rate if rate > 0 else float(-rate)
        counted_s = _counted_s(status, period_s)
        return cls(
            state=status["time"]["state"],
            frames=status["server"]["frames_published"],
            samples=samples,
            reason=status["time"]["reason"],
            clipped=status["input"]["clipped"],
            losses={name: _at(status, path) for name, path in LOSSES.items()},
            counted_s={name: counted_s.get(path[0], counted_s["daemon"]) for name, path in LOSSES.items()},
            period_s=period_s,
            change_in_s=stream.get("change_in_s"),
        )

    @property
    def time_rank(self) -> int:
        """0 for no time, 1 for holdover, 2 for lock."""
        return KEPT.get(self.state, 0)

    @property
    def frequent(self) -> bool:
        """Whether frames come often enough to wait for them."""
        return self.period_s <= LONG_PERIOD_S


def vital_of(socket: Path) -> Vital | None:
    """The daemon that listens at `socket`; None if none answers, or not in this way."""
    try:
        return Vital.of(read_status(socket))
    except (HardwareError, KeyError):
        return None


@dataclass
class _Stretch:
    """Looks at a daemon that is well, one after the other.

    Attributes:
        first: what the first look saw ...
        began_s: ... and when.
        last: what the last look saw.
        moved_s: when its output was last seen to move.
    """

    first: Vital
    began_s: float
    last: Vital
    moved_s: float


class HealthCheck:
    """Compares what is seen after a change with what was before.

    Args:
        before: the daemon just before; None if none answered.
        now_s: time of the change, s of a clock that does not jump.
        within_s: patience until it is well.
        steady_s: how long it must be well without a break.
    """

    def __init__(self, before: Vital | None, now_s: float, within_s: float, steady_s: float = STEADY_S) -> None:
        self._before = before
        self._within_s = within_s
        self._steady_s = steady_s
        self._from_s = now_s  # when what is judged began, or will begin, to hold
        self._well_s = now_s  # when output was last seen to flow
        self._coming_s: float | None = None
        self._stretch: _Stretch | None = None
        self._complaint = "the daemon was seen only once"

    def look(self, now: Vital | None, now_s: float) -> str | None:
        """Judge the daemon at this moment.

        Args:
            now: the daemon; None if none answers.
            now_s: time of the look.

        Returns:
            None as long as there is no verdict; then what is missing, or an empty text: it is well.
        """
        if self._before is None:
            return ""
        if now is not None:
            self._await_change(now, now_s)
        complaint = self._missing(self._before, now, now_s)
        if now is None or complaint:
            self._complaint, self._stretch = complaint, None
        elif self._stretch is None:
            self._stretch = _Stretch(now, now_s, now, now_s)
        elif self._coming_s is None and now_s - self._stretch.began_s >= self._wanted_s(now):
            return ""
        if now_s - self._well_s >= self._within_s:
            return self._complaint
        if now_s - self._from_s >= self._within_s + (0 if now is None else self._wanted_s(now)):
            return f"it was not well for {self._steady_s:g} s on end; last: {self._complaint}"
        return None

    def _await_change(self, now: Vital, now_s: float) -> None:
        """Begin anew when an announced change holds."""
        if now.change_in_s:
            self._from_s = now_s + now.change_in_s
        elif self._coming_s is not None:
            self._stretch = None
        self._coming_s = now.change_in_s

    def _wanted_s(self, now: Vital) -> float:
        """Length of the stretch: two reports at least."""
        return max(self._steady_s, 2 * now.period_s + LOOK_S if now.frequent else 0.0)

    def _missing(self, before: Vital, now: Vital | None, now_s: float) -> str:
        """What is worse than before; empty if nothing."""
        if now is None:
            return "the daemon does not answer"
        if now.time_rank < before.time_rank:
            return f"the time is {now.state}, and was {before.state}" + (f": {now.reason}" if now.reason else "")
        if now.clipped and not before.clipped:
            return "an input is clipped, and was not"
        stretch = self._stretch
        if stretch is None:
            return "" if now.samples else "no samples flow"
        return self._stands_still(before, stretch, now, now_s) or next(_grown(before, stretch, now, now_s), "")

    def _stands_still(self, before: Vital, stretch: _Stretch, now: Vital, now_s: float) -> str:
        if now.frames < stretch.last.frames:
            return "the daemon has started again"
        if now.samples < stretch.last.samples:  # and the losses in the ring count from nothing
            return "the sampling has started again"
        by_frames = before.time_rank > 0 and now.frequent
        last, stretch.last = stretch.last, now
        if now.frames > last.frames if by_frames else now.samples != last.samples:
            stretch.moved_s = self._well_s = now_s
            return ""
        if now_s - stretch.moved_s <= (2 * now.period_s if by_frames else 0.0) + 2 * LOOK_S:
            return ""
        return f"no {'frames' if by_frames else 'samples'} flow"


def _grown(before: Vital, stretch: _Stretch, now: Vital, now_s: float) -> Iterator[str]:
    """Losses of the stretch beyond twice their rate before, where there is one."""
    passed_s = now_s - stretch.began_s
    for name, count in now.losses.items():
        grown = count - stretch.first.losses.get(name, 0)
        counted_s = before.counted_s.get(name, 0.0)
        per_s = before.losses.get(name, 0) / counted_s if counted_s >= RATE_FROM_S else 0.0
        if grown > 2 * per_s * passed_s:
            yield f"{name}: {grown} within {passed_s:.0f} s"


def _counted_s(status: Mapping[str, Any], period_s: float) -> dict[str, float]:
    """How long the counters of each part of a status have counted: a new run begins only the ring's anew."""
    ring_s = float(status["ring"]["samples"] / status["acquisition"]["sample_rate_hz"])
    counters = status["time"]["counters"]
    return {
        "ring": ring_s,
        "time": max(ring_s, float(counters["accepted"] + counters["missing"])),  # one or the other every second
        "daemon": max(ring_s, status["reports"] * period_s),
    }


def _at(status: Mapping[str, Any], path: tuple[str, ...]) -> int:
    found: Any = status
    for name in path:
        found = found[name]
    return int(found)


class Clock(Protocol):
    """What waiting needs of the machine."""

    def now_s(self) -> float:
        """Seconds on a clock that does not jump."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


def await_health(
    before: Vital | None,
    look: Callable[[], Vital | None],
    clock: Clock,
    within_s: float,
    steady_s: float = STEADY_S,
) -> str:
    """Wait until the daemon has been well for a while.

    Args:
        before: the daemon just before the change; None if none answered.
        look: sees it now.
        clock: of the machine.
        within_s: patience until it is well.
        steady_s: how long it must be well without a break.

    Returns:
        What was missing last, or an empty text: it is well.
    """
    check = HealthCheck(before, clock.now_s(), within_s, steady_s)
    while (verdict := check.look(look(), clock.now_s())) is None:
        clock.sleep(LOOK_S)
    return verdict
