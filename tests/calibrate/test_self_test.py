"""The self-test: what the square wave tells of a unit on the twin, what it changes, and what is refused."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from rpmu.acquire.blocks import AcquisitionInfo, SampleBlock
from rpmu.calibrate import self_test as module
from rpmu.calibrate.certificate import read_certificate
from rpmu.calibrate.fit import Reading
from rpmu.calibrate.issue import IssueSettings, channel_of
from rpmu.calibrate.profile import FOLDERS, load_profile
from rpmu.calibrate.pwm import SquareWave, find_pwm
from rpmu.calibrate.readings import Base
from rpmu.calibrate.record import Reference
from rpmu.calibrate.self_test import Found, self_test
from rpmu.calibrate.tested import after_self_test, moved
from rpmu.calibrate.tones import ToneRecord, Wave, find_wave, highest_hz, responses, with_jumper, without_jumper
from rpmu.cli import calibrate_self_test
from rpmu.cli.main import main
from rpmu.config import parse
from rpmu.errors import HardwareError, InputError
from rpmu.mid_scale import MidScale
from rpmu.twin.bench import self_test_bench
from rpmu.twin.tolerance import unit_of
from tests.calibrate.device import self_tested
from tests.calibrate.test_in_the_daemon import certificate_of

PROFILE = load_profile("reference-a-120v")
INFO = AcquisitionInfo(1, 7, 50, 5, 3, 3, (25,), "1.0")
TODAY = date(2026, 6, 1)


def on_the_twin(tmp_path, number, config_text="", skew_s=(), names=("VA",)):
    config = parse(config_text.encode())
    link, pacer = self_test_bench(config, PROFILE, number, tmp_path / "pwm0", skew_s)
    wave = SquareWave(tmp_path / "pwm0")
    try:
        return asyncio.run(self_test(link, pacer.pace, config.sampler_settings(), wave, PROFILE, names, seconds=1.0))
    finally:
        pacer.close()


def built_delay_s(unit):
    """Of its electronics, RC pole included: without the transformer, which the tone does not pass."""
    return unit.profile.front_end.delay_s - unit.profile.delay_s + unit.electronics_delay_s


@pytest.mark.slow
def test_a_unit_off_the_line(tmp_path):
    unit = unit_of(PROFILE, 2)
    (found,) = on_the_twin(tmp_path, 2)
    assert abs(unit.profile.f0_hz / PROFILE.f0_hz - 1) > 0.01, "it is off"
    assert found.f0_hz == pytest.approx(unit.profile.f0_hz, rel=0.01 * found.u_f0_percent)
    assert found.q == pytest.approx(unit.profile.q, rel=0.01 * found.u_q_percent)
    assert found.delay_s == pytest.approx(built_delay_s(unit), abs=found.u_delay_s)
    short = self_tested(unit, PROFILE)
    assert found.f0_hz == pytest.approx(short.f0_hz, rel=5e-4), "the study's short cut says the same"
    assert found.q == pytest.approx(short.q, rel=5e-4)
    assert found.delay_s == pytest.approx(short.delay_s, abs=0.05e-6)
    assert found.noise_counts < 0.5
    assert found.dc_counts == pytest.approx(unit.profile.bias_v * unit.adc.gain / 1.8 * 4096, abs=5)
    assert (tmp_path / "pwm0" / "enable").read_text() == "0\n", "the tone is off again"


@pytest.mark.slow
def test_skew_between_channels(tmp_path):
    names = ("VA", "VB", "VC")
    found = on_the_twin(tmp_path, 0, "[station]\nphases = 3", (0.0, 2e-6, -3e-6), names)
    assert [one.name for one in found] == list(names)
    assert [one.skew_s for one in found] == pytest.approx([0.0, 2e-6, -3e-6], abs=0.02e-6)
    assert all(one.f0_hz == pytest.approx(PROFILE.f0_hz, rel=1e-3) for one in found)


def test_the_command_on_the_twin(tmp_path, capsys):
    words = ["calibrate", "self-test", "--twin", "0", "--history", str(tmp_path / "h"), "--seconds", "0.5", "--json"]
    assert main(words) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["self-test", "certificate"]
    certificate = read_certificate(tmp_path / "h")
    assert certificate.certificate.simulated
    assert certificate.certificate.method == "self-test"
    assert certificate.channel[0].fitted == ("f0", "q")
    assert certificate.uncertainty.tve_percent > 5, "gain and transformer are unknown"
    assert certificate.channel[0].f0_hz == pytest.approx(PROFILE.f0_hz, rel=2e-3)


def found_of(**changes):
    values = {"f0_hz": 1100.0, "q": 0.74, "delay_s": 11e-6, "skew_s": 0.0, "dc_counts": 2050.0, "noise_counts": 0.2}
    values |= {"level": 1.0, "u_f0_percent": 0.02, "u_q_percent": 0.02, "u_delay_s": 1e-7}
    return Found("VA", **(values | changes))


def test_the_response_at_nominal_frequency_stays():
    previous = certificate_of(replace(PROFILE, gain=PROFILE.gain * 1.03, delay_s=50e-6))
    for found in (found_of(), found_of(skew_s=1e-6)):
        after = after_self_test([found], PROFILE, previous, "TWIN-7", TODAY, simulated=True)
        old, new = previous.channel[0], after.channel[0]
        assert new.front_end.response(60.0) == pytest.approx(old.front_end.response(60.0), rel=1e-12)
        assert (new.f0_hz, new.q, new.skew_s) == (1100.0, 0.74, found.skew_s)
        assert {"f0", "q"} <= set(new.fitted)
        assert "as in certificate 1" in after.certificate.note


def test_what_has_moved_since_the_last_test():
    once = after_self_test([found_of()], PROFILE, None, "S", TODAY, simulated=True)
    assert moved([found_of(f0_hz=1089.0)], once)["VA"] == pytest.approx(-1.0)
    assert moved([found_of(q=0.7474)], once)["VA"] == pytest.approx(1.0)
    assert moved([found_of()], certificate_of(PROFILE)) == {}, "never tested before"
    assert moved([found_of()], None) == {}


def test_a_moved_corner_writes_nothing(tmp_path, capsys, monkeypatch):
    words = ["calibrate", "self-test", "--twin", "0", "--history", str(tmp_path / "h"), "--json"]
    corner = iter((1100.0, 1110.0))

    async def fake(*_):
        return [found_of(f0_hz=next(corner))]

    monkeypatch.setattr(calibrate_self_test, "self_test", fake)
    assert main(words) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "h").iterdir()}
    capsys.readouterr()
    assert main(words) == 1
    assert "f0 or Q has moved by +0.91 %" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "h").iterdir()} == before


@pytest.mark.parametrize(
    ("previous", "message"),
    [
        (certificate_of(load_profile("thesis-100hz")), "is of front end thesis-100hz, not reference-a-120v"),
        (certificate_of(PROFILE, until=date(2026, 5, 31)), "has expired, and a self-test does not renew it"),
        (
            replace(certificate_of(PROFILE), channel=(replace(certificate_of(PROFILE).channel[0], name="VX"),)),
            "has no channel VA; calibrate it first",
        ),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(previous, message):
    with pytest.raises(InputError, match=message):
        after_self_test([found_of()], PROFILE, previous, "S", TODAY, simulated=True)


def test_a_calibration_starts_from_what_the_self_test_found():
    once = after_self_test([found_of()], PROFILE, None, "S", TODAY, simulated=True)
    true = replace(PROFILE.front_end, f0_hz=1100.0, q=0.74)
    readings = [Reading(f, 120.0, complex(true.response(f)), 1e-5) for f in (55.0, 60.0, 65.0)]
    settings = IssueSettings("S", Reference(0.02, 0.2), TODAY)
    plain, _ = channel_of("VA", readings, Base(PROFILE), settings)
    knowing, _ = channel_of("VA", readings, Base(PROFILE, once), settings)
    assert (knowing.f0_hz, knowing.q) == (1100.0, 0.74)
    assert knowing.delay_s == pytest.approx(true.delay_s, abs=1e-12)
    assert knowing.u_f0_percent < 0.4 < plain.u_f0_percent
    assert {"f0", "q"} <= set(knowing.fitted)
    wide = np.array([10.0, 300.0])
    errors = [np.abs(c.front_end.response(wide) / true.response(wide) - 1).max() for c in (plain, knowing)]
    assert errors[1] < 1e-9 < errors[0]


def test_the_jumper_lowers_q_by_a_known_share():
    assert without_jumper(PROFILE.tone_q, PROFILE) == pytest.approx(PROFILE.q)
    assert with_jumper(PROFILE).q == PROFILE.tone_q < PROFILE.q


def block(codes):
    return SampleBlock(12, np.asarray(codes, dtype=np.uint16)[:, None], 0, 0)


def test_no_edges_no_wave():
    with pytest.raises(InputError, match=r"87 Hz does not reach the PPS input .0 edges seen.: set jumper JP2"):
        find_wave(ToneRecord(87.0, [block([0] * 64)], []), INFO, 16.5e-6)


def test_a_tone_that_does_not_come_through_the_filter(monkeypatch):
    period = Fraction(60000, 87)
    monkeypatch.setattr("rpmu.calibrate.tones.find_wave", lambda *_: Wave(0, 0.0, float(period)))
    record = ToneRecord(87.0, [block(np.random.default_rng(0).normal(20000, 5, 12000).round())], [])
    with pytest.raises(InputError, match=r"does not come through channel 0 .*set jumper JP1"):
        responses(record, INFO, PROFILE, 3.3)


def test_a_live_outlet_is_noticed():
    t = np.arange(12000) / 12000
    live = block((20000 + 3000 * np.cos(2 * np.pi * 60 * t)).round())
    with pytest.raises(InputError, match=r"VA is not quiet .* unplug the adapter"):
        module._levels([live], INFO, ["VA"], [0])
    with pytest.raises(InputError, match="delivers no samples"):
        module._levels([], INFO, ["VA"], [0])


@pytest.mark.parametrize("name", ["reference-a-230v", "reference-b-120v", "option-ct-30a", "thesis-100hz"])
def test_every_design_by_the_short_cut(name):
    """B's tone enters at the summing node and passes no transformer; the others have it at the filter's."""
    design = load_profile(name)
    unit = unit_of(design, 5)
    found = self_tested(unit, design)
    assert found.f0_hz == pytest.approx(unit.profile.f0_hz, rel=0.01 * found.u_f0_percent)
    assert found.q == pytest.approx(unit.profile.q, rel=0.01 * found.u_q_percent)
    assert found.delay_s == pytest.approx(built_delay_s(unit), abs=found.u_delay_s)


def test_two_rcs_are_told_apart_by_higher_harmonics(monkeypatch):
    """The bend of unit 1's converter moves f0 and Q of design B several times as much if harmonics end at 2 kHz."""
    design = load_profile("reference-b-120v")
    unit = unit_of(design, 1)
    far = self_tested(unit, design, 1)
    monkeypatch.setattr("rpmu.calibrate.tones.HIGHEST_WITHOUT_RC_HZ", 2000.0)
    near = self_tested(unit, design, 1)
    for name in ("f0_hz", "q"):
        true = getattr(unit.profile, name)
        assert 2.5 * abs(getattr(far, name) / true - 1) < abs(getattr(near, name) / true - 1)


