"""Several channels at once, end to end: the command against a twin whose channels are all different."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from rpmu.calibrate.certificate import read_certificate
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.show import certificate_lines
from rpmu.cli.main import main
from rpmu.config import parse
from rpmu.mid_scale import MidScale, as_text, combined, from_text
from rpmu.twin.generator import Generator
from rpmu.twin.pruss import AdcErrors
from tests.calibrate.live import live_twin
from tests.e2e.rig import START_NS, run_chain

PROFILE = load_profile("reference-a-120v")
CONFIG = parse(
    b"""
[station]
phases = 1
[[channel]]
name = "VA"
[[channel]]
name = "VB"
phase = "B"
ain = 3
[[channel]]
name = "VC"
phase = "C"
ain = 4
"""
)
NAMES = ("VA", "VB", "VC")
BUILT = (
    replace(PROFILE, gain=PROFILE.gain * 1.02, delay_s=PROFILE.delay_s + 20e-6),
    replace(PROFILE, gain=-PROFILE.gain * 0.98, delay_s=PROFILE.delay_s - 10e-6, bias_v=PROFILE.bias_v * 1.01),
    replace(PROFILE, gain=PROFILE.gain * 1.01, delay_s=PROFILE.delay_s + 35e-6, bias_v=PROFILE.bias_v * 0.99),
)
SKEW_S = (0.0, 2e-6, -1.5e-6)
BENT = tuple(
    (4.0 * np.sin(np.linspace(0, 2 * np.pi, 33))).tolist()
)  # odd about the middle: the gain goes with the level
ADC = AdcErrors(noise_lsb_rms=0.5, offset_lsb=3.0, gain=1.004, inl_lsb=BENT)
POINTS = ((55.0, 120.0), (60.0, 120.0), (65.0, 120.0), (60.0, 12.0), (60.0, 60.0), (60.0, 144.0), (62.0, 108.0))
BUILD = {"built": BUILT, "skew_s": SKEW_S, "adc": ADC}


def bench_generator(lag_rad=0.0, each_s=4.0):
    return Generator(POINTS, each_s, 60, 3, START_NS, 0.0, lag_rad)


def words(address, tmp_path, *more):
    points = ",".join(f"{f:g}:{v:g}" for f, v in POINTS[:-1])
    words = ["calibrate", "generator", address, "--points", points, "--check-points", "62:108", "--seconds", "2"]
    words += ["--serial", "TWIN-X", "--history", str(tmp_path / "history"), "--session", str(tmp_path / "s.json")]
    return [*words, "--reference-percent", "0.02", "--reference-us", "0.2", "--timeout", "120", "--json", *more]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of a unit of three channels that got the same signal, one of them upside down."""
    folder = tmp_path_factory.mktemp("bench")
    with live_twin(CONFIG, bench_generator(), **BUILD) as address:
        assert main(words(address, folder, "--inverting")) == 0
    return read_certificate(folder / "history")


def test_every_channel_is_found(certificate):
    assert tuple(channel.name for channel in certificate.channel) == NAMES
    assert [channel.polarity for channel in certificate.channel] == [1, -1, 1]
    for channel, built in zip(certificate.channel, BUILT, strict=True):
        gain = abs(built.front_end.gain) * ADC.gain
        assert channel.gain == pytest.approx(gain, rel=0.004), "the bent converter is worth some 0.3 %"


def test_skew_is_what_each_lies_behind_the_first(certificate):
    delays_s = [built.front_end.delay_s + skew_s for built, skew_s in zip(BUILT, SKEW_S, strict=True)]
    first = certificate.channel[0]
    assert first.delay_s == pytest.approx(delays_s[0], abs=0.4e-6)
    assert (first.skew_s, first.u_skew_s) == (0.0, 0.0)
    for channel, delay_s in zip(certificate.channel[1:], delays_s[1:], strict=True):
        assert channel.delay_s == first.delay_s
        assert channel.skew_s == pytest.approx(delay_s - delays_s[0], abs=0.1e-6)
        assert abs(channel.skew_s - (delay_s - delays_s[0])) < channel.u_skew_s


def test_mid_scale_is_measured_by_channel(certificate):
    for channel, built in zip(certificate.channel, BUILT, strict=True):
        rest = built.bias_v * ADC.gain / PROFILE.vref_v * 4096 + ADC.offset_lsb
        assert channel.u_dc_counts < 4.0, "the level changes every few seconds"
        assert channel.dc_counts == pytest.approx(rest, abs=channel.u_dc_counts)
    text = "\n".join(certificate_lines(certificate))
    assert len(re.findall(r"mid-scale +\d{4}\.\d\d counts +± [\d.]+ counts +measured", text)) == 3
    assert re.search(r"skew +-\d+\.\d{3} us +±", text)


def test_level_table_takes_the_bend_out(certificate):
    for channel in certificate.channel:
        assert channel.level_v == (12.0, 60.0, 120.0, 144.0)
        assert abs(channel.level_gain[0] - 1) > 1e-3
    assert all(check.tve_percent < 0.1 for check in certificate.verification)


