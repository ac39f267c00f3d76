"""`rpmu status`: how the daemon on this machine is."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rpmu.errors import NotLockedError
from rpmu.serve.status_socket import read_status, socket_to_read
from rpmu.status import as_lines

HELP = "Show how the daemon on this machine is: time, sampling, losses, PDCs."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--socket", type=Path, metavar="PATH", help="of the daemon (default: service's, else your own)")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    parser.add_argument("--require-lock", action="store_true", help="end with 5 unless the time is locked")


def run(args: argparse.Namespace) -> int:
    """Read and print."""
    status = read_status(args.socket or socket_to_read())
    print(json.dumps(status) if args.json else "\n".join(as_lines(status)))
    if args.require_lock and status["time"]["state"] != "locked":
        raise NotLockedError(f"the time is {status['time']['state']}: {status['time']['reason']}")
    return 0
