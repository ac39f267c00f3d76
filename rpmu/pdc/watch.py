"""`rpmu pdc watch`: a stream shown as it comes."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from rpmu.c37118 import DataFrame
from rpmu.pdc.client import PdcClient
from rpmu.pdc.links import LinkError
from rpmu.pdc.report import HEADINGS, describe_config, to_json, to_rows


@dataclass(frozen=True)
class WatchSettings:
    """How to show a stream.

    Attributes:
        as_json: one object per data frame instead of the table.
        every_frame: a line of the table for every frame instead of one a second.
        frames: end after so many data frames; None for no limit.
    """

    as_json: bool = False
    every_frame: bool = False
    frames: int | None = None


async def watch(pdc: PdcClient, settings: WatchSettings, stop: asyncio.Event) -> None:
    """Print data frames until there were enough, or `stop` is set.

    Raises:
        LinkError: not one data frame came.
    """
    printing = asyncio.create_task(_print_frames(pdc, settings))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([printing, stopping], return_when=asyncio.FIRST_COMPLETED)
        if printing.done():
            printing.result()
    finally:
        printing.cancel()
        stopping.cancel()
        await asyncio.wait([printing, stopping])
    if pdc.statistics.data_frames == 0:
        raise LinkError(f"not one data frame came ({pdc.last_failure or 'the link is open, but silent'})")


async def _print_frames(pdc: PdcClient, settings: WatchSettings) -> None:
    shown = 0
    second, config = None, None
    async for frame in pdc.frames():
        shown += 1
        if settings.as_json:
            print(to_json(frame), flush=True)
        else:
            if frame.config is not config:
                config = frame.config
                print(f"{describe_config(config)}\n{HEADINGS}", flush=True)
            if settings.every_frame or frame.soc != second:
                second = frame.soc
                _print_table(pdc, frame)
        if shown == settings.frames:
            return


def _print_table(pdc: PdcClient, frame: DataFrame) -> None:
    statistics = pdc.statistics
    rows = to_rows(frame, statistics.data_frames, statistics.missing_frames)
    sys.stdout.write("\n".join(rows) + "\n")
    sys.stdout.flush()
