"""`rpmu pdc`: watch, split, concentrate, record and replay C37.118.2 streams."""

from __future__ import annotations

import argparse
import asyncio
import logging
import ssl
from pathlib import Path

from rpmu.cli.running import add_for_option, run_until_told
from rpmu.errors import InputError
from rpmu.pdc.client import PdcClient
from rpmu.pdc.watch import WatchSettings, watch
from rpmu.serve.addresses import UDP_PORT, parse_address
from rpmu.serve.settings import TRANSPORTS

HELP = "PDC tools: watch, split, concentrate, record, replay"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    _configure_watch(tools.add_parser("watch", help="show the data frames of a PMU"))


def run(args: argparse.Namespace) -> int:
    """Run the subcommand that was asked for."""
    level = logging.INFO if args.verbose else logging.ERROR
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return {"watch": _watch}[args.tool](args)


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    """What says where a stream comes from."""
    parser.add_argument("source", metavar="HOST:PORT", help="the PMU; for spontaneous, our own address or the group")
    parser.add_argument("--idcode", type=int, required=True, metavar="N", help="IDCODE of the stream, 1 … 65534")
    parser.add_argument("--transport", choices=TRANSPORTS, default="tcp", help="default: tcp")
    parser.add_argument("--data-port", type=int, default=UDP_PORT, metavar="PORT", help="our UDP port for tcp+udp")
    parser.add_argument("--interface", metavar="ADDRESS", help="where to join a multicast group")
    parser.add_argument("--config", dest="config_type", type=int, choices=(2, 3), default=2, help="CFG-2 or CFG-3")
    parser.add_argument("--stall", type=float, default=10.0, metavar="S", help="reconnect after S silent seconds")
    parser.add_argument("--tls-ca", type=Path, metavar="FILE", help="use TLS and trust this authority")
    parser.add_argument("--tls-certificate", type=Path, metavar="FILE", help="our certificate for TLS")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="our key for TLS")
    parser.add_argument("--verbose", action="store_true", help="log connections and retries to stderr")


def _client(args: argparse.Namespace) -> PdcClient:
    address = parse_address(args.source)
    return PdcClient(
        address.host,
        address.port,
        args.idcode,
        args.transport,
        config_type=args.config_type,
        stall_s=args.stall,
        data_port=args.data_port,
        multicast_interface=args.interface,
        tls=_tls_context(args),
    )


def _tls_context(args: argparse.Namespace) -> ssl.SSLContext | None:
    if args.tls_ca is None:
        return None
    try:
        context = ssl.create_default_context(cafile=args.tls_ca)
        if args.tls_certificate is not None:
            context.load_cert_chain(args.tls_certificate, args.tls_key)
    except OSError as error:
        raise InputError(f"cannot load the TLS files: {error}; PEM files are expected") from None
    return context


def _configure_watch(parser: argparse.ArgumentParser) -> None:
    _add_source_options(parser)
    add_for_option(parser)
    parser.add_argument("--frames", type=int, metavar="N", help="end after N data frames")
    parser.add_argument("--json", action="store_true", help="one JSON object per data frame")
    parser.add_argument("--every-frame", action="store_true", help="a line for every frame, not one a second")


def _watch(args: argparse.Namespace) -> int:
    if args.frames is not None and args.frames < 1:
        raise InputError(f"--frames is {args.frames}, but must be at least 1")
    settings = WatchSettings(args.json, args.every_frame, args.frames)

    async def main(stop: asyncio.Event) -> int:
        async with _client(args) as pdc:
            await watch(pdc, settings, stop)
        return 0

    return run_until_told(main, args.for_s)
