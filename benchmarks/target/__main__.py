"""Count what the daemon costs on the board, compare with the record and with the goals: `make bench-target`.

Exit code 0 if no count is more than 3 % above `recorded.json`, and no goal that the record meets is missed; 1 if not;
0 with a line that says "skipped", and why, where the target's Python or the emulator cannot be had. `--record` renews
the record.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.target import cases, report
from benchmarks.target.emulator import Emulator, UnavailableError

RECORD = Path(__file__).with_name("recorded.json")


def main(arguments: list[str]) -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.target", description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true", help="keep the counts as the new record")
    args = parser.parse_args(arguments)
    try:
        emulator = Emulator.prepare()
    except UnavailableError as error:
        print(f"bench-target: skipped: {error}")
        return 0
    figures = measure(emulator)
    figures["target"] = emulator.description
    print(report.table(figures))
    if args.record:
        RECORD.write_text(json.dumps(figures, indent=1) + "\n")
        print(f"recorded in {RECORD.relative_to(Path.cwd())}")
    faults = report.judge(figures, json.loads(RECORD.read_text()))
    for fault in faults:
        print(f"bench-target: {fault}", file=sys.stderr)
    return 1 if faults else 0


def measure(emulator: Emulator) -> dict[str, Any]:
    """All counts, as plain numbers for the table and the record."""
    jobs = [case.job(emulator.folder) for case in cases.CASES]
    whole, seen = emulator.count({"cases": jobs, "by_stage": False, "wait_at_end": False})
    staged, seen_staged = emulator.count({"cases": jobs, "by_stage": True, "wait_at_end": False})
    resident = emulator.memory({"cases": jobs[-1:], "by_stage": False, "wait_at_end": True})
    return report.figures(whole, staged, seen, seen_staged) | {"resident_bytes": resident}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