@pytest.mark.parametrize(
    ("name", "scan_adc_clocks", "reach_hz", "f0_percent"),
    [
        ("reference-a-120v", 50, 2000.0, 0.13),
        ("thesis-100hz", 50, 2000.0, 0.115),
        ("option-ct-30a", 50, 2000.0, 0.114),
        ("reference-b-120v", 50, 4000.0, 0.042),
        ("reference-b-120v", 100, 2000.0, 0.142),
    ],
)
def test_how_far_harmonics_are_fitted_and_what_that_leaves(name, scan_adc_clocks, reach_hz, f0_percent):
    """Three inputs are scanned half as fast as one: 4 kHz would be beyond half the rate of the samples."""
    design, info = load_profile(name), replace(INFO, scan_adc_clocks=scan_adc_clocks)
    assert highest_hz(info, design) == reach_hz < info.sample_rate_hz / 2
    assert module.Beyond.of(design, info).f0_percent == f0_percent


def test_two_rcs_never_resonate():
    """Design B: each pole goes with its own R and C, f0 with all four, and Q stays just below a half."""
    design = load_profile("reference-b-120v")
    units = [unit_of(design, number).profile for number in range(1, 101)]
    assert all(0.497 < unit.q <= 0.5 for unit in units)
    assert max(abs(unit.f0_hz / design.f0_hz - 1) for unit in units) > 0.03


