"""Nothing in the measuring path may know of the twin, nor need what is not on the board."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2] / "rpmu"
MEASURING = ("acquire", "timing", "estimate", "c37118", "serve", "config")
SINGLE = ("daemon.py", "pipeline.py", "measurement.py", "rooms.py", "errors.py", "cli/run.py")
ON_THE_BOARD = """
import sys
for name in ("scipy", "matplotlib", "soundfile"):
    sys.modules[name] = None  # any import of it fails
import rpmu.daemon, rpmu.cli.run
print(sorted(name for name in sys.modules if name.startswith("rpmu.twin")))
"""


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_no_file_of_the_measuring_path_imports_the_twin():
    files = [path for room in MEASURING for path in (ROOT / room).rglob("*.py")] + [ROOT / name for name in SINGLE]
    assert len(files) > 20
    guilty = [f"{path}: {name}" for path in files for name in imported(path) if name.startswith("rpmu.twin")]
    assert not guilty


def test_the_daemon_starts_without_what_the_board_does_not_have():
    done = subprocess.run([sys.executable, "-c", ON_THE_BOARD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
