"""NMEA sentences: one case per fault that receivers have been seen to make."""

from __future__ import annotations

from types import SimpleNamespace

import pynmea2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.timing.nmea import ROLLOVER_S, NmeaStream, NmeaTime, parse
from tests.timing.simulator import with_checksum

PLACE = "4404.1306,N,12118.8515,W"
GOOD = f"GPRMC,202640.000,A,{PLACE},0.03,225.97,130415,,,D"
SECOND = 1_428_956_800  # 2015-04-13 20:26:40 UTC


def heard(*pieces: bytes, not_before: int = 0):
    stream = NmeaStream(not_before)
    return [s for i, piece in enumerate(pieces) for s in stream.feed(piece, i)], stream


@pytest.mark.parametrize(
    ("body", "time", "valid", "fix"),
    [
        (GOOD, NmeaTime(SECOND), True, 2),
        (GOOD.replace(",D", ",A"), NmeaTime(SECOND), True, 1),
        (GOOD.replace(",D", ""), NmeaTime(SECOND), True, 1),  # before NMEA 2.3 there was no mode
        (GOOD.replace(",D", ",D,V"), NmeaTime(SECOND), True, 2),  # navigation status V says nothing of the fix
        (GOOD.replace(",D", ",N"), NmeaTime(SECOND), False, 0),
        (GOOD.replace(",D", ",E"), NmeaTime(SECOND), False, 0),  # dead reckoning has no PPS to vouch for
        (GOOD.replace(",D", ",S"), NmeaTime(SECOND), False, 0),
        (GOOD.replace(",A,", ",V,"), NmeaTime(SECOND), False, 0),
        (GOOD.replace("40.000", "40"), NmeaTime(SECOND), True, 2),
        (GOOD.replace("40.000", "40.25"), NmeaTime(SECOND, 250_000_000), True, 2),
        ("GPRMC,,V,,,,,,,,,,N", None, False, 0),
        (f"GPRMC,235960.000,A,{PLACE},0,0,311216,,,A", NmeaTime(1_483_228_800, 0, True), True, 1),
        (f"GPRMC,000231.42,A,{PLACE},0,0,220899,,,A", NmeaTime(935_280_151, 420_000_000), True, 1),
        (f"GNRMC,000000.000,A,{PLACE},0,0,290224,,,A", NmeaTime(1_709_164_800), True, 1),
    ],
)
def test_rmc(body, time, valid, fix):
    sentence = parse(body, 7)
    assert (sentence.time, sentence.valid, sentence.fix, sentence.scan) == (time, valid, fix, 7)


@pytest.mark.parametrize(
    "body",
    [
        f"GPRMC,000231.099,A,{PLACE},0.15,212.28,2208-1,,,A",
        f"GPRMC,,A,{PLACE},0,0,130415,,,A",
        f"GPRMC,202640.000,A,{PLACE},0,0,,,,A",
        f"GPRMC,202640.000,X,{PLACE},0,0,130415,,,A",
        f"GPRMC,202660.000,A,{PLACE},0,0,130415,,,A",
        f"GPRMC,252640.000,A,{PLACE},0,0,130415,,,A",
        f"GPRMC,202640.000,A,{PLACE},0,0,310215,,,A",
        f"GPRMC,20264,A,{PLACE},0,0,130415,,,A",
        "GPRMC,202640.000",
        "GPGGA,1,2,3,4,5,x,10",
        "GPGSA,A,3,,,,,,,,,,,,,1.0,-5,1.0",
        "GPZDA,202640.000,13,13,2015,,",
        "GPZDA,202640.000,13,04,15,,",
    ],
)
def test_malformed_fields_are_refused(body):
    with pytest.raises(ValueError):
        parse(body, 0)


def test_gga_gsa_zda():
    gga = parse("GPGGA,202640.000,4404.1306,N,12118.8515,W,2,10,0.98,1127.7,M,-19.6,M,0000,0000", 0)
    assert (gga.valid, gga.fix, gga.satellites, gga.hdop) == (True, 2, 10, 0.98)
    assert parse("GPGGA,005947.00,3715.6,N,12157.6,W,,11,0.8,86.0,M,-30.1,M,,", 0).valid is None  # a GPSDO
    assert parse("GPGGA,165010.000,4143.6,N,08338.0,W,6,00,50.0,203.8,M,-33.7,M,,0000", 0).valid is False
    gsa = parse("GPGSA,A,3,20,16,09,03,07,10,23,19,27,30,,,1.64,0.98,1.31", 0)
    assert (gsa.dimensions, gsa.hdop, gsa.valid) == (3, 0.98, None)
    assert parse("GPZDA,202640.000,13,04,2015,,", 0).time == NmeaTime(SECOND)
    assert parse("GPZDA,,,,,,", 0).time is None


