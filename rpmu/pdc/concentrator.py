"""`rpmu pdc concentrate`: several streams in, one combined stream out.

    PdcClient per source -> Grid.exact (which instant) -> Aligner (slots, wait time) -> Combiner -> PmuServer

The output keeps the sources' blocks bit by bit. Sources of a higher rate are decimated by picking the frames on the
output's instants; a source whose instants do not include those is left out, with a line in the log. A source that is
not there yet joins when its configuration comes, and a source that changes its own changes the output: both are
configuration changes of the output (CFGCNT, STAT bit 10). A concentrator may be a source of another one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from rpmu.c37118 import ConfigFrame, Stamp
from rpmu.errors import InputError
from rpmu.pdc.aligner import Aligner, Slot, SourceCounts
from rpmu.pdc.client import ClientStatistics, PdcClient
from rpmu.pdc.combine import Combiner, Part, part_of
from rpmu.pdc.leap import LeapSeconds
from rpmu.pdc.session import RawConfig, RawData, SessionEvent
from rpmu.serve import PmuServer, ServerSettings, ServerStatistics
from rpmu.serve.grid import Grid
from rpmu.serve.settings import Transport

log = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000
PRESENCE_INTERVAL_S = 0.25


@dataclass(frozen=True)
class SourceSettings:
    """One source: where it is and how to speak to it."""

    host: str
    port: int
    idcode: int
    transport: Transport = "tcp"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.idcode}"


@dataclass(frozen=True)
class ConcentratorSettings:
    """What comes out, and how long to wait for what goes in.

    Attributes:
        idcode: of the output stream.
        rate: of the output stream, frames/s or negated s/frame.
        wait_s: longest time that an instant is held for a late source.
        start_wait_s: how long to wait for the configurations of all sources before beginning with those there are.
        header: text of the header frame.
    """

    idcode: int
    rate: int
    wait_s: float = 1.0
    start_wait_s: float = 10.0
    header: str = "rpmu concentrator"

    def __post_init__(self) -> None:
        Grid(self.rate)  # refuses 0
        if not 0 < self.wait_s <= 3600:
            raise InputError(f"the wait time is {self.wait_s:g} s, but must be more than 0 and at most 3600")

    @property
    def max_slots(self) -> int:
        """Memory: the instants of two wait times, and of a burst of two seconds after a hitch of the network."""
        return max(16, round((2 * self.wait_s + 2) * max(self.rate, 1)))


@dataclass(frozen=True)
class SourceStatistics:
    """What became of one source's frames.

    Attributes:
        source: its address and IDCODE.
        client: what its client has seen.
        alignment: how its frames fell into slots.
        off_grid: frames between the report instants of their own rate; dropped.
        decimated: frames between the report instants of the output; left out.
    """

    source: str
    client: ClientStatistics
    alignment: SourceCounts
    off_grid: int
    decimated: int


@dataclass(frozen=True)
class ConcentratorStatistics:
    """A snapshot of a concentrator.

    Attributes:
        slots: data frames sent.
        complete_slots: of them, those to which every source contributed.
        overflowed_slots: of them, those that had to go early because too many were open.
        longest_wait_ns: longest time that a slot was open.
        server: the output's server; None before it has begun.
        sources: one per source.
    """

    slots: int
    complete_slots: int
    overflowed_slots: int
    longest_wait_ns: int
    server: ServerStatistics | None
    sources: tuple[SourceStatistics, ...]


class _Source:
    """A source's client and what is known of it."""

    def __init__(self, settings: SourceSettings, concentrator: Concentrator, number: int) -> None:
        self.settings = settings
        self.number = number
        self.config: ConfigFrame | None = None
        self.grid = Grid(1)
        self.off_grid = 0
        self.decimated = 0
        self._concentrator = concentrator
        self.client = PdcClient(
            settings.host, settings.port, settings.idcode, settings.transport, on_event=self._on_event
        )

    def _on_event(self, event: SessionEvent) -> None:
        if isinstance(event, RawData):
            self._concentrator.data(self, event)
        elif isinstance(event, RawConfig):
            if event.changed:
                self.config = event.config
                self.grid = Grid(event.config.data_rate)
                self._concentrator.configured(self)
            self._concentrator.returned(self)


