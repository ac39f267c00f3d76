"""The one rule by which a change of configuration or version is kept or undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rpmu.health import HealthCheck, Vital, await_health
from rpmu.status import as_object
from tests.e2e.rig import run_chain

LOCKED = Vital("locked", 1000, 50_000)


class Clock:
    """Time passes by sleeping only."""

    def __init__(self):
        self.now = 100.0

    def now_s(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def flowing(state="locked", frames=60, samples=12_000, dies_at=()):
    """A daemon that starts at 0 and works; not there at the given looks, and from 0 again after each."""
    count = age = 0
    while True:
        count, age = count + 1, age + 1
        if count in dies_at:
            age = 0
            yield None
        else:
            yield Vital(state, frames * age, samples * age)


def judge(before, seen, within_s=60.0):
    clock = Clock()
    complaint = await_health(before, lambda: next(seen), clock, within_s)
    return complaint, clock.now - 100.0


def test_vital_signs_are_those_of_a_real_status():
    status = run_chain(7, source="nominal").status
    vital = Vital.of(as_object(status))
    assert vital == Vital("locked", status.server.frames_published, status.ring.samples)
    assert vital.frames > 0
    assert vital.samples > 0


def test_well_means_well_for_a_while():
    complaint, took_s = judge(LOCKED, flowing())
    assert complaint == ""
    assert took_s == pytest.approx(10.0)


def test_a_daemon_that_dies_again_and_again_is_not_well():
    complaint, took_s = judge(LOCKED, flowing(dies_at=range(0, 1000, 8)))
    assert complaint
    assert took_s >= 60.0


def test_one_that_comes_up_late_is():
    assert judge(LOCKED, flowing(dies_at=range(1, 30)))[0] == ""


@pytest.mark.parametrize(
    ("before", "seen", "complaint"),
    [
        (LOCKED, flowing(dies_at=range(1, 1000)), "the daemon does not answer"),
        (LOCKED, flowing("acquiring", frames=0), "the time is acquiring, and was locked"),
        (LOCKED, flowing("holdover"), "the time is holdover, and was locked"),
        (replace(LOCKED, state="holdover"), flowing("cold", frames=0), "the time is cold, and was holdover"),
        (LOCKED, flowing(frames=0), "no frames flow"),
        (replace(LOCKED, state="acquiring"), flowing("cold", frames=0, samples=0), "no samples flow"),
    ],
)
def test_what_is_missing_is_said(before, seen, complaint):
    assert judge(before, seen)[0] == complaint


@pytest.mark.parametrize(
    ("before", "seen"),
    [
        (None, flowing(dies_at=range(1, 1000))),
        (replace(LOCKED, state="unlocked"), flowing("cold", frames=0)),
        (replace(LOCKED, state="holdover"), flowing("locked")),
    ],
)
def test_not_worse_is_enough(before, seen):
    assert judge(before, seen)[0] == ""


def test_frames_of_one_look_are_no_flow():
    check = HealthCheck(LOCKED)
    assert check.look(LOCKED) == "it was seen only once"
    assert check.look(LOCKED) == "no frames flow"
    assert check.look(replace(LOCKED, frames=1001)) == ""
    assert check.look(None) == "the daemon does not answer"
    assert check.look(replace(LOCKED, frames=5)) == "it was seen only once"
