"""Options that several commands share: where a stream is served, and what is printed about it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rpmu.errors import InputError
from rpmu.serve import (
    AccessList,
    Endpoint,
    Limits,
    PmuServer,
    ServerSettings,
    SpontaneousTarget,
    TlsSettings,
    parse_address,
)
from rpmu.serve.addresses import TCP_PORT, UDP_PORT
from rpmu.serve.settings import TRANSPORTS


def add_listen_options(parser: argparse.ArgumentParser) -> None:
    """What says how a stream is served."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default=f"127.0.0.1:{TCP_PORT}",
        help=f"where to serve; for spontaneous, the destination (default: 127.0.0.1:{TCP_PORT})",
    )
    parser.add_argument("--serve-transport", choices=TRANSPORTS, default="tcp", help="default: tcp")
    parser.add_argument("--serve-data-port", type=int, default=UDP_PORT, metavar="PORT", help="client's port, tcp+udp")
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="also send spontaneously to this UDP address or multicast group (repeatable)",
    )
    parser.add_argument("--ttl", type=int, default=1, help="hops of multicast datagrams (default: 1)")
    parser.add_argument("--serve-interface", metavar="ADDRESS", help="interface that multicast datagrams leave by")
    parser.add_argument("--allow", action="append", default=[], metavar="NETWORK", help="access list (repeatable)")
    parser.add_argument("--max-clients", type=int, default=Limits.max_clients, metavar="N")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="serve TLS with this certificate")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its private key")
    parser.add_argument("--client-ca", type=Path, metavar="FILE", help="demand client certificates of this authority")


def server_settings(args: argparse.Namespace, sync_version: int = 2, rates: tuple[int, ...] = ()) -> ServerSettings:
    """The settings that the options describe.

    Raises:
        InputError: one of them is wrong.
    """
    targets = list(args.to)
    endpoints: tuple[Endpoint, ...] = ()
    if args.serve_transport == "spontaneous":
        targets.append(args.listen)
    else:
        endpoints = (Endpoint(args.serve_transport, parse_address(args.listen), args.serve_data_port),)
    if (args.certificate is None) != (args.key is None):
        raise InputError("TLS needs both --certificate and --key")
    return ServerSettings(
        endpoints,
        tuple(
            SpontaneousTarget(
                parse_address(text, UDP_PORT), multicast_ttl=args.ttl, multicast_interface=args.serve_interface
            )
            for text in targets
        ),
        AccessList.parse(*args.allow),
        Limits(max_clients=args.max_clients, max_clients_per_address=min(args.max_clients, 400)),
        None if args.certificate is None else TlsSettings(args.certificate, args.key, args.client_ca),
        sync_version,
        selectable_rates=rates,
    )


def announce(server: PmuServer, what: str) -> None:
    """Say on stderr where a stream is served."""
    where = [f"{address[0]}:{address[1]}" for address in server.addresses]
    where += [str(target.address) for target in server.settings.spontaneous]
    print(f"serving {what} on {', '.join(where)}", file=sys.stderr, flush=True)


def print_statistics(as_json: bool, **parts: object) -> None:
    """The counters at the end: one JSON object, or those that are not zero, a line per part."""
    records = {name: part if isinstance(part, dict) else asdict(part) for name, part in parts.items()}  # type: ignore[call-overload]  # dataclasses all
    if as_json:
        print(json.dumps(records))
        return
    for name, record in records.items():
        flat = {}
        for key, value in record.items():
            flat.update(value if isinstance(value, dict) else {key: value})
        counts = ", ".join(f"{key} {value}" for key, value in flat.items() if value)
        print(f"{name}: {counts or 'nothing'}", file=sys.stderr)
