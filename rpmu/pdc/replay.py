"""`rpmu pdc replay`: a recording or a packet capture, served again as it was.

The bytes are those of the recording; time passes as then, or `speed` times as fast. Deadlines are absolute, counted
from the first frame, so that a slow moment does not shift the rest. Configurations and headers in the recording become
the answers to those who ask, from the moment on at which they came; those before the first data frame hold from the
beginning.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rpmu.c37118 import Framer, FrameType
from rpmu.errors import InputError
from rpmu.pdc.pcap import CaptureCounts, Flow, read_payloads
from rpmu.pdc.recording import SUFFIX, RecordedFrame, Recording
from rpmu.pdc.session import Session, SessionSettings
from rpmu.pdc.splitter import AnswerCache
from rpmu.serve import PmuServer, ServerSettings

NS_PER_S = 1_000_000_000
CONFIGURATIONS = (FrameType.CONFIG_1, FrameType.CONFIG_2, FrameType.CONFIG_3)
PAUSE_S = 0.02  # while nobody listens
YIELD_EVERY = 64


def read_frames(path: Path) -> Iterator[RecordedFrame]:
    """The frames of a recording (`.c37118`) or a capture (pcap, pcapng), in the order of their arrival.

    Raises:
        InputError: the file is neither, or damaged.
    """
    return iter(Recording(path)) if path.suffix == SUFFIX else _captured_frames(path)


def _captured_frames(path: Path) -> Iterator[RecordedFrame]:
    framers: dict[Flow, Framer] = {}
    for payload in read_payloads(path, CaptureCounts()):
        framer = framers.setdefault(payload.flow, Framer())
        found = framer.feed_datagram(payload.data) if payload.flow.protocol == "udp" else framer.feed(payload.data)
        for frame in found:
            if isinstance(frame, bytes):
                yield RecordedFrame(payload.time_ns, frame)


def find_idcode(path: Path) -> int:
    """The IDCODE of the stream in a file.

    Raises:
        InputError: there is none, or there are several.
    """
    counts: Counter[int] = Counter(
        int.from_bytes(frame.data[4:6], "big") for frame in read_frames(path) if frame.data[1] >> 4 == FrameType.DATA
    )
    if not counts:
        raise InputError(f"{path} holds no data frame of C37.118.2")
    if len(counts) > 1:
        raise InputError(
            f"{path} holds several streams; choose one with --idcode: {', '.join(map(str, sorted(counts)))}"
        )
    return next(iter(counts))


class Replay:
    """Serves a file.

    Args:
        path: recording or capture.
        idcode: of the stream in it.
        settings: where it is served.
        speed: times as fast as it was; infinite for as fast as possible.

    Attributes:
        server: the receivers' side.
        data_frames: data frames sent so far.
    """

    def __init__(self, path: Path, idcode: int, settings: ServerSettings, speed: float = 1.0) -> None:
        if not speed > 0:
            raise InputError(f"speed is {speed:g}, but must be more than 0, such as 1, 10 or max")
        self._path = path
        self._idcode = idcode
        self._speed = speed
        self._cache = AnswerCache(idcode)
        self._session = Session(SessionSettings(idcode, commands=False))
        self.data_frames = 0
        self._learn_what_comes_before_the_data()
        self.server = PmuServer(self._cache.answers, settings=settings)

    def _frames(self) -> Iterator[RecordedFrame]:
        for frame in read_frames(self._path):
            if int.from_bytes(frame.data[4:6], "big") == self._idcode and frame.data[1] >> 4 != FrameType.COMMAND:
                yield frame

    def _learn_what_comes_before_the_data(self) -> None:
        """Up to the first configuration: a capture may have begun in the middle of the data."""
        for frame in self._frames():
            self._learn(frame.data)
            if frame.data[1] >> 4 == FrameType.DATA and self._session.config is not None:
                return

    def _learn(self, data: bytes) -> bool:
        if data[1] >> 4 == FrameType.DATA:
            return False
        events, _ = self._session.received(data, 0.0, datagram=True)
        news = [self._cache.learn(event) for event in events]
        return any(news)

    async def run(self, wait_for_client: bool = True) -> None:
        """Send the whole file.

        Args:
            wait_for_client: begin when the first client asks for data.
        """
        while wait_for_client and self.server.statistics.streaming == 0:  # noqa: ASYNC110 - whoever comes first
            await asyncio.sleep(PAUSE_S)
        start_ns, first_ns = time.monotonic_ns(), None
        for number, frame in enumerate(self._frames()):
            first_ns = frame.arrival_ns if first_ns is None else first_ns
            due_ns = start_ns + round((frame.arrival_ns - first_ns) / self._speed)
            wait_ns = due_ns - time.monotonic_ns()
            if wait_ns > 0 or number % YIELD_EVERY == 0:
                await asyncio.sleep(max(0, wait_ns) / NS_PER_S)
            if frame.data[1] >> 4 == FrameType.DATA:
                self.server.publish(frame.data)
                self.data_frames += 1
            elif self._learn(frame.data):
                self.server.replace_answers(self._cache.answers)
