"""`rpmu run`: the daemon on the board."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from rpmu import rooms
from rpmu.acquire.detect import detect_link
from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.cli.running import add_for_option, run_until_told
from rpmu.config import Config, default, load
from rpmu.daemon import Daemon
from rpmu.serve.status_socket import StatusSocket, default_socket
from rpmu.status import as_object

HELP = "Run the daemon on the board: PRU, GPS receiver and PDCs as the configuration says."
CONFIG_FILE = Path("/etc/rpmu/rpmu.toml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"configuration (default: {CONFIG_FILE}, or defaults without it)"
    )
    add_for_option(parser)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    config = _config(args.config)
    logging.basicConfig(level=config.logging.level.upper(), format="%(levelname)s %(name)s: %(message)s")
    return run_until_told(lambda stop: _run(config, stop), args.for_s)


def _config(path: Path | None) -> Config:
    if path is not None:
        return load(path)
    return load(CONFIG_FILE) if CONFIG_FILE.exists() else default()


async def _run(config: Config, stop: asyncio.Event) -> int:
    link = detect_link(config.sampling.pru_link)
    gps = SerialGpsPort(config.gps.device, config.gps.baud_rate)
    daemon = Daemon(config, rooms.calibration(config), link, gps, asyncio.sleep)
    socket = StatusSocket(default_socket(), lambda: as_object(daemon.status))
    await daemon.start()
    try:
        await socket.start()
        while not stop.is_set():
            await daemon.step()
    finally:
        await socket.stop()
        await daemon.stop()
    return 0
