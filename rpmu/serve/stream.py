"""What the server says, without a socket: answers to commands, the version of SYNC, the announcement of changes.

A planned change is announced for a minute of data time: STAT bit 10 is set in every data frame, and cleared in the
first frame of the new configuration, which begins on a full second (IEEE C37.118.2-2011, table 7). A change that
nobody could plan takes effect at once and has the bit set for the minute after, as devices of 2005 do. Time here is
the data's own: the stamp of the frames that pass through. The text of the header frame goes with its configuration.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from rpmu.c37118 import Command, ConfigFrame, FrameType, PmuConfig
from rpmu.serve.answers import TIME, Answers, as_version_1, with_change_announced, with_more_text, with_version

CURRENT_KIND = FrameType.DATA << 4 | 2  # second byte of SYNC of a data frame of version 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScheduledChange:
    """A configuration and the time from which it holds.

    Attributes:
        configuration: with CFGCNT counted up in every PMU that changes.
        effective_soc: first second of the new configuration; None if it holds already.
    """

    configuration: ConfigFrame
    effective_soc: int | None


@dataclass(frozen=True)
class _Coming:
    """What holds from a second on.

    Attributes:
        configuration: with CFGCNT counted up.
        answers: the frames that go with it.
        soc: the second.
    """

    configuration: ConfigFrame
    answers: Answers
    soc: int


class Stream:
    """The answers and the data of one stream.

    Args:
        configuration: what holds at first; `Answers` for a stream that is passed on unread.
        header: text of the header frame.
        sync_version: version in SYNC.
        notice_s: how long a change is announced.
        news: what the header says besides, asked for anew for every header that is sent.

    Attributes:
        configuration: what holds now; None for a stream that is passed on unread.
        answers: the frames that go with it.
        changes: configurations that have taken effect since the first.
    """

    def __init__(
        self,
        configuration: ConfigFrame | Answers,
        header: str,
        sync_version: int,
        notice_s: int,
        news: Callable[[], str] | None = None,
    ) -> None:
        self._header = header
        self._news = news
        self._version = self._next_version = sync_version
        self._notice_s = notice_s
        self._coming: _Coming | None = None
        self._announced = range(0)  # seconds during which STAT bit 10 is set
        self._last: bytes | None = None  # data frame
        self.changes = 0
        self.configuration: ConfigFrame | None = None
        if isinstance(configuration, Answers):
            self.answers = configuration
        else:
            self.configuration = configuration
            self.answers = self._answers(configuration)

    @property
    def last_soc(self) -> int | None:
        """SOC of the last data frame."""
        return None if self._last is None else soc_of(self._last)

    def outgoing(self, data: bytes) -> bytes:
        """One data frame on its way to the clients: note its time, let a due change take effect, announce one."""
        self._last = data
        if self._coming is None and not self._announced and data[1] == CURRENT_KIND and self._version == 2:
            return data  # almost always: there is nothing to change in it
        if self.answers.transparent:
            return data
        soc = soc_of(data)
        if self._coming is not None and soc >= self._coming.soc:
            self._take_effect(self._coming.configuration, self._coming.answers)
        if soc in self._announced:
            data = with_change_announced(data, self.answers.stat_offsets)
        elif soc >= self._announced.stop:
            self._announced = range(0)
        if self._version == 1:
            return as_version_1(data, self.answers.stat_offsets)
        return with_version(data, self._version)

    def answer(self, command: int) -> tuple[bytes, ...] | None:
        """The frames that answer a command, stamped with the time of the data; None if the command asks for none."""
        frames = self.answers.at(command, None if self._last is None else self._last[TIME])
        if frames is None or command != Command.SEND_HEADER or self._news is None:
            return frames
        return tuple(with_more_text(frame, self._news()) for frame in frames)

    def adopt(self, header: str, sync_version: int, notice_s: int) -> None:
        """Other settings, for the next change and for the answers that go with it."""
        self._header, self._next_version, self._notice_s = header, sync_version, notice_s

    def change(
        self, configuration: ConfigFrame, planned: bool, lead_s: int = 0, now_soc: int | None = None
    ) -> ScheduledChange:
        """Schedule a new configuration; one that is announced already is forgotten.

        Args:
            configuration: what is to be sent. If that is what holds, there is nothing to announce.
            planned: announce it for `notice_s` seconds of data time first; else it holds from the next frame on.
            lead_s: whole seconds that the source of a planned change needs until it can deliver, however short the
                notice is.
            now_soc: second of now, where the last frame may be much older.

        Raises:
            InputError: it does not fit the frames; the old one stays.
        """
        counted = configuration if self.configuration is None else counted_up(self.configuration, configuration)
        answers = self._answers(counted)
        self._coming, self._announced = None, range(0)
        if counted == self.configuration:
            self.answers = answers  # the header's text may be new
            return ScheduledChange(counted, None)
        if self.last_soc is None:
            self._take_effect(counted, answers)
            return ScheduledChange(counted, None)
        next_soc = self.last_soc + 1
        if now_soc is not None and now_soc > next_soc:  # frames come less often than once a second
            next_soc = now_soc + 1
        wait_s = max(self._notice_s, lead_s)
        if not planned or wait_s == 0:
            self._announced = range(next_soc + self._notice_s)
            self._take_effect(counted, answers)
            return ScheduledChange(counted, None)
        soc = next_soc + wait_s
        # from now on: the frames of this second may be announcing already, which is at least the standard's minute
        self._announced = range(0 if self._notice_s >= lead_s else soc - self._notice_s, soc)
        self._coming = _Coming(counted, answers, soc)
        log.info("configuration of IDCODE %d will change at SOC %d", counted.idcode, soc)
        return ScheduledChange(counted, soc)

    def replace_answers(self, answers: Answers) -> None:
        """Other frames to pass on (a splitter's source has sent a new configuration)."""
        kinds = (Command.SEND_CONFIG_2, Command.SEND_CONFIG_3)
        before, after = self.answers.by_command, answers.by_command
        self.changes += any(kind in before and before[kind] != after.get(kind) for kind in kinds)
        self.answers = answers

    def _answers(self, configuration: ConfigFrame) -> Answers:
        return Answers.of(configuration, self._header, self._next_version)

    def _take_effect(self, configuration: ConfigFrame, answers: Answers) -> None:
        self.configuration, self.answers = configuration, answers
        self._coming, self._version = None, self._next_version
        self.changes += 1
        log.info("configuration of IDCODE %d has changed", configuration.idcode)


def soc_of(frame: bytes) -> int:
    """SOC of a frame."""
    return int.from_bytes(frame[6:10], "big")


def counted_up(old: ConfigFrame, new: ConfigFrame) -> ConfigFrame:
    """The new configuration with CFGCNT one up (modulo 2^16) in every PMU that it changes.

    A PMU whose CFGCNT the caller has moved already keeps it. A change of the stream itself (rate, TIME_BASE, IDCODE)
    changes all its PMUs. The only PMU of a stream stays the same one whatever its IDCODE.
    """
    whole = (old.data_rate, old.time_base, old.idcode) != (new.data_rate, new.time_base, new.idcode)
    before = {pmu.idcode: pmu for pmu in old.pmus}
    only = old.pmus[0] if len(old.pmus) == len(new.pmus) == 1 else None

    def count(pmu: PmuConfig) -> PmuConfig:
        was = before.get(pmu.idcode, only)
        if was is None or pmu.cfgcnt != was.cfgcnt or (pmu == was and not whole):
            return pmu
        return replace(pmu, cfgcnt=(was.cfgcnt + 1) & 0xFFFF)

    return replace(new, pmus=tuple(count(pmu) for pmu in new.pmus))
