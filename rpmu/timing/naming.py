"""Which UTC second a PPS edge starts: the local second count gets its name from NMEA.

A sentence with time T arrives some 0.1 to 0.9 s after the edge that T names, so arrival (local) minus T is a whole
number plus that delay. A receiver's delay jitters and may now and then pass a whole second; its smallest value over
some epochs does not. So the name is the floor of the smallest difference, of those that a majority agrees on to
within 0.75 s; the delay window (one second long, from `nmea_delay_s`) is the only assumption, and a sentence that is
late beside others cannot move the name to the "previous second".

Once there is a name it does not follow the receiver blindly. A receiver that insists on another second makes the name
disputed, at once; only after a while is it believed, and then whole seconds are not trusted for as long as a GPS
needs to send its leap second count (12.5 min), or until it says that it has it (a u-blox does). The same holds for a
receiver seen to start cold, without a date.

A leap second can end any month. Where no leap-second file speaks for a month's end, nothing tells of one beforehand: so
the name is in doubt from just before that midnight until the receiver has named a second after it and agrees. There, a
single sentence that disagrees, or names a second twice, is doubt enough, file or not.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache

from rpmu.timing.leap import DAY_S, LeapSchedule, LeapSecond
from rpmu.timing.nmea import NmeaTime
from rpmu.timing.settings import TimingSettings
from rpmu.timing.start import SECOND_NS

WINDOW = 8  # epochs
KNOWN_CONFIRM_S = 10.0  # after the receiver has learnt the leap seconds, all epochs of the window are right ones
SAME_NS = 750_000_000  # differences further apart than this name different seconds
MAJORITY = 0.6
LEAP_REACH_S = 30  # a step this soon after the midnight of a new month may be a leap second
LEAP_EARLY_NS = 1_500_000_000  # 23:59:59 may be deleted; and codes are looked at some times a second only
REPEATED_NS = 900_000_000  # two sentences of one epoch are nearer to each other
PLAUSIBLE_NS = (-250_000_000, 1_750_000_000)  # delay of a sentence that may announce 23:59:60


class Trust(Enum):
    """How far the whole seconds can be believed; the values are the reasons that are shown."""

    UNNAMED = "no NMEA sentence has named the second yet"
    UNCONFIRMED = "whole seconds not confirmed: the receiver started cold or changed its second within 12.5 minutes"
    DISPUTED = "the receiver names another second than the clock"
    LEAP_OPEN = "a month ends, and only the receiver can tell whether with a leap second"
    TRUSTED = "named"


class MajorityVote:
    """The name that most of the latest epochs give."""

    def __init__(self, settings: TimingSettings) -> None:
        self._fewest = settings.name_epochs
        self._delay_ns = round(settings.nmea_delay_s * SECOND_NS)
        self._epochs: deque[tuple[int, int]] = deque(maxlen=WINDOW)  # UTC, and local time minus it, ns

    def clear(self) -> None:
        """Forget all epochs."""
        self._epochs.clear()

    def add(self, utc_ns: int, local_ns: int) -> bool:
        """Take in a sentence; False if its epoch is known: a second sentence comes later and says less."""
        if self._epochs and self._epochs[-1][0] == utc_ns:
            return False
        self._epochs.append((utc_ns, local_ns - utc_ns))
        return True

    def name(self) -> int | None:
        """UTC minus local time, s; None without a majority."""
        differences = sorted(difference for _, difference in self._epochs)
        if not differences:
            return None
        median = differences[len(differences) // 2]
        near = [difference for difference in differences if abs(difference - median) < SAME_NS]
        if len(near) < max(self._fewest, MAJORITY * len(differences)):
            return None
        return -((near[0] - self._delay_ns) // SECOND_NS)

    def repeats(self, utc_ns: int, local_ns: int) -> bool:
        """Whether a sentence gives a second the name that the second before had."""
        if not self._epochs or self._epochs[-1][0] != utc_ns:
            return False
        return local_ns - utc_ns - self._epochs[-1][1] > REPEATED_NS

    def last_differs(self, name: int) -> bool:
        """Whether the newest epoch alone speaks against a name."""
        if not self._epochs:
            return False
        delay_ns = self._epochs[-1][1] + name * SECOND_NS - self._delay_ns
        return not 0 <= delay_ns < SECOND_NS


class SecondNamer:
    """Names local seconds.

    Attributes:
        name: UTC (continuous scale of leap.py, s) minus local time, s; None until known.
        trust: how far to believe it.
        leaps: known leap seconds; one that the receiver shows is added.
        rollovers: week rollovers taken off the receiver's date at its last sentence.
    """

    def __init__(self, settings: TimingSettings, leaps: LeapSchedule) -> None:
        self._settings = settings
        self.leaps = leaps
        self.name: int | None = None
        self.trust = Trust.UNNAMED
        self.rollovers = 0
        self._vote = MajorityVote(settings)
        self._cold = False  # the receiver was seen without a date and has not proved itself since
        self._confirmed = False  # the name, by a warm receiver or by waiting
        self._confirm_at_s = math.inf
        self._disputed_since_s: float | None = None
        self._leaps_known_s: float | None = None  # since when the receiver says that it has them from the sky
        self._agreed_utc = 0  # the latest second that the receiver and we named alike
        self._asked: tuple[object, ...] = ()  # of `trust_at`, which is asked several times a second
        self._answer = Trust.UNNAMED
        self._repeated = False  # the receiver just gave a second the name of the one before

    def shift(self, seconds: float) -> None:
        """The time that only counts on (`now_s`) is so much more from here on."""
        self._confirm_at_s += seconds
        if self._disputed_since_s is not None:
            self._disputed_since_s += seconds
        if self._leaps_known_s is not None:
            self._leaps_known_s += seconds

    def trust_at(self, local_ns: int) -> Trust:
        """How far to believe the name at a local time: a leap second may come without a word of the receiver."""
        if self.trust is not Trust.TRUSTED or self.name is None:
            return self.trust
        soon = (local_ns + LEAP_EARLY_NS) // SECOND_NS + self.name
        asked = soon, self._agreed_utc, self.leaps.leaps, self.leaps.expires
        if asked != self._asked:
            midnight = _month_start(self.leaps.state(soon).soc)
            open_ = self._agreed_utc <= midnight and not self.leaps.speaks_for(midnight)
            self._asked, self._answer = asked, Trust.LEAP_OPEN if open_ else Trust.TRUSTED
        return self._answer

    def leaps_known(self, known: bool, now_s: float) -> None:
        """The receiver says whether it has its leap seconds from the sky, or only those of its firmware."""
        if not known:
            self.saw_no_date()
        elif self._leaps_known_s is None:
            self._leaps_known_s = now_s
            self._confirm_at_s = min(self._confirm_at_s, now_s + KNOWN_CONFIRM_S)

    def saw_no_date(self) -> None:
        """The receiver does not know the date: its next time may lack the leap seconds."""
        if not self._cold:
            self._vote.clear()
        self._cold, self._confirm_at_s, self._leaps_known_s = True, math.inf, None

    def restart(self) -> None:
        """The local scale moved by a part of a second: earlier arrivals say nothing any more."""
        self._vote.clear()

    def hear(self, time: NmeaTime, local_ns: int, now_s: float) -> int:
        """Take in a time that the receiver vouches for.

        Args:
            time: of the sentence.
            local_ns: local time when its first byte arrived.
            now_s: any steadily counting time, for the waiting periods.

        Returns:
            By how many seconds UTC was corrected, against what it was taken for before; 0 for the first name.
        """
        self.rollovers = time.rollovers
        self._confirm_at_s = min(self._confirm_at_s, now_s + self._settings.confirm_s)
        if time.leap_second and not self._believe_leap_second(time, local_ns):
            return 0
        second = self.leaps.continuous(time.second, time.leap_second) if self.name is not None else time.second
        utc_ns = second * SECOND_NS + time.fraction_ns
        self._repeated = self._vote.repeats(utc_ns, local_ns)
        if not self._vote.add(utc_ns, local_ns):
            if self._repeated and self.name is not None:
                self._settle(time.second, now_s)
            return 0
        return self._judge(time.second, now_s)

    def _judge(self, utc: int, now_s: float) -> int:
        """Compare what the receiver says with the name in use; gives the correction, s."""
        voted = self._vote.name()
        correction = 0
        if voted is not None and self.name is None:
            self._take(voted, utc)
            self._confirmed = not self._cold
        elif voted is not None and voted != self.name:
            correction = self._differ(voted, utc, now_s)
        elif voted is not None:
            self._disputed_since_s = None
            self._cold = self._cold and not self._confirmed  # our own clock vouches for a receiver that says the same
        if self.name is not None:
            self._settle(utc, now_s)
        return correction

    def _settle(self, utc: int, now_s: float) -> None:
        """Trust follows from disputes and waiting periods."""
        self._confirmed = self._confirmed or now_s >= self._confirm_at_s
        differs = self.name is not None and (self._repeated or self._vote.last_differs(self.name))
        if not differs:
            self._agreed_utc = utc
        # 23:59:59 once more is not yet the new month, but a leap second all the same.
        if self._disputed_since_s is not None or (differs and _after_new_month(utc + 1)):
            self.trust = Trust.DISPUTED
        else:
            self.trust = Trust.TRUSTED if self._confirmed else Trust.UNCONFIRMED

    def _differ(self, voted: int, utc: int, now_s: float) -> int:
        """The majority names another second: a leap second, or a dispute that may end with the receiver believed."""
        assert self.name is not None
        step = voted - self.name
        if abs(step) == 1 and _after_new_month(utc):
            self.leaps.contradict(utc - utc % DAY_S, -step)
            self._vote.clear()
            self._disputed_since_s, self._agreed_utc = None, utc
            return step
        if self._disputed_since_s is None:
            self._disputed_since_s = now_s
        if now_s - self._disputed_since_s < self._patience_s():
            return 0
        if not self._cold:
            known = self._leaps_known_s is not None
            self._confirm_at_s = now_s + (KNOWN_CONFIRM_S if known else self._settings.confirm_s)
        self._take(voted, utc)
        self._confirmed = False
        return step

    def _patience_s(self) -> float:
        """How long a dispute lasts: no time about an unconfirmed second, longest against a cold receiver."""
        if not self._confirmed:
            return 0.0
        return self._settings.confirm_s if self._cold else self._settings.dispute_s

    def _take(self, name: int, utc: int) -> None:
        """A new name; the continuous scale starts here, with all earlier leap seconds in it."""
        passed = self.leaps.continuous(utc) - utc if self.name is not None else 0
        self.name = name - passed
        self.leaps.origin = utc - 1
        self._vote.clear()
        self._disputed_since_s, self._agreed_utc = None, utc

    def _believe_leap_second(self, time: NmeaTime, local_ns: int) -> bool:
        """23:59:60 counts only if it comes when it should, at the end of a month."""
        if self.name is None or not _after_new_month(time.second):
            return False
        known = any(leap.midnight == time.second for leap in self.leaps.leaps)
        delay_ns = local_ns + self.name * SECOND_NS - (self.leaps.continuous(time.second) - known) * SECOND_NS
        if not PLAUSIBLE_NS[0] <= delay_ns <= PLAUSIBLE_NS[1]:
            return False
        self.leaps.add(LeapSecond(time.second, 1))
        return True


def _after_new_month(utc: int) -> bool:
    """Whether a month began less than LEAP_REACH_S ago."""
    return utc - _month_start(utc) <= LEAP_REACH_S


def _month_start(utc: int) -> int:
    """The first midnight of the month that a Unix count lies in."""
    day = utc // DAY_S
    return (day - _day_of_month(day) + 1) * DAY_S


@lru_cache(maxsize=4)
def _day_of_month(day: int) -> int:
    return datetime.fromtimestamp(day * DAY_S, UTC).day
