"""Which command lines an administrator may send, and the programs that each becomes.

A line is split like a shell would (quotes, no expansion), then held against a table of verbs with every option and
argument they may have. What is not in the table is refused. No file name passes: files come through standard input,
written `-`. What comes out are argument vectors; no shell is involved anywhere.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from rpmu.errors import InputError
from rpmu.update.worker import FOLDER, MAX_BUNDLE_BYTES

MAX_LINE = 4096
MAX_CONFIGURATION_BYTES = 64 * 1024  # one with every comment has a tenth of it
NUMBER = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?")
REVISION = re.compile(r"[0-9]{1,9}")
LINES = re.compile(r"[0-9]{1,4}")
ASSIGNMENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+=[^\x00-\x1f\x7f]{0,512}")
STDIN = re.compile(r"-")
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")


class RefusedError(InputError):
    """The line is not one that an administrator may send."""

    exit_code = 2


class Feed(Enum):
    """What a program gets as standard input."""

    NOTHING = "nothing"
    CLIENT = "what the administrator sends"
    IN_FORCE = "the configuration in force"
    PREVIOUS = "what the program before it printed"


@dataclass(frozen=True)
class Step:
    """One program to run: its arguments, and what it reads."""

    words: tuple[str, ...]
    feed: Feed = Feed.NOTHING


@dataclass(frozen=True)
class Request:
    """A permitted line: the programs to run one after the other.

    Attributes:
        steps: the programs.
        changes: whether they change anything.
        max_stdin_bytes: what the administrator may send.
    """

    steps: tuple[Step, ...]
    changes: bool
    max_stdin_bytes: int = MAX_CONFIGURATION_BYTES


@dataclass(frozen=True)
class Board:
    """Where things are on the board.

    Attributes:
        rpmu: the words that start rpmu.
        files: configuration files; the first that exists is in force.
        store: folder of revisions.
        socket: of the daemon's status.
        reload: command line that makes the daemon take a new configuration.
        updates: folder of updates.
        update: command line that starts an update or a rollback.
    """

    rpmu: tuple[str, ...] = (sys.executable, "-m", "rpmu")
    files: tuple[Path, ...] = (Path("/var/lib/rpmu/config/current"), Path("/etc/rpmu/rpmu.toml"))
    store: Path = Path("/var/lib/rpmu/config")
    socket: Path = Path("/run/rpmu/status.sock")
    reload: str = "sudo -n /usr/bin/systemctl reload-or-restart rpmu.service"
    updates: Path = FOLDER
    update: str = "sudo -n /usr/bin/systemctl start rpmu-update@{job}.service"

    @property
    def in_force(self) -> Path:
        """The configuration file that the daemon reads."""
        return next((path for path in self.files if path.exists()), self.files[-1])


@dataclass(frozen=True)
class Verb:
    """What may follow a verb.

    Attributes:
        options: options with a value, and the form of it.
        flags: options without.
        arguments: form of the arguments.
        least: how many there must be ...
        most: ... and may be.
        changes: whether it changes anything.
        usage: of the arguments, for the list of verbs.
        max_stdin_bytes: what may be sent.
    """

    options: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    arguments: re.Pattern[str] = STDIN
    least: int = 0
    most: int = 0
    changes: bool = False
    usage: str = ""
    max_stdin_bytes: int = MAX_CONFIGURATION_BYTES


JSON = frozenset({"--json"})
PATIENCE = {"--confirm-within": NUMBER, "--well-within": NUMBER}
VERBS: dict[tuple[str, ...], Verb] = {
    ("config", "check"): Verb(flags=JSON, least=1, most=1, usage="- < FILE"),
    ("config", "show"): Verb(flags=JSON | {"--plain"}, most=1, usage="[- < FILE]"),
    ("config", "schema"): Verb(),
    ("config", "diff"): Verb(flags=JSON, least=1, most=1, usage="- < FILE, against the one in force"),
    ("config", "set"): Verb(PATIENCE, arguments=ASSIGNMENT, least=1, most=32, changes=True, usage="KEY=VALUE..."),
    ("config", "apply"): Verb(PATIENCE, least=1, most=1, changes=True, usage="- < FILE"),
    ("config", "confirm"): Verb(changes=True),
    ("config", "rollback"): Verb(arguments=REVISION, most=1, changes=True, usage="[REVISION]"),
    ("config", "revisions"): Verb(),
    ("update", "status"): Verb(flags=JSON),
    ("update", "rollback"): Verb(flags=JSON, changes=True),
    ("update",): Verb(
        flags=JSON, least=1, most=1, changes=True, usage="- < SIGNATURE, PACKAGE", max_stdin_bytes=MAX_BUNDLE_BYTES
    ),
    ("status",): Verb(flags=JSON | {"--require-lock"}),
    ("doctor",): Verb(flags=JSON),
    ("logs",): Verb({"--lines": LINES}),
    ("calibrate", "show"): Verb(flags=JSON),
    ("calibrate", "history"): Verb(flags=JSON),
}


def permit(line: str, board: Board) -> Request:
    """What a line becomes.

    Args:
        line: as it came over SSH.
        board: where things are.

    Raises:
        RefusedError: it is not one of the permitted ones.
    """
    words = _split(line)
    name = next((verb for verb in VERBS if tuple(words[: len(verb)]) == verb), None)
    if name is None:
        raise RefusedError(f"{_shown(line)} is not permitted; permitted are:\n{usage()}")
    options, arguments = _sorted(name, words[len(name) :])
    verb = VERBS[name]
    return Request(tuple(_steps(name, options, arguments, board)), verb.changes, verb.max_stdin_bytes)


def usage() -> str:
    """The permitted lines, one each."""
    lines = []
    for name, verb in VERBS.items():
        options = [f"[{flag}]" for flag in sorted(verb.flags)] + [f"[{option} N]" for option in verb.options]
        lines.append("  " + " ".join([*name, *options, *([verb.usage] if verb.usage else [])]))
    return "\n".join(lines)


def _split(line: str) -> list[str]:
    if len(line) > MAX_LINE or not PRINTABLE.fullmatch(line):
        raise RefusedError(f"a command is at most {MAX_LINE} printable characters on one line")
    try:
        line.encode()
        words = shlex.split(line)
    except ValueError as error:  # no UTF-8, or an open quote
        raise RefusedError(f"{_shown(line)} cannot be read: {error}") from None
    return words[1:] if words[:1] == ["rpmu"] else words


def _shown(line: str) -> str:
    """The line for people, cut, with nothing in it that a terminal or a log would obey."""
    return ascii(line if len(line) <= 80 else line[:77] + "...")


def _sorted(name: tuple[str, ...], words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options (each value behind its own) and arguments, every one checked."""
    verb, command = VERBS[name], " ".join(name)
    options: list[str] = []
    arguments: list[str] = []
    rest: Iterator[str] = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if word in verb.flags:
            options.append(word)
        elif option in verb.options:
            value = value if equals else next(rest, "")
            if not verb.options[option].fullmatch(value):
                raise RefusedError(f"{command}: {option} is {_shown(value)}, but must be a number")
            options += [option, value]
        elif verb.most and verb.arguments.fullmatch(word):
            arguments.append(word)
        else:
            raise RefusedError(f"{command} may not have {_shown(word)}; permitted are:\n{usage()}")
    if not verb.least <= len(arguments) <= verb.most:
        raise RefusedError(f"{command} has {len(arguments)} arguments; permitted are:\n{usage()}")
    return options, arguments


