"""Front-end profiles: the shipped ones by their components, wrong ones by one sentence."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rpmu.calibrate import load_profile
from rpmu.calibrate.profile import profile_names
from rpmu.cli.estimate import read_front_end
from rpmu.errors import InputError


def test_variant_a_follows_from_its_components():
    """Textbook formulas; the amplifier's 1 MHz moves corner and RC pole by what is allowed here."""
    for name, r1, turns in (("reference-a-120v", 191e3, 14), ("reference-a-230v", 196e3, 26)):
        r2, r3, c1, c2 = 10e3, 10e3, 22e-9, 10e-9
        profile = load_profile(name)
        assert profile.gain == pytest.approx(r2 / r1 / turns, rel=3e-5)
        assert profile.f0_hz == pytest.approx(1 / (2 * math.pi * math.sqrt(r2 * r3 * c1 * c2)), rel=1e-3)
        q = math.sqrt(c1 / c2) / (math.sqrt(r3 / r2) + math.sqrt(r2 / r3) + math.sqrt(r2 * r3) / r1)
        assert profile.q == pytest.approx(q, rel=1e-3)
        assert profile.rc_pole_hz == pytest.approx(1 / (2 * math.pi * 220 * 47e-9), rel=0.03)
        assert profile.bias_v == pytest.approx(1.8 * 10 / 21 * (1 + r2 / r1), abs=2e-5)


def test_phase_and_gain_of_variant_a_at_the_mains():
    """Independently simulated: 0.052362 from the secondary, -4.276/-4.665/-5.055 degrees at 55/60/65 Hz."""
    a = load_profile("reference-a-120v").front_end
    f = np.array([55.0, 60.0, 65.0])
    np.testing.assert_allclose(np.angle(a.response(f), deg=True), [-4.276, -4.665, -5.055], atol=0.001)
    assert abs(a.response(60.0)) * 14 == pytest.approx(0.052362, rel=1e-5)


@pytest.mark.parametrize("name", profile_names())
def test_nominal_mains_fits_the_converter_with_twenty_percent_to_spare(name):
    profile = load_profile(name)
    assert profile.name == name
    peak = (
        1.2 * math.sqrt(2) * profile.nominal_voltage_v * abs(profile.front_end.response(profile.nominal_frequency_hz))
    )
    assert profile.amplifier_low_v < profile.bias_v - peak
    assert profile.bias_v + peak < profile.amplifier_high_v < profile.vref_v


def test_names():
    assert profile_names() == (
        "option-ct-30a",
        "reference-a-120v",
        "reference-a-230v",
        "reference-b-120v",
        "thesis-100hz",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "schema is 2, but this version reads schema 1"),
        ("f0_hz", "f_hz", r"\[front_end\] has no key 'f_hz'; did you mean 'f0_hz'\?"),
        ("q = 0.998928", 'q = "one"', r"\[front_end\] q is 'one', but must be a number"),
        ("q = 0.998928", "q = true", "must be a number"),
        ("q = 0.998928", "q = 0.01", r"\[front_end\] q is 0.01, but must lie from 0.1 to 10"),
        ("q = 0.998928", "q = nan", "must lie from"),
        ("gain = 3.2274794e-3", "gain = 0.0", "gain is 0"),
        ("bias_v = 0.895864", "bias_v = 1.79", "bias_v must lie between"),
        ("[adc]", "[adcs]", "the top has no key 'adcs'; did you mean 'adc'"),
        ("f0_hz = 100.0599", "", r"f0_hz is None, but must be a number"),
        ("[mains]", "[mains", "is not TOML"),
        ('name = "thesis-100hz"', "name = 5", "name must be a text"),
    ],
)
def test_bad_profile(tmp_path, old, new, message):
    text = (Path(__file__).parents[2] / "calibration" / "thesis-100hz.toml").read_text()
    assert old in text
    path = tmp_path / "x.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)


def test_absent_profile():
    with pytest.raises(InputError, match=r"no front-end profile 'thesis'; did you mean 'thesis-100hz'"):
        load_profile("thesis")
    with pytest.raises(InputError, match="no such front-end profile"):
        load_profile("nowhere/x.toml")


def test_estimate_takes_a_profile_as_front_end():
    path = Path(__file__).parents[2] / "calibration" / "reference-a-120v.toml"
    assert read_front_end(path) == load_profile(path).front_end
