"""`rpmu update`: install a signed package on this machine, with a way back; `--host BOARD` does it from a PC."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from rpmu import __version__
from rpmu.cli.running import tell
from rpmu.update.request import START, bundle_of, carry_out, checked, hand_over, read_state
from rpmu.update.worker import FOLDER, INSTALLED, State

HELP = "Install a signed package of rpmu, examine the daemon, and return to the version before if it does worse."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "what",
        metavar="FILE.deb|status|rollback",
        help="a package with its signature FILE.deb.sig beside it (- is stdin: signature, then package); or what the "
        "last update did; or back to the version before it",
    )
    parser.add_argument("--json", action="store_true", help="the state at the end, as one JSON object")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"default: {FOLDER}")
    parser.add_argument("--start", default=START, metavar="COMMAND", help=f"default: '{START}'")


def run(args: argparse.Namespace) -> int:
    """Carry it out.

    Raises:
        InputError: the package or its signature cannot be read.
        HardwareError: this machine has no place for updates.
        RpmuError: the update did not start.
    """
    if args.what == "status":
        _show(read_state(args.folder), args.json)
        return 0
    # An update restarts what the connection depends on; its steps go on whether or not somebody listens.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if args.what != "rollback":
        content = checked(sys.stdin.buffer.read(), "standard input") if args.what == "-" else bundle_of(Path(args.what))
        hand_over(content, args.folder)
    job = "rollback" if args.what == "rollback" else "install"
    state = carry_out(job, args.start, (lambda _line: None) if args.json else tell, args.folder)
    if args.json:
        _show(state, as_json=True)
    return 0 if state.phase == INSTALLED else 1


def _show(state: State, as_json: bool) -> None:
    """What the last update did."""
    if as_json:
        tell(json.dumps({"installed": __version__, **asdict(state)}))
        return
    tell(f"installed    {__version__}")
    tell(f"previous     {state.previous or 'none is kept'}")
    tell(f"last update  {state.message}" + (f" (signed by {state.signer})" if state.signer else ""))
