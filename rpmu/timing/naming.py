"""Which UTC second a PPS edge starts: the local second count gets its name from NMEA.

A sentence with time T arrives some 0.1 to 0.9 s after the edge that T names, so arrival (local) minus T is a whole
number plus that delay. A receiver's delay jitters and may now and then pass a whole second; its smallest value over
some epochs does not. So the name is the floor of the smallest difference, of those that a majority agrees on to
within 0.75 s; the delay window (one second long, from `nmea_delay_s`) is the only assumption, and a sentence that is
late beside others cannot move the name to the "previous second".

Once there is a name it does not follow the receiver blindly. A receiver that insists on another second makes the name
disputed, at once; only after a while is it believed, and then whole seconds are not trusted for as long as a GPS
needs to send its leap second count (12.5 min). The same holds for a receiver seen to start cold, without a date.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime
from enum import Enum

from rpmu.timing.leap import DAY_S, LeapSchedule, LeapSecond
from rpmu.timing.nmea import NmeaTime
from rpmu.timing.settings import TimingSettings

SECOND_NS = 1_000_000_000
WINDOW = 8  # epochs
SAME_NS = 750_000_000  # differences further apart than this name different seconds
MAJORITY = 0.6
LEAP_REACH_S = 30  # a step this soon after midnight may be a leap second


class Trust(Enum):
    """How far the whole seconds can be believed; the values are the reasons that are shown."""

    UNNAMED = "no NMEA sentence has named the second yet"
    UNCONFIRMED = "whole seconds not confirmed: the receiver started cold or changed its second within 12.5 minutes"
    DISPUTED = "the receiver names another second than the clock"
    TRUSTED = "named"


class SecondNamer:
    """Names local seconds.

    Attributes:
        name: UTC (continuous scale, s) minus local time, s; None until known.
        trust: how far to believe it.
        renamed: how often a name was replaced by another.
        rollovers: week rollovers taken off the receiver's date at its last sentence.
    """

    def __init__(self, settings: TimingSettings, leaps: LeapSchedule) -> None:
        """`leaps` is shared: a leap second that the receiver shows is added to it."""
        self._settings = settings
        self.leaps = leaps
        self.name: int | None = None
        self.trust = Trust.UNNAMED
        self.renamed = 0
        self.rollovers = 0
        self._epochs: deque[tuple[int, int]] = deque(maxlen=WINDOW)  # UTC ns on the continuous scale, local minus it
        self._cold = False  # the receiver was seen without a date and has not proved itself since
        self._confirm_at_s = -math.inf
        self._disputed_since_s: float | None = None

    def saw_no_date(self) -> None:
        """The receiver said that it restarted or does not know the date: its next time may lack leap seconds."""
        if not self._cold:
            self._epochs.clear()
        self._cold = True
        self._confirm_at_s = math.inf

    def restart(self) -> None:
        """The local scale moved by a part of a second: earlier arrivals say nothing any more."""
        self._epochs.clear()

    def hear(self, time: NmeaTime, local_ns: int, now_s: float) -> None:
        """Take in a time that the receiver vouches for.

        Args:
            time: of the sentence.
            local_ns: local time when its first byte arrived.
            now_s: any steadily counting time, for the waiting periods.
        """
        self.rollovers = time.rollovers
        if self._cold and self._confirm_at_s == math.inf:
            self._confirm_at_s = now_s + self._settings.confirm_s
        if time.leap_second:
            self._heard_leap_second(time)
        utc_ns = self.leaps.continuous(time.second, time.leap_second) * SECOND_NS + time.fraction_ns
        if self._epochs and self._epochs[-1][0] == utc_ns:
            return  # a second sentence of the same epoch comes later and says less
        self._epochs.append((utc_ns, local_ns - utc_ns))
        self._judge(time.second, now_s)

    def _candidate(self) -> int | None:
        """The name that the latest epochs give, None without a majority."""
        differences = sorted(difference for _, difference in self._epochs)
        median = differences[len(differences) // 2]
        near = [difference for difference in differences if abs(difference - median) < SAME_NS]
        if len(near) < max(self._settings.name_epochs, MAJORITY * len(differences)):
            return None
        return -((min(near) - round(self._settings.nmea_delay_s * SECOND_NS)) // SECOND_NS)

    def _judge(self, utc: int, now_s: float) -> None:
        """Compare what the receiver says with the name in use."""
        candidate = self._candidate()
        if candidate is None:
            return
        if self.name is None:
            self._take(candidate, utc)
        elif candidate == self.name:
            # Our own clock vouches for a receiver that comes back with the right second.
            self._cold = self._cold and self.trust is not Trust.TRUSTED and self.trust is not Trust.DISPUTED
            self._disputed_since_s = None
        elif not self._is_leap(candidate - self.name, utc):
            self._dispute(candidate, utc, now_s)
        self._settle(now_s)

    def _settle(self, now_s: float) -> None:
        if self._disputed_since_s is not None:
            self.trust = Trust.DISPUTED
        elif now_s < self._confirm_at_s and (self._cold or self.trust is Trust.UNCONFIRMED):
            self.trust = Trust.UNCONFIRMED
        else:
            self.trust, self._cold = Trust.TRUSTED, False

    def _dispute(self, candidate: int, utc: int, now_s: float) -> None:
        """Wait before believing another second: less if the old one was not trusted, longer after a cold start."""
        if self._disputed_since_s is None:
            self._disputed_since_s = now_s
        wait_s = self._settings.confirm_s if self._cold else self._settings.dispute_s
        if self.trust is Trust.UNCONFIRMED:
            wait_s = 0.0
        if now_s - self._disputed_since_s >= wait_s:
            self._take(candidate, utc)
            self.renamed += 1
            self.trust = Trust.UNCONFIRMED
            if not self._cold:
                self._confirm_at_s = now_s + self._settings.confirm_s
            self._disputed_since_s = None

    def _take(self, name: int, utc: int) -> None:
        """A new name; the continuous scale starts from it, with all earlier leap seconds in it."""
        self.name = name
        self.leaps.origin = utc - 1

    def _heard_leap_second(self, time: NmeaTime) -> None:
        if self.name is not None:
            self.leaps.add(LeapSecond(time.second, 1))

    def _is_leap(self, step: int, utc: int) -> bool:
        """A receiver that falls back or skips by one second at a month's first midnight shows a leap second."""
        since_midnight = utc % DAY_S
        midnight = utc - since_midnight
        if abs(step) != 1 or since_midnight > LEAP_REACH_S or not _first_of_month(midnight):
            return False
        self.leaps.add(LeapSecond(midnight, -step))
        self._epochs.clear()
        return True


def _first_of_month(midnight: int) -> bool:
    return datetime.fromtimestamp(midnight, UTC).day == 1
