"""A new run of the acquisition goes on with what the run before had learned of the converter's inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rpmu import rooms
from rpmu.acquire import SampleBlock, SamplerSettings, sampler
from rpmu.config import Channel, default
from rpmu.daemon_run import Run, measurer_of
from rpmu.pipeline import Pipeline
from rpmu.timing import TimeMap
from rpmu.timing.known import KnownTime
from tests.timing.simulator import INFO

MID_SCALES = {0: 2000.0, 2: 2100.0, 3: 1900.0}  # by input, counts


def run_of(*ains):
    """A run that samples these inputs."""
    channels = tuple(Channel(f"V{phase}", "voltage", phase, ain) for phase, ain in zip("ABC", ains, strict=False))
    config = replace(default(), station=replace(default().station, phases=len(ains)), channel=channels)
    settings = config.sampler_settings()
    info = sampler.expected(settings, INFO)
    keeper = KnownTime(TimeMap(0, 1_795_000_000 * 10**9, 1e9 / float(info.scan_rate_hz), 10.0))
    pipeline = Pipeline(keeper, measurer_of(info, config, rooms.calibration(config)))
    return Run(settings, config, info, None, pipeline, None)


def feed(run, first_scan, samples, clipped_scans=0):
    """So many samples of balanced phases at 60 Hz about the mid-scales: phases without a sequence have no frequency."""
    scans = first_scan + np.arange(samples) * run.info.decimation
    turns = 60 * scans[:, None] / float(run.info.scan_rate_hz) - np.arange(len(run.settings.ain)) / 3
    counts = np.array([MID_SCALES[ain] for ain in run.settings.ain]) + 500 * np.cos(2 * np.pi * turns)
    codes = np.rint(counts / run.info.counts_per_code).astype(np.uint16)
    return run.pipeline.feed(SampleBlock(first_scan, codes, 1, 0, clipped_scans=clipped_scans))


@pytest.mark.parametrize("inputs", [(0, 2, 3), (3, 0, 2), (2,)])
def test_mid_scales_go_by_the_input(inputs):
    before = run_of(0, 2, 3)
    feed(before, 0, 3 * 12_000)
    after = run_of(*inputs)
    assert after.pipeline.mid_scales == []
    after.pipeline.follows_a_run(before.pipeline, after.channels_of(before), None)
    found = [scale.counts for scale in after.pipeline.mid_scales]
    assert found == pytest.approx([MID_SCALES[ain] for ain in inputs], abs=0.1)


def test_a_new_input_is_not_known_and_the_others_are():
    before, after = run_of(0), run_of(2, 0, 3)
    feed(before, 0, 3 * 12_000)
    after.pipeline.follows_a_run(before.pipeline, after.channels_of(before), None)
    assert after.pipeline.mid_scales == [], "not all are known"
    assert after.channels_of(before) == [None, 0, None]


def test_reports_are_due_from_the_last_one_on_and_invalid_until_a_window_is_whole():
    before, after = run_of(0), run_of(0, 2, 3)
    start_ns = 1_795_000_000 * 10**9
    after.pipeline.follows_a_run(before.pipeline, after.channels_of(before), start_ns - 100_000_000)
    info = after.info
    measurements = [m for i in range(30) for m in feed(after, 100 * i * info.decimation, 100)]
    assert measurements[0].time_ns == start_ns - 83_333_333, "one period of sixty a second after the last"
    valid = [measurement.valid for measurement in measurements]
    whole = valid.index(True)
    assert valid == [False] * whole + [True] * (len(valid) - whole)
    assert measurements[whole].time_ns - start_ns < 130_000_000
    assert measurements[0].status_word & 1 << 5, "RING GAP"


def test_settings_are_foreseen_as_the_firmware_finds_them():
    settings = SamplerSettings.for_inputs((0, 2, 3), 1)
    info = sampler.expected(settings, INFO)
    assert (info.channels, info.scan_adc_clocks, info.skew_adc_clocks) == (3, 100, (75, 50, 25))
    assert (info.cic_order, info.firmware_version) == (INFO.cic_order, INFO.firmware_version)
