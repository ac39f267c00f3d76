"""`rpmu doctor`: what is wrong on this machine, and what to do about it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rpmu.cli.run import CONFIG_FILE, file_in_force
from rpmu.config import ConfigError, default, load
from rpmu.doctor import Finding, Level, Subject, examine, exit_code
from rpmu.errors import HardwareError, InputError
from rpmu.serve.status_socket import read_status, socket_to_read

HELP = "Examine this machine from the kernel to the PDC: what is wrong, by what evidence, and what to do."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: the one the daemon reads")
    parser.add_argument("--socket", type=Path, metavar="PATH", help="of the daemon (default: service's, else your own)")
    parser.add_argument("--fix-pin", metavar="PIN", help="header pin of the receiver's FIX output, e.g. P9_12")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="examine another file system")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Examine and print; ends with 0, with 1 if a check failed, with 4 without board and daemon."""
    subject = _subject(args)
    findings = examine(subject)
    code = exit_code(subject, findings)
    if args.json:
        print(json.dumps({"exit_code": code, "findings": [_plain(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            print(finding)
        print(_summary(findings))
    return code


def _subject(args: argparse.Namespace) -> Subject:
    config, problem = default(), ""
    file = args.config or file_in_force() or CONFIG_FILE
    if file.exists():
        try:
            config = load(file)
        except (ConfigError, InputError) as error:
            problem = str(error)
    try:
        status = read_status(args.socket or socket_to_read())
    except HardwareError:
        status = None  # one of the findings says so
    return Subject(args.root, config, file, problem, status, args.fix_pin)


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "level": finding.level.value,
        "evidence": finding.evidence,
        "next_step": finding.next_step,
    }


def _summary(findings: list[Finding]) -> str:
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    return ", ".join(f"{count} {level.value}" for level, count in counts.items())
