"""`rpmu config`: check, show and compare configurations, and export their schema."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from rpmu import config
from rpmu.config.problems import key_name
from rpmu.errors import InputError

HELP = "check, show and compare configurations (one TOML file; `rpmu config show` explains every setting)"

DEFAULT_FILE = Path("/etc/rpmu/rpmu.toml")
CHANGED = 1


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


def run(args: argparse.Namespace) -> int:
    """Carry out the verb; returns the exit code.

    Raises:
        InputError: a file cannot be read or is wrong.
    """
    verbs = {"check": _check, "show": _show, "schema": _schema, "diff": _diff}
    return verbs[args.verb](args)


def _load(path: Path) -> config.Config:
    if str(path) == "-":
        return config.parse(sys.stdin.buffer.read(), "standard input")
    return config.load(path)


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
