"""Whole calibrations on the twin: a unit off nominal is measured, gets a certificate, and is right with it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from rpmu.calibrate.certificate import add_to_history, history_files, read_certificate
from rpmu.calibrate.guide import Guide, JsonLines, by_generator, by_multimeter, by_reference
from rpmu.calibrate.issue import IssueSettings, issue, with_skews
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.readings import Base, Collector, generator_phasor
from rpmu.calibrate.record import Channel, Reference
from rpmu.calibrate.session import Session, Target
from rpmu.cli.main import main
from rpmu.errors import InputError
from tests.e2e.rig import configuration, run_chain


def off(name):
    """Gain +3 %, f0 -4 %, Q +3 %, delay +20 us."""
    p = load_profile(name)
    return replace(p, gain=p.gain * 1.03, f0_hz=p.f0_hz * 0.96, q=p.q * 1.03, delay_s=p.delay_s + 20e-6)


def frames_at(profile, frequency_hz, voltage_v=120.0, seconds=9.0, config=None):
    source = f"nominal,frequency_hz={frequency_hz},voltage_v={voltage_v}"
    return run_chain(seconds, config or configuration(), source=source, profile=profile).frames


def nominal(name):
    config = configuration()
    return replace(config, calibration=replace(config.calibration, profile=name))


def settings(**changes):
    return replace(IssueSettings("TWIN-X", Reference(0.02, 0.2), date(2026, 6, 1), simulated=True), **changes)


def calibrate(tmp_path, name, truth, plan, streams, seconds=3.0, method="generator", **changes):
    """Feed one stream after the other, one for each point of the plan, and issue the certificate."""
    base = Base(load_profile(name))
    session = Session.open(tmp_path / "session.json", {"method": method})
    guide = Guide(base, truth, plan, seconds, JsonLines(), lambda r, t: session.add(r, t.verify))
    for number, stream in enumerate(streams, 1):
        for pair in stream:
            guide.feed(*pair)
            if guide._done == number:
                break
    assert guide.finished
    return add_to_history(tmp_path / "history", issue(session, base, settings(**changes)))


def left_tve_percent(profile, certificate, band):
    f = np.linspace(*band, 11)
    return 100 * np.abs(profile.front_end.response(f) / certificate.channel[0].front_end.response(f) - 1).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fit", "limit"),
    [("reference-a-120v", ("gain", "delay"), 0.05), ("thesis-100hz", ("gain", "delay", "f0", "q"), 0.1)],
)
def test_generator(tmp_path, name, fit, limit):
    unit, config = off(name), nominal(name)
    plan = [Target(f, 120.0) for f in (55.0, 58.0, 60.0, 62.0, 65.0)] + [Target(63.0, 108.0, verify=True)]
    streams = [[(f,) for f in frames_at(unit, t.frequency_hz, t.voltage_v, config=config)] for t in plan]
    path, certificate = calibrate(tmp_path, name, by_generator(0.0), plan, streams, parameters=fit)
    assert left_tve_percent(load_profile(name), certificate, (55, 65)) > 2.5, "it was off"
    assert left_tve_percent(unit, certificate, (55, 65)) < min(limit, certificate.uncertainty.tve_percent)
    assert certificate.verification[0].tve_percent < certificate.uncertainty.tve_percent
    assert len(certificate.point) == 5
    if "f0" in fit:
        assert certificate.channel[0].f0_hz == pytest.approx(unit.f0_hz, rel=0.01)
        assert certificate.channel[0].q == pytest.approx(unit.q, rel=0.01)
    calibrated = replace(config, calibration=replace(config.calibration, certificate=str(path)))
    outcome = run_chain(8, calibrated, source="nominal,frequency_hz=60.05", profile=unit)
    truth = outcome.twin.truth(outcome.time_ns).phasors
    assert outcome.status.calibrated
    assert 100 * np.abs(outcome.phasors / truth - 1).max() < 0.1


@pytest.mark.slow
def test_reference_pmu_at_the_same_outlet(tmp_path):
    unit = off("reference-a-120v")
    device = frames_at(unit, "60.02", "121.3", 15.0)
    other = {f.time_ns: f for f in frames_at(load_profile("reference-a-120v"), "60.02", "121.3", 15.0)}
    stream = [(f, other[f.time_ns]) for f in device if f.time_ns in other]
    plan = [Target(None, None)] * 3 + [Target(None, None, verify=True)]
    thirds = [stream[i * 130 :] for i in range(4)]
    _, certificate = calibrate(
        tmp_path, "reference-a-120v", by_reference, plan, thirds, 2.0, "reference", reference=Reference(0.1, 1.0)
    )
    assert certificate.channel[0].gain == pytest.approx(unit.front_end.gain, rel=2e-3)
    assert left_tve_percent(unit, certificate, (59.9, 60.1)) < 0.05
    assert left_tve_percent(unit, certificate, (55, 65)) < certificate.uncertainty.tve_percent


def test_multimeter(tmp_path):
    unit = off("reference-a-120v")
    stream = [(f,) for f in frames_at(unit, 60)]
    plan = [Target(None, 120.0)]
    _, certificate = calibrate(
        tmp_path, "reference-a-120v", by_multimeter(120.0), plan, [stream], 3.0, "dmm", reference=Reference(0.5, 0.0)
    )
    channel = certificate.channel[0]
    magnitude = abs(channel.front_end.response(60.0)) / abs(unit.front_end.response(60.0))
    assert magnitude == pytest.approx(1, abs=5e-4)
    assert channel.fitted == ("gain",)
    assert channel.delay_s == load_profile("reference-a-120v").front_end.delay_s
    assert channel.u_gain_percent == pytest.approx(0.5, rel=0.2)
    assert channel.u_delay_s == pytest.approx(0.9545 * 90e-6, rel=0.02)
    assert channel.u_tve_percent > 3, "nobody has measured the angle"


def collector():
    return Collector(["VA"], Base(load_profile("reference-a-120v")), 12)


def test_a_reading_waits_until_it_is_stable():
    c = collector()
    for i in range(12):
        c.add([120.0 + i], [120.0], 60.0)
    assert c.take() is None, "the level is still rising"
    for _ in range(12):
        c.add([121.0], [120.0], 60.0)
    reading = (c.take() or collector().take() or {}).get("VA")
    while reading is None:
        c.add([121.0], [120.0], 60.0)
        reading = (c.take() or {}).get("VA")
    nominal_response = load_profile("reference-a-120v").front_end.response(60.0)
    assert abs(reading.response / nominal_response) == pytest.approx(121 / 120, rel=1e-6)


@pytest.mark.parametrize(
    ("phasor", "message"),
    [
        (12.0, "reads 0.1 times what profile reference-a-120v says.*swapped channels"),
        (120.0 * np.exp(1j), r"is \+57.3° from its reference.*not in sync with UTC, or measures"),
    ],
)
def test_a_reading_that_cannot_be_is_refused(phasor, message):
    c = collector()
    for _ in range(12):
        c.add([phasor], [120.0], 60.0)
    with pytest.raises(InputError, match=message):
        c.take()


@pytest.mark.parametrize("frequency_hz", [61.0, 62.3, 59.999])
def test_the_truth_of_a_generator(frequency_hz):
    """Its synchrophasor a time after a known second: the plain definition, in exact arithmetic."""
    started_ns, after_ns = 1_795_000_003 * 10**9, 12_345_016_000_000
    turns = (Fraction(str(frequency_hz)) - 60) * Fraction(after_ns, 10**9)
    expected = 120 * np.exp(1j * (np.radians(30) + 2 * np.pi * float(turns % 1)))
    assert generator_phasor(started_ns + after_ns, frequency_hz, 120.0, 30.0, 60.0, started_ns) == pytest.approx(
        expected
    )


def test_whole_hertz_need_no_start():
    for started_s in (0, 7, 1_795_000_003):
        phasor = generator_phasor(1_795_000_010_250_000_000, 61.0, 120.0, 0.0, 60.0, started_s * 10**9)
        assert phasor == pytest.approx(120j)
    tenths = [generator_phasor(1_795_000_010 * 10**9, 62.3, 120.0, 0.0, 60.0, s * 10**9) for s in (0, 10, 3)]
    assert tenths[0] == pytest.approx(tenths[1])
    assert abs(tenths[0] - tenths[2]) > 1


def test_a_session_goes_on_where_it_was(tmp_path):
    about = {"method": "generator", "serial": "A"}
    plan = [Target(58.0, 120.0), Target(60.0, 120.0), Target(60.0, 120.0), Target(60.0, 120.0, verify=True)]
    session = Session.open(tmp_path / "s.json", about)
    c = collector()
    for _ in range(12):
        c.add([120.0], [120.0], 60.001)
    session.add(c.take(), verify=False)
    again = Session.open(tmp_path / "s.json", about)
    assert again.entries == session.entries
    assert again.remaining(plan) == [plan[0], plan[2], plan[3]]
    with pytest.raises(InputError, match="was begun with serial 'A', not 'B'"):
        Session.open(tmp_path / "s.json", about | {"serial": "B"})
    (tmp_path / "s.json").write_text("{}")
    with pytest.raises(InputError, match="is not a calibration session"):
        Session.open(tmp_path / "s.json", about)


@pytest.fixture
def simulated_pmu():
    """Address of a PMU simulator."""
    command = [sys.executable, "-m", "rpmu.cli.main", "simulate", "--listen", "127.0.0.1:0", "--for", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            line = process.stdout.readline()
            yield re.search(r"127\.0\.0\.1:\d+", line)[0]
        finally:
            process.terminate()


def test_the_command_from_reading_to_certificate(tmp_path, simulated_pmu, capsys):
    history, session = tmp_path / "history", tmp_path / "s.json"
    words = ["calibrate", "reference", simulated_pmu, "--reference", simulated_pmu, "--json", "--seconds", "0.3"]
    words += ["--serial", "SIM-1", "--history", str(history), "--session", str(session), "--reference-percent", "0.1"]
    assert main([*words, "--timeout", "30"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [e["event"] for e in events] == ["want", "reading"] * 4 + ["certificate"]
    certificate = read_certificate(history)
    assert certificate.channel[0].gain == pytest.approx(load_profile("reference-a-120v").front_end.gain, rel=1e-6)
    assert certificate.verification[0].tve_percent < 1e-3
    assert certificate.uncertainty.tve_percent == pytest.approx(0.1, rel=0.5)

    assert main(["calibrate", "show", str(history)]) == 0
    assert "SIM-1" in capsys.readouterr().out
    assert main(["calibrate", "history", str(history)]) == 0
    assert "certificate-0001.toml" in capsys.readouterr().out
    copy = tmp_path / "copy.toml"
    assert main(["calibrate", "export", str(history), str(copy)]) == 0
    assert read_certificate(copy) == certificate
    assert main(["calibrate", "export", str(history), str(copy)]) == 3
    assert "nothing is overwritten" in capsys.readouterr().err

    check = ["calibrate", "verify", simulated_pmu, "--reference", simulated_pmu, "--certificate", str(history)]
    check += ["--seconds", "0.3", "--timeout", "30"]
    assert main([*check, "--session", str(tmp_path / "v.json")]) == 0
    assert "passed" in capsys.readouterr().out
    assert main([*check, "--session", str(tmp_path / "w.json"), "--limit", "-1"]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_wrong_frequency_is_waited_for_and_nothing_is_written(tmp_path, simulated_pmu, capsys):
    words = ["calibrate", "generator", simulated_pmu, "--points", "55:120", "--serial", "S", "--timeout", "3"]
    words += ["--reference-percent", "0.1", "--history", str(tmp_path / "h"), "--session", str(tmp_path / "s.json")]
    assert main(words) == 1
    assert "no stable reading within 3 s" in capsys.readouterr().err
    assert not history_files(tmp_path / "h")
    with contextlib.suppress(SystemExit):
        main(["calibrate", "--help"])


def test_channels_of_one_generator_tell_their_skew():
    """One delay for all, and what each lies behind the first; the sum, which the daemon takes off, stays."""
    one = Channel("VA", 3.7e-3, 1072.0, 0.72, 32e-6)
    other = replace(one, name="VB", delay_s=34.5e-6)
    first, second = with_skews([one, other])
    assert (first.delay_s, first.skew_s) == (32e-6, 0.0)
    assert (second.delay_s, second.skew_s) == (32e-6, pytest.approx(2.5e-6))
    assert second.front_end.response(60.0) == pytest.approx(other.front_end.response(60.0), rel=1e-12)
