"""What the server says, without a socket: answers to commands, the version of SYNC, the announcement of changes.

A planned change is announced for a minute of data time: STAT bit 10 is set in every data frame, and cleared in the
first frame of the new configuration, which begins on a full second (IEEE C37.118.2-2011, table 7). A change that
nobody could plan takes effect at once and has the bit set for the minute after, as devices of 2005 do. Time here is
the data's own: the stamp of the frames that pass through.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from rpmu.c37118 import Command, ConfigFrame, PmuConfig
from rpmu.serve.answers import TIME, Answers, as_version_1, with_change_announced, with_version

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


class Stream:
    """The answers and the data of one stream.

    Attributes:
        configuration: what holds now; None for a stream that is passed on unread.
        answers: the frames that go with it.
        changes: configurations that have taken effect since the first.
    """

    def __init__(self, configuration: ConfigFrame | Answers, header: str, sync_version: int, notice_s: int) -> None:
        self._header = header
        self._version = sync_version
        self._notice_s = notice_s
        self._next: tuple[ConfigFrame, Answers, int] | None = None
        self._announce_until_soc = 0
        self._time: bytes | None = None
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
        return None if self._time is None else int.from_bytes(self._time[:4], "big")

    def outgoing(self, data: bytes) -> bytes:
        """One data frame on its way to the clients: note its time, let a due change take effect, announce one."""
        self._time = data[TIME]
        if self.answers.transparent:
            return data
        soc = int.from_bytes(data[6:10], "big")
        if self._next is not None and soc >= self._next[2]:
            self._take_effect(*self._next[:2])
        if self._next is not None or soc < self._announce_until_soc:
            data = with_change_announced(data, self.answers.stat_offsets)
        if self._version == 1:
            return as_version_1(data, self.answers.stat_offsets)
        return with_version(data, self._version)

    def answer(self, command: int) -> tuple[bytes, ...] | None:
        """The frames that answer a command, stamped with the time of the data; None if the command asks for none."""
        return self.answers.at(command, self._time)

    def change(self, configuration: ConfigFrame, planned: bool) -> ScheduledChange:
        """Schedule a new configuration.

        Args:
            configuration: what is to be sent.
            planned: announce it for `notice_s` seconds of data time first; else it holds from the next frame on.

        Raises:
            InputError: it does not fit the frames; the old one stays.
        """
        counted = configuration if self.configuration is None else counted_up(self.configuration, configuration)
        answers = self._answers(counted)
        if self.last_soc is None or not planned or self._notice_s == 0:
            self._announce_until_soc = 0 if self.last_soc is None else self.last_soc + 1 + self._notice_s
            self._take_effect(counted, answers)
            return ScheduledChange(counted, None)
        effective_soc = self.last_soc + 1 + self._notice_s
        self._next = (counted, answers, effective_soc)
        log.info("configuration of IDCODE %d will change at SOC %d", counted.idcode, effective_soc)
        return ScheduledChange(counted, effective_soc)

    def replace_answers(self, answers: Answers) -> None:
        """Other frames to pass on (a splitter's source has sent a new configuration)."""
        kinds = (Command.SEND_CONFIG_2, Command.SEND_CONFIG_3)
        before, after = self.answers.by_command, answers.by_command
        self.changes += any(kind in before and before[kind] != after.get(kind) for kind in kinds)
        self.answers = answers

    def _answers(self, configuration: ConfigFrame) -> Answers:
        return Answers.of(configuration, self._header, self._version)

    def _take_effect(self, configuration: ConfigFrame, answers: Answers) -> None:
        self.configuration, self.answers = configuration, answers
        self._next = None
        self.changes += 1
        log.info("configuration of IDCODE %d has changed", configuration.idcode)


def counted_up(old: ConfigFrame, new: ConfigFrame) -> ConfigFrame:
    """The new configuration with CFGCNT one up (modulo 2^16) in every PMU that it changes.

    A PMU whose CFGCNT the caller has moved already keeps it. A change of the stream itself (rate, TIME_BASE) changes
    all its PMUs.
    """
    whole = (old.data_rate, old.time_base) != (new.data_rate, new.time_base)
    before = {pmu.idcode: pmu for pmu in old.pmus}

    def count(pmu: PmuConfig) -> PmuConfig:
        was = before.get(pmu.idcode)
        if was is None or pmu.cfgcnt != was.cfgcnt or (pmu == was and not whole):
            return pmu
        return replace(pmu, cfgcnt=(was.cfgcnt + 1) & 0xFFFF)

    return replace(new, pmus=tuple(count(pmu) for pmu in new.pmus))