def _steps(name: tuple[str, ...], options: list[str], arguments: list[str], board: Board) -> Iterator[Step]:
    words = (*board.rpmu, *name, *options)
    store = ("--store", str(board.store))
    reload = ("--reload", board.reload, "--socket", str(board.socket))
    match name:
        case ("logs",):
            lines = options[-1] if options else "100"
            yield Step(("/usr/bin/journalctl", "--unit=rpmu.service", "--no-pager", "--output=short-iso", "-n", lines))
        case ("status",) | ("doctor",):
            file = ("--config", str(board.in_force)) if name == ("doctor",) else ()
            yield Step((*words, "--socket", str(board.socket), *file))
        case ("config", "show"):
            yield Step((*words, "-"), Feed.CLIENT if arguments else Feed.IN_FORCE)
        case ("config", "diff"):
            yield Step((*words, str(board.in_force), "-"), Feed.CLIENT)
        case ("config", "set"):
            yield from _way_back(board)
            yield Step((*board.rpmu, "config", "set", "-", *arguments), Feed.IN_FORCE)
            yield Step((*board.rpmu, "config", "apply", "-", *options, *store, *reload), Feed.PREVIOUS)
        case ("config", "check"):
            yield Step((*words, "-"), Feed.CLIENT)
        case ("config", "apply"):
            yield from _way_back(board)
            yield Step((*words, "-", *store, *reload), Feed.CLIENT)
        case ("config", "rollback"):
            yield Step((*words, *arguments, *store, *reload))
        case ("update", "status"):
            yield Step((*words, "--folder", str(board.updates)))
        case ("update",) | ("update", "rollback"):
            feed = Feed.CLIENT if arguments else Feed.NOTHING
            yield Step((*words, *arguments, "--folder", str(board.updates), "--start", board.update), feed)
        case ("config", "confirm") | ("config", "revisions"):
            yield Step((*words, *store))
        case _:
            yield Step(words)


def _way_back(board: Board) -> Iterator[Step]:
    """Before the first change: what was in force until now becomes revision 1, so that there is one to return to."""
    if not os.path.lexists(board.store / "current") and board.in_force.exists():
        words = ("config", "apply", str(board.in_force), "--confirm-within=0", "--reload=", "--store", str(board.store))
        yield Step((*board.rpmu, *words))
