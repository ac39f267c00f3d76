"""The whole PMU on the twin against the standard, in short: calibrated, both front ends; and that it can fail."""

from dataclasses import replace

import numpy as np
import pytest

from rpmu.twin.signals import Grid
from tests.conformance import twin
from tests.conformance.campaign import quick_twin_jobs
from tests.conformance.cases import build_cases
from tests.conformance.limits import Task
from tests.conformance.playlist import Playlist, lay_out
from tests.conformance.signals import modulated, tone
from tests.conformance.twin import UNITS, TwinJob


@pytest.mark.parametrize("job", quick_twin_jobs(), ids=lambda job: f"{job.setup.task.name}, {job.unit.name}")
def test_a_calibrated_pmu_meets_every_limit(job):
    results = job.run()
    assert {r.test for r in results} >= {"frequency", "magnitude", "phase", "harmonics", "AM", "PM", "ramp", "latency"}
    assert "out of band" in {r.test for r in results} or job.task.is_p
    missed = [r for r in results if not r.passed]
    assert not missed, missed


@pytest.fixture
def two_seconds(monkeypatch):
    """A single test point."""
    monkeypatch.setattr(twin, "build_cases", lambda *args, **options: [next(build_cases(*args, **options))])


@pytest.mark.usefixtures("two_seconds")
def test_without_its_certificate_the_same_unit_fails():
    unit = replace(UNITS[2], name="not calibrated", fit=())
    results = TwinJob(unit, Task(60, "P", 60)).run()
    assert ("frequency", "TVE") in {(r.test, r.metric) for r in results if not r.passed}


@pytest.mark.usefixtures("two_seconds")
def test_a_lost_report_is_no_pass(monkeypatch):
    whole = twin.run_chain

    def lossy(*args, **options):
        outcome = whole(*args, **options)
        del outcome.frames[-60:]
        return outcome

    monkeypatch.setattr(twin, "run_chain", lossy)
    with pytest.raises(AssertionError, match="are due"):
        TwinJob(UNITS[0], Task(60, "P", 60)).run()


def test_the_playlist_plays_each_signal_in_its_own_time():
    first, second = tone(60, 61.0), modulated(60, 2.0, ka=0.1)
    start_ns = 1_795_000_000 * 10**9
    entries = lay_out([(first, (0.0, 1.0)), (second, (0.5, 2.0))], start_ns, 0.3)
    assert [entry.zero_ns - start_ns for entry in entries] == [10**9, 3 * 10**9]
    assert entries[1].from_ns >= entries[0].span_ns[1] + 3 * 10**8
    assert entries[1].span_ns[0] >= entries[1].from_ns + 3 * 10**8
    mains = Playlist(entries, 120.0, 3)
    begin_ns = entries[1].from_ns - 10**6
    grid = Grid(begin_ns, 5e4, 40, 0.25)
    t = (begin_ns - start_ns) * 1e-9 + grid.dt_s
    at = grid.dt_s < 1e-3
    volts = mains.volts(grid)
    np.testing.assert_allclose(volts[:, at], 120 * np.sqrt(2) * first.wave(t[at] - 1, 3), atol=1e-6)
    np.testing.assert_allclose(volts[:, ~at], 120 * np.sqrt(2) * second.wave(t[~at] - 3, 3), atol=1e-6)
    truth = mains.truth([start_ns + 3_250_000_000])
    assert truth.frequency_hz[0] == pytest.approx(second.truth(np.array([0.25])).frequency_hz[0])
    assert truth.phasors.shape == (1, 3)
