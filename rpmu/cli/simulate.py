"""`rpmu simulate`: PMUs for network tests, without an estimator."""

from __future__ import annotations

import argparse
import asyncio
import logging

from rpmu.cli.running import add_for_option, run_until_told
from rpmu.cli.stream_options import add_listen_options, announce, print_statistics, server_settings
from rpmu.errors import InputError
from rpmu.serve import PmuServer
from rpmu.serve.faults import Faults
from rpmu.serve.settings import TRANSPORTS
from rpmu.serve.simulator import Simulator, SimulatorSettings, parse_format

HELP = "a PMU simulator for network tests (no estimator)"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_listen_options(parser)
    parser.add_argument("--transport", dest="serve_transport", choices=TRANSPORTS, help="the same as --serve-transport")
    parser.add_argument("--idcode", type=int, default=1, metavar="N", help="IDCODE of the stream (default: 1)")
    parser.add_argument("--rate", type=int, default=60, metavar="R", help="frames/s, or negated s/frame (default: 60)")
    parser.add_argument("--pmus", type=int, default=1, metavar="N", help="PMUs in the stream (default: 1)")
    parser.add_argument("--format", default="float", metavar="F", help="float, int, …-polar, …-rectangular or 0 … 15")
    parser.add_argument("--sync-version", type=int, choices=(1, 2), default=2, help="1 for old peers (default: 2)")
    parser.add_argument("--phasors", type=int, default=1, metavar="N", help="phasors per PMU (default: 1)")
    parser.add_argument("--analogs", type=int, default=0, metavar="N")
    parser.add_argument("--digitals", type=int, default=0, metavar="N")
    parser.add_argument("--nominal", type=int, choices=(50, 60), default=60, help="Hz (default: 60)")
    parser.add_argument("--frequency", type=float, metavar="HZ", help="mean frequency (default: nominal)")
    parser.add_argument("--voltage", type=float, default=120.0, metavar="V", help="RMS (default: 120)")
    parser.add_argument("--wander", action="store_true", help="let the frequency wander as a grid's does")
    parser.add_argument("--unlocked", action="store_true", help="mark the time as not locked")
    parser.add_argument("--time-base", type=int, default=1_000_000, metavar="N", help="TIME_BASE (default: 1000000)")
    parser.add_argument("--fault", action="append", default=[], metavar="SPEC", help="such as drop=0.01, late=0.05:0.3")
    parser.add_argument("--selectable-rate", action="append", type=int, default=[], metavar="R", help="PDCs may choose")
    parser.add_argument("--header", default="rpmu simulator", help="text of the header frame")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="counters at the end as one JSON object")
    parser.add_argument("--verbose", action="store_true", help="log connections to stderr")
    add_for_option(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    logging.basicConfig(level=logging.INFO if args.verbose else logging.ERROR, format="%(levelname)s %(message)s")
    if not 0 < args.time_base < 1 << 24:
        raise InputError(f"--time-base is {args.time_base}, but must be 1 … 16777215")
    simulator = Simulator(
        SimulatorSettings(
            args.idcode,
            args.pmus,
            args.rate,
            parse_format(args.format),
            args.sync_version,
            args.phasors,
            args.analogs,
            args.digitals,
            args.nominal,
            args.frequency,
            args.voltage,
            args.wander,
            not args.unlocked,
            args.seed,
            args.time_base,
        ),
        Faults(tuple(args.fault), args.seed, args.rate),
    )
    return run_until_told(lambda stop: _serve(args, simulator, stop), args.for_s)


async def _serve(args: argparse.Namespace, simulator: Simulator, stop: asyncio.Event) -> int:
    server = PmuServer(
        simulator.config,
        args.header,
        server_settings(args, args.sync_version, tuple(args.selectable_rate)),
        rate_handler=lambda rate: simulator.change_rate(server, rate),
    )
    await server.start()
    announce(server, f"IDCODE {args.idcode}, {args.pmus} PMU(s)")
    producing = asyncio.create_task(simulator.run(server))
    try:
        await asyncio.wait([producing, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        if producing.done():
            producing.result()
    finally:
        producing.cancel()
        await asyncio.wait([producing])
        await server.stop()
    print_statistics(args.json, server=server.statistics)
    return 0