class Concentrator:
    """Runs the clients, the aligner and the server.

    Args:
        sources: in the order of the output.
        settings: what comes out.
        server_settings: where it is served.
    """

    def __init__(
        self, sources: Sequence[SourceSettings], settings: ConcentratorSettings, server_settings: ServerSettings
    ) -> None:
        self.settings = settings
        self.server: PmuServer | None = None
        self._server_settings = server_settings
        self._sources = [_Source(source, self, number) for number, source in enumerate(sources)]
        self._aligner: Aligner[Part] = Aligner(
            len(self._sources), round(settings.wait_s * NS_PER_S), settings.max_slots
        )
        self._combiner: Combiner | None = None
        self._leaps = LeapSeconds(len(self._sources))
        self._configured = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._presence: asyncio.Task[None] | None = None
        self._slots = 0
        self._complete_slots = 0
        self._longest_wait_ns = 0

    async def start(self) -> None:
        """Connect to the sources, wait for their configurations, and begin to serve.

        Raises:
            InputError: no source with a configuration that fits; the sentence says what was seen.
            HardwareError: the output's address is in use.
        """
        for source in self._sources:
            await source.client.start()
        try:
            await self._wait_for_configurations()
            self._combiner = self._combine()
            self.server = PmuServer(self._combiner.config, self.settings.header, self._server_settings)
            await self.server.start()
        except BaseException:
            await self.stop()
            raise
        self._presence = asyncio.create_task(self._watch_presence())

    async def stop(self) -> None:
        """End everything; open slots are sent first."""
        if self._presence is not None:
            self._presence.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*(source.client.stop() for source in self._sources))
        self._publish(self._aligner.flush())
        if self.server is not None:
            await self.server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def statistics(self) -> ConcentratorStatistics:
        """A snapshot of the counters."""
        return ConcentratorStatistics(
            self._slots,
            self._complete_slots,
            self._aligner.overflowed_slots,
            self._longest_wait_ns,
            None if self.server is None else self.server.statistics,
            tuple(
                SourceStatistics(
                    str(source.settings), source.client.statistics, replace(counts), source.off_grid, source.decimated
                )
                for source, counts in zip(self._sources, self._aligner.counts, strict=True)
            ),
        )

    # --- called by the sources --------------------------------------------------------------------------------------

    def configured(self, source: _Source) -> None:
        """A source has a (new) configuration: before the start that is awaited, after it the output changes."""
        if Grid(source.config.data_rate if source.config else 1).decimation_to(Grid(self.settings.rate)) is None:
            log.warning(
                "%s sends at DATA_RATE %d, of which %d cannot be picked: left out",
                source.settings,
                source.config.data_rate if source.config else 0,
                self.settings.rate,
            )
        self._configured.set()
        if self.server is None or self._combiner is None:
            return
        try:
            combiner = self._combine()
            self.server.reconfigure(combiner.config, planned=False)
        except InputError as error:
            log.warning("%s has a new configuration that cannot be taken up: %s", source.settings, error)
            return
        self._combiner = combiner

    def returned(self, source: _Source) -> None:
        """A source has answered: its data will follow, and slots wait for them."""
        if self._combiner is not None and self._combiner.factors[source.number]:
            self._aligner.set_present(source.number, True)

    def data(self, source: _Source, data: RawData) -> None:
        """A data frame of a source."""
        combiner = self._combiner
        if combiner is None or (factor := combiner.factors[source.number]) == 0:
            return
        ordinal = source.grid.exact(self._on_the_scale(source, data), data.config.time_base)
        if ordinal is None:
            source.off_grid += 1
            return
        ordinal, rest = divmod(ordinal, factor)
        if rest:
            source.decimated += 1
            return
        self._publish(self._aligner.add(source.number, ordinal, part_of(data.raw), time.monotonic_ns()))
        self._set_timer()

    def _on_the_scale(self, source: _Source, data: RawData) -> Stamp:
        """The stamp with its second on the common scale, which runs through a leap second."""
        stamp = data.stamp
        if self.settings.rate < 0:  # instants of whole minutes and the like are those of SOC
            return stamp
        part = stamp.fracsec / data.config.time_base
        return Stamp(self._leaps.second(source.number, stamp.soc, part, data.time_quality), stamp.fracsec)

    # --- within -----------------------------------------------------------------------------------------------------

    async def _wait_for_configurations(self) -> None:
        try:
            async with asyncio.timeout(self.settings.start_wait_s):
                while any(source.config is None for source in self._sources):
                    self._configured.clear()
                    await self._configured.wait()
        except TimeoutError:
            silent = [source for source in self._sources if source.config is None]
            log.warning("beginning without %s", ", ".join(str(source.settings) for source in silent))
            if len(silent) == len(self._sources):
                reasons = {source.client.last_failure or "no answer" for source in silent}
                raise InputError(
                    f"none of the sources has sent its configuration: {'; '.join(sorted(reasons))}"
                ) from None

    def _combine(self) -> Combiner:
        combiner = Combiner(
            self.settings.idcode,
            self.settings.rate,
            [source.config for source in self._sources],
            soc=time.time_ns() // NS_PER_S,
            leaps=self._leaps,
        )
        idcodes = [pmu.idcode for pmu in combiner.config.pmus]
        if len(set(idcodes)) < len(idcodes):
            log.warning("several PMUs of the output have the same IDCODE: %s", sorted(idcodes))
        for source, factor in zip(self._sources, combiner.factors, strict=True):
            self._aligner.set_present(source.number, factor > 0 and source.client.connected)
        return combiner

    def _publish(self, slots: list[Slot[Part]]) -> None:
        if not slots or self._combiner is None or self.server is None:
            return
        for slot in slots:
            self._slots += 1
            self._complete_slots += None not in slot.bodies
            self.server.publish(self._combiner.frame(slot.ordinal, slot.bodies))
            self.slot_sent(slot.opened_ns, time.monotonic_ns())

    def slot_sent(self, opened_ns: int, now_ns: int) -> None:
        """Keep account of how long slots are open (ns of the monotonic clock)."""
        self._longest_wait_ns = max(self._longest_wait_ns, now_ns - opened_ns)

    def _set_timer(self) -> None:
        deadline_ns = self._aligner.next_deadline_ns()
        if self._timer is None and deadline_ns is not None:
            delay_s = max(0, deadline_ns - time.monotonic_ns()) / NS_PER_S
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._publish(self._aligner.expire(time.monotonic_ns()))
        self._set_timer()

    async def _watch_presence(self) -> None:
        """Slots do not wait for a source that is not connected."""
        while True:
            for source in self._sources:
                if not source.client.connected:
                    self._aligner.set_present(source.number, False)
            self._expire_now()
            await asyncio.sleep(PRESENCE_INTERVAL_S)

    def _expire_now(self) -> None:
        self._publish(self._aligner.expire(time.monotonic_ns()))
