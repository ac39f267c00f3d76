"""The plan's own part: what a build hands from step to step."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from image.plan import Plan


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb (a Debian system)")
def test_two_builds_at_a_time_never_see_each_others_half_made_package(tmp_path):
    plan = Plan(tell=lambda line: None, cache=tmp_path / "cache")
    first = plan.package()
    made = first.stat().st_ino
    assert plan.package() == first
    assert first.stat().st_ino == made, "the finished file is not written again"
    shown = subprocess.run(["dpkg-deb", "--field", first, "Package"], capture_output=True, text=True, check=True)
    assert shown.stdout == "rpmu\n"
    assert tmp_path in first.parents
