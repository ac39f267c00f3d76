"""The front end's temperature: terms from certificates, the sensor's file, and the correction in the running daemon."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from rpmu import rooms
from rpmu.calibrate.certificate import add_to_history, read_certificate
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.record import Temperature
from rpmu.calibrate.warmth import with_temperature_terms
from rpmu.cli.main import main
from rpmu.errors import InputError
from rpmu.status import as_lines, as_object
from rpmu.thermometer import EVERY, TemperatureTerm, Thermometer
from tests.calibrate.test_in_the_daemon import certificate_of
from tests.e2e.rig import configuration, run_chain

NOMINAL = load_profile("reference-a-120v")
WARM_S = 12.5e-6  # 20 K of copper in an adapter's primary: its lead moves by 0.27 degrees
WARM = replace(NOMINAL, gain=NOMINAL.gain * 1.001, delay_s=NOMINAL.delay_s + WARM_S)
TERMS = {"gain_ppm_per_k": 50.0, "phase_deg_per_k": -360 * 60 * WARM_S / 20}
TODAY = date(2026, 6, 1)


def configured(tmp_path, millidegrees=None, terms=TERMS):
    add_to_history(tmp_path / "history", replace(certificate_of(NOMINAL, **terms), temperature=Temperature(20.0)))
    told = {"certificate": str(tmp_path / "history")}
    if millidegrees is not None:
        (tmp_path / "temp1_input").write_text(f"{millidegrees}\n")
        told["temperature_file"] = str(tmp_path / "temp1_input")
    config = configuration()
    return replace(config, calibration=replace(config.calibration, **told))


def tve_percent(outcome):
    truth = outcome.twin.truth(outcome.time_ns).phasors[:, 0]
    return 100 * np.abs(outcome.phasors[:, 0] / truth - 1)


def test_a_warm_front_end_is_corrected(tmp_path):
    without = run_chain(7, configured(tmp_path / "a"), profile=WARM)
    assert tve_percent(without).min() > 0.4
    assert without.status.warmed_by_k is None
    outcome = run_chain(7, configured(tmp_path / "b", 40_000), profile=WARM)
    assert tve_percent(outcome).max() < 0.02
    assert outcome.status.warmed_by_k == pytest.approx(20.0)
    assert "warmth      +20.0 K since calibration" in as_lines(as_object(outcome.status))


def test_without_terms_or_sensor_nothing_is_corrected(tmp_path):
    assert rooms.calibration(configured(tmp_path / "a")).temperature is None
    assert rooms.calibration(configured(tmp_path / "b", 30_000, {})).temperature is None
    (tmp_path / "c").mkdir()
    missing = configured(tmp_path / "c", 30_000)
    (tmp_path / "c" / "temp1_input").unlink()
    term = rooms.calibration(missing).temperature
    assert (term.factors(), term.kelvin) == ([1.0], None)


@pytest.mark.parametrize("content", ["", "warm", "200000", "nan"])
def test_a_sensor_that_says_nonsense_is_not_believed(tmp_path, content, caplog):
    file = tmp_path / "temp"
    file.write_text(content)
    sensor = Thermometer(file)
    assert sensor.last_c is None
    assert TemperatureTerm(20.0, (1e-3,), (0.1,), sensor).factors() == [1.0]
    assert caplog.text.count("tells no temperature") == 1


def test_the_value_is_renewed_without_waiting(tmp_path):
    file = tmp_path / "temp"
    file.write_text("20000\n")
    sensor = Thermometer(file)
    assert sensor.last_c == 20.0
    file.write_text("25000\n")
    deadline = time.monotonic() + 60
    asked = 1
    while sensor.last_c != 25.0 and time.monotonic() < deadline:
        asked += 1
    assert sensor.last_c == 25.0
    assert asked >= EVERY - 1, "it is not read for every report"


def at(celsius, method="generator"):
    """VA as the terms say, VB twice as much of both."""
    channels = []
    for name, times in (("VA", 1.0), ("VB", 2.0)):
        gain, turn_s = NOMINAL.gain * math.exp(times * 50e-6 * (celsius - 20)), times * WARM_S * (celsius - 20) / 20
        certificate = certificate_of(replace(NOMINAL, gain=gain, delay_s=NOMINAL.delay_s + turn_s))
        channels.append(replace(certificate.channel[0], name=name))
    issue = replace(certificate.certificate, ambient_c=celsius, method=method)
    return replace(certificate, certificate=issue, channel=tuple(channels))


def test_terms_from_two_calibrations(tmp_path, capsys):
    for celsius in (15.0, 35.0):
        add_to_history(tmp_path, at(celsius))
    assert main(["calibrate", "temperature", "--history", str(tmp_path)]) == 0
    assert re.search(r"VA: \+50.00 ppm/K.*\nVB: \+100.00 ppm/K", capsys.readouterr().out)
    newest = read_certificate(tmp_path)
    assert newest.certificate.number == 3
    assert newest.temperature.reference_c == 35.0
    for channel, times in zip(newest.channel, (1.0, 2.0), strict=True):
        assert channel.gain_ppm_per_k == pytest.approx(times * 50.0, rel=1e-6)
        assert channel.phase_deg_per_k == pytest.approx(times * TERMS["phase_deg_per_k"], rel=1e-6)
    plain = [replace(channel, gain_ppm_per_k=0.0, phase_deg_per_k=0.0) for channel in newest.channel]
    assert plain == list(read_certificate(tmp_path / "certificate-0002.toml").channel)


def test_each_channel_has_its_own_term(tmp_path):
    """Three phases whose adapters are different: one does not move, one moves as TERMS say, one the other way."""
    times = (1.0, 0.0, -1.0)
    cold = certificate_of(NOMINAL).channel[0]
    channels = [
        replace(cold, name=name, **{key: factor * value for key, value in TERMS.items()})
        for name, factor in zip(("VA", "VB", "VC"), times, strict=True)
    ]
    add_to_history(tmp_path / "history", replace(certificate_of(NOMINAL), channel=tuple(channels)))
    (tmp_path / "temp").write_text("45000\n")  # 20 K above the certificate's 25 degrees
    told = {"certificate": str(tmp_path / "history"), "temperature_file": str(tmp_path / "temp")}
    config = configuration(phases=3)
    config = replace(config, calibration=replace(config.calibration, **told))
    built = tuple(
        replace(NOMINAL, gain=NOMINAL.gain * (1 + 0.001 * factor), delay_s=NOMINAL.delay_s + factor * WARM_S)
        for factor in times
    )
    outcome = run_chain(7, config, built=built)
    truth = outcome.twin.truth(outcome.time_ns).phasors
    assert (100 * np.abs(outcome.phasors[:, :3] / truth - 1)).max() < 0.03


@pytest.mark.parametrize(
    "history", [[], [at(20.0)], [at(20.0), at(27.0)], [at(10.0, "dmm"), at(30.0)], [certificate_of(NOMINAL), at(30.0)]]
)
def test_too_little_for_a_slope_is_refused(history):
    with pytest.raises(InputError, match="two or more calibrations by generator or reference with --ambient-c"):
        with_temperature_terms(history, TODAY)
