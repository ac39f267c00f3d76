"""Every source against an independent computation, in exact fractions, far from its start."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.errors import InputError
from rpmu.twin.laws import Lines
from rpmu.twin.signals import Grid
from rpmu.twin.sources import GRID_CORNER_HZ, GRID_EXPONENT, TESTS, Setting, parse_source

START_NS = 1_700_000_000 * 10**9
DAYS_LATER = START_NS + 3 * 86_400 * 10**9 + 123_456_789


def source(spec, **setting):
    return parse_source(spec, Setting(start_ns=START_NS, **setting))


def turns(hz: str, since_ns: int) -> float:
    """A frequency times a time, in cycles below 1, by exact arithmetic."""
    return float(Fraction(hz) * Fraction(since_ns, 10**9) % 1)


def cosine(cycles: float) -> float:
    return math.cos(2 * math.pi * cycles)


@pytest.mark.parametrize("instant_ns", [START_NS, START_NS + 777_777_777, DAYS_LATER])
def test_nominal_with_all_its_keys(instant_ns):
    s = source("nominal,frequency_hz=59.9,voltage_v=118,angle_deg=30,harmonics=3:2.0;5:1.5:90")
    volts = s.volts(Grid(instant_ns, 5000.0, 3))[0]
    for i, value in enumerate(volts):
        # at the start the angle of a 60 Hz cosine that peaks at the UTC second, plus 30 degrees; from there 59.9 Hz
        now = instant_ns + 5000 * i
        cycles = turns("60", START_NS) + turns("59.9", now - START_NS) + 30 / 360
        expected = cosine(cycles) + 0.02 * cosine(3 * cycles) + 0.015 * cosine(5 * cycles + 0.25)
        assert value == pytest.approx(118 * math.sqrt(2) * expected, abs=1e-7)


@pytest.mark.parametrize("nominal_hz", [50, 60])
def test_constant_angle_at_nominal_frequency(nominal_hz):
    s = source("nominal,angle_deg=-45", nominal_hz=nominal_hz)
    truth = s.truth(np.array([START_NS, START_NS + 1, DAYS_LATER]))
    np.testing.assert_allclose(np.angle(truth.phasors[:, 0], deg=True), -45, atol=1e-9)
    np.testing.assert_allclose(np.abs(truth.phasors), 120)
    assert (truth.frequency_hz == nominal_hz).all()
    # angle 0 means that the cosine peaks at the UTC second
    peak = source("nominal", nominal_hz=nominal_hz).volts(Grid(DAYS_LATER // 10**9 * 10**9, 1.0, 1))
    assert peak[0, 0] == pytest.approx(120 * math.sqrt(2))


def test_rocof_is_a_parabola_of_phase():
    s = source("nominal,frequency_hz=59,rocof_hz_per_s=0.25")
    after_s = Fraction(DAYS_LATER - START_NS, 10**9)
    cycles = turns("60", START_NS) + float((59 * after_s + after_s**2 / 8) % 1)
    assert s.volts(Grid(DAYS_LATER, 1.0, 1))[0, 0] == pytest.approx(120 * math.sqrt(2) * cosine(cycles), abs=1e-6)
    truth = s.truth(np.array([DAYS_LATER]))
    assert truth.frequency_hz[0] == pytest.approx(59 + float(after_s) / 4)
    assert truth.rocof_hz_per_s[0] == 0.25


EVERY = {
    "nominal": "nominal,frequency_hz=59.7,rocof_hz_per_s=1e-5,angle_deg=10",
    "grid": "grid,noise_v=0,harmonics=none",
    "steady": "test:steady,frequency_hz=62.5",
    "am": "test:am,modulation_hz=2.5,kx=0.1",
    "pm": "test:pm,modulation_hz=3.1,ka_rad=0.1",
    "am-pm": "test:am-pm,modulation_hz=4.9",
    "ramp": "test:ramp,at_s=0.1,span_hz=1,rocof_hz_per_s=-1",
    "magnitude-step": "test:magnitude-step,at_s=1.5",
    "phase-step": "test:phase_step,at_s=1.5,step_deg=-10",
}


@pytest.mark.parametrize("phases", [1, 3])
@pytest.mark.parametrize("spec", EVERY.values(), ids=EVERY.keys())
def test_truth_is_the_signal(spec, phases):
    """sqrt(2) Re(X exp(j 2 pi f0 t)) is the waveform; frequency and ROCOF are the derivatives of X's angle."""
    s = source(spec, phases=phases)
    step_ns = 100_000
    for start_ns in (START_NS + 500_000_000, START_NS + 1_400_000_000, DAYS_LATER):
        grid = Grid(start_ns, step_ns, 3000)
        times = start_ns + step_ns * np.arange(grid.n)
        truth = s.truth(times)
        nominal = np.array([turns("60", int(t) - START_NS // 10**9 * 10**9) for t in times])
        wave = math.sqrt(2) * (truth.phasors * np.exp(2j * np.pi * nominal)[:, None]).real
        np.testing.assert_allclose(s.volts(grid), wave.T, atol=2e-6)
        if "step" in spec:
            continue
        angle = np.unwrap(np.angle(truth.phasors[:, 0]))
        hz = 60 + np.gradient(angle, step_ns * 1e-9) / (2 * np.pi)
        np.testing.assert_allclose(truth.frequency_hz[2:-2], hz[2:-2], atol=2e-5)
        smooth = np.abs(np.gradient(truth.rocof_hz_per_s)) < 0.2  # not the corner of a ramp
        slope = np.gradient(truth.frequency_hz, step_ns * 1e-9)
        np.testing.assert_allclose(truth.rocof_hz_per_s[smooth][2:-2], slope[smooth][2:-2], atol=1e-4)


@pytest.mark.parametrize("spec", ["nominal,frequency_hz=59.9", "grid,frequency_hz=60.1", "test:ramp", "test:steady"])
def test_angle_at_the_first_instant_is_the_one_asked_for(spec):
    truth = source(spec + ",angle_deg=33").truth(np.array([START_NS]))
    assert np.angle(truth.phasors[0, 0], deg=True) == pytest.approx(33, abs=1e-9)


def test_positive_sequence():
    truth = source("grid", phases=3).truth(np.array([DAYS_LATER]))
    a = np.exp(2j * np.pi / 3)
    assert abs(truth.phasors[0] @ [1, a, a * a]) / 3 == pytest.approx(abs(truth.phasors[0, 0]))


def test_ramp_runs_over_its_span_and_stays():
    s = source("test:ramp,rocof_hz_per_s=1,span_hz=5,at_s=2")
    times = START_NS + np.array([0, 2, 7, 12, 20]) * 10**9
    truth = s.truth(times)
    np.testing.assert_allclose(truth.frequency_hz, [55, 55, 60, 65, 65])
    np.testing.assert_array_equal(truth.rocof_hz_per_s, [0, 1, 1, 0, 0])


def test_steps_go_on_and_off():
    s = source("test:magnitude-step,step_percent=10,at_s=1,every_s=2")
    times = START_NS + (np.array([0.9, 1.1, 2.9, 3.1, 5.1]) * 1e9).astype(np.int64)
    np.testing.assert_allclose(np.abs(s.truth(times).phasors[:, 0]), [120, 132, 132, 120, 132])
    s = source("test:phase-step,step_deg=10,at_s=1")
    np.testing.assert_allclose(np.angle(s.truth(times).phasors[:, 0], deg=True), [0, 10, 10, 10, 10], atol=1e-9)


def test_interferer_and_harmonic_levels():
    n, step_ns = 200_000, 5000.0  # one second, so that every whole frequency has its own line
    for spec, hz in (("test:interference,interferer_hz=25", 25), ("test:harmonic,order=7", 420)):
        spectrum = np.abs(np.fft.rfft(source(spec).volts(Grid(START_NS, step_ns, n))[0])) * math.sqrt(2) / n
        assert spectrum[60] == pytest.approx(120, rel=1e-9)
        assert spectrum[hz] == pytest.approx(12, rel=1e-9)
        spectrum[[60, hz]] = 0
        assert spectrum.max() < 1e-6


@pytest.mark.parametrize(("sequence", "shift"), [("natural", 5 * 120), ("positive", 120)])
def test_harmonic_of_three_phases(sequence, shift):
    volts = source(f"test:harmonic,order=5,sequence={sequence}", phases=3).volts(Grid(START_NS, 5000.0, 200_000))
    angle = np.angle(np.fft.rfft(volts)[:, 300], deg=True)
    assert (angle[0] - angle[1] - shift + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


def test_interferer_is_of_positive_sequence():
    volts = source("test:interference,interferer_hz=25", phases=3).volts(Grid(START_NS, 5000.0, 200_000))
    line = np.fft.rfft(volts)[:, 25]
    np.testing.assert_allclose(line / line[0], np.exp(-2j * np.pi / 3 * np.arange(3)), atol=1e-9)


def test_noise_is_what_was_asked_for_and_repeats():
    s = source("nominal,noise_v=0.5", seed=3)
    grid = Grid(START_NS, 5000.0, 200_000)
    noise = s.volts(grid) - source("nominal").volts(grid)
    density = np.abs(np.fft.rfft(noise[0])) ** 2 * 2 / grid.n**2  # V^2 per Hz: one second
    assert math.sqrt(density[:6000].sum()) == pytest.approx(0.5, rel=0.05)
    np.testing.assert_array_equal(s.volts(grid), s.volts(grid))
    assert not np.array_equal(s.volts(grid), source("nominal,noise_v=0.5", seed=4).volts(grid))


def test_grid_wanders_as_the_recorded_ones():
    """Standard deviation of the change of frequency over some lags, against two recordings of ten minutes."""
    recorded_mhz = {0.5: 1.2, 1: 1.8, 2: 3.0, 5: 5.3, 10: 8.9, 20: 15.0}
    t = np.arange(0, 600, 0.1)
    for lag_s, mhz in recorded_mhz.items():
        k = round(lag_s * 10)
        squares = []
        for seed in range(10):
            f = Lines.random(np.random.default_rng(seed), 0, 22.0, GRID_CORNER_HZ, GRID_EXPONENT)(0, t)
            squares.append(np.mean((f[k:] - f[:-k]) ** 2))
        assert math.sqrt(np.mean(squares)) == pytest.approx(mhz, rel=0.25)


def test_grid_in_pieces_is_the_grid_in_one():
    s = source("grid,noise_v=0")
    whole = s.volts(Grid(START_NS, 5000.0, 40_000))[0]
    parts = [s.volts(Grid(START_NS + k * 50_000_000, 5000.0, 10_000))[0] for k in range(4)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "nominel",
            r"the source 'nominel' does not exist; did you mean 'nominal'\? \(allowed: nominal, grid, generator,",
        ),
        ("nominal,frequncy_hz=60", r"'frequncy_hz' does not exist; did you mean 'frequency_hz'\?"),
        ("nominal,frequency_hz=fast", "frequency_hz is 'fast', which is not a number of Hz"),
        ("nominal,frequency_hz=0", "must be from 1 to 1000"),
        ("nominal,frequency_hz=1/0", "not a number"),
        ("nominal,frequency_hz=60,frequency_hz=50", "frequency_hz is given twice"),
        ("nominal,harmonics=1:2", "is not order:percent"),
        ("nominal,harmonics=3", "is not order:percent"),
        ("nominal,phases=2", "allowed are 1, 3"),
        ("nominal,noise", "'noise' is not key=value"),
        ("nominal:steady", "takes no 'steady'"),
        ("", "has no name"),
        ("test:stedy", r"did you mean 'steady'\?"),
        ("test", "the test signal '' does not exist"),
        ("test:ramp,rocof_hz_per_s=0", "no ramp"),
        ("test:harmonic,order=1", "from 2 to 50"),
        ("file:", "no path is given"),
        ("file:nothere.npz", "no such file"),
        ("file:a.npz,loop=perhaps", "is not true or false"),
        ("file:a.npz,phases=3,channel=x", "1 channels are named for 3 phases"),
    ],
)
def test_wrong_words_get_one_sentence(spec, message):
    with pytest.raises(InputError, match=message) as caught:
        source(spec)
    assert "\n" not in str(caught.value)


def test_every_test_signal_has_defaults():
    for name in TESTS:
        assert source(f"test:{name}").volts(Grid(START_NS, 5000.0, 10)).shape == (1, 10)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="nominalgridtesfhqucy_:=,;.-+0123456789eE/", max_size=60))
def test_no_words_crash_the_parser(words):
    try:
        source(words)
        source("nominal," + words)
    except InputError:
        pass
