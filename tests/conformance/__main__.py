"""`python -m tests.conformance`: run the suite, print a line per case, write JSON and docs/conformance.md.

With `--keep DIR` the results of every job are kept there under the job and the commit, so that a run that was
interrupted goes on where it was. Nothing is kept of a tree with uncommitted changes.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.conformance.campaign import full_jobs, peer_jobs, quick_jobs, quick_twin_jobs, run_jobs, twin_jobs
from tests.conformance.figures import component_errors, front_end_losses, latency_and_noise
from tests.conformance.report import render, summarise
from tests.conformance.runner import Result


def main() -> int:
    parser = argparse.ArgumentParser(description="Conformance of the estimator to IEC/IEEE 60255-118-1:2018.")
    parser.add_argument("--quick", action="store_true", help="a few cases, about two minutes")
    parser.add_argument("--dense", action="store_true", help="the standard's point spacing where nothing is random")
    parser.add_argument("--peers", default="", metavar="A,B", help="also run these estimators on the same signals")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep results here, and go on from those of this commit"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    args = parser.parse_args()
    jobs = [*quick_jobs(), *quick_twin_jobs()] if args.quick else [*full_jobs(dense=args.dense), *twin_jobs()]
    jobs += peer_jobs(name for name in args.peers.split(",") if name)
    commit, is_clean = _commit()
    keep = args.keep if is_clean else None
    if args.keep and not is_clean:
        print(f"uncommitted changes: nothing is kept in {args.keep} and nothing is taken from it", file=sys.stderr)
    begin_s = time.monotonic()
    by_job: dict[int, list[Result]] = {}
    for place, done in run_jobs(jobs, args.processes, keep, commit):
        by_job[place] = done.results
        took = "kept" if done.kept else f"{done.cpu_s:.0f} s CPU"
        print(f"{len(by_job)}/{len(jobs)} {summarise(done.results)} ({took})", flush=True)
        if args.json:  # after every job: a run may be interrupted
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps([r.as_json() for r in _in_order(by_job)], indent=1) + "\n")
    results = _in_order(by_job)
    if args.markdown:
        args.markdown.parent.mkdir(parents=True, exist_ok=True)
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        tables = [] if args.quick else [front_end_losses(results), component_errors(), latency_and_noise(results)]
        how = "quick" if args.quick else "dense points where nothing is random" if args.dense else "thinned points"
        name = commit[:7] if is_clean else f"{commit[:7]} with uncommitted changes"
        args.markdown.write_text(render(results, date, name, how, "\n".join(tables)))
    missed = sum(not r.passed for r in results if r.estimator == "fir")
    minutes = (time.monotonic() - begin_s) / 60
    print(f"{len(results)} limits, our estimator misses {missed}; {minutes:.1f} minutes")
    return 0


def _in_order(by_job: dict[int, list[Result]]) -> list[Result]:
    """The results of all jobs in the order of the campaign."""
    return [result for place in sorted(by_job) for result in by_job[place]]


def _commit() -> tuple[str, bool]:
    """The commit that is run, and whether the tree is just that."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "HEAD") or "unknown", not git("status", "--porcelain")


if __name__ == "__main__":
    sys.exit(main())
