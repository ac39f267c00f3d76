"""Every frame both ways, and what is said about frames that are wrong."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from rpmu.c37118 import (
    AnalogChannel,
    CommandFrame,
    ConfigFrame1,
    ConfigFrame2,
    ConfigFrame3,
    DataFrame,
    DigitalWord,
    Format,
    HeaderFrame,
    PhasorChannel,
    PmuConfig,
    PmuData,
    ProtocolError,
    decode,
)
from rpmu.errors import InputError, PeerError
from tests.c37118.cases import CASES, FRAME, FULL, HOME, IDS, ONE_PHASOR, PDC, RICH, config_of, refit, seal


@pytest.mark.parametrize(("name", "value", "raw"), CASES, ids=IDS)
def test_encode(name, value, raw):
    assert value.encode().hex(" ", 2) == raw.hex(" ", 2)


@pytest.mark.parametrize(("name", "value", "raw"), CASES, ids=IDS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_decode(name, value, raw, kind):
    frame = decode(kind(raw), config_of(value))
    assert frame == value
    assert type(frame) is type(value)
    assert hash(frame) == hash(value)


@pytest.mark.parametrize(("name", "value", "raw"), CASES, ids=IDS)
def test_frames_are_values(name, value, raw):
    for attribute in ("soc", "new"):
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            setattr(value, attribute, 1)
    assert value.encode() == raw  # after the layout has been compiled
    assert copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize(("name", "value", "raw"), CASES, ids=IDS)
def test_every_flipped_bit_is_found(name, value, raw):
    for bit in range(len(raw) * 8):
        wrong = bytearray(raw)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProtocolError) as caught:
            decode(wrong, config_of(value))
        assert caught.value.field == ("SYNC" if bit < 8 else "FRAMESIZE" if 16 <= bit < 32 else "CHK")


@pytest.mark.parametrize(("name", "value", "raw"), CASES, ids=IDS)
def test_every_cut_is_found(name, value, raw):
    for size in range(len(raw)):
        with pytest.raises(ProtocolError, match="FRAMESIZE"):
            decode(raw[:size], config_of(value))
        if size >= 16:  # the same with an envelope that is right for the cut frame
            cut = seal(raw[:2] + size.to_bytes(2, "big") + raw[4 : size - 2])
            try:
                decode(cut, config_of(value))
            except ProtocolError:
                continue
            assert isinstance(value, HeaderFrame | CommandFrame)


def test_configurations_by_type():
    assert ConfigFrame1.of(HOME) != HOME
    assert ConfigFrame2.of(ConfigFrame1.of(HOME)) == HOME
    short = ConfigFrame2.of(ConfigFrame3(9, (replace(RICH, analogs=()),), 50))
    assert short.pmus[0].name == "St?dtchen"
    assert decode(short.encode()).pmus[0].phasors[0].name == "U1"
    floats = replace(RICH, format=Format.FLOAT_POLAR)
    assert ConfigFrame2.of(ConfigFrame3(9, (floats,), 50)).pmus[0].analogs[0].scale == 1.0
    with pytest.raises(InputError, match="whole numbers"):  # what means something is not changed
        ConfigFrame2.of(ConfigFrame3(9, (RICH,), 50)).encode()
    assert ConfigFrame3.of(PDC).version == 2
    assert decode(ConfigFrame3.of(HOME).encode()).pmus == HOME.pmus


def test_same_stream():
    later = replace(HOME, soc=5, fracsec=1)
    assert later != HOME
    assert later.same_stream_as(HOME)
    assert not replace(HOME, data_rate=30).same_stream_as(HOME)
    assert not replace(HOME, pmus=(FULL,)).same_stream_as(HOME)


WRONG = [  # case, offset, bytes put there, field named, offset named
    ("command", 4, "0000", "IDCODE", 4),
    ("command", 4, "ffff", "IDCODE", 4),
    ("command", 1, "43", "SYNC type and version", 1),
    ("command", 1, "c2", "SYNC type and version", 1),
    ("CFG-3", 1, "51", "SYNC type and version", 1),
    ("CFG-2 of one PMU", 14, "00000000", "TIME_BASE", 14),
    ("CFG-2 of one PMU", 11, "0f4240", "FRACSEC", 11),
    ("CFG-2 of one PMU", 18, "0000", "NUM_PMU", 18),
    ("CFG-2 of one PMU", 18, "0002", "PMU 2 STN", 70),
    ("CFG-2 of one PMU", 40, "0002", "PMU 1 channels", 46),
    ("CFG-2 of one PMU", 40, "ffff", "PMU 1 channels", 46),
    ("CFG-2 of one PMU", 40, "0000", "FRAMESIZE", 2),
    ("CFG-2 of one PMU", 62, "02", "PMU 1 PHUNIT type", 62),
    ("CFG-2 of one PMU", 70, "0000", "DATA_RATE", 70),
    ("CFG-3", 14, "0001", "CONT_IDX", 14),
    ("CFG-3", 20, "0002", "PMU 2 IDCODE to DGNMR", 134),
    ("CFG-3", 22, "ff", "PMU 1 STN", 23),
    ("CFG-3", 120, "58", "PMU 1 SVC_CLASS", 120),
    ("data, all floats, polar", 4, "0008", "IDCODE", 4),
    ("data, all floats, polar", 11, "0f4240", "FRACSEC", 11),
]


@pytest.mark.parametrize(("case", "at", "new", "field", "offset"), WRONG)
def test_errors_name_field_and_offset(case, at, new, field, offset):
    value, raw = FRAME[case]
    with pytest.raises(ProtocolError) as caught:
        decode(refit(raw, at, bytes.fromhex(new)), config_of(value))
    error = caught.value
    assert (error.field, error.offset) == (field, offset)
    assert str(error) == f"{field} at offset {offset} is {error.got}, but must be {error.allowed}"
    assert isinstance(error, PeerError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_data_frame_needs_its_configuration():
    _, raw = FRAME["data, all floats, polar"]
    with pytest.raises(ProtocolError, match="preceded by the configuration of IDCODE 7"):
        decode(raw)
    with pytest.raises(ProtocolError, match=r"FRAMESIZE at offset 2 is 34, but must be 54"):
        decode(raw, PDC)


def test_reserved_bits_are_ignored():
    _, raw = FRAME["CFG-2 of one PMU"]
    assert decode(refit(raw, 14, b"\xff")) == HOME  # flags of TIME_BASE
    assert decode(refit(raw, 38, b"\xff\xff")) == HOME  # FORMAT 15-4
    assert decode(refit(raw, 66, b"\xff\xfe")) == HOME  # FNOM 15-1


def test_names_keep_every_byte_they_came_with():
    _, raw = FRAME["CFG-2 of one PMU"]
    odd = refit(raw, 20, b"M\xfcnchen \0\0\0\0 \0  ")
    assert decode(odd).pmus[0].name == "München"
    assert decode(odd).encode()[20:28] == b"M\xfcnchen "
    header = seal(bytes.fromhex("aa120013000700000000000000004dfc6e")[:17])
    assert decode(header).text == "Mün"


IMPOSSIBLE = [
    (replace(HOME, idcode=0), "IDCODE is 0"),
    (replace(HOME, idcode=65535), "IDCODE is 65535"),
    (replace(HOME, version=3), "version is 3"),
    (replace(HOME, data_rate=0), "DATA_RATE is 0"),
    (replace(HOME, data_rate=40000), "DATA_RATE is 40000"),
    (replace(HOME, time_base=0), "TIME_BASE is 0"),
    (replace(HOME, time_base=1 << 24), "TIME_BASE is 16777216"),
    (replace(HOME, fracsec=1_000_000), "FRACSEC is 1000000"),
    (replace(HOME, fracsec=-1), "FRACSEC is -1"),
    (replace(HOME, soc=1 << 32), "SOC is 4294967296"),
    (replace(HOME, time_quality=256), "time quality is 256"),
    (replace(HOME, pmus=()), "NUM_PMU is 0"),
    (replace(HOME, pmus=(ONE_PHASOR,) * 2000), "at most 65519"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, name="a name too long17"),)), "17 characters"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, name="電気"),)), "must be ASCII"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, nominal_hz=400),)), "nominal_hz is 400"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, idcode=-1),)), "IDCODE is -1"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, cfgcnt=65536),)), "CFGCNT is 65536"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, format=16),)), "format is 16"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, phasors=(PhasorChannel("V", scale=168),)),)), "scale is 168"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, phasors=(PhasorChannel("V", scale=float("nan")),)),)), "scale is nan"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, analogs=(AnalogChannel("A", scale=0.5),)),)), "whole numbers"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, analogs=(AnalogChannel("A", scale=float("inf")),)),)), "whole numbers"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, analogs=(AnalogChannel("A", 256),)),)), "kind is 256"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, digitals=(DigitalWord(("a",)),)),)), "must have 16"),
    (replace(HOME, pmus=(replace(ONE_PHASOR, digitals=(DigitalWord(normal=65536),)),)), "normal state"),
    (ConfigFrame3(9, (replace(RICH, name="ß" * 128),), 50), "256 bytes of UTF-8"),
    (ConfigFrame3(9, (replace(RICH, global_id=b"1"),), 50), "global_id has 1"),
    (ConfigFrame3(9, (replace(RICH, service_class="X"),), 50), "'M' or 'P'"),
    (ConfigFrame3(9, (replace(RICH, window_us=1 << 31),), 50), "does not fit CFG-3"),
    (ConfigFrame3(9, (replace(RICH, latitude_deg=1e300),), 50), "does not fit CFG-3"),
    (ConfigFrame3(9, (RICH,), 50, version=1), "version 2 only"),
    (HeaderFrame(7, "a" * 65520), "at most 65519"),
    (CommandFrame(7, 65536), "CMD is 65536"),
    (CommandFrame(7, 8, b"odd"), "an even number"),
    (CommandFrame(7, 8, bytes(65518)), "up to 65516"),
    (replace(FRAME["data, all floats, polar"][0], version=0), "version is 0"),
    (replace(FRAME["data, all floats, polar"][0], fracsec=1_000_000), "below TIME_BASE, 1000000"),
    (replace(FRAME["data, all floats, polar"][0], soc=-1), "SOC is -1"),
    (replace(FRAME["data, all floats, polar"][0], values=(0, 1.0)), "do not fit"),
    (replace(FRAME["data, all floats, polar"][0], values=(70000, 0.0, 0.0, 0.0, 0.0)), "do not fit"),
    (replace(FRAME["data, all floats, polar"][0], values=(0, 1e39, 0.0, 0.0, 0.0)), "do not fit"),
]


@pytest.mark.parametrize(("frame", "said"), IMPOSSIBLE, ids=[said for _, said in IMPOSSIBLE])
def test_what_cannot_be_sent_is_refused_by_name(frame, said):
    with pytest.raises(InputError, match=said):
        frame.encode()


def test_a_data_frame_that_is_too_long():
    long = PmuConfig("LONG", 7, phasors=(PhasorChannel("V"),) * 9000)
    config = ConfigFrame2(7, (long,), 1)
    with pytest.raises(InputError, match="at most 65535"):
        DataFrame.build(config, 0, 0, [PmuData((0j,) * 9000)]).encode()


@pytest.mark.parametrize(
    ("pmus", "said"),
    [
        ([], "0 PMUs given, but the configuration has 1"),
        ([PmuData()], "0 phasors, 0 analogs and 0 digital words given, but its configuration has 1, 0 and 0"),
        ([PmuData((1j,), analogs=(1.0,))], "1 phasors, 1 analogs"),
    ],
)
def test_data_must_fit_the_configuration(pmus, said):
    with pytest.raises(InputError, match=said):
        DataFrame.build(HOME, 0, 0, pmus)
