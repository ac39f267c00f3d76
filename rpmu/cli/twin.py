"""`rpmu twin`: the daemon on the digital twin, and once a second a line that says how well it does."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rpmu import rooms
from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.calibrate.profile import load_profile
from rpmu.cli.running import add_for_option, check_for, on_hangup, run_until_told
from rpmu.config import Config
from rpmu.daemon import Daemon
from rpmu.daemon_status import DaemonStatus
from rpmu.errors import InputError
from rpmu.pipeline import Calibration
from rpmu.reloading import Loaded, Reloader
from rpmu.serve.status_socket import StatusSocket, default_socket
from rpmu.service import Notifier
from rpmu.status import as_object
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.faults import FAULTS, parse_faults
from rpmu.twin.pacing import MachineClock, Pacer, next_whole_second_ns, parse_speed
from rpmu.twin.pty_port import PtyPort
from rpmu.twin.scoreboard import Score, Scoreboard
from rpmu.twin.stand_in import LOOK_S, StandIn
from rpmu.twin.tolerance import channels_of, unit_of
from rpmu.twin.world import Twin, TwinSettings, VddSettings

HELP = "Run the whole PMU on the digital twin: the committed firmware in a PRU emulator, the daemon as on the board."
NS_PER_S = 1_000_000_000
SILENCE_S = 1.5  # without reports, after which the line says what is being waited for, then once a second


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration of the PMU (TOML)")
    parser.add_argument(
        "--source",
        default="nominal",
        metavar="SPEC",
        help="the outlet: a name, then comma-separated key=value, such as nominal,frequency_hz=59.9,voltage_v=118 | "
        "grid | file:PATH,loop=true | test:NAME (default: nominal)",
    )
    parser.add_argument("--listen", metavar="HOST:PORT", help="where PDCs connect (default: 127.0.0.1:4712)")
    add_for_option(parser)
    parser.add_argument("--speed", default="1", metavar="X|max", help="simulated seconds per second (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default: 0)")
    parser.add_argument(
        "--unit",
        type=int,
        default=0,
        metavar="N",
        help="the board with serial TWIN-N: front end, converter and crystal off nominal by the tolerance of their "
        "parts (default: 0, exactly nominal)",
    )
    parser.add_argument("--start", metavar="UTC", help="first instant, such as 2026-06-30T23:59:50 (default: now)")
    parser.add_argument("--crystal-ppm", type=float, metavar="X", help="crystal offset (default: the unit's; 23)")
    parser.add_argument(
        "--vdd-swing-percent",
        type=float,
        default=0.0,
        metavar="X",
        help="how far the ADC's supply swings within ten minutes, as a board's does with temperature (default: 0)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME@S[+S][=X]",
        help=f"something that goes wrong S seconds after the start: {', '.join(FAULTS)}; may be repeated",
    )
    parser.add_argument(
        "--stand-in",
        type=Path,
        metavar="FOLDER",
        help="no daemon: put the PRU's memory and the receiver's port into FOLDER, for `rpmu run` in another process",
    )
    parser.add_argument(
        "--clock",
        type=Path,
        metavar="FILE",
        help="with --stand-in: go by the time of the emulated machine that has this file as a page of its memory, "
        "and writes milliseconds into the first 32-bit word",
    )
    parser.add_argument("--status-socket", type=Path, metavar="PATH", help="where `rpmu status` finds it")
    parser.add_argument("--json", action="store_true", help="one JSON object a second instead of a line")


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if args.clock is not None and args.stand_in is None:
        raise InputError("--clock goes with --stand-in only: a daemon of its own has the twin's time")
    loaded = _loaded(args)
    config = loaded.config
    speed = parse_speed(args.speed)
    check_for(args.for_s)  # in the twin's own seconds, which `_run` counts
    settings = _settings(args, config)
    job = _run if args.stand_in is None else _stand_in
    return run_until_told(lambda stop: job(args, loaded, settings, speed, stop))


def _loaded(args: argparse.Namespace) -> Loaded:
    """The configuration file, with what the command line says on top."""
    loaded = Loaded.of(args.config)
    if args.listen is None:
        return loaded
    server = replace(loaded.config.server, listen=(args.listen,))
    return replace(loaded, config=replace(loaded.config, server=server))


def _settings(args: argparse.Namespace, config: Config) -> TwinSettings:
    design = load_profile(rooms.profile_name(config))
    unit, channels = unit_of(design, args.unit), channels_of(design, args.unit, len(config.channels))
    crystal_ppm = unit.crystal_ppm if args.crystal_ppm is None else args.crystal_ppm
    return TwinSettings(
        start_ns=_start_ns(args.start),
        source=args.source,
        nominal_hz=config.station.nominal_frequency_hz,
        phases=config.station.phases,
        voltage_v=unit.profile.nominal_voltage_v,
        profile=unit.profile,
        built=tuple(built for built, _ in channels),
        mains_ain=tuple(channel.ain for channel in config.channels),
        pps_ain=config.sampling.pps_ain,
        reference_ain=config.sampling.reference_ain,
        reference_v=config.sampling.reference_v,
        vdd=VddSettings(swing_percent=args.vdd_swing_percent),
        pps_pin=config.sampling.pps_pin,
        crystal=CrystalSettings(ppm=crystal_ppm, walk_ppb_per_rts=0.1),
        adc=unit.adc,
        faults=tuple(fault for text in args.fault for fault in parse_faults(text)),
        seed=args.seed,
    )


def _start_ns(text: str | None) -> int:
    if text is None:
        return next_whole_second_ns()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--start is {text!r}, but must be a UTC time such as 2026-06-30T23:59:50") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return round(moment.timestamp()) * NS_PER_S


async def _run(
    args: argparse.Namespace, loaded: Loaded, settings: TwinSettings, speed: float, stop: asyncio.Event
) -> int:
    config, line = loaded.config, PtyPort()
    twin = Twin(settings, line)
    pacer = Pacer(twin, speed)
    board = Scoreboard(twin.truth)

    def open_gps(of: Config) -> SerialGpsPort:
        return SerialGpsPort(line.device, of.gps.baud_rate)

    def calibration(of: Config) -> Calibration:
        return rooms.calibration(of, f"TWIN-{args.unit}")

    daemon = Daemon(
        config, calibration(config), twin.link(), open_gps(config), pacer.pace, board.add, open_gps=open_gps
    )
    reloader = Reloader(daemon, loaded, lambda: _loaded(args), calibration, Notifier())
    socket = StatusSocket(
        args.status_socket or default_socket(), lambda: as_object(daemon.status) | {"configuration": reloader.status}
    )
    try:
        await daemon.start()
        if complaint := await socket.start():
            logging.getLogger(__name__).warning("%s", complaint)
        on_hangup(reloader.request, stop)
        _say_hello(args, config, daemon, twin)
        spoke_s = 0.0
        while not stop.is_set() and (args.for_s is None or twin.elapsed_s < args.for_s):
            await daemon.step()
            scores = board.take()
            for score in scores:
                _print_score(args, score, daemon.status, pacer.lag_s)
            if scores:
                spoke_s = twin.elapsed_s
            elif twin.elapsed_s >= spoke_s + SILENCE_S:
                spoke_s = twin.elapsed_s - SILENCE_S + 1.0
                _print_waiting(args, twin, daemon.status)
        await reloader.stop()
        await daemon.stop()
    finally:
        await socket.stop()
        pacer.close()
        twin.close()
    return 0


async def _stand_in(
    args: argparse.Namespace, _: Loaded, settings: TwinSettings, speed: float, stop: asyncio.Event
) -> int:
    """The hardware alone."""
    # In slow motion the daemon, which waits for a sentence a second, tries other speeds: they must do no harm.
    line = PtyPort(has_speed=speed >= 1.0, in_step=False)
    twin = Twin(settings, line)
    pacer = Pacer(twin, speed, None if args.clock is None else MachineClock(args.clock))
    try:
        stand_in = StandIn(args.stand_in, twin.pruss, line.device)
        Notifier().tell("READY=1")
        print(f"rpmu twin: a board's hardware in {args.stand_in}; outlet: {args.source}", flush=True)
        # told to stop, it need not wait for a clock that may stand still
        await _unless(stop, _drive(args, twin, pacer, stand_in))
    finally:
        pacer.close()
        twin.close()
    return 0


async def _drive(args: argparse.Namespace, twin: Twin, pacer: Pacer, stand_in: StandIn) -> None:
    while args.for_s is None or twin.elapsed_s < args.for_s:
        await pacer.pace(LOOK_S)
        if event := stand_in.obey():
            print(f"{_utc(twin.now_ns // NS_PER_S)}  PRU0 {event}", flush=True)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do some work, but end it wherever it is when `stop` is set."""
    working, told = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not working.done():
        working.cancel()
    with suppress(asyncio.CancelledError):
        await working


