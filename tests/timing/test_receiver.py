"""Bytes to receivers, against examples from the manufacturers' protocol descriptions, and their answers."""

from __future__ import annotations

import pytest

from rpmu.errors import InputError
from rpmu.timing import receiver
from rpmu.timing.nmea import NmeaStream


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (receiver.nmea("PMTK000"), b"$PMTK000*32\r\n"),
        (receiver.pmtk_rate(), b"$PMTK220,1000*1F\r\n"),
        (receiver.pmtk_baud(9600), b"$PMTK251,9600*17\r\n"),
        (receiver.pmtk_baud(115200), b"$PMTK251,115200*1F\r\n"),
        (receiver.pmtk_version(), b"$PMTK605*31\r\n"),
    ],
)
def test_pmtk_commands(command, expected):
    assert command == expected


def test_sentence_set_has_19_fields_with_ours_switched_on():
    body = receiver.pmtk_sentence_set().decode().split("*")[0]
    fields = body.split(",")[1:]
    assert len(fields) == 19
    assert [i for i, field in enumerate(fields) if field == "1"] == [1, 3, 4, 17]  # RMC, GGA, GSA, ZDA


def test_every_command_is_a_sentence_that_our_own_reader_accepts():
    stream = NmeaStream()
    for command in receiver.pmtk_setup():
        assert len(stream.feed(command, 0)) == 1
    assert not stream.bad


def test_ubx_answers():
    assert receiver.ubx_answer(b"$GP" + bytes.fromhex("b562050102000601 0f38".replace(" ", "")) + b"RMC") == "done"
    assert receiver.ubx_answer(receiver.ubx(0x05, 0x00, b"\x06\x01")) == "refused"
    assert receiver.ubx_answer(receiver.ubx(0x05, 0x01, b"\x06\x00")) == ""  # to another command


def test_unknown_baud_rate():
    with pytest.raises(InputError, match="4800"):
        receiver.pmtk_baud(1234)


def test_ubx_frame():
    # CFG-MSG that switches GLL off: the example that every u-blox user has met.
    assert receiver.ubx(0x06, 0x01, bytes((0xF0, 0x01, 0x00))) == bytes.fromhex(
        "b5620601030 0f00100fb11".replace(" ", "")
    )
    assert len(receiver.ubx_setup()) == 8
