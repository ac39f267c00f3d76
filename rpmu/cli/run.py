"""`rpmu run`: the daemon on the board."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rpmu import rooms
from rpmu.acquire.detect import detect_link
from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.acquire.link import PruLink
from rpmu.acquire.recording import Recorder
from rpmu.acquire.replay import ReplayLink
from rpmu.change_count import FILE, ChangeCount
from rpmu.cli.running import add_for_option, on_hangup, run_until_told
from rpmu.config import Config
from rpmu.config.effects import needs_restart
from rpmu.daemon import Daemon
from rpmu.errors import HardwareError, InputError
from rpmu.pipeline import Calibration
from rpmu.quiet_loop import QuietLoop
from rpmu.reloading import Loaded, Reloader
from rpmu.serve.status_socket import StatusSocket, default_socket
from rpmu.service import Heartbeat, Notifier
from rpmu.status import as_object

HELP = "Run the daemon on the board: PRU, GPS receiver and PDCs as the configuration says."
CONFIG_FILE = Path("/etc/rpmu/rpmu.toml")
APPLIED_FILE = Path("/var/lib/rpmu/config/current")  # what `rpmu config apply` put into force
YOUNG = 20_000  # objects more than there were, after which new ones are looked through; reports leave hardly a cycle
IDLE_BEAT_S = 10.0  # between two words to the service manager where it has no watchdog

log = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"configuration (default: the one applied last, {APPLIED_FILE}; else {CONFIG_FILE}; else built-in)",
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="keep all samples, PPS edges and NMEA in a new file"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run from such a file instead of the hardware")
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="of a replay, 0 for as fast as it goes (default: 1)"
    )
    add_for_option(parser)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    loaded = _loaded(args)
    logging.basicConfig(level=loaded.config.logging.level.upper(), format="%(levelname)s %(name)s: %(message)s")
    loop_factory = QuietLoop if args.replay is None else None
    return run_until_told(lambda stop: _run(loaded, args, stop), args.for_s, loop_factory)


def _loaded(args: argparse.Namespace) -> Loaded:
    return Loaded.of(args.config or file_in_force())


def file_in_force(files: Sequence[Path] = (APPLIED_FILE, CONFIG_FILE)) -> Path | None:
    """The configuration file that the daemon reads unless told another: the first that exists, None if none does."""
    return next((file for file in files if os.path.lexists(file)), None)


def _replay(config: Config, path: Path, speed: float) -> ReplayLink:
    """A recording in the place of the hardware.

    Raises:
        InputError: it cannot be read, or was made with other settings.
    """
    if not 0 <= speed < float("inf"):
        raise InputError(f"--speed is {speed:g}, but must be 0 (as fast as it goes) or more")
    link = ReplayLink(path, speed or None)
    told, wanted = asdict(link.settings), asdict(config.sampler_settings())
    for name, value in told.items():
        if wanted[name] != value:
            raise InputError(
                f"{path} was recorded with {name} {value}, but the configuration says {wanted[name]}: replay it with "
                "the [[channel]] and [sampling] sections that it was recorded with (--config)"
            )
    return link


def _open_gps(config: Config) -> SerialGpsPort | None:
    return SerialGpsPort(config.gps.device, config.gps.baud_rate) if config.time.source == "gps" else None


async def _run(loaded: Loaded, args: argparse.Namespace, stop: asyncio.Event) -> int:
    """One daemon after the other: a new one only for a configuration that the running one cannot take."""
    following: Loaded | None = loaded
    while following is not None:
        recorder = Recorder(args.record) if args.record is not None else None
        following = await (_run_replay if args.replay is not None else _run_board)(following, args, stop, recorder)
    return 0


async def _run_replay(
    loaded: Loaded, args: argparse.Namespace, stop: asyncio.Event, recorder: Recorder | None
) -> Loaded | None:
    def read() -> Loaded:
        new = _loaded(args)
        _replay(new.config, args.replay, args.speed)
        return new

    config, replay = loaded.config, _replay(loaded.config, args.replay, args.speed)
    daemon = Daemon(config, rooms.calibration(config), replay, replay.gps, replay.pace, recorder=recorder)
    notifier = Notifier()
    reloader = Reloader(daemon, loaded, read, rooms.calibration, notifier)
    return await _serve(daemon, reloader, notifier, stop, lambda: replay.finished)


def _hardware(config: Config) -> tuple[PruLink, SerialGpsPort | None]:
    """The PRU and the receiver.

    Raises:
        HardwareError: with all that is missing, so that it can be mended in one go.
    """
    link, gps, missing = None, None, []
    try:
        link = detect_link(config.sampling.pru_link)
    except HardwareError as error:
        missing.append(str(error))
    try:
        gps = _open_gps(config)
    except HardwareError as error:
        missing.append(str(error))
    if link is None or missing:
        if gps is not None:
            gps.close()
        raise HardwareError("\n".join(missing))
    return link, gps


async def _run_board(
    loaded: Loaded, args: argparse.Namespace, stop: asyncio.Event, recorder: Recorder | None
) -> Loaded | None:
    config = loaded.config
    link, gps = _hardware(config)
    calibration = _calibration(config)
    changes = _change_count()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, QuietLoop)
    daemon = Daemon(config, calibration, link, gps, loop.wait, recorder=recorder, open_gps=_open_gps, changes=changes)
    notifier = Notifier()
    reloader = Reloader(daemon, loaded, lambda: _loaded(args), _calibration, notifier, needs_restart)
    try:
        return await _serve(daemon, reloader, notifier, stop, lambda: False)
    finally:
        if changes is not None:
            changes.finish()


def _change_count() -> ChangeCount | None:
    """CFGCNT in the service's state folder; None where the service manager gives none."""
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return ChangeCount(Path(folder) / FILE) if folder else None


def _calibration(config: Config) -> Calibration:
    return rooms.board_calibration(config, datetime.now(UTC).date())


def set_aside_what_lasts() -> None:
    """Spare the garbage collector what start-up made: it lasts, and a look through it takes 5 million instructions."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


async def _serve(
    daemon: Daemon, reloader: Reloader, notifier: Notifier, stop: asyncio.Event, ended: Callable[[], bool]
) -> Loaded | None:
    """Run a daemon until it is told to stop; returns the configuration that needs another one, if that ended it."""
    socket = StatusSocket(default_socket(), lambda: as_object(daemon.status) | {"configuration": reloader.status})
    heartbeat = Heartbeat(notifier)
    clock = asyncio.get_running_loop().time
    await daemon.start()
    set_aside_what_lasts()
    try:
        if complaint := await socket.start():
            log.warning("%s", complaint)
        on_hangup(reloader.request, stop)
        notifier.tell("READY=1")
        beat_s = notifier.watchdog_s / 4 or IDLE_BEAT_S
        next_beat = clock() + beat_s
        while not stop.is_set() and not ended() and reloader.restart is None:
            await daemon.step()
            if clock() >= next_beat:
                next_beat = clock() + beat_s
                heartbeat.beat(daemon.status)
    finally:
        if reloader.restart is None:
            notifier.tell("STOPPING=1")
        await reloader.stop()
        await socket.stop()
        await daemon.stop()
    return reloader.restart
