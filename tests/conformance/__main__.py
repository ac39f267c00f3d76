"""`python -m tests.conformance`: run the suite, print a line per case, write JSON and docs/conformance.md."""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conformance.campaign import full_jobs, peer_jobs, quick_jobs, quick_twin_jobs, run_jobs, twin_jobs
from tests.conformance.figures import component_errors, front_end_losses, latency_and_noise
from tests.conformance.report import render, summarise


def main() -> int:
    parser = argparse.ArgumentParser(description="Conformance of the estimator to IEC/IEEE 60255-118-1:2018.")
    parser.add_argument("--quick", action="store_true", help="a few cases, about two minutes")
    parser.add_argument("--dense", action="store_true", help="the standard's point spacing for ideal sampling")
    parser.add_argument("--peers", default="", metavar="A,B", help="also run these estimators on the same signals")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    args = parser.parse_args()
    jobs = [*quick_jobs(), *quick_twin_jobs()] if args.quick else [*full_jobs(dense=args.dense), *twin_jobs()]
    jobs += peer_jobs(name for name in args.peers.split(",") if name)
    results = []
    for _, found in run_jobs(jobs, args.processes):
        print(summarise(found), flush=True)
        results += found
        if args.json:  # after every job: a run of an hour may be interrupted
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps([r.as_json() for r in results], indent=1) + "\n")
    how = "quick" if args.quick else "dense points for ideal sampling" if args.dense else "thinned points"
    if args.markdown:
        args.markdown.parent.mkdir(parents=True, exist_ok=True)
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        tables = [] if args.quick else [front_end_losses(), component_errors(), latency_and_noise(results)]
        args.markdown.write_text(render(results, date, commit.stdout.strip() or "unknown", how, "\n".join(tables)))
    missed = sum(not r.passed for r in results if r.estimator == "fir")
    print(f"{len(results)} limits, our estimator misses {missed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