def _say_hello(args: argparse.Namespace, config: Config, daemon: Daemon, twin: Twin) -> None:
    if args.json:
        return
    where = ", ".join(f"{address[0]}:{address[1]}" for address in daemon.server.addresses)
    station = config.station
    print(
        f"rpmu twin: {station.name} (IDCODE {station.idcode}) serves {where}, class {station.performance_class}, "
        f"{station.reporting_rate_per_s} reports/s; outlet: {args.source}; sampling "
        f"{float(daemon.info.sample_rate_hz):g} Hz in scans of {daemon.info.scan_adc_clocks} ADC clocks"
    )
    for note in twin.source.notes:
        print(f"  {note}")
    print(f"  watch it from another terminal: rpmu pdc watch {where.split(', ')[0]} --idcode {station.idcode}")
    print("  Ctrl-C ends it.", flush=True)


def _print_waiting(args: argparse.Namespace, twin: Twin, status: DaemonStatus) -> None:
    """A second without reports: say what is being waited for."""
    if args.json:
        return
    print(f"{_utc(twin.now_ns // NS_PER_S)}  {status.time.state.value:9}  {status.time.reason}", flush=True)


def _print_score(args: argparse.Namespace, score: Score, status: DaemonStatus, lag_s: float) -> None:
    if args.json:
        print(json.dumps(_as_json(score, status)), flush=True)
        return
    tve = "TVE unknown  " if score.tve_percent != score.tve_percent else f"TVE {score.tve_percent:7.4f} %"
    lag = f"  {lag_s:.1f} s behind" if lag_s > 1 else ""
    print(
        f"{_utc(score.second)}  {status.time.state.value:9} {score.frequency_hz:8.4f} Hz {score.voltage_v:8.3f} V "
        f"{score.angle_deg:+8.3f}°  {tve}  {status.server.frames_published} frames  {status.server.streaming} PDC  "
        f"{status.drops} drops  {score.invalid} invalid{lag}",
        flush=True,
    )


def _as_json(score: Score, status: DaemonStatus) -> dict[str, object]:
    """One second as a JSON object; numbers that nobody knows are null."""
    numbers = {key: None if value != value else value for key, value in asdict(score).items()}
    return numbers | {
        "utc": _utc(score.second),
        "state": status.time.state.value,
        "sigma_ns": status.time.sigma_ns,
        "crystal_ppm": status.time.ppm,
        "frames": status.server.frames_published,
        "pdcs": status.server.streaming,
        "drops": status.drops,
        "lost_samples": status.ring.lost_samples,
    }


def _utc(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")