def test_pubx():
    navigation = (
        "PUBX,00,081350.00,4717.113210,N,00833.915187,E,546.589,G3,2.1,2.0,0.007,77.52,0.007,,0.92,1.19,0.77,9,0,0"
    )
    assert parse(navigation, 0).tdop == 0.77
    assert parse("PUBX,04,073731.00,091202,113851.00,1196,15D,1930035,-2660.664,43,", 0).leaps_known is False
    assert parse("PUBX,04,073731.00,091202,113851.00,1196,18,1930035,-2660.664,43,", 0).leaps_known is True
    assert parse("PUBX,04,,,,,,,,,", 0).leaps_known is None
    assert parse("PUBX,00", 0).tdop is None
    with pytest.raises(ValueError, match="digits"):
        parse("PUBX,04,073731.00,091202,113851.00,1196,-1D", 0)


@pytest.mark.parametrize("weeks", [0, 1, 2])
def test_week_rollover_is_taken_off(weeks):
    time = parse(GOOD, 0, not_before=SECOND + weeks * ROLLOVER_S).time
    assert time == NmeaTime(SECOND + weeks * ROLLOVER_S, rollovers=weeks)
    assert parse(GOOD, 0, not_before=SECOND - ROLLOVER_S + 1).time.rollovers == 0


@pytest.mark.parametrize(
    ("data", "good", "bad"),
    [
        (with_checksum(GOOD), 1, {}),
        (with_checksum(GOOD).replace(b"\r\n", b"\n"), 1, {}),
        (with_checksum(GOOD).replace(b"N,121", b"S,121"), 0, {"checksum": 1}),
        (b"\xff\xfe\x00junk" + with_checksum(GOOD), 1, {}),
        (b"# $GPRMC, as the header says\n" + with_checksum(GOOD), 1, {"no checksum": 1}),
        (with_checksum(GOOD)[:-4] + b"00\r\n", 0, {"checksum": 1}),
        (with_checksum(GOOD)[:-5] + b"\r\n", 0, {"no checksum": 1}),
        (with_checksum(GOOD)[:-3] + b"\r\n", 0, {"cut": 1}),
        (with_checksum(GOOD)[:20] + with_checksum(GOOD), 1, {"cut": 1}),  # cut, and the next one follows
        (with_checksum(GOOD)[:-2] + with_checksum(GOOD), 2, {}),  # joined without a line end
        (with_checksum(GOOD)[:30] + b"\x80" + with_checksum(GOOD)[30:], 0, {"binary": 1}),
        (b"$" + b"A" * 400 + b"\r\n" + with_checksum(GOOD), 1, {"too long": 1}),
        (with_checksum(GOOD.replace("130415", "310215")), 0, {"fields": 1}),
        (b"$GPRMC\r\n$*00\r\n$\r\n", 0, {"no checksum": 2, "cut": 1}),
        (with_checksum("PMTK001,314,3") + with_checksum("PUBX,00,x"), 2, {}),
    ],
)
def test_splitter(data, good, bad):
    sentences, stream = heard(data)
    assert (len(sentences), dict(stream.bad)) == (good, bad)
    assert sum(stream.good.values()) == good


@settings(deadline=None)
@given(st.integers(1, 200))
def test_pieces_of_any_size_give_the_same(size):
    data = b"x" + with_checksum(GOOD) + b"$broken" + with_checksum("GPZDA,202640.000,13,04,2015,,") * 2
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    whole, stream = heard(data)
    cut, stream_cut = heard(*pieces)
    assert [(s.kind, s.time) for s in cut] == [(s.kind, s.time) for s in whole]
    assert stream_cut.bad == stream.bad


def test_scan_is_that_of_the_first_byte():
    sentences, _ = heard(b"$", with_checksum(GOOD)[1:10], with_checksum(GOOD)[10:])
    assert sentences[0].scan == 0


@settings(deadline=None)
@given(st.binary(max_size=400), st.binary(max_size=400))
def test_no_bytes_raise(a, b):
    heard(a, b"$GPRMC," + b, b"*00\r\n$GPGGA," + a + b"*11\r\n")


@settings(deadline=None)
@given(st.text("0123456789.,-ANVGPRMCZDAS", max_size=90))
def test_no_fields_with_a_right_checksum_raise(text):
    for address in ("GPRMC", "GPGGA", "GPGSA", "GPZDA"):
        heard(with_checksum(f"{address},{text}"))


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize(("mode", "fix"), [("D", 2), ("A", 1), ("N", 0), ("E", 0)])
def test_both_pynmea2_versions_give_one_result(monkeypatch, newer, mode, fix):
    """1.15 has no name for the mode and calls by status alone, 1.19 counts status V as invalid: we decide ourselves."""
    fields = [(name, name) for name in (
        "timestamp", "status", "lat", "lat_dir", "lon", "lon_dir", "spd_over_grnd", "true_course", "datestamp",
        "mag_variation", "mag_var_dir", *(("mode_indicator", "nav_status") if newer else ()),
    )]  # fmt: skip

    def fake(line, check=False):
        return SimpleNamespace(fields=fields, data=line.split(",")[1:], is_valid=not newer)

    monkeypatch.setattr(pynmea2, "parse", fake)
    sentence = parse(GOOD.replace(",D", f",{mode},V"), 0)
    assert (sentence.time, sentence.valid, sentence.fix) == (NmeaTime(SECOND), fix > 0, fix)
