"""What the daemon does with a certificate: takes its own, refuses others, and says in the stream what it runs on."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from rpmu import rooms
from rpmu.c37118 import DataError
from rpmu.calibrate.certificate import Certificate, add_to_history
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.record import Adc, Channel, Device, Issue, Reference, Site, Uncertainty
from rpmu.errors import InputError
from rpmu.pipeline import Calibration
from rpmu.status import as_lines, as_object
from rpmu.timing.status import STATUS_BIT_NAMES
from rpmu.twin.tolerance import unit_of
from tests.e2e.rig import configuration, run_chain

NOMINAL = load_profile("reference-a-120v")
UNIT = unit_of(NOMINAL, 7).profile
CALIBRATED = 1 << STATUS_BIT_NAMES.index("CALIBRATED")


def certificate_of(profile, serial="TWIN-7", until=date(2030, 1, 1), site=None, **channel):
    front_end = profile.front_end
    values = {"gain": front_end.gain, "f0_hz": front_end.f0_hz, "q": front_end.q, "delay_s": front_end.delay_s}
    return Certificate(
        Device(serial, profile.name, profile.nominal_voltage_v, profile.nominal_frequency_hz),
        Issue(date(2020, 1, 1), until, 1, "generator", simulated=True),
        Reference(0.02, 0.2),
        Uncertainty(0.05, (55.0, 65.0)),
        (Channel("VA", **(values | {"dc_counts": 2052.6} | channel)),),
        Adc(profile.vref_v),
        site=site or Site(),
    )


def configured(tmp_path, certificate=None, **calibration):
    if certificate is not None:
        add_to_history(tmp_path / "history", certificate)
        calibration["certificate"] = str(tmp_path / "history")
    config = configuration()
    return replace(config, calibration=replace(config.calibration, **calibration))


def tve_percent(outcome):
    truth = outcome.twin.truth(outcome.time_ns)
    return 100 * np.abs(outcome.phasors[:, 0] / truth.phasors[:, 0] - 1)


def test_a_unit_is_off_without_its_certificate_and_right_with_it(tmp_path):
    before = run_chain(8, configuration(), profile=UNIT)
    config = configured(tmp_path, certificate_of(UNIT, site=Site(25.0)))
    after = run_chain(8, config, profile=UNIT)
    assert tve_percent(before).min() > 0.5
    truth = after.twin.truth(after.time_ns).phasors[:, 0]
    ratio = after.phasors[:, 0] / truth * np.exp(1j * math.radians(25.0))
    assert 100 * np.abs(ratio - 1).max() < 0.05
    assert all(frame.pmus[0].digitals[0] & CALIBRATED for frame in after.good)
    assert not any(frame.pmus[0].digitals[0] & CALIBRATED for frame in before.good)
    assert (before.status.calibrated, after.status.calibrated) == (False, True)
    lines = "\n".join(as_lines(as_object(after.status)))
    assert "calibration certificate 1 of 2020-01-01 (generator), valid until 2030-01-01" in lines
    assert "NOT CALIBRATED: nominal profile" in "\n".join(as_lines(as_object(before.status)))


def test_an_expired_certificate_marks_the_data_by_the_date_of_gps(tmp_path):
    outcome = run_chain(7, configured(tmp_path, certificate_of(UNIT, until=date(2026, 1, 1))), profile=UNIT)
    measured = [m for m in outcome.measurements if m.valid]
    assert measured
    assert all(m.test_mode and not m.status_word & CALIBRATED for m in measured)
    codes = {frame.pmus[0].stat.data_error for frame in outcome.frames}
    assert codes == {DataError.TEST_OR_ABSENT}
    assert np.isfinite([abs(f.pmus[0].phasors[0]) for f in outcome.frames[-20:]]).all(), "numbers go on, but marked"
    assert not outcome.status.calibrated


def test_an_inverting_channel_is_turned_round(tmp_path):
    profile = replace(NOMINAL, gain=-NOMINAL.gain)
    config = configured(tmp_path, certificate_of(profile, gain=abs(profile.front_end.gain), polarity=-1))
    assert tve_percent(run_chain(7, config, profile=profile)).max() < 0.1


def test_a_board_needs_a_certificate_unless_told(tmp_path):
    today = date(2026, 6, 1)
    with pytest.raises(InputError, match=r"no calibration certificate: run `rpmu calibrate` .* allow_uncalibrated"):
        rooms.board_calibration(configuration(), today)
    told = rooms.board_calibration(configured(tmp_path, allow_uncalibrated=True), today)
    assert told.test_mode
    assert not told.valid
    assert not rooms.calibration(configuration()).test_mode, "the twin runs on its nominal profile without ceremony"


def test_a_board_takes_its_own_certificate_only(tmp_path):
    own = configured(tmp_path, certificate_of(UNIT, serial="BBB-1"), serial="BBB-1")
    found = rooms.board_calibration(own, date(2026, 6, 1))
    assert found.valid
    assert not found.test_mode
    assert found.front_ends == (UNIT.front_end,)
    assert found.bias_v == (pytest.approx(0.902, abs=1e-3),)
    other = replace(own, calibration=replace(own.calibration, serial="BBB-2"))
    with pytest.raises(InputError, match="serial 'BBB-1', but this one is 'BBB-2'"):
        rooms.board_calibration(other, date(2026, 6, 1))
    with pytest.raises(InputError, match="no channel VB"):
        rooms.calibration(replace(own, station=replace(own.station, phases=3)))


def test_a_broken_certificate_is_refused(tmp_path):
    config = configured(tmp_path, certificate_of(UNIT, serial="BBB-1"), serial="BBB-1")
    file = tmp_path / "history" / "certificate-0001.toml"
    file.write_text(file.read_text().replace("polarity = 1", "polarity = -1"))
    with pytest.raises(InputError, match="changed by hand or damaged"):
        rooms.board_calibration(config, date(2026, 6, 1))


def test_an_expired_certificate_is_refused_unless_told(tmp_path):
    config = configured(tmp_path, certificate_of(UNIT, serial="B", until=date(2026, 5, 31)), serial="B")
    rooms.board_calibration(config, date(2026, 5, 31))
    with pytest.raises(InputError, match=r"valid until 2026-05-31.* has expired: calibrate again, or set"):
        rooms.board_calibration(config, date(2026, 6, 1))
    told = replace(config, calibration=replace(config.calibration, allow_expired=True))
    assert rooms.board_calibration(told, date(2026, 6, 1)).valid


def test_level_table_and_site_are_taken_off():
    channel = Channel(
        "VA", 1e-3, 1e3, 0.7, 0.0, level_v=(10.0, 100.0), level_gain=(1.01, 1.0), level_phase_deg=(1.0, 0.0)
    )
    calibration = Calibration((channel.front_end,), 1e-3, levels=(channel.level_response,), site_angle_rad=math.pi / 2)
    true = np.array([[10.0 + 0j], [100.0 + 0j], [np.nan + 0j]])
    raw = np.array([[v * channel.level_response(abs(v)) * 1j for v in row] for row in true.tolist()])
    np.testing.assert_allclose([calibration.corrected(row) for row in raw.tolist()], true, rtol=1e-3)


def test_units_differ_and_stay_the_same():
    assert unit_of(NOMINAL, 0).profile == NOMINAL
    assert unit_of(NOMINAL, 7) == unit_of(NOMINAL, 7) != unit_of(NOMINAL, 8)
    with pytest.raises(InputError, match="numbered from 0"):
        unit_of(NOMINAL, -1)
