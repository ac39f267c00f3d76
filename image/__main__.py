"""`python -m image`: the steps of `make image`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from image.errors import ImageError
from image.plan import Plan
from image.run import LIBRARIES, TOOLS


def main() -> int:
    """Run one step; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m image", description="SD-card image for the BeagleBone Black")
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    steps.add_parser("tools", help="print the Debian packages that a build needs on this machine")
    steps.add_parser("lock", help="renew image/packages.lock with the archive's newest versions")
    steps.add_parser("paths", help="build what an emulator boots; print the paths as JSON")
    card = steps.add_parser("card", help="build the image with checksums and block map")
    card.add_argument("output", type=Path, help="folder")
    args = parser.parse_args()
    if args.step == "tools":
        print(*sorted({*TOOLS.values(), *LIBRARIES}))
        return 0
    try:
        plan = Plan(tell=lambda line: print(line, file=sys.stderr, flush=True))
        if args.step == "lock":
            suites = os.environ.get("SUITES", "").split()
            print(plan.renew_lock(suites or None))
        elif args.step == "paths":
            print(json.dumps({name: str(path) for name, path in plan.boot_files().items()}, indent=2))
        else:
            for path in plan.release(args.output):
                print(path)
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
