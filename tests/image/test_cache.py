"""Cached steps: built once for the same input, anew for another, and never half."""

from __future__ import annotations

import os
import time

import pytest

from image.cache import KEEP, KEEP_S, Cache, digest


def folders(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if path.is_dir())


def test_a_step_runs_once_for_the_same_input(tmp_path):
    runs = []
    cache = Cache(tmp_path, tell=lambda line: None)
    results = [cache.step("a", [made_of], lambda folder: runs.append(folder)) for made_of in ("x", "x", "y")]
    assert len(runs) == 2
    assert results[0] == results[1] != results[2]


def test_a_step_that_fails_leaves_nothing(tmp_path):
    def build(folder):
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Cache(tmp_path, tell=lambda line: None).step("a", ["x"], build)
    assert folders(tmp_path) == []


def test_old_results_are_forgotten_but_not_those_of_today(tmp_path):
    cache = Cache(tmp_path, tell=lambda line: None)
    results = [cache.step("a", [str(number)], lambda folder: None) for number in range(KEEP + 2)]
    assert len(folders(tmp_path)) == KEEP + 2
    old_s = time.time() - KEEP_S - 60
    for result in results[:2]:
        os.utime(result, (old_s, old_s))
    cache.step("a", ["new"], lambda folder: None)
    assert not results[0].exists()
    assert results[-1].exists()


def test_content_mode_and_links_of_a_folder_count(tmp_path):
    file = tmp_path / "folder/file"
    file.parent.mkdir()
    file.write_text("one")
    seen = {digest([file.parent])}
    file.write_text("two")
    seen.add(digest([file.parent]))
    file.chmod(0o755)
    seen.add(digest([file.parent]))
    (file.parent / "link").symlink_to("/dev/null")
    seen.add(digest([file.parent]))
    (file.parent / "__pycache__").mkdir()
    (file.parent / "__pycache__/x.pyc").touch()
    seen.add(digest([file.parent]))
    assert len(seen) == 4


def test_pieces_cannot_run_into_each_other():
    assert digest(["ab", "c"]) != digest(["a", "bc"])
