"""What each room is told of the configuration."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rpmu import rooms
from rpmu.config import default, parse
from rpmu.errors import InputError


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("", "adc"),
        ("[sampling]\npps_pin = 14", "pin"),
        ("[sampling]\npps_pin = 14\n[time]\npps_input = 'adc'", "adc"),
        ("[sampling]\npps_pin = 14\n[time]\npps_input = 'r31'", "pin"),
        ("[time]\npps_input = 'auto'", "adc"),
    ],
)
def test_the_pps_input_that_makes_the_time(text, source):
    assert rooms.timing_settings(parse(text.encode())).pps_input == source


@pytest.mark.parametrize("latency_ns", [12.5, -85.0])  # a chip may answer faster or slower than the firmware assumes
def test_the_latency_of_the_pin_reaches_the_clock(latency_ns):
    assert rooms.timing_settings(parse(f"[time]\npin_latency_ns = {latency_ns}".encode())).pin_latency_ns == latency_ns


def test_leap_seconds_of_the_system_where_the_configuration_names_no_file(tmp_path, monkeypatch, caplog):
    file = tmp_path / "leap-seconds.list"
    monkeypatch.setattr(rooms, "SYSTEM_LEAP_FILES", (str(tmp_path / "missing"), str(file)))
    assert rooms.leap_schedule(default()).expires == 0, "no file, no knowledge"
    file.write_text("nonsense\n")
    assert rooms.leap_schedule(default()).expires == 0
    assert "going on without" in caplog.text
    file.write_text("#@ 3991593600\n3692217600 37\n")
    assert rooms.leap_schedule(default()).expires == 3_991_593_600 - 2_208_988_800
    named = replace(default(), time=replace(default().time, leap_second_file=str(tmp_path / "missing")))
    with pytest.raises(InputError, match="leap_second_file"):
        rooms.leap_schedule(named)
