"""Certificates: written whole, read back the same, refused with one sentence when they are not what they say."""

from __future__ import annotations

import cmath
import math
import tomllib
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpmu.calibrate.certificate import (
    Certificate,
    add_to_history,
    device_serial,
    history_files,
    parse_certificate,
    read_certificate,
    read_history,
)
from rpmu.calibrate.record import Channel, Device, Issue, Point, Reference, Site, Uncertainty, Verification
from rpmu.calibrate.show import certificate_lines, summary
from rpmu.errors import InputError

CHANNEL = Channel(
    "VA",
    gain=3.74e-3,
    f0_hz=1073.0,
    q=0.72,
    delay_s=10.3e-6,
    fitted=("gain", "delay"),
    level_v=(12.0, 60.0, 120.0),
    level_gain=(1.002, 1.0, 0.999),
    level_phase_deg=(0.1, 0.0, -0.05),
    u_tve_percent=0.1,
)
CERTIFICATE = Certificate(
    Device("BBB-1234", "reference-a-120v", 120.0, 60.0),
    Issue(date(2026, 3, 1), date(2027, 3, 1), 1, "generator", operator='Jo "the lab" Doe'),
    Reference(0.02, 0.2, make="Fluke", time_source="GPS"),
    Uncertainty(0.1, (55.0, 65.0)),
    (CHANNEL,),
    point=(
        Point("VA", 60.0, 120.0, 3.7e-3, -4.6),
        Point("VA", 57.0, 120.0, 3.9e-3, -4.5, used=False, why="5 sigma from the fit"),
    ),
    verification=(Verification("VA", 62.3, 108.0, 0.012),),
    site=Site(30.0, leg="L2"),
)


def test_text_and_value_are_the_same_both_ways():
    text = CERTIFICATE.render()
    assert parse_certificate(text, "x.toml") == CERTIFICATE
    assert parse_certificate(text, "x.toml").render() == text
    assert set(tomllib.loads(text)["channel"][0]) >= {"f0_hz", "delay_s", "u_tve_percent", "dc_counts"}


def test_whole_numbers_where_any_number_may_stand_are_read_back_with_their_hash():
    whole = replace(CERTIFICATE, device=replace(CERTIFICATE.device, nominal_frequency_hz=60, nominal_voltage_v=120))
    whole = replace(whole, uncertainty=Uncertainty(1, (55, 65)), channel=(replace(CHANNEL, level_v=(12, 60, 120)),))
    assert parse_certificate(whole.render(), "x.toml") == whole


@given(
    st.floats(1e-6, 1.0), st.floats(-1e-3, 1e-2), st.text(), st.floats(-60, 100) | st.none(), st.sampled_from([-1, 1])
)
def test_any_content_survives(gain, delay_s, operator, ambient_c, polarity):
    channel = replace(CHANNEL, gain=gain, delay_s=delay_s, polarity=polarity)
    issue = replace(CERTIFICATE.certificate, operator=operator, ambient_c=ambient_c)
    whole = replace(CERTIFICATE, channel=(channel,), certificate=issue)
    assert parse_certificate(whole.render(), "x.toml") == whole


def test_comments_and_the_site_may_be_edited():
    text = "# ours\n" + CERTIFICATE.render().replace("angle_offset_deg = 30.0", "angle_offset_deg = -90  # moved")
    assert parse_certificate(text, "x.toml").site.angle_offset_deg == -90.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gain = 0.00374", "gain = 0.00375", "does not match its sha256, so it was changed by hand"),
        ('sha256 = "', 'sha256 = "0', "does not match its sha256"),
        ("[integrity]", "[intogrity]", r"the top has no key 'intogrity'; did you mean 'integrity'"),
        ("schema = 1", "schema = 7", "schema is 7, but this version reads schema 1"),
        ("schema = 1", "schema = ", "is not TOML"),
        ("delay_s =", "delay_us =", r"\[\[channel\]\] 1 has no key 'delay_us'; did you mean 'delay_s'"),
        ("q = 0.72\n", "", r"\[\[channel\]\] 1 lacks the key q"),
        ("q = 0.72", 'q = "x"', r"\[\[channel\]\] 1 q is 'x', but must be a number"),
        ("q = 0.72", "q = 720", r"q is 720, but must lie from 0.1 to 10"),
        ("q = 0.72", "q = nan", r"q is nan, but must lie"),
        ("polarity = 1", "polarity = 0", "x.toml: channel VA: polarity is 0"),
        ("polarity = 1", "polarity = true", "polarity is True, but must be a whole number"),
        ("level_gain = [1.002, ", "level_gain = [", "must be equally long"),
        ("level_v = [12.0, 60.0", "level_v = [60.0, 60.0", "level_v must rise"),
        ("level_v = [12.0, 60.0, 120.0]", "level_v = 12.0", "must be a list"),
        ("2027-03-01", "2025-03-01", "valid_until_utc lies before date_utc"),
        ("2027-03-01", '"2027"', "must be a date"),
        ('method = "generator"', 'method = "guess"', "must be one of 'generator'"),
        ("band_hz = [55.0, 65.0]", "band_hz = [55.0]", "two rising frequencies"),
        ("[[channel]]", "[channel]", "channel must be a list of tables"),
        ('serial = "BBB-1234"\n', "", r"\[device\] lacks the key serial"),
    ],
)
def test_wrong_content_gets_one_sentence(old, new, message):
    text = CERTIFICATE.render()
    assert old in text
    with pytest.raises(InputError, match=message) as caught:
        parse_certificate(text.replace(old, new, 1), "x.toml")
    assert str(caught.value).startswith("x.toml: ")
    assert "\n" not in str(caught.value).replace("is not TOML", "")