def test_a_front_end_without_the_option_is_refused_before_anything_is_touched(tmp_path, capsys):
    text = load_profile_text("reference-a-120v").partition("[self_test]")[0]
    (tmp_path / "own.toml").write_text(text.replace('"reference-a-120v"', '"own"'))
    words = ["calibrate", "self-test", "--serial", "S", "--profile", str(tmp_path / "own.toml")]
    assert main([*words, "--history", str(tmp_path / "h")]) == 3
    message = capsys.readouterr().err
    assert "profile own has no input for the self-test's tone" in message
    assert all(name in message for name in ("reference-b-120v", "thesis-100hz", "option-ct-30a"))
    assert not (tmp_path / "h").exists()


def load_profile_text(name):
    return next(folder / f"{name}.toml" for folder in FOLDERS if (folder / f"{name}.toml").is_file()).read_text()


CURRENT_SECOND = '[[channel]]\nname = "VA"\nain = 0\n[[channel]]\nname = "IA"\nkind = "current"\nain = 3\n'


def test_which_channels_are_tested():
    config = parse(CURRENT_SECOND.encode())
    assert calibrate_self_test._tested(None, config) == (["VA"], [0])
    assert calibrate_self_test._tested("IA", config) == (["IA"], [1])
    with pytest.raises(InputError, match=r"has no channel 'IB', only VA, IA"):
        calibrate_self_test._tested("IB", config)
    with pytest.raises(InputError, match="give each channel once"):
        calibrate_self_test._tested("IA,IA", config)


