"""The cycle budget: whatever happens in one scan takes at most a quarter of it, at the slowest documented bus."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from rpmu.acquire import layout
from rpmu.twin.pruss import BusTiming
from tests.pru.firmware_rig import Rig, Setup

SPEC = importlib.util.spec_from_file_location("pru_timing", Path(__file__).resolve().parents[2] / "pru" / "timing.py")
assert SPEC is not None
assert SPEC.loader is not None
timing = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = timing
SPEC.loader.exec_module(timing)


@pytest.mark.parametrize("channels", range(1, layout.MAX_CHANNELS + 1))
def test_worst_case_is_a_quarter_of_a_scan(channels):
    cost = timing.measure(timing.shipped_setup(channels))
    assert cost.worst_share <= 0.25
    assert 0 < cost.mean_cycles < cost.worst_cycles


def test_worst_case_with_the_second_pps_input():
    assert timing.measure(timing.shipped_setup(1, pin=14)).worst_share <= 0.25


def test_firmware_reports_its_own_longest_work():
    cost = timing.measure(Setup())
    rig = Rig(bus=BusTiming(adc_read=60)).start()
    rig.pulses([0.01])
    rig.run(0.05)
    reported = rig.status("MAX_WORK_CYCLES")
    assert 250 < reported < cost.worst_cycles
    rig.run(0.05)
    assert rig.status("MAX_WORK_CYCLES") >= reported


@pytest.mark.parametrize("jitter", [19, 200])
def test_slow_and_uneven_bus_loses_nothing(jitter):
    rig = Rig(bus=BusTiming(external_jitter=jitter), seed=9).start(Setup(measure_scans=3000)).read_for(0.3)
    assert set(rig.gaps()) == {0}
    assert rig.status("RESTARTS") == rig.status("LOST_SCANS") == 0
