"""One stream of one PMU as a PDC sees it, without a socket or a clock.

    connected() -> commands        the configuration is asked for, again and again until it is there
    received(bytes) -> events      frames with the bytes they came as; data off the configuration ask for a new one
    tick() -> commands or stall    time limits

The order at the start is: ask for CFG-2 (or CFG-3), wait for it, then data on. A PMU that streams already, that has
no header, that knows only version 1, or that sends its configuration unasked fits in without a special case. The
configuration is asked for again when STAT bit 10 rises or falls, or when a data frame does not fit it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from rpmu.c37118 import (
    Command,
    CommandFrame,
    ConfigFrame,
    ConfigFrame1,
    ConfigFrame3,
    DataFrame,
    Decoder,
    Framer,
    FrameType,
    HeaderFrame,
    ProtocolError,
    Stamp,
    TimeQuality,
    decode,
)
from rpmu.errors import InputError
from rpmu.pdc.leap import LeapSeconds
from rpmu.serve.answers import STAT_CONFIG_CHANGE, stat_offsets
from rpmu.serve.grid import Grid

RETRY_S = 2.0
MAX_HELD_FRAMES = 1024
CFG3_TRIES = 3  # then the peer is taken to know none


@dataclass(frozen=True)
class SessionSettings:
    """How a stream is asked for.

    Attributes:
        idcode: the stream's IDCODE; frames of another one are counted and left out.
        commands: False for a spontaneous stream, which is never asked anything.
        config_type: 2 or 3: which configuration frame is asked for.
        with_header: ask for the header too (nothing waits for it).
        stall_s: without a data frame for so long (and never less than three reports), the stream has stalled.
    """

    idcode: int
    commands: bool = True
    config_type: int = 2
    with_header: bool = True
    stall_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.idcode < 0xFFFF:
            raise InputError(f"IDCODE is {self.idcode}, but must be 1 … 65534")
        if self.config_type not in (2, 3):
            raise InputError(f"config_type is {self.config_type}, but must be 2 (CFG-2) or 3 (CFG-3)")
        if not self.stall_s > 0:
            raise InputError(f"stall_s is {self.stall_s}, but must be more than 0")


@dataclass
class SessionCounts:
    """What came in, counted; only ever grows.

    Attributes:
        data_frames: data frames that fit the configuration.
        missing_frames: report instants between two data frames for which none came.
        repeated_frames: data frames that are not later than the one before.
        unread_frames: data frames given up for want of any configuration.
        misfit_frames: data frames given up because they fit no configuration that came.
        foreign_frames: frames of another IDCODE.
        bad_frames: frames with a wrong CRC or wrong fields, and runs of junk.
        configurations: configuration frames (CFG-2 and CFG-3).
        configuration_changes: of them, those that changed anything.
        requests: configuration requests sent.
        stalls: times the stream stood still too long.
    """

    data_frames: int = 0
    missing_frames: int = 0
    repeated_frames: int = 0
    unread_frames: int = 0
    misfit_frames: int = 0
    foreign_frames: int = 0
    bad_frames: int = 0
    configurations: int = 0
    configuration_changes: int = 0
    requests: int = 0
    stalls: int = 0


class RawData(NamedTuple):
    """A data frame that fits the configuration: its bytes, and that configuration."""

    raw: bytes
    config: ConfigFrame

    @property
    def stamp(self) -> Stamp:
        """SOC and FRACSEC."""
        return Stamp(int.from_bytes(self.raw[6:10], "big"), int.from_bytes(self.raw[11:14], "big"))

    @property
    def time_quality(self) -> TimeQuality:
        """The time quality byte."""
        return TimeQuality(self.raw[10])

    def decode(self) -> DataFrame:
        """The frame as a value."""
        frame = decode(self.raw, self.config)
        assert isinstance(frame, DataFrame)
        return frame


class RawConfig(NamedTuple):
    """A configuration (CFG-1, 2 or 3) and the frames it came as."""

    raw: tuple[bytes, ...]
    config: ConfigFrame
    changed: bool


class RawHeader(NamedTuple):
    """A header and the frame it came as."""

    raw: bytes
    header: HeaderFrame


SessionEvent = RawData | RawConfig | RawHeader


class Session:
    """The stream's state: what is known of it, what has been asked, when it last showed life.

    Attributes:
        settings: how the stream is asked for.
        counts: what came in.
        config: the newest CFG-2 or CFG-3, None before the first.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self.settings = settings
        self.counts = SessionCounts()
        self.config: ConfigFrame | None = None
        self._framer = Framer()
        self._decoder = Decoder()
        self._fragments: list[bytes] = []
        self._change_offsets: tuple[int, ...] = ()
        self._change_announced = False
        self._grid = Grid(1)
        self._held: deque[bytes] = deque()  # data frames that wait for a configuration
        self._held_ask_s = -RETRY_S
        self._held_asked = False  # whether the configuration was asked for since the first of them came
        self._last_ordinal: int | None = None
        self._leaps = LeapSeconds()
        self._asking_since_s: float | None = None  # a configuration request is open since then
        self._asked_s = 0.0
        self._tries = 0
        self._version = 2
        self._alive_s = 0.0
        self._data_on = False

    def connected(self, now_s: float) -> list[CommandFrame]:
        """A new connection (or the first one) is there: what to send."""
        self._framer.reset()
        self._decoder.reset()
        while self._held:
            self._refuse(self._held.popleft())
        self._fragments.clear()
        self._data_on = False
        self._alive_s = now_s
        self._tries = 0
        commands = self._ask_configuration(now_s)
        if commands and self.settings.with_header:
            commands.append(self._command(Command.SEND_HEADER))
        return commands

    def ask(self, command: int, extended: bytes = b"") -> list[CommandFrame]:
        """One command of the user's choice; nothing in a spontaneous stream."""
        return [self._command(command, extended)] if self.settings.commands else []

    def received(
        self, data: bytes, now_s: float, datagram: bool = False
    ) -> tuple[list[SessionEvent], list[CommandFrame]]:
        """Take bytes in; returns what they were, and what to send now."""
        events: list[SessionEvent] = []
        commands: list[CommandFrame] = []
        for found in self._framer.feed_datagram(data) if datagram else self._framer.feed(data):
            if isinstance(found, ProtocolError):
                self.counts.bad_frames += 1
            elif int.from_bytes(found[4:6], "big") != self.settings.idcode:
                self.counts.foreign_frames += 1
            elif found[1] >> 4 == FrameType.DATA:
                commands += self._data(found, now_s, events)
            else:
                commands += self._other(found, now_s, events)
        return events, commands

    def tick(self, now_s: float) -> tuple[list[SessionEvent], list[CommandFrame]]:
        """Look after the time: frames that have waited long enough for an answer, and what to send again."""
        events: list[SessionEvent] = []
        if self._held and self.config is not None and now_s - self._held_ask_s >= RETRY_S:
            if not self._held_asked:
                return events, self._ask_for_held(now_s)
            self._release(events)
        if self._asking_since_s is not None and now_s - self._asked_s >= RETRY_S:
            return events, self._ask_configuration(now_s)
        return events, []

    def stalled(self, now_s: float) -> bool:
        """No data frame for too long: the connection is to be made anew. Counted here, once per stall."""
        if now_s - self._alive_s <= self._stall_limit_s():
            return False
        self.counts.stalls += 1
        self._alive_s = now_s
        return True

    def _stall_limit_s(self) -> float:
        slow_s = -self.config.data_rate if self.config is not None and self.config.data_rate < 0 else 0
        return max(self.settings.stall_s, 3 * slow_s)

    def _command(self, command: int, extended: bytes = b"") -> CommandFrame:
        return CommandFrame(self.settings.idcode, command, extended, version=self._version)

    def _ask_configuration(self, now_s: float) -> list[CommandFrame]:
        if not self.settings.commands:
            return []
        if self._asking_since_s is None:
            self._asking_since_s = now_s
        cfg3 = self.settings.config_type == 3 and self._tries < CFG3_TRIES
        if self.config is None and self._tries:
            self._version = 3 - self._version  # an old peer may not listen to version 2, nor a new one to version 1
        self._tries += 1
        self._asked_s = now_s
        self.counts.requests += 1
        return [self._command(Command.SEND_CONFIG_3 if cfg3 else Command.SEND_CONFIG_2)]

    def _data(self, raw: bytes, now_s: float, events: list[SessionEvent]) -> list[CommandFrame]:
        self._alive_s = now_s
        if self._held or not self._fits(raw):
            return self._hold(raw, now_s)
        commands = self._watch_change_bit(raw, now_s)
        if commands and not self._change_announced:
            self._held_ask_s = now_s
            return commands + self._hold(raw, now_s)  # the change has taken effect: this frame may mean something else
        self._accept(raw, events)
        return commands

    def _fits(self, raw: bytes) -> bool:
        config = self.config
        if config is None or len(raw) != config.layout.frame_size:
            return False
        return int.from_bytes(raw[11:14], "big") < config.time_base

    def _accept(self, raw: bytes, events: list[SessionEvent]) -> None:
        assert self.config is not None
        data = RawData(raw, self.config)
        self.counts.data_frames += 1
        stamp, base = data.stamp, self.config.time_base
        if self._grid.rate > 0:  # a leap second repeats no frame and leaves none out
            second = self._leaps.second(0, stamp.soc, stamp.fracsec / base, data.time_quality)
            stamp = Stamp(second, stamp.fracsec)
        self._count_gap(self._grid.nearest(stamp, base))
        events.append(data)

    def _hold(self, raw: bytes, now_s: float) -> list[CommandFrame]:
        """Keep a frame that needs another configuration until that is there, and ask for it."""
        if not self.settings.commands and self.config is not None:
            self._refuse(raw)  # nobody to ask
            return []
        if not self._held:
            self._held_asked = self._asking_since_s is not None
        elif len(self._held) >= MAX_HELD_FRAMES:
            self._refuse(self._held.popleft())
        self._held.append(raw)
        if self._asking_since_s is not None or now_s - self._held_ask_s < RETRY_S:
            return []  # a frame that fits none must not make a flood of requests; `tick` asks in time
        return self._ask_for_held(now_s)

    def _ask_for_held(self, now_s: float) -> list[CommandFrame]:
        self._held_ask_s, self._held_asked = now_s, True
        return self._ask_configuration(now_s)

    def _release(self, events: list[SessionEvent]) -> None:
        """Read the frames that were kept with the configuration there is now."""
        for raw in self._held:
            if self._fits(raw):
                self._accept(raw, events)
            else:
                self._refuse(raw)
        if self._held and self.config is not None:
            self._change_announced = any(self._held[-1][at] & STAT_CONFIG_CHANGE for at in self._change_offsets)
        self._held.clear()

    def _refuse(self, raw: bytes) -> None:
        del raw
        if self.config is None:
            self.counts.unread_frames += 1
        else:
            self.counts.misfit_frames += 1

    def _count_gap(self, ordinal: int) -> None:
        if self._last_ordinal is not None:
            step = ordinal - self._last_ordinal
            if step <= 0:
                self.counts.repeated_frames += 1
                return
            self.counts.missing_frames += step - 1
        self._last_ordinal = ordinal

    def _watch_change_bit(self, raw: bytes, now_s: float) -> list[CommandFrame]:
        """Ask when the announcement begins (the frame may have changed already) and when it ends (now it has)."""
        announced = any(raw[offset] & STAT_CONFIG_CHANGE for offset in self._change_offsets)
        if announced == self._change_announced:
            return []
        self._change_announced = announced
        return self._ask_configuration(now_s)

    def _other(self, raw: bytes, now_s: float, events: list[SessionEvent]) -> list[CommandFrame]:
        frame = self._decoder.decode(raw)
        if frame is None:  # a fragment of a CFG-3 that is not whole yet
            self._fragments.append(raw)
        elif isinstance(frame, HeaderFrame):
            events.append(RawHeader(raw, frame))
        elif isinstance(frame, ConfigFrame1):
            events.append(RawConfig((raw,), frame, changed=False))
        elif isinstance(frame, ConfigFrame):
            parts, self._fragments = (*self._fragments, raw), []
            return self._configuration(parts, frame, now_s, events)
        else:
            self.counts.bad_frames += 1
            self._fragments.clear()
        return []

    def _configuration(
        self, raw: tuple[bytes, ...], config: ConfigFrame, now_s: float, events: list[SessionEvent]
    ) -> list[CommandFrame]:
        self.counts.configurations += 1
        self._asking_since_s = None
        self._tries = 0
        wanted = isinstance(config, ConfigFrame3) == (self.settings.config_type == 3)
        adopted = self.config is None or wanted or type(config) is type(self.config)
        # CFG-2 and CFG-3 of one stream differ (names, scales): going back and forth between them would be no change
        changed = adopted and (self.config is None or not config.same_stream_as(self.config))
        if changed:
            self.counts.configuration_changes += self.config is not None
            if self.config is None or self.config.data_rate != config.data_rate:
                self._last_ordinal = None
            self.config = config
            self._grid = Grid(config.data_rate)
            self._change_offsets = stat_offsets(config)
            self._held_ask_s = -RETRY_S  # it helped to ask: frames of the next change may ask at once
        events.append(RawConfig(raw, config, changed))
        self._release(events)
        if self._data_on or not self.settings.commands:
            return []
        self._data_on = True
        self._alive_s = now_s
        return [self._command(Command.DATA_ON)]
