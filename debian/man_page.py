"""The manual page rpmu(1), made from the command line's parsers, so that it cannot tell anything else than they do."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Iterator

from rpmu import __version__
from rpmu.cli.main import COMMANDS, build_parser

HEAD = """\
.TH RPMU 1 "" "rpmu {version}" "User Commands"
.SH NAME
rpmu, rpmu\\-admin\\-shell \\- open residential phasor measurement unit
.SH SYNOPSIS
.B rpmu
[\\fB\\-\\-host\\fR \\fIBOARD\\fR] \\fICOMMAND\\fR ...
.SH DESCRIPTION
Measures synchrophasors, frequency and ROCOF at a wall outlet and serves them as IEEE C37.118.2.
.SH COMMANDS
"""
TAIL = """\
.SH ADMINISTRATION OVER SSH
.B rpmu\\-admin\\-shell
is the forced command of the user rpmu\\-admin. It carries out the commands config, status, doctor, logs, update and
calibrate show, with what they need on standard input, and refuses everything else. Every change leaves a line in the
system's log.
.SH EXIT STATUS
0 ok, 1 failed, 2 usage, 3 configuration or input invalid, 4 hardware missing, 5 not time-locked.
.SH FILES
.I /etc/rpmu/rpmu.toml
is the configuration until another one is applied;
.I /var/lib/rpmu/config/current
is the one in force from then on.
.I /etc/rpmu/admin_keys
has the public keys of those who administer by SSH,
.I /etc/rpmu/update_signers
those of the publishers of updates, in the form of
.BR ssh\\-keygen (1)'s
allowed signers.
.I /etc/rpmu/nftables.conf
says from where this machine can be reached.
"""


def manual(left_out: Collection[str] = ()) -> str:
    """The page in roff.

    Args:
        left_out: modules that are not there, as "cli/NAME.py"; their commands are not described.
    """
    os.environ["COLUMNS"] = "78"  # argparse asks for the terminal's width
    names = [name for name in COMMANDS if f"cli/{name}.py" not in left_out]
    return HEAD.format(version=__version__) + "".join(_section(name) for name in names) + TAIL


def _section(name: str) -> str:
    top = _children(build_parser(only=name))
    return "".join(f".SS {program}\n.nf\n{_escaped(text)}.fi\n" for program, text in _helps(top[name]))


def _helps(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The help of a command, and of each of its verbs."""
    yield parser.prog, parser.format_help()
    for child in _children(parser).values():
        yield from _helps(child)


def _children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # argparse has no public way to its subparsers
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _escaped(text: str) -> str:
    lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "".join(f"\\&{line}\n" for line in lines)
