"""Build step: compile the PRU emulator of the digital twin into the package.

`make` and pip both come here, so there is one command line for the compiler. Where there is no C compiler (a board
does not need the twin) the package is built without it, and `rpmu twin` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "rpmu" / "twin" / "emulator"
LIBRARY = ROOT / "rpmu" / "twin" / "_emulator.so"
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]


def compile_emulator() -> bool:
    """Compile every C file of the emulator into one shared library; False if no compiler is installed."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    sources = sorted(str(path) for path in SOURCES.glob("*.c"))
    if not sources:
        return True
    if compiler is None:
        return False
    subprocess.run([compiler, *FLAGS, "-o", str(LIBRARY), *sources, "-lm"], check=True)
    return True


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by make, outside a build
    pass
else:

    class EmulatorBuildHook(BuildHookInterface):  # type: ignore[type-arg]
        """Adds the compiled emulator to the wheel."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile, and mark the wheel as platform-specific if there is something compiled in it."""
            del version  # wheels and editable installs alike
            if compile_emulator() and LIBRARY.is_file():
                build_data["artifacts"].append("rpmu/twin/_emulator.so")
                build_data["pure_python"] = False
                build_data["infer_tag"] = True


if __name__ == "__main__":
    sys.exit(0 if compile_emulator() else "no C compiler found: install gcc (Debian: apt-get install gcc)")
