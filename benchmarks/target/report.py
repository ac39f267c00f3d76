"""From counts to figures, a table, and a judgement against the record and the goals."""

from __future__ import annotations

from typing import Any

from benchmarks.target.cases import CASES, Case
from benchmarks.target.emulator import Counts
from benchmarks.target.guest import IMPORT, INNER, MOST_REPORTS, NOTHING_CALLS, OUTER, SECTIONS_PER_CASE, STAGES

TOLERANCE = 0.03  # counts repeat exactly; this much is left to small changes
MOST_RESIDENT_BYTES = 60_000_000
Figures = dict[str, Any]


def figures(whole: Counts, staged: Counts, seen: list[dict[str, Any]], seen_staged: list[dict[str, Any]]) -> Figures:
    """Per case: instructions and macs per report, of each stage, and of a poll without a report.

    Args:
        whole: counts of the run that was divided by reports.
        staged: counts of the run that was divided by stages.
        seen: what the guest counted besides in the first, per case.
        seen_staged: likewise in the second.
    """
    inner, outer = staged[INNER][1] / NOTHING_CALLS, staged[OUTER][1] / NOTHING_CALLS
    cases: dict[str, Figures] = {}
    for number, case in enumerate(CASES):
        _check(case, seen[number])
        base, reports = number * SECTIONS_PER_CASE, seen[number]["reports"]
        sections = [whole.get(base + n, (0, 0, 0)) for n in range(MOST_REPORTS + 1)]
        stages = {}
        for n, stage in enumerate(STAGES):
            calls, nested = (seen_staged[number][what].get(stage, 0) for what in ("calls", "nested"))
            own = staged.get(base + n, (0, 0, 0))[1] - calls * inner - nested * outer
            stages[stage] = round(own / reports)
        cases[case.name] = {
            "instructions": round(sum(section[1] for section in sections) / reports),
            "macs": round(sum(section[2] for section in sections) / reports),
            "idle_poll": round(sections[0][1] / seen[number]["idle_waits"]) if seen[number]["idle_waits"] else None,
            "stages": stages,
        }
    return {"cases": cases, "import": whole[IMPORT][1]}


def _check(case: Case, seen: dict[str, Any]) -> None:
    """Refuse to count a daemon that does not do its work."""
    if abs(seen["reports"] - case.rate * seen["seconds"]) > 2 or seen["frames"] != seen["reports"]:
        raise RuntimeError(f"{case.name}: not every report was measured and sent: {seen}")


def table(found: Figures) -> str:
    """For people."""
    stages = "".join(f"{stage:>10}" for stage in STAGES)
    lines = [f"{'per report':<24}{'instructions':>13}{'goal':>9}{'MAC':>8}{'goal':>8}{stages}"]
    for case in CASES:
        figure = found["cases"][case.name]
        goals = [f"{goal:,}" if goal else "" for goal in (case.most_instructions, case.most_macs)]
        lines.append(
            f"{case.name:<24}{figure['instructions']:>13,}{goals[0]:>9}{figure['macs']:>8,}{goals[1]:>8}"
            + "".join(f"{figure['stages'][stage]:>10,}" for stage in STAGES)
        )
    idle = max(figure["idle_poll"] or 0 for figure in found["cases"].values())
    lines += [
        f"a poll without a report: {idle:,} instructions at most",
        f"import of the daemon: {found['import']:,} instructions",
        f"resident memory: {found['resident_bytes'] / 1e6:.1f} MB, goal {MOST_RESIDENT_BYTES / 1e6:.0f} MB",
        "counted: " + ", ".join(f"{name} {version}" for name, version in found["target"].items()),
    ]
    return "\n".join(lines)


def judge(found: Figures, record: Figures) -> list[str]:
    """What is wrong: counts above the record, and goals that the record meets but these counts do not."""
    faults = []
    if found["target"] != record["target"]:
        faults.append(f"counted on {found['target']}, but recorded on {record['target']}: renew the record (--record)")
    for case in CASES:
        new, old = found["cases"][case.name], record["cases"].get(case.name)
        if old is None:
            faults.append(f"{case.name}: not in the record: renew it (--record)")
            continue
        for name, goal in (("instructions", case.most_instructions), ("macs", case.most_macs), ("idle_poll", None)):
            faults += _compare(f"{case.name}, {name}", new[name], old[name], goal)
    faults += _compare("import, instructions", found["import"], record["import"], None)
    if found["resident_bytes"] > MOST_RESIDENT_BYTES:
        faults.append(
            f"resident memory is {found['resident_bytes']:,} bytes, above the goal of {MOST_RESIDENT_BYTES:,}"
        )
    return faults


def _compare(name: str, new: int | None, old: int | None, goal: int | None) -> list[str]:
    if new is None or old is None:
        return []
    if new > old * (1 + TOLERANCE):
        return [f"{name}: {new:,}, {100 * (new / old - 1):.1f} % above the recorded {old:,}"]
    if goal is not None and old <= goal < new:
        return [f"{name}: {new:,}, above the goal of {goal:,}, which the recorded {old:,} meets"]
    return []
