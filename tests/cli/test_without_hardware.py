"""`rpmu run` on a machine without a board says all that is missing, and ends with 4."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    any("4a334000.pru" in path.read_text() for path in Path("/sys/class/remoteproc").glob("*/name")),
    reason="this is a board",
)


def run(tmp_path, text):
    (tmp_path / "rpmu.toml").write_text(text)
    words = [sys.executable, "-m", "rpmu", "run", "--config", str(tmp_path / "rpmu.toml")]
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


def test_everything_that_is_missing_is_named(tmp_path):
    done = run(tmp_path, '[gps]\ndevice = "/dev/no-receiver"\n')
    assert done.returncode == 4
    assert "no PRU found" in done.stderr
    assert "pru_rproc" in done.stderr, "and what to do about it"
    assert "cannot open /dev/no-receiver" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_receiver_is_not_missed_where_the_time_comes_from_the_host(tmp_path):
    done = run(tmp_path, '[time]\nsource = "system"\n[gps]\ndevice = "/dev/no-receiver"\n')
    assert done.returncode == 4
    assert "no PRU found" in done.stderr
    assert "no-receiver" not in done.stderr


def test_the_doctor_ends_alike(tmp_path):
    words = [sys.executable, "-m", "rpmu", "doctor", "--socket", str(tmp_path / "none"), "--root", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert "board" in done.stdout
