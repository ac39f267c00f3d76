"""The one rule by which a change is kept or undone, with a daemon made of numbers and a clock turned by hand."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from rpmu.health import LOSSES, Vital, await_health, vital_of
from rpmu.status import as_object
from tests.e2e.rig import run_chain

RATE = 60


def fresh(state="locked"):
    """The status of a daemon that has run for 1000 s without a loss."""
    return {
        "time": {"state": state, "reason": "because", "counters": {"resyncs": 0, "accepted": 990, "missing": 10}},
        "ring": {
            "samples": 12_000_000,
            **dict.fromkeys(
                ("lost_samples", "bad_blocks", "events_lost", "overruns", "underflows", "tag_slips", "stalls"), 0
            ),
        },
        "acquisition": {"sample_rate_hz": 12_000.0},
        "server": {"frames_published": 60_000},
        "input": {"clipped": False},
        "stream": {"change_in_s": None, "reporting_rate_per_s": RATE},
        "reports": 60_000,
        "invalid_reports": 0,
        "pru_restarts": 0,
    }


@dataclass
class Daemon:
    """A daemon and its clock; `at` says what happens to the status from which second on.

    Attributes:
        at: by second: a function of the status, or None for a daemon that does not answer.
        flows: whether frames and samples move.
    """

    at: dict[float, Any] = field(default_factory=dict)
    flows: bool = True
    time_s: float = 0.0
    status: dict[str, Any] = field(default_factory=fresh)
    answers: bool = True
    started_s: float = -1000.0

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds
        if self.flows:
            self.status["ring"]["samples"] += round(12_000 * seconds)
            rate = self.status["stream"]["reporting_rate_per_s"]
            per_s = rate if rate > 0 else -1 / rate
            if self.status["time"]["state"] in ("locked", "holdover", "unlocked"):
                self.status["server"]["frames_published"] = int((self.time_s - self.started_s) * per_s)
        for due in [second for second in self.at if second <= self.time_s]:
            happen = self.at.pop(due)
            self.answers = happen is not None
            if happen is not None:
                happen(self.status)

    def look(self):
        return Vital.of(copy.deepcopy(self.status)) if self.answers else None


def judged(daemon, before=None, within_s=60.0):
    """What is missing, or an empty text."""
    before = Vital.of(fresh() if before is None else before)
    return await_health(before, daemon.look, daemon, within_s)


def state(name):
    return lambda status: status["time"].update(state=name)


def lose(name, number=1):
    def happen(status):
        for step in LOSSES[name][:-1]:
            status = status[step]
        status[LOSSES[name][-1]] += number

    return happen


def test_a_daemon_that_goes_on_is_well():
    daemon = Daemon()
    assert judged(daemon) == ""
    assert daemon.time_s == 10


def test_none_that_answers_is_not():
    daemon = Daemon(answers=False)
    assert judged(daemon) == "the daemon does not answer"
    assert daemon.time_s == 60


def test_it_may_take_its_time_to_start():
    daemon = Daemon({20: lambda _: None}, answers=False)
    assert judged(daemon) == ""
    assert daemon.time_s == 30


def test_frames_that_stop_are_seen():
    daemon = Daemon(flows=False)
    assert judged(daemon) == "no frames flow"


@pytest.mark.parametrize(("before", "after"), [("locked", "holdover"), ("holdover", "unlocked"), ("locked", "cold")])
def test_the_time_must_be_no_worse(before, after):
    assert judged(Daemon(status=fresh(after)), fresh(before)) == f"the time is {after}, and was {before}: because"


@pytest.mark.parametrize("name", ["acquiring", "unlocked", "holdover"])
def test_a_time_that_was_not_locked_need_not_be(name):
    assert judged(Daemon(status=fresh(name)), fresh(name)) == ""


def test_the_time_may_lock_again_after_a_restart():
    daemon = Daemon({9: state("acquiring"), 30: state("locked")}, status=fresh("cold"))
    assert judged(daemon) == ""
    assert daemon.time_s == 40


def test_a_lock_that_does_not_last_is_none():
    at = {second: state("locked" if (second // 5) % 2 else "holdover") for second in range(5, 200, 5)}
    assert "not well for 10 s on end; last: the time is holdover, and was locked" in judged(Daemon(at))


@pytest.mark.parametrize("name", list(LOSSES))
def test_what_is_lost_again_and_again_is_seen(name):
    assert f"{name}: 1 within" in judged(Daemon({second: lose(name) for second in range(3, 200, 4)}))


def test_what_is_lost_once_is_forgiven():
    daemon = Daemon({3: lose("lost samples", 64)})
    assert judged(daemon) == ""
    assert daemon.time_s == 14  # a stretch from the look after on


def test_losses_as_before_are_no_fault_of_the_change():
    before = fresh()
    before["ring"]["lost_samples"] = 250 * 64  # in 1000 s
    assert judged(Daemon({second: lose("lost samples", 64) for second in range(3, 200, 4)}), before) == ""
    assert judged(Daemon({second: lose("lost samples", 640) for second in range(3, 200, 4)}), before)


def new_run(status, seconds=5):
    """The acquisition has just begun anew: its own counters, but neither the daemon's nor the clock's."""
    status["ring"].update(dict.fromkeys(status["ring"], 0))
    status["ring"]["samples"] = 12_000 * seconds


@pytest.mark.parametrize("name", ["invalid reports", "restarts of the PRU", "resynchronisations of the time"])
def test_old_losses_are_not_those_of_a_run_that_has_just_begun(name):
    """Ten in 1000 s are one in 100 s, and not two a second because the sampling is five seconds old."""
    before = fresh()
    new_run(before)
    lose(name, 10)(before)
    assert f"{name}: 1 within" in judged(Daemon({second: lose(name) for second in range(3, 200, 4)}), before)


def test_the_burst_of_a_start_excuses_nothing():
    before = fresh()
    new_run(before)
    lose("lost samples", 640)(before)
    assert "lost samples: " in judged(Daemon({s: lose("lost samples", 64) for s in range(3, 200, 4)}), before)


def test_a_new_run_does_not_hide_what_it_has_lost():
    """From nothing the counters climb to less than they were: the stretch begins anew, and each loss with it."""
    status = fresh()
    lose("lost samples", 6400)(status)
    at = {second: lose("lost samples", 64) for second in range(7, 200, 4)}
    assert "lost samples: 64 within" in judged(Daemon({5: new_run, **at}, status=status))
    quiet = Daemon({5: new_run}, status=fresh())
    assert judged(quiet) == ""
    assert quiet.time_s == 16, "ten seconds from the look after on"


def test_an_input_that_clips_anew_is_a_fault():
    clipped = fresh()
    clipped["input"]["clipped"] = True
    assert judged(Daemon(status=copy.deepcopy(clipped))) == "an input is clipped, and was not"
    assert judged(Daemon(status=copy.deepcopy(clipped)), clipped) == ""


def announced(notice_s):
    """A change that is announced at second 1 and holds `notice_s` later."""

    def left(seconds):
        return lambda status: status["stream"].update(change_in_s=seconds)

    return {1 + passed: left(float(notice_s - passed) or None) for passed in range(notice_s + 1)}


def test_it_waits_for_an_announced_change_to_hold():
    daemon = Daemon(announced(60))
    assert judged(daemon, within_s=20.0) == ""
    assert daemon.time_s == 71


def test_frames_that_stop_when_the_change_holds_are_seen():
    daemon = Daemon(announced(40))

    def stop(_status):
        daemon.flows = False

    daemon.at[41.5] = stop
    assert judged(daemon, within_s=20.0) == "no frames flow"
    assert 60 < daemon.time_s < 80


def test_a_daemon_that_starts_again_and_again_is_not_well():
    daemon = Daemon()

    def again(_status):
        daemon.started_s = daemon.time_s

    daemon.at = dict.fromkeys(range(4, 300, 4), again)
    assert "the daemon has started again" in judged(daemon)


@pytest.mark.parametrize(("rate", "least_s"), [(-10, 21), (-3600, 10)])
def test_slow_reports_are_waited_for_unless_they_are_too_slow(rate, least_s):
    daemon = Daemon()
    daemon.status["stream"]["reporting_rate_per_s"] = rate
    assert judged(daemon) == ""
    assert least_s <= daemon.time_s <= least_s + 2


def test_without_time_before_samples_are_enough():
    assert judged(Daemon(status=fresh("cold")), fresh("cold")) == ""
    assert judged(Daemon(status=fresh("cold"), flows=False), fresh("cold")) == "no samples flow"


def test_where_no_daemon_answered_before_none_need_after():
    daemon = Daemon(answers=False)
    assert await_health(None, daemon.look, daemon, 60.0) == ""


def test_a_socket_without_a_daemon_is_none(tmp_path):
    assert vital_of(tmp_path / "none.sock") is None


def test_vital_signs_are_those_of_a_real_status():
    """The numbers above are not invented: the real status has every one of them."""
    status = run_chain(7, source="nominal").status
    vital = Vital.of(as_object(status))
    assert (vital.state, vital.frames, vital.samples) == (
        "locked",
        status.server.frames_published,
        status.ring.samples,
    )
    assert vital.frames > 0
    assert vital.counted_s["lost samples"] == pytest.approx(7, abs=0.5)
    assert vital.counted_s["invalid reports"] == pytest.approx(7, abs=2)
    assert set(vital.counted_s) == set(LOSSES)
    assert set(vital.losses) == set(LOSSES)
    assert not any(vital.losses.values())