def test_another_device_or_channel_is_refused():
    CERTIFICATE.refuse_other("BBB-1234", ("VA",))
    with pytest.raises(InputError, match=r"serial 'BBB-1234', but this one is 'BBB-9'"):
        CERTIFICATE.refuse_other("BBB-9", ("VA",))
    with pytest.raises(InputError, match=r"no channel VB \(it has VA\)"):
        CERTIFICATE.refuse_other("BBB-1234", ("VA", "VB"))


def test_it_holds_up_to_its_last_day():
    assert not CERTIFICATE.expired(date(2027, 3, 1))
    assert CERTIFICATE.expired(date(2027, 3, 2))


def test_history_is_only_ever_added_to(tmp_path):
    folder = tmp_path / "calibration"
    first, one = add_to_history(folder, CERTIFICATE)
    before = first.read_bytes()
    second, two = add_to_history(folder, replace(CERTIFICATE, site=Site()))
    assert [path.name for path in history_files(folder)] == ["certificate-0001.toml", "certificate-0002.toml"]
    assert first.read_bytes() == before
    assert (one.certificate.number, two.certificate.number) == (1, 2)
    assert two.certificate.previous_sha256 == one.sha256
    assert two.site == CERTIFICATE.site, "the site goes with the plug, not with the calibration"
    assert read_certificate(folder) == two
    assert [entry for _, entry in read_history(folder)] == [one, two]
    assert len(list(folder.iterdir())) == 2, "no drafts left behind"
    first.unlink()
    with pytest.raises(InputError, match="does not follow from the certificate before it"):
        read_history(folder)
    with pytest.raises(InputError, match="does not follow"):
        add_to_history(folder, CERTIFICATE)
    assert second.exists()


def test_history_of_another_device_is_left_alone(tmp_path):
    add_to_history(tmp_path, CERTIFICATE)
    other = replace(CERTIFICATE, device=replace(CERTIFICATE.device, serial="BBB-9"))
    with pytest.raises(InputError, match="is the history of 'BBB-1234', not of 'BBB-9'"):
        add_to_history(tmp_path, other)
    assert len(history_files(tmp_path)) == 1


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="there is no such certificate"):
        read_certificate(tmp_path / "none.toml")
    with pytest.raises(InputError, match="holds no certificate"):
        read_certificate(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        read_certificate(tmp_path / "binary.toml")


def test_serial_of_the_board(tmp_path):
    file = tmp_path / "serial-number"
    file.write_bytes(b"1234BBBK5678\0")
    assert device_serial(None, file) == "1234BBBK5678"
    assert device_serial("mine", file) == "mine"
    with pytest.raises(InputError, match=r"tells no serial number .*--serial"):
        device_serial(None, tmp_path / "nothing")


def test_level_table_and_sign():
    assert CHANNEL.front_end.gain == CHANNEL.gain
    assert replace(CHANNEL, polarity=-1, skew_s=1e-6).front_end.gain == -CHANNEL.gain
    assert replace(CHANNEL, skew_s=1e-6).front_end.delay_s == pytest.approx(11.3e-6)
    assert abs(CHANNEL.level_response(36.0)) == pytest.approx(1.001)
    assert math.degrees(np.angle(CHANNEL.level_response(5.0))) == pytest.approx(0.1)
    assert replace(CHANNEL, level_v=(), level_gain=(), level_phase_deg=()).level_response(7.0) == 1


@pytest.mark.parametrize("table", [CHANNEL.level_v, CHANNEL.level_v[:1]])
def test_the_level_table_is_interpolated_in_gain_and_phase(table):
    n = len(table)
    channel = replace(
        CHANNEL, level_v=table, level_gain=CHANNEL.level_gain[:n], level_phase_deg=CHANNEL.level_phase_deg[:n]
    )
    for volts in np.linspace(0.0, 2 * CHANNEL.level_v[-1], 97).tolist():
        response = channel.level_response(volts)
        assert abs(response) == pytest.approx(np.interp(volts, table, channel.level_gain), rel=1e-14)
        phase_deg = np.interp(volts, table, channel.level_phase_deg)
        assert math.degrees(cmath.phase(response)) == pytest.approx(phase_deg, abs=1e-12)


def test_shown_to_people():
    text = "\n".join(certificate_lines(CERTIFICATE, date(2028, 1, 1)))
    for part in ("BBB-1234", "EXPIRED", "Fluke", "0.1 % TVE", "5 sigma from the fit", "62.3 Hz", "+30.0000°", "leg L2"):
        assert part in text
    assert "EXPIRED" not in "\n".join(certificate_lines(CERTIFICATE, date(2026, 6, 1)))
    simulated = replace(CERTIFICATE, certificate=replace(CERTIFICATE.certificate, simulated=True))
    assert "SIMULATED" in "\n".join(certificate_lines(simulated))
    assert "valid until 2027-03-01" in summary(CERTIFICATE)
