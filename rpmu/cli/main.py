"""`rpmu`: finds the subcommand, loads its module, turns errors into one sentence and an exit code.

A subcommand is a module of this package with `HELP` (one line), `configure(parser)` and `run(args) -> exit code`. It
is imported only when it is the one that was asked for: importing everything costs a 1 GHz board most of a second.
Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration or input invalid, 4 hardware missing, 5 not time-locked, 130
interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rpmu import __version__
from rpmu.errors import PeerError, RpmuError

INTERRUPTED = 130

COMMANDS: dict[str, str] = {  # in the order a user meets them
    "twin": "the whole PMU on the digital twin: no board, no mains",
    "run": "the daemon on the board",
    "status": "how the daemon on this machine is",
    "doctor": "what is wrong on this machine, and what to do",
    "update": "install a signed package, with a way back",
    "estimate": "phasors, frequency and ROCOF of a recording",
    "pdc": "PDC tools: watch, split, concentrate, record, replay",
    "simulate": "a PMU simulator for network tests (no estimator)",
    "calibrate": "measure what the front end does, and keep it as a certificate",
    "config": "check, show and compare configurations",
    "completion": "completion script for your shell",
}


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser; with `only`, just that subcommand has its options (the others only their line of help)."""
    parser = argparse.ArgumentParser(
        prog="rpmu",
        description="The open residential phasor measurement unit: wall outlet to IEEE C37.118.2.",
        epilog="exit codes: 0 ok, 1 failed, 2 usage, 3 configuration or input invalid, 4 hardware missing, "
        "5 not time-locked",
    )
    parser.add_argument(
        "--host",
        metavar="BOARD",
        help="comes first: carry out config, status, doctor, calibrate, logs or update on a board, by SSH",
    )
    parser.add_argument("--version", action="version", version=f"rpmu {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        if not Path(__file__).with_name(f"{name}.py").exists():
            continue  # the board's package leaves the twin out
        if only is not None and name != only:
            commands.add_parser(name, help=text, add_help=False)
            continue
        module = importlib.import_module(f"rpmu.cli.{name}")
        module.configure(commands.add_parser(name, help=text, description=module.HELP))
    return parser


def named_command(arguments: Sequence[str]) -> str | None:
    """The subcommand among the arguments, if there is one."""
    return next((word for word in arguments if word in COMMANDS), None)


def split_host(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The board of a leading `--host BOARD`, if there is one, and the other words."""
    if words and words[0].startswith("--host="):
        return words[0].removeprefix("--host="), list(words[1:])
    if len(words) > 1 and words[0] == "--host":
        return words[1], list(words[2:])
    return None, list(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `rpmu` command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    host, rest = split_host(words)
    name = named_command(rest)
    try:
        if host is not None and rest and not {"-h", "--help"} & set(rest):
            return int(importlib.import_module("rpmu.remote.client").run_on(host, rest))
        parsed = build_parser(only=name or "").parse_args(rest)
        return int(importlib.import_module(f"rpmu.cli.{parsed.command}").run(parsed))
    except RpmuError as error:
        print(f"rpmu {name or rest[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except PeerError as error:
        print(f"rpmu {name}: the peer broke the protocol: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`); say nothing, and keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