def test_a_channel_that_is_not_the_first():
    """A record of two channels, of which the second one is asked for: the first one's are not mistaken for it."""
    both = SampleBlock(12, np.tile(np.array([100, 200], dtype=np.uint16), (64, 1)), 0, 0)
    rests, _ = module._levels([both], replace(INFO, skew_adc_clocks=(25, 40)), ["IA"], [1])
    assert rests[0].counts == pytest.approx(200 * INFO.counts_per_code)


def test_what_the_jumper_adds_to_the_mid_scale_is_taken_off():
    """86 mV of design A with 1.8 V on 4096 counts, good to 2 %."""
    rest = module.without_shift(MidScale(2247.0, 0.1), PROFILE)
    shift = (PROFILE.tone_bias_v - PROFILE.bias_v) / 1.8 * 4096
    assert shift == pytest.approx(195, abs=1)
    assert rest.counts == pytest.approx(2247.0 - shift)
    assert rest.u_counts == pytest.approx(0.02 * shift, rel=0.01)
    old_profile = replace(PROFILE, tone_bias_v=0.0)
    assert module.without_shift(MidScale(2247.0, 0.1), old_profile) == MidScale(2247.0, 0.1)


def test_a_mid_scale_that_was_measured_in_service_stays():
    previous = certificate_of(PROFILE)
    for u, expected in ((0.5, 2060.0), (8.0, 2050.0), (None, 2050.0)):
        before = replace(previous, channel=(replace(previous.channel[0], dc_counts=2060.0, u_dc_counts=u),))
        found = found_of(u_dc_counts=4.0)
        after = after_self_test([found], PROFILE, before, "TWIN-7", TODAY, simulated=True)
        assert after.channel[0].dc_counts == expected


def test_not_beside_the_daemon(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(calibrate_self_test, "read_status", lambda _: {})
    assert main(["calibrate", "self-test", "--serial", "S", "--history", str(tmp_path)]) == 4
    assert "stop it first (systemctl stop rpmu)" in capsys.readouterr().err


def test_the_pwm_of_the_kernel(tmp_path):
    chip = tmp_path / "class" / "pwmchip3"
    (chip / "pwm0").mkdir(parents=True)
    (tmp_path / "48302200.pwm").mkdir()
    (chip / "device").symlink_to(tmp_path / "48302200.pwm")
    assert find_pwm(tmp_path / "class") == chip / "pwm0"
    with pytest.raises(HardwareError, match=r"has no PWM of 48304200\.pwm: enable it"):
        find_pwm(tmp_path / "class", "48304200.pwm")
    with pytest.raises(HardwareError, match="no exported PWM channel"):
        SquareWave(chip / "pwm0")
    for name in ("period", "duty_cycle", "enable"):
        (chip / "pwm0" / name).write_text("0\n")
    SquareWave(chip / "pwm0").start(87.0)
    written = {p.name: int(p.read_text()) for p in (chip / "pwm0").iterdir()}
    assert written == {"period": 11494252, "duty_cycle": 5747126, "enable": 1}


def test_a_channel_that_was_not_exported_is_asked_for(tmp_path):
    chip = tmp_path / "pwmchip0"
    chip.mkdir()
    (tmp_path / "48302200.pwm").mkdir()
    (chip / "device").symlink_to(tmp_path / "48302200.pwm")
    assert find_pwm(tmp_path) == chip / "pwm0"
    assert (chip / "export").read_text() == "0\n"
