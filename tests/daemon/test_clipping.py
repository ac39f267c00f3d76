"""An input that leaves its range, if only for one scan, shows in every report that it may have touched."""

from __future__ import annotations

import math

import pytest

from rpmu import rooms
from rpmu.acquire.settings import InputRange
from rpmu.config import default
from rpmu.pipeline import Calibration
from rpmu.timing.status import STATUS_BIT_NAMES
from rpmu.twin.faults import parse_faults
from tests.daemon.test_new_run import feed, run_of
from tests.e2e.rig import START_NS, run_chain

CLIPPED = 1 << STATUS_BIT_NAMES.index("INPUT CLIPPED")
COUNT_V = 1.8 / 4096


@pytest.mark.parametrize(
    ("range_v", "reference_v", "found"),
    [
        ((0.0, math.inf), None, (46, 4090, 3)),  # 20 mV are 45.5 counts; the converter ends at 4095
        ((0.0, math.inf), 1.25, (46, 4090, 2)),
        ((-1.0, 1.5), None, (5, 3367, 3)),  # 1.48 V are 3367.8 counts
        ((0.1, 1.7), None, (274, 3822, 3)),
        ((1.7, 1.7), None, (3914, 3914, 3)),  # no range: nearly everything is clipped, and the firmware starts
        ((9.0, 9.5), None, (4095, 4095, 3)),
    ],
)
def test_the_range_of_counts_follows_from_what_amplifier_and_converter_can(range_v, reference_v, found):
    calibration = Calibration((), COUNT_V, range_v=range_v, reference_v=reference_v)
    assert calibration.input_range(3) == InputRange(*found)


def test_one_clipped_scan_shows_as_long_as_a_window_may_touch_it():
    run = run_of(0)
    decimation, estimator = run.info.decimation, run.pipeline.estimator
    seen = []
    for number in range(90):
        block = feed(run, 200 * number * decimation, 200, clipped_scans=int(number == 40))
        seen += [(number, bool(measurement.status_word & CLIPPED)) for measurement in block if measurement.valid]
    clipped = [number for number, bit in seen if bit]
    assert clipped[0] == 40
    assert clipped == list(range(40, 1 + clipped[-1])), "one report a block"
    reach = math.ceil((estimator.window_s * 12_000 + run.info.cic_order) / 200)
    assert len(clipped) == pytest.approx(reach, abs=1)
    assert run.pipeline.input.clipped is False


def test_a_spike_that_the_decimator_hides_shows():
    """30 us of tenfold overvoltage at the crest: six scans at the end of the amplifier's range, and not one sample."""
    outcome = run_chain(6.25, faults=tuple(parse_faults("clipping@6.002+0.00003=10")))
    calibration, status = rooms.calibration(default()), outcome.status
    limits = calibration.input_range(1)
    assert 0 < status.ring.clipped_scans < 10
    assert 3700 < status.input.highest_counts[0] < limits.highest
    seen = {m.time_ns: bool(m.status_word & CLIPPED) for m in outcome.measurements}
    clipped = [(time_ns - START_NS) * 1e-9 for time_ns, bit in seen.items() if bit]
    assert min(clipped) < 6.002 < max(clipped)
    assert min(clipped) > 5.9
    assert max(clipped) < 6.2
