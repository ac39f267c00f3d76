"""What each room is told of the configuration."""

from __future__ import annotations

import pytest

from rpmu import rooms
from rpmu.config import parse


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


def test_the_latency_of_the_pin_reaches_the_clock():
    assert rooms.timing_settings(parse(b"[time]\npin_latency_ns = 12.5")).pin_latency_ns == 12.5
