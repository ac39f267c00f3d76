"""`rpmu completion`: what a shell needs to complete rpmu's commands and options."""

from __future__ import annotations

import argparse

from rpmu.errors import InputError

HELP = "Print a completion script for your shell, made from the commands' own parsers."
SHELLS = ("bash", "zsh", "tcsh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("shell", choices=SHELLS, help='bash: eval "$(rpmu completion bash)" in ~/.bashrc')


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise InputError(
            "completion scripts are made by shtab, which is not installed: apt-get install python3-shtab, or "
            "pip install 'rpmu[completion]'"
        ) from None
    from rpmu.cli.main import build_parser

    print(shtab.complete(build_parser(), shell=args.shell))
    return 0
