"""`rpmu pdc`: watch, split, concentrate, record and replay C37.118.2 streams."""

from __future__ import annotations

import argparse
import asyncio
import logging
import ssl
from dataclasses import asdict
from pathlib import Path

from rpmu.cli.running import add_for_option, run_until_told
from rpmu.cli.stream_options import add_listen_options, announce, print_statistics, server_settings
from rpmu.errors import InputError
from rpmu.pdc.client import PdcClient
from rpmu.pdc.concentrator import Concentrator, ConcentratorSettings, SourceSettings
from rpmu.pdc.record import StreamRecorder, record
from rpmu.pdc.replay import Replay, find_idcode
from rpmu.pdc.splitter import Splitter
from rpmu.pdc.watch import WatchSettings, watch
from rpmu.serve.addresses import UDP_PORT, parse_address
from rpmu.serve.settings import TRANSPORTS

HELP = "PDC tools: watch, split, concentrate, record, replay"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    _configure_watch(tools.add_parser("watch", help="show the data frames of a PMU"))
    _configure_split(tools.add_parser("split", help="pass one stream on to many receivers, byte by byte"))
    _configure_concentrate(tools.add_parser("concentrate", help="combine several streams into one, aligned by time"))
    _configure_record(tools.add_parser("record", help="write a stream to files: raw, CSV, Parquet"))
    _configure_replay(tools.add_parser("replay", help="serve a recording or a packet capture as a PMU"))


def run(args: argparse.Namespace) -> int:
    """Run the subcommand that was asked for."""
    level = logging.INFO if args.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    tools = {"watch": _watch, "split": _split, "concentrate": _concentrate, "record": _record, "replay": _replay}
    return tools[args.tool](args)


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
    _check_frames(args.frames)
    settings = WatchSettings(args.json, args.every_frame, args.frames)

    async def main(stop: asyncio.Event) -> int:
        """Show the stream until told to stop."""
        async with _client(args) as pdc:
            await watch(pdc, settings, stop)
        return 0

    return run_until_told(main, args.for_s)


def _configure_split(parser: argparse.ArgumentParser) -> None:
    _add_source_options(parser)
    add_listen_options(parser)
    _add_statistics_option(parser)
    add_for_option(parser)


def _split(args: argparse.Namespace) -> int:
    async def main(stop: asyncio.Event) -> int:
        """Pass the stream on until told to stop."""
        splitter = Splitter(_client(args), args.idcode, server_settings(args))
        await splitter.start()
        announce(splitter.server, f"IDCODE {args.idcode} of {args.source}")
        try:
            await stop.wait()
        finally:
            await splitter.stop()
        print_statistics(args.json, source=splitter.client.statistics, server=splitter.server.statistics)
        return 0

    return run_until_told(main, args.for_s)


def _configure_concentrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="[TRANSPORT://]HOST:PORT/IDCODE, such as 192.0.2.7:4712/1 or udp://192.0.2.8:4713/2",
    )
    parser.add_argument("--idcode", type=int, required=True, metavar="N", help="IDCODE of the output stream")
    parser.add_argument("--rate", type=int, required=True, metavar="R", help="of the output: frames/s, or -s/frame")
    parser.add_argument(
        "--wait", type=float, default=1.0, metavar="S", help="longest wait for late frames (default: 1)"
    )
    parser.add_argument(
        "--start-wait", type=float, default=10.0, metavar="S", help="… for configurations (default: 10)"
    )
    parser.add_argument("--verbose", action="store_true", help="log connections and retries to stderr")
    add_listen_options(parser)
    _add_statistics_option(parser)
    add_for_option(parser)


def _concentrate(args: argparse.Namespace) -> int:
    sources = [parse_source(text) for text in args.sources]
    settings = ConcentratorSettings(args.idcode, args.rate, args.wait, args.start_wait)

    async def main(stop: asyncio.Event) -> int:
        """Combine the streams until told to stop."""
        concentrator = Concentrator(sources, settings, server_settings(args))
        await concentrator.start()
        assert concentrator.server is not None
        announce(concentrator.server, f"IDCODE {args.idcode}, {len(sources)} sources")
        try:
            await stop.wait()
        finally:
            await concentrator.stop()
        statistics = asdict(concentrator.statistics)
        parts = {f"source {source.pop('source')}": source for source in statistics.pop("sources")}
        print_statistics(args.json, server=statistics.pop("server"), **parts, concentrator=statistics)
        return 0

    return run_until_told(main, args.for_s)


def _configure_record(parser: argparse.ArgumentParser) -> None:
    _add_source_options(parser)
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        type=Path,
        required=True,
        metavar="FILE",
        help="NAME.c37118 (raw frames and index), NAME.csv or NAME.parquet (repeatable)",
    )
    parser.add_argument("--frames", type=int, metavar="N", help="end after N data frames")
    _add_statistics_option(parser)
    add_for_option(parser)


def _record(args: argparse.Namespace) -> int:
    _check_frames(args.frames)

    async def main(stop: asyncio.Event) -> int:
        """Record the stream until told to stop, or until there are enough frames."""
        client = _client(args)
        recorder = StreamRecorder(client, args.output, args.frames)
        await record(client, recorder, stop)
        print_statistics(args.json, source=client.statistics, recorded={"data_frames": recorder.data_frames})
        return 0

    return run_until_told(main, args.for_s)


def _configure_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="NAME.c37118, or a capture (pcap, pcapng)")
    parser.add_argument("--idcode", type=int, metavar="N", help="which stream, if the file holds several")
    parser.add_argument("--speed", default="1", metavar="X", help="times as fast, or max (default: 1)")
    parser.add_argument("--no-wait", action="store_true", help="begin at once, not with the first receiver")
    parser.add_argument("--verbose", action="store_true", help="log connections to stderr")
    add_listen_options(parser)
    _add_statistics_option(parser)
    add_for_option(parser)


def _replay(args: argparse.Namespace) -> int:
    idcode = find_idcode(args.file) if args.idcode is None else args.idcode
    try:
        speed = float("inf") if args.speed == "max" else float(args.speed)
    except ValueError:
        raise InputError(f"--speed is '{args.speed}', but must be a number or max") from None

    async def main(stop: asyncio.Event) -> int:
        """Serve the file until its end, or until told to stop."""
        replay = Replay(args.file, idcode, server_settings(args), speed)
        await replay.server.start()
        announce(replay.server, f"IDCODE {idcode} from {args.file}")
        running = asyncio.create_task(replay.run(wait_for_client=not args.no_wait))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            running.cancel()
            await asyncio.wait([running])
            await replay.server.stop()
        print_statistics(args.json, server=replay.server.statistics)
        return 0

    return run_until_told(main, args.for_s)


def _add_statistics_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="counters at the end as one JSON object")


def _check_frames(frames: int | None) -> None:
    if frames is not None and frames < 1:
        raise InputError(f"--frames is {frames}, but must be at least 1")


def parse_source(text: str) -> SourceSettings:
    """Read `[TRANSPORT://]HOST:PORT/IDCODE`.

    Raises:
        InputError: it is not of that form.
    """
    transport, separator, rest = text.rpartition("://")
    address, slash, idcode = rest.rpartition("/")
    transport = transport if separator else "tcp"
    if not slash or not idcode.isdigit() or transport not in TRANSPORTS:
        raise InputError(f"source '{text}' is not [TRANSPORT://]HOST:PORT/IDCODE, such as 192.0.2.7:4712/1")
    return SourceSettings(*parse_address(address), int(idcode), transport)
