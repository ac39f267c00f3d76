"""`rpmu pdc record`: a stream into files, for as long as told."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from rpmu.errors import InputError
from rpmu.pdc.client import PdcClient
from rpmu.pdc.recording import SUFFIX, Recorder
from rpmu.pdc.session import RawConfig, RawData, RawHeader, SessionEvent
from rpmu.pdc.tables import CsvTable, FrameTable, ParquetTable

FLUSH_INTERVAL_S = 1.0


class StreamRecorder:
    """Writes what a client receives into any number of files.

    Args:
        client: not started; its events are taken over.
        paths: `.c37118` (raw frames and index), `.csv` or `.parquet`.
        frames: end after so many data frames; None for no limit.

    Attributes:
        data_frames: data frames written.
        enough: set when there were enough.

    Raises:
        InputError: a file cannot be written, exists already, or has another ending.
    """

    def __init__(self, client: PdcClient, paths: list[Path], frames: int | None = None) -> None:
        self.data_frames = 0
        self.enough = asyncio.Event()
        self._limit = frames
        self._raw = [Recorder(path) for path in paths if path.suffix == SUFFIX]
        self._tables = [_table(path) for path in paths if path.suffix != SUFFIX]
        client.listen(self._on_event)

    def _on_event(self, event: SessionEvent) -> None:
        if self.enough.is_set():
            return
        arrival_ns = time.time_ns()
        for raw in _raw_frames(event):
            for recorder in self._raw:
                recorder.add(raw, arrival_ns)
        if isinstance(event, RawData):
            self.data_frames += 1
            if self._tables:
                frame = event.decode()
                for table in self._tables:
                    table.add(frame)
            if self.data_frames == self._limit:
                self.enough.set()

    def flush(self) -> None:
        """Hand the raw recordings to the operating system."""
        for recorder in self._raw:
            recorder.flush()

    def close(self) -> None:
        """Finish all files."""
        for recorder in self._raw:
            recorder.close()
        for table in self._tables:
            table.close()


def _raw_frames(event: SessionEvent) -> tuple[bytes, ...]:
    if isinstance(event, RawConfig):
        return event.raw
    assert isinstance(event, RawData | RawHeader)
    return (event.raw,)


def _table(path: Path) -> FrameTable:
    if path.suffix == ".csv":
        return CsvTable(path)
    if path.suffix == ".parquet":
        return ParquetTable(path)
    raise InputError(f"'{path}' ends in '{path.suffix}', but must end in {SUFFIX}, .csv or .parquet")


async def record(client: PdcClient, recorder: StreamRecorder, stop: asyncio.Event) -> None:
    """Record until there was enough, or `stop` is set."""
    waiting = [asyncio.create_task(stop.wait()), asyncio.create_task(recorder.enough.wait())]
    try:
        async with client:
            while not any(task.done() for task in waiting):
                await asyncio.wait(waiting, timeout=FLUSH_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
                recorder.flush()
                client.raise_if_failed()
    finally:
        for task in waiting:
            task.cancel()
        recorder.close()