def test_with_its_certificate_all_channels_are_right(certificate, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(certificate.render())
    config = replace(CONFIG, calibration=replace(CONFIG.calibration, certificate=str(path)))
    config = replace(config, server=replace(config.server, listen=("127.0.0.1:0",)))
    for volts in (120.0, 36.0):
        mains = Generator(((60.4, volts),), 1e6, 60, 3, START_NS)
        outcome = run_chain(8, config, mains=mains, **BUILD)
        ratio = outcome.phasors / outcome.twin.truth(outcome.time_ns).phasors
        assert (100 * np.abs(ratio.mean(axis=0) - 1)).max() < (0.03 if volts == 120 else 0.12)


def test_a_generator_of_three_phases(tmp_path):
    with live_twin(CONFIG, bench_generator(2 * np.pi / 3), **BUILD) as address:
        more = ("--three-phase", "--inverting", "--points", "60:120", "--check-points", "", "--fit", "gain,delay")
        assert main(words(address, tmp_path, *more)) == 0
    skews_s = [channel.skew_s for channel in read_certificate(tmp_path / "history").channel]
    delays_s = [built.front_end.delay_s + skew_s for built, skew_s in zip(BUILT, SKEW_S, strict=True)]
    assert skews_s == pytest.approx([delay_s - delays_s[0] for delay_s in delays_s], abs=0.2e-6)


@pytest.mark.parametrize(
    ("phases", "lag_rad", "sentence"),
    [
        (3, 0.0, "all three inputs have the same signal.*set station.phases = 1.*--three-phase"),
        (1, 2 * np.pi / 3, "VB at 60.00 Hz is .120.0.*another phase.*three phases needs --three-phase"),
    ],
    ids=["one signal for a three-phase PMU", "three phases that were not told of"],
)
def test_the_wrong_generator_for_the_channels(tmp_path, capsys, phases, lag_rad, sentence):
    config = replace(CONFIG, station=replace(CONFIG.station, phases=phases))
    with live_twin(config, bench_generator(lag_rad)) as address:
        assert main(words(address, tmp_path, "--points", "60:120", "--check-points", "")) == 3
    complaint = capsys.readouterr().err.strip()
    assert re.search(sentence, complaint), complaint
    assert complaint.count("\n") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_multimeter_at_each_phase(tmp_path, capsys):
    mains = Generator(((60.0, 120.0),), 1e6, 60, 3, START_NS)
    options = ["--seconds", "1", "--serial", "TWIN-X", "--json", "--timeout", "60", "--reference-percent", "0.5"]
    options += ["--history", str(tmp_path / "history"), "--session", str(tmp_path / "s.json")]
    with live_twin(CONFIG, mains) as address:
        assert main(["calibrate", "dmm", address, "--volts", "120,121", *options]) == 3
        assert "--volts has 2 values, but the device 3 channels (VA, VB, VC)" in capsys.readouterr().err
        assert main(["calibrate", "dmm", address, "--volts", "120,121,119", *options]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ratios = [e["magnitude_ratio"] for e in events if e["event"] == "reading"]
    assert np.array(ratios) / ratios[0] == pytest.approx([1.0, 120 / 121, 120 / 119], rel=2e-4)
    certificate = read_certificate(tmp_path / "history")
    assert [channel.u_dc_counts is not None for channel in certificate.channel] == [True] * 3


def test_mid_scales_in_words():
    found = {"VA": MidScale(2052.25, 0.125), "L 2": MidScale(1999.5, 1.0)}
    assert from_text("RPMU: rpmu 1, class M" + as_text(found)) == found
    assert from_text("another maker's header") == {}
    assert combined([]) is None
    assert combined([MidScale(2000.0, 0.3), MidScale(2002.0, 0.1)]) == MidScale(2001.0, pytest.approx(np.hypot(0.3, 2)))


def test_what_the_pmu_runs_with_must_be_known(certificate, tmp_path, capsys):
    """Its numbers drop out of the result only if they are known; and what is not measured again stays."""
    path = tmp_path / "c.toml"
    path.write_text(certificate.render())
    config = replace(CONFIG, calibration=replace(CONFIG.calibration, certificate=str(path)))
    more = ("--points", "60:120", "--check-points", "")
    with live_twin(config, bench_generator(), **BUILD) as address:
        assert main(words(address, tmp_path, *more)) == 3
        complaint = capsys.readouterr().err
        found = re.search(r"runs with certificate [0-9a-f]{16}, but the command was told (.*); give that c", complaint)
        assert found[1] == "profile reference-a-120v"
        assert sorted(tmp_path.iterdir()) == [path]
        assert main(words(address, tmp_path, *more, "--certificate", str(path), "--inverting")) == 0
    renewed = read_certificate(tmp_path / "history")
    for old, new in zip(certificate.channel, renewed.channel, strict=True):
        assert (new.level_v, new.level_gain) == (old.level_v, old.level_gain), "of one level nothing new is known"
        assert len(new.u_level_percent) == len(old.u_level_percent)
        assert new.front_end.response(60.0) == pytest.approx(old.front_end.response(60.0), rel=1e-4)


def test_a_pmu_without_the_certificate_is_not_verified_with_it(certificate, tmp_path, capsys):
    path = tmp_path / "c.toml"
    path.write_text(certificate.render())
    options = ["--session", str(tmp_path / "s.json"), "--timeout", "60", "--check-points", "60:120"]
    with live_twin(CONFIG, bench_generator(), **BUILD) as address:
        assert main(["calibrate", "verify", address, "--certificate", str(path), *options]) == 3
    assert re.search(
        r"runs with profile reference-a-120v, but the command was told certificate", capsys.readouterr().err
    )
