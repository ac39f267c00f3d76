"""A change that cuts the connection it was made over is undone all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

APPLY = [sys.executable, "-m", "rpmu", "config", "apply"]


@pytest.mark.parametrize("lines_read", [0, 1])
def test_it_is_undone_though_nobody_reads(tmp_path, lines_read):
    file, store = tmp_path / "rpmu.toml", ["--store", str(tmp_path / "store"), "--reload", ""]
    file.write_text('[station]\nname = "ONE"\n')
    subprocess.run([*APPLY, str(file), *store, "--confirm-within", "0"], check=True, stdout=subprocess.DEVNULL)
    file.write_text('[station]\nname = "TWO"\n')
    words = [*APPLY, str(file), *store, "--confirm-within", "2"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as change:
        for _ in range(lines_read):
            assert change.stdout.readline().startswith('[station] name: "ONE" -> "TWO"; announced')
        change.stdout.close()
        assert change.wait(60) == 1
        assert change.stderr.read() == ""
    assert "ONE" in (tmp_path / "store/current").read_text()


def test_a_killed_apply_is_undone_by_the_guard(tmp_path):
    """What rpmu-config-guard.service runs: it waits for the time of the change to be up, and undoes it."""
    file, store = tmp_path / "rpmu.toml", ["--store", str(tmp_path / "store")]
    file.write_text('[station]\nname = "ONE"\n')
    subprocess.run([*APPLY, str(file), *store, "--reload", "", "--confirm-within", "0"], check=True)
    file.write_text('[station]\nname = "TWO"\n')
    words = [*APPLY, str(file), *store, "--reload", "", "--confirm-within", "2"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as change:
        while "confirm it within" not in change.stdout.readline():
            pass
        change.kill()
    assert "TWO" in (tmp_path / "store/current").read_text()
    guard = [*APPLY[:-1], "recover", "--wait", *store]
    done = subprocess.run(guard, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "revision 1 is in force again\n")
    assert "ONE" in (tmp_path / "store/current").read_text()
    assert not (tmp_path / "store/pending.json").exists()
