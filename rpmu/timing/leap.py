"""Leap seconds: when they come, and what SOC and the leap bits are around them.

Inside, time is a *continuous* scale: it equals UTC (seconds since the Unix epoch) when the second gets its name and
then counts on, straight through a leap second, so that no sample and no report instant is ever repeated or skipped.
Only at the wire does a leap second exist: SOC is the POSIX count, in which 23:59:60 bears the number of the following
00:00:00, and the leap bits tell the two apart (pending in 23:59:60, occurred in 00:00:00). A deleted second is a SOC
that does not occur.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from rpmu.errors import InputError
from rpmu.values import value

NTP_TO_UNIX_S = 2_208_988_800  # 1900-01-01 to 1970-01-01
DAY_S = 86_400
PENDING_S = 59  # set at most 60 s and at least 1 s before; the margin covers reports in flight
OCCURRED_S = DAY_S
PASSING_S = 2  # a leap second so near is already counted


@dataclass(frozen=True, order=True)
class LeapSecond:
    """One leap second.

    Attributes:
        midnight: Unix count of the 00:00:00 UTC that follows it.
        step: +1 inserts 23:59:60, -1 deletes 23:59:59.
    """

    midnight: int
    step: int

    def __post_init__(self) -> None:
        if self.step not in (1, -1) or self.midnight % DAY_S:
            raise InputError(f"leap second {self.midnight} {self.step:+d}: must be +1 or -1 at a midnight UTC")


@value
class LeapState:
    """SOC and leap bits of one instant.

    Attributes:
        soc: Unix count of the UTC second, as POSIX counts it.
        pending: a leap second comes within a minute, or this is it.
        occurred: a leap second was less than 24 h ago.
        delete: the direction, for either bit: False adds, True deletes.
    """

    soc: int
    pending: bool = False
    occurred: bool = False
    delete: bool = False

    @property
    def word(self) -> str:
        """What there is of a leap second, in words."""
        direction = "delete" if self.delete else "add"
        if self.pending:
            return f"pending, {direction}"
        return f"occurred, {direction}" if self.occurred else "none"

    @property
    def bits(self) -> int:
        """Bits 6-4 of the TIME_QUALITY byte.

        === ================================================================
        bit meaning
        === ================================================================
        6   direction: 0 a second is added, 1 a second is deleted
        5   occurred: set from the first second after, for 24 h
        4   pending: set at most 60 s before, cleared in the second after
        === ================================================================
        """
        return self.delete << 6 | self.occurred << 5 | self.pending << 4


class _Turn(NamedTuple):
    """A leap second on the continuous scale.

    Attributes:
        after: the first second after it, whose UTC is midnight.
        offset: UTC minus the continuous scale from there on, s.
        delete: the direction.
    """

    after: int
    offset: int
    delete: bool


@dataclass
class LeapSchedule:
    """The known leap seconds, and the continuous scale that they bend into UTC.

    Attributes:
        leaps: leap seconds, in order.
        origin: UTC second at which the continuous scale equals UTC; leap seconds before it are in it already.
        expires: Unix count after which the source says nothing; 0 if there is no source.
    """

    leaps: tuple[LeapSecond, ...] = ()
    origin: int = 0
    expires: int = 0
    _afters: list[int] = field(default_factory=list, repr=False, compare=False)
    _turns: list[_Turn] = field(default_factory=list, repr=False, compare=False)
    _turns_of: tuple[int, tuple[LeapSecond, ...]] = field(default=(0, ()), repr=False, compare=False)

    def add(self, leap: LeapSecond) -> None:
        """Take note of one more leap second; a known one changes nothing."""
        if all(known.midnight != leap.midnight for known in self.leaps):
            self.leaps = tuple(sorted([*self.leaps, leap]))

    def contradict(self, midnight: int, step: int) -> None:
        """A receiver stepped at a midnight against what is known: it shows a leap second, or that there is none."""
        others = tuple(leap for leap in self.leaps if leap.midnight != midnight)
        if len(others) < len(self.leaps):
            self.leaps = others
        else:
            self.add(LeapSecond(midnight, step))

    def learn(self, newer: LeapSchedule, now: int) -> None:
        """Take over what a source says by now of the time to come; what has passed stays as it was counted.

        Args:
            newer: of the source; one without leap second and expiry says nothing.
            now: Unix count of the present second; 0 if it is not known.
        """
        if not newer.leaps and not newer.expires:
            return
        soon = now + PASSING_S
        # Beyond its expiry the source does not speak, and what another one has said still holds.
        kept = [leap for leap in self.leaps if now and (leap.midnight <= soon or leap.midnight >= newer.expires)]
        known = {leap.midnight for leap in kept}
        fresh = [leap for leap in newer.leaps if leap.midnight not in known and (not now or leap.midnight > soon)]
        self.leaps, self.expires = tuple(sorted([*kept, *fresh])), newer.expires

    def speaks_for(self, midnight: int) -> bool:
        """Whether the source can tell if there is a leap second before a midnight, or a receiver has shown it."""
        return midnight < self.expires or any(leap.midnight == midnight for leap in self.leaps)

    def state(self, second: int) -> LeapState:
        """SOC and leap bits of a second of the continuous scale."""
        if self._turns_of != (self.origin, self.leaps):
            self._turns, self._turns_of = self._find_turns(), (self.origin, self.leaps)
            self._afters = [turn.after for turn in self._turns]
        turns = self._turns
        coming = bisect_right(self._afters, second)
        offset = turns[coming - 1].offset if coming else 0
        if coming < len(turns) and turns[coming].after - PENDING_S - 1 <= second:
            return LeapState(second + offset, pending=True, delete=turns[coming].delete)
        if coming and second < turns[coming - 1].after + OCCURRED_S:
            return LeapState(second + offset, occurred=True, delete=turns[coming - 1].delete)
        return LeapState(second + offset)

    def _find_turns(self) -> list[_Turn]:
        turns, offset = [], 0
        for leap in self.leaps:
            counts = leap.midnight > self.origin
            after = leap.midnight - offset + (leap.step if counts else 0)
            offset -= leap.step if counts else 0
            turns.append(_Turn(after, offset, leap.step < 0))
        return turns

    def word(self, second: int) -> str:
        """What there is of a leap second at a second of the continuous scale, in words."""
        if 0 < self.expires < second:
            return "unknown: the leap-second file has expired"
        return self.state(second).word

    def continuous(self, utc: int, leap_second: bool = False) -> int:
        """The second of the continuous scale that a receiver's UTC second is.

        Args:
            utc: Unix count, as POSIX counts it (23:59:60 as the following 00:00:00).
            leap_second: it is 23:59:60 itself.
        """
        passed = 0
        for leap in reversed(self.leaps):
            if leap.midnight <= self.origin:
                break
            passed += leap.step if leap.midnight <= utc else 0
        return utc + passed - leap_second


def parse_leap_file(text: str) -> LeapSchedule:
    """Leap seconds from the text of a `leap-seconds.list` (IERS and NIST) or tzdata `leapseconds` file.

    Args:
        text: the whole file, e.g. of /usr/share/zoneinfo/leap-seconds.list.

    Returns:
        The schedule with its date of expiry.

    Raises:
        InputError: if it is neither format.
    """
    lines = text.splitlines()
    if any(line.startswith(("Leap\t", "Leap ")) for line in lines):
        return _parse_tzdata(lines)
    return _parse_ntp(lines)


def _parse_ntp(lines: Iterable[str]) -> LeapSchedule:
    """`leap-seconds.list`: NTP second and TAI - UTC per line, `#@` the expiry."""
    schedule = LeapSchedule()
    previous = None
    for number, line in enumerate(lines, start=1):
        words = line.split()
        try:
            if words[:1] == ["#@"]:
                schedule.expires = int(words[1]) - NTP_TO_UNIX_S
            if not words or words[0].startswith("#"):
                continue
            midnight, offset = int(words[0]) - NTP_TO_UNIX_S, int(words[1])
        except (IndexError, ValueError):
            raise InputError(f"leap-second file, line {number}: {line!r} is not 'NTP-seconds TAI-offset'") from None
        if previous is not None and offset != previous:
            schedule.add(LeapSecond(midnight, offset - previous))
        previous = offset
    if previous is None:
        raise InputError("leap-second file: holds no leap second; expected leap-seconds.list or tzdata's leapseconds")
    return schedule


def _parse_tzdata(lines: Iterable[str]) -> LeapSchedule:
    """`leapseconds`: lines `Leap YEAR MONTH DAY HH:MM:SS +|- S`, and `#expires UNIX-SECONDS`."""
    schedule = LeapSchedule()
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if words[:1] == ["#expires"] and len(words) > 1 and words[1].isdigit():
            schedule.expires = int(words[1])
        if words[:1] != ["Leap"]:
            continue
        try:
            day = datetime.strptime(" ".join(words[1:4]), "%Y %b %d").replace(tzinfo=UTC)
            schedule.add(LeapSecond(int(day.timestamp()) + DAY_S, {"+": 1, "-": -1}[words[5]]))
        except (IndexError, KeyError, ValueError):
            raise InputError(f"leap-second file, line {number}: {line!r} is not a tzdata leap second") from None
    return schedule
