"""Run all benchmarks, or those named: `python -m benchmarks codec emulator`."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def main(names: list[str]) -> int:
    """Import and run each benchmark; returns 2 for a name that does not exist."""
    modules = pkgutil.iter_modules(benchmarks.__path__)
    known = sorted(module.name for module in modules if module.name[0] != "_" and not module.ispkg)
    for name in names:
        if name not in known:
            print(f"no benchmark '{name}'; there are: {', '.join(known)}", file=sys.stderr)
            return 2
    for name in names or known:
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
