"""The words of `--fault` and when a fault holds."""

from __future__ import annotations

import pytest

from rpmu.errors import InputError
from rpmu.twin.faults import FAULTS, Fault, Faults, parse_faults

START_NS = 1_700_000_000 * 10**9


def test_list_of_faults():
    assert parse_faults("pps_missing@12+5,nmea_second@30.5=-2; adc-overrun@7,crystal_step@3=-1.5e0") == [
        Fault("pps_missing", 12.0, 5.0, 1.0),
        Fault("nmea_second", 30.5, 10.0, -2.0),
        Fault("adc_overrun", 7.0, 1.0, 1.0),
        Fault("crystal_step", 3.0, 1.0, -1.5),
    ]
    assert parse_faults("") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pps_mising@1", r"the fault 'pps_mising' does not exist; did you mean 'pps_missing'\? \(allowed: pps_missing"),
        ("pps_missing", r"not written as name@start\[\+duration\]\[=value\]"),
        ("pps_missing@soon", "not written as"),
        ("pps_missing@1.2.3", "could not convert"),
        ("adc_overrun@1+2", "takes no duration"),
        ("gps_loss@1=3", "takes no value"),
        ("pps_late@1=1e7", "must lie from -50000 to 300000"),
        ("clipping@1=1e999", "must lie from -10 to 10"),
    ],
)
def test_wrong_words(text, message):
    with pytest.raises(InputError, match=message):
        parse_faults(text)


def test_value_holds_from_start_to_end():
    faults = Faults(START_NS, parse_faults("nmea_second@2+3=4"))
    assert [faults.value("nmea_second", 1_700_000_000 + s) for s in range(6)] == [None, None, 4.0, 4.0, 4.0, None]
    assert faults.value("gps_loss", 1_700_000_003) is None


def test_between_is_half_open_and_in_order():
    faults = Faults(START_NS, parse_faults("tag_slip@2,adc_overrun@1.5,tag_slip@1"))
    assert [f.start_s for f in faults.between(1.0, 2.0, "tag_slip", "adc_overrun")] == [1.0, 1.5]


def test_every_kind_says_what_it_does():
    assert all(kind.meaning and (kind.lasts or kind.value_meaning or kind.value == 1.0) for kind in FAULTS.values())
