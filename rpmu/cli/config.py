"""`rpmu config`: check, show, compare and change configurations, and put them into force with a way back."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from rpmu import config
from rpmu.cli.running import tell
from rpmu.config.change import WELL_WITHIN_S, Outcome, await_end, carry_out, take
from rpmu.config.disk import RealDisk, put
from rpmu.config.edit import assign, parse_assignment
from rpmu.config.effects import in_words
from rpmu.config.host import RELOAD_COMMAND, LocalHost
from rpmu.config.problems import key_name
from rpmu.config.revisions import CURRENT, Revisions
from rpmu.errors import InputError
from rpmu.serve.status_socket import socket_to_read

HELP = "check, show, compare and change configurations (one TOML file; `rpmu config show` explains every setting)"

DEFAULT_FILE = Path("/etc/rpmu/rpmu.toml")
DEFAULT_STORE = Path("/var/lib/rpmu/config")
CHANGED = 1
UNDONE = 1
CONFIRM_WITHIN_S = 120.0
MAX_CONFIRM_S = 86400.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs and their options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    check = verbs.add_parser("check", help="say everything that is wrong with a file (exit code 3), or that it is fine")
    check.add_argument("file", type=Path, nargs="?", default=DEFAULT_FILE, help=f"default: {DEFAULT_FILE}; - is stdin")
    check.add_argument("--json", action="store_true", help="one JSON object")
    show = verbs.add_parser("show", help="the effective configuration, every setting explained")
    show.add_argument("file", type=Path, nargs="?", help="default: the built-in configuration; - is stdin")
    show.add_argument("--plain", action="store_true", help="without comments")
    show.add_argument("--json", action="store_true", help="as JSON")
    verbs.add_parser("schema", help="the JSON Schema of the file")
    diff = verbs.add_parser("diff", help="the settings that differ (exit code 1 if any)")
    diff.add_argument("old", type=Path, help="a file, or - for stdin")
    diff.add_argument("new", type=Path, nargs="?", help="another one; default: the built-in configuration")
    diff.add_argument("--json", action="store_true", help="one JSON object per setting")
    change = verbs.add_parser("set", help="change settings in a file, leaving the rest of it alone")
    change.add_argument("file", type=Path, help="the file, changed in place; - reads stdin and writes stdout")
    change.add_argument("assignment", nargs="+", help="SECTION.KEY=VALUE, channel.1.KEY=VALUE; no VALUE takes it out")
    _configure_revisions(verbs)


def _configure_revisions(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The verbs that work on the folder of revisions."""
    apply = verbs.add_parser("apply", help="put a file into force; undone unless confirmed (exit code 1)")
    apply.add_argument("file", type=Path, help="the file; - is stdin")
    apply.add_argument(
        "--confirm-within",
        type=float,
        default=CONFIRM_WITHIN_S,
        metavar="S",
        help=f"seconds until it is undone; 0: no confirmation needed (default: {CONFIRM_WITHIN_S:g})",
    )
    apply.add_argument(
        "--well-within",
        type=float,
        default=WELL_WITHIN_S,
        metavar="S",
        help=f"seconds for the daemon to be as well as before (default: {WELL_WITHIN_S:g})",
    )
    apply.add_argument("--dry-run", action="store_true", help="only say what would change, and what that would do")
    rollback = verbs.add_parser("rollback", help="return to an earlier revision")
    rollback.add_argument("revision", type=int, nargs="?", help="which; default: the one before")
    confirm = verbs.add_parser("confirm", help="keep the change that was applied")
    recover = verbs.add_parser(
        "recover", help="undo a change nobody confirmed before a restart (run before the daemon)"
    )
    recover.add_argument(
        "--wait", action="store_true", help="first wait until the change is confirmed or its time is up"
    )
    revisions = verbs.add_parser("revisions", help="list the revisions")
    for parser in (apply, rollback, confirm, recover, revisions):
        parser.add_argument(
            "--store",
            type=Path,
            default=DEFAULT_STORE,
            help=f"default: {DEFAULT_STORE}; the daemon reads `current` in it",
        )
    for parser in (apply, rollback):
        parser.add_argument(
            "--reload", default=RELOAD_COMMAND, metavar="COMMAND", help=f"default: '{RELOAD_COMMAND}'; '' for none"
        )
        parser.add_argument(
            "--socket", type=Path, metavar="PATH", help="of the daemon's status (default: service's, else your own)"
        )


def run(args: argparse.Namespace) -> int:
    """Carry out the verb; returns the exit code.

    Raises:
        InputError: a file cannot be read or is wrong, or there is no such revision.
    """
    verbs: dict[str, Callable[[argparse.Namespace], int]] = {
        "check": _check,
        "show": _show,
        "schema": _schema,
        "diff": _diff,
        "set": _set,
        "apply": _apply,
        "confirm": _confirm,
        "rollback": _rollback,
        "recover": _recover,
        "revisions": _revisions,
    }
    return verbs[args.verb](args)


