"""A bench generator as the twin's outlet: the points it goes through, their phase, and what the command makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.calibrate.plan import generator_plan
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.readings import generator_phasor
from rpmu.errors import InputError
from rpmu.twin.generator import default_points
from rpmu.twin.signals import Grid
from rpmu.twin.sources import Setting, parse_source

START_NS = 1_795_000_000 * 10**9
SETTING = Setting(60, 3, START_NS, 0, 120.0)


def test_it_goes_through_its_points_and_begins_again():
    source = parse_source("generator,points=55:120;62.3:24,each_s=10", SETTING)
    at_s = np.array([0, 9, 10, 19, 20, 31])
    truth = source.truth(START_NS + at_s * 10**9)
    assert truth.frequency_hz.tolist() == [55, 55, 62.3, 62.3, 55, 62.3]
    assert np.abs(truth.phasors[:, 0]) == pytest.approx([120, 120, 24, 24, 120, 24])
    assert np.array_equal(truth.phasors[:, 0], truth.phasors[:, 2]), "one signal on all channels"
    assert "2 points of 10 s" in source.notes[0]


@pytest.mark.parametrize("frequency_hz", [57.0, 62.3])
def test_its_phase_is_what_the_command_assumes(frequency_hz):
    source = parse_source(f"generator,points={frequency_hz}:120,angle_deg=30", SETTING)
    for after_ns in (0, 250_000_000, 7_100_000_000):
        expected = generator_phasor(START_NS + after_ns, frequency_hz, 120.0, 30.0, 60.0, START_NS)
        assert source.truth(np.array([START_NS + after_ns])).phasors[0, 0] == pytest.approx(expected)


def test_volts_and_truth_are_one():
    source = parse_source("generator,points=58:100", SETTING)
    grid = Grid(START_NS + 3 * 10**9, 5000.0, 40_000)
    wave = source.volts(grid)
    assert wave.shape == (3, 40_000)
    turn = np.exp(-2j * np.pi * 58 * grid.dt_s)
    phasor = np.sqrt(2) * np.mean(wave[0, :34482] * turn[:34482])
    assert phasor == pytest.approx(source.truth(np.array([grid.start_ns])).phasors[0, 0], rel=1e-3)


@pytest.mark.parametrize("name", ["reference-a-120v", "reference-a-230v"])
def test_its_default_points_are_those_of_the_command(name):
    profile = load_profile(name)
    plan = generator_plan(profile, None, None)
    points = default_points(profile.nominal_frequency_hz, profile.nominal_voltage_v)
    assert [(t.frequency_hz, round(t.voltage_v, 6)) for t in plan] == [(hz, round(v, 6)) for hz, v in points]


@pytest.mark.parametrize("words", ["points=55", "points=", "points=0:120", "points=55:120:3", "each_s=0"])
def test_wrong_words(words):
    with pytest.raises(InputError, match="source generator"):
        parse_source(f"generator,{words}", SETTING)
