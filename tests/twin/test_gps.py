"""The receiver: sentences that others can read, in real time on the line, pulses of known quality, PMTK obeyed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pynmea2
import pytest

from rpmu.timing.receiver import pmtk_setup, ubx_setup
from rpmu.twin import nmea
from rpmu.twin.faults import Faults, parse_faults
from rpmu.twin.gps import GpsReceiver, GpsSettings
from rpmu.twin.pty_port import PtyPort

START_S = 1_700_000_000
START_NS = START_S * 10**9
LOG = Path(__file__).parents[3] / "shared" / "data" / "nmea" / "mt3339.log"


def receiver(faults="", **settings):
    return GpsReceiver(START_NS, GpsSettings(**settings), Faults(START_NS, parse_faults(faults)), seed=1)


def listen(gps, seconds, from_s=0):
    """All that arrives over some seconds."""
    data = b""
    for second in range(from_s, from_s + seconds):
        gps.begin_second(START_S + second)
        data += gps.received(START_NS + (second + 1) * 10**9 - 1)
    return data


def test_every_sentence_parses_with_its_checksum():
    lines = listen(receiver(), 10).decode().splitlines()
    kinds = [pynmea2.parse(line, check=True).sentence_type for line in lines]
    assert kinds.count("RMC") == kinds.count("GGA") == kinds.count("GSA") == kinds.count("ZDA") == 10
    assert kinds.count("GSV") == 6  # three sentences every fifth second
    assert all(len(line) <= 80 for line in lines)


def test_sentences_say_second_and_place():
    gps = receiver(place=nmea.Place(-33.8567844, 151.2152967, 7.0))
    parsed = {m.sentence_type: m for m in map(pynmea2.parse, listen(gps, 1).decode().splitlines())}
    assert parsed["RMC"].datetime.timestamp() == START_S
    assert parsed["ZDA"].timestamp.strftime("%H%M%S") == "221320"
    assert parsed["GGA"].latitude == pytest.approx(-33.8567844, abs=2e-6)
    assert parsed["GGA"].longitude == pytest.approx(151.2152967, abs=2e-6)
    assert parsed["GGA"].altitude == 7.0


@pytest.mark.parametrize(
    ("degrees", "text"), [(0, "0000.0000,N"), (-0.999999999, "0100.0000,S"), (89.5, "8930.0000,N")]
)
def test_minutes_never_reach_sixty(degrees, text):
    assert nmea.rmc(nmea.Fix(0, True, nmea.Place(degrees, 0.0))).split(",", 3)[3].startswith(text)


@pytest.mark.skipif(not LOG.is_file(), reason="needs ../shared/data/nmea/mt3339.log, a log of the receiver itself")
def test_same_order_and_fields_as_the_real_receiver():
    def shape(lines):
        return [(line.split(",")[0], line.count(",")) for line in lines]

    real = [line for line in LOG.read_text().splitlines() if line.startswith("$")]
    ours = listen(receiver(), 2, from_s=1).decode().splitlines()
    assert shape(ours)[:4] == shape(real)[:4]
    kinds = {kind for kind, _ in shape(listen(receiver(), 5).decode().splitlines())}
    assert kinds == {kind for kind, _ in shape(real)}


def test_bytes_take_their_time_on_the_line():
    gps = receiver(nmea_delay_s=0.2, nmea_jitter_s=0.0)
    gps.begin_second(START_S)
    total = len(nmea.epoch(nmea.Fix(START_S, True), nmea.DEFAULT_RATES))
    assert gps.received(START_NS + 200_000_000) == b""
    got = gps.received(START_NS + 200_000_000 + 48 * 10 * 10**9 // 9600 + 1000)
    assert len(got) == 48
    assert len(gps.received(START_NS + 200_000_000 + total * 10 * 10**9 // 9600 + 10**6)) == total - 48
    assert gps.received(START_NS + 10**9) == b""


def test_pulses_are_good_to_nanoseconds():
    gps = receiver(pps_jitter_ns=10.0, pps_sawtooth_ns=5.0)
    late = []
    for second in range(START_S + 1, START_S + 2001):
        rise, fall = gps.pulse(second)
        assert (rise.high, fall.high) == (True, False)
        assert fall.utc_ns - rise.utc_ns == pytest.approx(100_000_000, abs=1)
        late.append(rise.utc_ns - second * 10**9 + rise.fraction_ns)
    assert np.std(late) == pytest.approx(np.hypot(10.0, 5.0 / np.sqrt(3)), rel=0.06)
    assert abs(np.mean(late)) < 1.0
    assert gps.pulse(START_S + 7) == gps.pulse(START_S + 7)  # a second has one pulse, whenever it is asked for


def test_cold_start_knows_nothing_then_the_date_then_the_place():
    gps = receiver(cold_start_s=10.0, cold_leap_error_s=2, almanac_s=15.0)
    rmc = [m for m in map(pynmea2.parse, listen(gps, 20).decode().splitlines()) if m.sentence_type == "RMC"]
    assert [m.status for m in rmc] == ["V"] * 10 + ["A"] * 10
    assert all(m.datetime.year == 1980 for m in rmc[:6])
    errors = [m.datetime.timestamp() - START_S - i for i, m in enumerate(rmc)]
    assert errors[6:15] == [2] * 9
    assert errors[15:] == [0] * 5
    assert rmc[3].latitude == 0
    assert rmc[12].latitude != 0
    assert not gps.pulse(START_S + 9)
    assert gps.pulse(START_S + 10)


def test_loss_of_fix_takes_pulse_and_validity():
    gps = receiver("gps_loss@3+4")
    assert [bool(gps.pulse(START_S + k)) for k in range(9)] == [True] * 3 + [False] * 4 + [True] * 2
    states = [m.status for m in map(pynmea2.parse, listen(gps, 9).decode().splitlines()) if m.sentence_type == "RMC"]
    assert states == ["A"] * 3 + ["V"] * 4 + ["A"] * 2


def test_leap_second_has_its_own_name():
    midnight = 1_483_228_800  # 2017-01-01; the second before it was 2016-12-31 23:59:60
    start_ns = (midnight - 2) * 10**9
    gps = GpsReceiver(start_ns, GpsSettings(), Faults(start_ns, parse_faults("leap_second@2")))
    data = b""
    for second in range(midnight - 2, midnight + 3):
        gps.begin_second(second)
        data += gps.received((second + 1) * 10**9)
    rmc = [line.split(",") for line in data.decode().splitlines() if line.startswith("$GPRMC")]
    assert [(fields[1][:6], fields[9]) for fields in rmc] == [
        ("235958", "311216"),
        ("235959", "311216"),
        ("235960", "311216"),
        ("000000", "010117"),
        ("000001", "010117"),
    ]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("PMTK000", "PMTK001,0,3"),
        ("PMTK605", "PMTK705,"),
        ("PMTK314,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,0", "PMTK001,314,3"),
        ("PMTK314,9", "PMTK001,314,2"),
        ("PMTK314,x", "PMTK001,314,2"),
        ("PMTK220,1000", "PMTK001,220,3"),
        ("PMTK220,100", "PMTK001,220,2"),
        ("PMTK285,4,50", "PMTK001,285,3"),
        ("PMTK999", "PMTK001,999,1"),
        ("PMTK414", "PMTK514,0,1,0,1,1,5,0,0,0,0,0,0,0,0,0,0,0,1,0"),
        ("PMTK103", "PMTK011,MTKGPS"),
    ],
)
def test_commands_get_the_reply_of_the_module(command, reply):
    gps = receiver()
    whole = nmea.sentence(command)
    gps.command(whole[:7], START_NS)
    gps.command(whole[7:], START_NS)
    assert f"${reply}".encode() in gps.received(START_NS + 10**9)


def test_what_the_daemon_sends_is_understood():
    """MediaTek and u-blox set-up one after the other, as for an unknown receiver: binary must not swallow a command."""
    gps = receiver()
    gps.command(b"".join(ubx_setup()) + b"".join(pmtk_setup()), START_NS)
    replies = gps.received(START_NS + 10**9)
    for number in (314, 220, 285, 255):
        assert b"$PMTK001,%d,3*" % number in replies
    assert b"$PMTK705" in replies
    assert gps.refused_commands == b"".join(ubx_setup()).count(b"\n")


def test_synchronised_sentences_follow_the_pulse_closely():
    gps = receiver(nmea_delay_s=0.4, nmea_jitter_s=0.05)
    gps.command(nmea.sentence("PMTK255,1"), START_NS)
    gps.received(START_NS + 10**8)
    gps.begin_second(START_S + 1)
    assert gps.received(START_NS + 1_165_000_000) == b""
    assert gps.received(START_NS + 1_186_000_000)


def test_commands_take_effect():
    gps = receiver(cold_start_s=100.0)
    gps.command(nmea.sentence("PMTK314,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"), START_NS)
    gps.command(nmea.sentence("PMTK285,4,50") + nmea.sentence("PMTK251,115200"), START_NS)
    gps.received(START_NS + 10**8)
    kinds = {line[:6] for line in listen(gps, 3).decode().splitlines()}
    assert kinds == {"$GPRMC"}
    rise, fall = gps.pulse(START_S + 1)  # always, although there is no fix yet
    assert fall.utc_ns - rise.utc_ns == pytest.approx(50_000_000, abs=1)


def test_restart_is_announced_and_costs_the_fix():
    gps = receiver()
    gps.command(nmea.sentence("PMTK104"), START_NS)
    assert not gps.has_fix(START_S + 34)
    assert gps.has_fix(START_S + 35)
    assert b"$PMTK010,001*2E" in gps.received(START_NS + 10**9)


def test_nonsense_from_the_host_is_counted_and_ignored():
    gps = receiver()
    gps.command(b"\xff\x00hello\r\n$PMTK000*00\r\n" + b"x" * 5000, START_NS)
    assert gps.refused_commands == 2
    assert gps.received(START_NS + 10**9) == b""


def test_pty_carries_bytes_both_ways_unchanged():
    port = PtyPort()
    host = os.open(port.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        every = bytes(range(256))
        port.write(every)
        assert os.read(host, 4096) == every  # already there when write returns
        os.write(host, b"$PMTK605*31\r\n")
        deadline = time.monotonic() + 2.0
        heard = b""
        while len(heard) < 13 and time.monotonic() < deadline:
            heard += port.read()
        assert heard == b"$PMTK605*31\r\n"
        assert port.read() == b""
    finally:
        os.close(host)
        port.close()


def test_bytes_that_nobody_takes_are_counted():
    port = PtyPort()
    for _ in range(40):
        port.write(b"x" * 1000)
    assert port.lost_bytes == 36_000
    port.close()
