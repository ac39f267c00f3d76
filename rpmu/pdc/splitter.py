"""`rpmu pdc split`: one source, many receivers; the bytes pass through as they are.

The PMU sees a single client. Its configuration and header are kept and given to every receiver that asks, so
receivers can come at any time, also while the source is away; they stay connected and go on when it comes back.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rpmu.c37118 import Command, ConfigFrame1, ConfigFrame3
from rpmu.pdc.client import PdcClient
from rpmu.pdc.session import RawConfig, RawData, RawHeader, SessionEvent
from rpmu.serve import Answers, PmuServer, ServerSettings


class AnswerCache:
    """The answers of a stream that is passed on: filled from the frames that come by."""

    def __init__(self, idcode: int) -> None:
        self._idcode = idcode
        self._frames: dict[int, tuple[bytes, ...]] = {}

    def learn(self, event: SessionEvent) -> bool:
        """Keep a configuration or a header; True if there is something new."""
        raw: tuple[bytes, ...]
        if isinstance(event, RawHeader):
            code, raw = Command.SEND_HEADER, (event.raw,)
        elif isinstance(event, RawConfig):
            code, raw = _request_for(event), event.raw
        else:
            return False
        if self._frames.get(code) == raw:
            return False
        self._frames[code] = raw
        return True

    @property
    def answers(self) -> Answers:
        """What to answer now."""
        return Answers(self._idcode, dict(self._frames), transparent=True)


def _request_for(event: RawConfig) -> Command:
    if isinstance(event.config, ConfigFrame1):
        return Command.SEND_CONFIG_1
    return Command.SEND_CONFIG_3 if isinstance(event.config, ConfigFrame3) else Command.SEND_CONFIG_2


class Splitter:
    """Passes a stream on.

    Args:
        client: of the source, not started; its events are taken over.
        idcode: of the stream.
        settings: where it is served.

    Attributes:
        client: the source's side.
        server: the receivers' side.
    """

    def __init__(self, client: PdcClient, idcode: int, settings: ServerSettings) -> None:
        self._cache = AnswerCache(idcode)
        self.client = client
        self.server = PmuServer(self._cache.answers, settings=settings)
        client.listen(self._on_event)

    @property
    def answers(self) -> Answers:
        """What receivers are answered now."""
        return self._cache.answers

    async def start(self) -> None:
        """Serve, and connect to the source.

        Raises:
            HardwareError: an address of ours is in use.
        """
        await self.server.start()
        await self.client.start()

    async def stop(self) -> None:
        """End both sides."""
        await self.client.stop()
        await self.server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _on_event(self, event: SessionEvent) -> None:
        if isinstance(event, RawData):
            self.server.publish(event.raw)
        elif self._cache.learn(event):
            self.server.replace_answers(self._cache.answers)
            if isinstance(event, RawConfig) and not isinstance(event.config, ConfigFrame1) and event.changed:
                # receivers may ask for any kind: have them all
                for command in (
                    Command.SEND_HEADER,
                    Command.SEND_CONFIG_1,
                    Command.SEND_CONFIG_2,
                    Command.SEND_CONFIG_3,
                ):
                    self.client.send_command(command)