def _read(path: Path) -> tuple[bytes, str]:
    """Content and name of a file or of standard input."""
    if str(path) == "-":
        return sys.stdin.buffer.read(), "standard input"
    return config.read(path), str(path)


def _load(path: Path) -> config.Config:
    return config.parse(*_read(path))


def _check(args: argparse.Namespace) -> int:
    if not args.json:
        _load(args.file)
        print(f"{args.file}: fine")
        return 0
    problems: list[dict[str, object]] = []
    try:
        _load(args.file)
    except config.ConfigError as error:
        for problem in error.problems:
            sentence = problem.sentence(error.file)
            problems.append({"line": problem.line, "key": key_name(problem.path), "message": sentence})
    print(json.dumps({"file": str(args.file), "fine": not problems, "problems": problems}))
    return InputError.exit_code if problems else 0


def _show(args: argparse.Namespace) -> int:
    effective = config.default() if args.file is None else _load(args.file)
    if args.json:
        tree = dataclasses.asdict(effective)
        tree["channel"] = [dataclasses.asdict(channel) for channel in effective.channels]
        print(json.dumps(tree, indent=2))
    else:
        print(config.render(effective, comments=not args.plain), end="")
    return 0


def _schema(_args: argparse.Namespace) -> int:
    print(json.dumps(config.json_schema(), indent=2))
    return 0


def _diff(args: argparse.Namespace) -> int:
    old = _load(args.old)
    new = config.default() if args.new is None else _load(args.new)
    changes = config.difference(old, new)
    for change in changes:
        if args.json:
            print(json.dumps({"key": key_name(change.path), "old": change.old, "new": change.new}))
        else:
            print(change)
    return CHANGED if changes else 0


def _set(args: argparse.Namespace) -> int:
    content, name = _read(args.file)
    old = config.parse(content, name)
    text = content.decode("utf-8")
    for assignment in args.assignment:
        text = assign(text, *parse_assignment(assignment))
    new = config.parse(text.encode(), name)  # lines are those of the changed text
    if str(args.file) == "-":
        print(text, end="")
    else:
        file = args.file.resolve()
        put(RealDisk(file.parent), file.name, text.encode())
        for change in config.difference(old, new):
            print(change)
    return 0


def _store(args: argparse.Namespace) -> Revisions:
    return Revisions(RealDisk(args.store))


def _apply(args: argparse.Namespace) -> int:
    content, name = _read(args.file)
    new = config.parse(content, name)
    if not 0 <= args.confirm_within <= MAX_CONFIRM_S:
        raise InputError(f"--confirm-within is {args.confirm_within:g}, but must be 0 to {MAX_CONFIRM_S:g} seconds")
    if not 1 <= args.well_within <= MAX_CONFIRM_S:
        raise InputError(f"--well-within is {args.well_within:g}, but must be 1 to {MAX_CONFIRM_S:g} seconds")
    # A change may cut the very connection that it was made over; the way back must not die with it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for line in in_words(_in_force(args), new):
        tell(line)
    if args.dry_run:
        return 0
    within_s, host = args.confirm_within or None, _host(args)
    outcome = carry_out(_store(args), content, within_s, host, tell, args.well_within)
    tell(outcome.value)
    return 0 if outcome is Outcome.IN_FORCE else UNDONE


def _in_force(args: argparse.Namespace) -> config.Config:
    """The configuration that holds now, as well as it can be known: one that is damaged is no reason not to go on."""
    file = next((path for path in (args.store / CURRENT, DEFAULT_FILE) if path.is_file()), None)
    try:
        return config.default() if file is None else config.load(file)
    except InputError:
        return config.default()


def _host(args: argparse.Namespace) -> LocalHost:
    """This machine, with its daemon if one is to be reloaded."""
    return LocalHost(args.reload, (args.socket or socket_to_read()) if args.reload else None)


def _confirm(args: argparse.Namespace) -> int:
    host = LocalHost("")
    print(f"revision {_store(args).confirm(host.now_s(), host.boot())} is confirmed")
    return 0


def _rollback(args: argparse.Namespace) -> int:
    store, host = _store(args), _host(args)
    before = host.status()
    number = store.rollback(args.revision)
    print(f"revision {number} is in force")
    complaint = take(store.content(number), before, host)
    if complaint:
        print(f"but the daemon says: {complaint}")
    return UNDONE if complaint else 0


def _recover(args: argparse.Namespace) -> int:
    store, host = _store(args), LocalHost("")
    if args.wait:
        await_end(store, host)
    restored = store.settle(host.now_s(), host.boot())
    print("nothing to undo" if restored is None else f"revision {restored} is in force again")
    return 0


def _revisions(args: argparse.Namespace) -> int:
    store = _store(args)
    pending = store.pending()
    for number in store.numbers():
        notes = ["in force"] if number == store.current() else []
        notes += ["awaits confirmation"] if pending is not None and number == pending.revision else []
        print(" ".join([str(number), *(f"({note})" for note in notes)]))
    return 0
