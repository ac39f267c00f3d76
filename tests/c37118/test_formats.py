"""The sixteen formats: raw numbers, engineering values, missing values; one frame at a time and in bulk."""

import struct
from cmath import polar, rect
from dataclasses import replace
from math import isnan, nan, pi

import numpy as np
import pytest

from rpmu.c37118 import (
    AnalogChannel,
    ConfigFrame2,
    ConfigFrame3,
    DataFrame,
    DigitalWord,
    Format,
    PhasorChannel,
    PmuConfig,
    PmuData,
    decode,
)
from rpmu.c37118.bulk import DataBlock
from tests.c37118.cases import seal

FORMATS = [Format(n) for n in range(16)]
SCALE_V, SCALE_A = 0.01, 0.002
VOLTAGE, CURRENT = rect(230.0, 0.5), rect(4.0, -2.25)


def config_of(fmt):
    pmu = PmuConfig(
        "FORMATS",
        1,
        fmt,
        (PhasorChannel("V", scale=SCALE_V), PhasorChannel("I", True, scale=SCALE_A)),
        (AnalogChannel("A", scale=5.0),),
        (DigitalWord(), DigitalWord()),
        nominal_hz=50,
    )
    return ConfigFrame2(1, (pmu,), 50)


def phasor_bytes(fmt, z, scale):
    """As the standard describes them, by `struct` alone."""
    pair = polar(z) if fmt & Format.POLAR else (z.real, z.imag)
    if fmt & Format.FLOAT_PHASORS:
        return struct.pack(">ff", *pair)
    if fmt & Format.POLAR:
        return struct.pack(">Hh", round(pair[0] / scale), round(pair[1] * 10_000))
    return struct.pack(">hh", round(pair[0] / scale), round(pair[1] / scale))


def frame_bytes(fmt):
    frequency = struct.pack(">ff", 49.5, -1.25) if fmt & Format.FLOAT_FREQUENCY else struct.pack(">hh", -500, -125)
    analog = struct.pack(">f", 35.0) if fmt & Format.FLOAT_ANALOGS else struct.pack(">h", 7)
    phasors = phasor_bytes(fmt, VOLTAGE, SCALE_V) + phasor_bytes(fmt, CURRENT, SCALE_A)
    body = b"\x00\x40" + phasors + frequency + analog + b"\xff\xff\x12\x34"
    head = struct.pack(">HHHII", 0xAA02, 16 + len(body), 1, 2, 3)
    return seal(head + body)


@pytest.mark.parametrize("fmt", FORMATS)
def test_engineering_values(fmt):
    frame = decode(frame_bytes(fmt), config_of(fmt))
    (pmu,) = frame.pmus
    assert pmu.phasors[0] == pytest.approx(VOLTAGE, abs=230 * 1e-4)
    assert pmu.phasors[1] == pytest.approx(CURRENT, abs=4 * 1e-3)
    assert (pmu.frequency_hz, pmu.rocof_hz_per_s) == (49.5, -1.25)
    assert pmu.analogs == (35.0,)
    assert pmu.digitals == (0xFFFF, 0x1234)
    assert pmu.stat == 0x0040


@pytest.mark.parametrize("fmt", FORMATS)
def test_built_from_engineering_values(fmt):
    data = PmuData((VOLTAGE, CURRENT), 49.5, -1.25, (35.0,), (0xFFFF, 0x1234), 0x40)
    assert DataFrame.build(config_of(fmt), 2, 3, [data]).encode() == frame_bytes(fmt)


@pytest.mark.parametrize("fmt", FORMATS)
def test_raw_numbers(fmt):
    (raw,) = decode(frame_bytes(fmt), config_of(fmt)).raw_pmus
    is_float, is_polar = fmt & Format.FLOAT_PHASORS, fmt & Format.POLAR
    counts = (23_000, 5000) if is_polar else (round(VOLTAGE.real / SCALE_V), round(VOLTAGE.imag / SCALE_V))
    engineering = (230.0, 0.5) if is_polar else (VOLTAGE.real, VOLTAGE.imag)
    assert raw.phasors[0] == pytest.approx(engineering if is_float else counts)
    assert raw.freq == (49.5 if fmt & Format.FLOAT_FREQUENCY else -500)
    assert raw.dfreq == (-1.25 if fmt & Format.FLOAT_FREQUENCY else -125)
    assert raw.analogs == ((35.0,) if fmt & Format.FLOAT_ANALOGS else (7,))
    assert (raw.stat, raw.digitals) == (0x40, (0xFFFF, 0x1234))


@pytest.mark.parametrize("fmt", FORMATS)
def test_missing_values(fmt):
    config = config_of(fmt)
    frame = DataFrame.build(config, 2, 3, [PmuData((complex(nan, nan),) * 2, nan, nan, (nan,), (0, 0))])
    raw = frame.encode()
    expected_integer = b"\x80\x00"
    assert raw[16:20] == (b"\x7f\xc0\x00\x00" if fmt & Format.FLOAT_PHASORS else expected_integer * 2)
    (pmu,) = decode(raw, config).pmus
    for number in (*pmu.phasors, *(z.imag for z in pmu.phasors), pmu.frequency_hz, pmu.rocof_hz_per_s, *pmu.analogs):
        assert number != number  # NaN
    assert decode(raw, config).encode() == raw


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_an_integer_cannot_hold_is_missing(fmt):
    config = config_of(fmt)
    data = PmuData((1e6 + 0j, 1j), 50 + 33.0, -400.0, (1e6,), (0, 0))
    (pmu,) = decode(DataFrame.build(config, 2, 3, [data]).encode(), config).pmus
    assert isnan(pmu.phasors[0].real) == (not fmt & Format.FLOAT_PHASORS)
    assert pmu.phasors[1] == pytest.approx(1j, abs=1e-3)
    assert isnan(pmu.frequency_hz) == isnan(pmu.rocof_hz_per_s) == (not fmt & Format.FLOAT_FREQUENCY)
    assert isnan(pmu.analogs[0]) == (not fmt & Format.FLOAT_ANALOGS)


@pytest.mark.parametrize("half", [0, 1])
def test_half_a_phasor_is_none(half):
    """0x8000 in one part of a rectangular phasor takes the whole, one by one and in bulk."""
    config = config_of(Format.INTEGER)
    raw = frame_bytes(Format.INTEGER)
    raw = seal(raw[: 16 + 2 * half] + b"\x80\x00" + raw[18 + 2 * half : -2])
    for phasor in (decode(raw, config).pmus[0].phasors[0], DataBlock.decode(raw, config).pmus[0].phasors[0, 0]):
        assert isnan(phasor.real)
        assert isnan(phasor.imag)
    assert DataFrame.build(config, 2, 3, decode(raw, config).pmus).raw_pmus[0].phasors[0] == (-32768, -32768)


def test_the_largest_integers():
    config = config_of(Format.POLAR)
    data = PmuData((rect(655.35, pi), rect(65.536, -pi)), 50 + 32.767, -327.67, (5 * 32767,), (0, 0))
    raw = DataFrame.build(config, 0, 0, [data]).raw_pmus[0]
    assert raw.phasors == ((65535, 31416), (32768, -31416))
    assert (raw.freq, raw.dfreq, raw.analogs) == (32767, -32767, (32767,))
    (pmu,) = decode(DataFrame.build(config, 0, 0, [data]).encode(), config).pmus
    assert pmu.phasors[1] == pytest.approx(-65.536, rel=1e-4)


@pytest.mark.parametrize("fmt", [Format.INTEGER, Format.POLAR])
def test_cfg3_scales_and_subtracts_its_angle(fmt):
    pmu = config_of(fmt).pmus[0]
    turned = replace(
        pmu,
        phasors=(PhasorChannel("V", scale=0.5, angle_rad=0.25), pmu.phasors[1]),
        analogs=(AnalogChannel("A", scale=0.5, offset=-40.0),),
    )
    config = ConfigFrame3(1, (turned,), 50)
    frame = DataFrame.build(config, 2, 3, [PmuData((rect(4000, 0.5), CURRENT), 50, 0, (21.5,), (0, 0))])
    (raw,) = frame.raw_pmus
    magnitude, angle = raw.phasors[0] if fmt else polar(complex(*raw.phasors[0]))
    assert (magnitude, angle) == pytest.approx((8000, 7500 if fmt else 0.75), rel=2e-4)
    assert raw.analogs == (123,)
    (again,) = frame.pmus
    assert again.phasors[0] == pytest.approx(rect(4000, 0.5), rel=2e-4)
    assert again.analogs == (21.5,)


@pytest.mark.parametrize("fmt", [Format.INTEGER, Format.POLAR])
def test_a_negative_scale_turns_the_phasor_round(fmt):
    pmu = replace(config_of(fmt).pmus[0], phasors=(PhasorChannel("V", scale=-0.01),) * 2)
    config = ConfigFrame3(1, (pmu,), 50)
    frame = DataFrame.build(config, 2, 3, [PmuData((100 + 50j, -3j), 50, 0, (5.0,), (0, 0))])
    assert frame.pmus[0].phasors == pytest.approx((100 + 50j, -3j), rel=1e-3)
    block = DataBlock.decode(frame.encode(), config)
    assert block.pmus[0].phasors[0] == pytest.approx(frame.pmus[0].phasors)
    assert DataBlock.build(config, block.soc, block.fracsec, block.pmus).encode() == frame.encode()


def test_float_phasors_are_not_scaled():
    pmu = replace(config_of(Format.FLOAT_POLAR).pmus[0], phasors=(PhasorChannel("V", scale=0.5, angle_rad=0.25),) * 2)
    frame = DataFrame.build(ConfigFrame3(1, (pmu,), 50), 2, 3, [PmuData((2j, 1 + 0j), 50, 0, (1.0,), (0, 0))])
    assert frame.pmus[0].phasors == pytest.approx((2j, 1))


def test_an_infinite_angle_is_no_phasor():
    config = config_of(Format.FLOAT_POLAR)
    raw = frame_bytes(Format.FLOAT_POLAR)
    frame = decode(seal(raw[:20] + b"\x7f\x80\x00\x00" + raw[24:-2]), config)
    assert isnan(frame.pmus[0].phasors[0].real)
    assert frame.pmus[0].phasors[1] == pytest.approx(CURRENT)


def test_a_scale_of_zero_carries_nothing():
    pmu = config_of(Format.INTEGER).pmus[0]
    dead = replace(pmu, phasors=(PhasorChannel("V", scale=0.0),) * 2, analogs=(AnalogChannel("A", scale=0.0),))
    config = ConfigFrame2(1, (dead,), 50)
    frame = DataFrame.build(config, 0, 0, [PmuData((1j, 1j), 50, 0, (3.0,), (0, 0))])
    assert frame.raw_pmus[0].phasors == ((-32768, -32768),) * 2
    assert frame.raw_pmus[0].analogs == (-32768,)


@pytest.mark.parametrize("fmt", FORMATS)
def test_bulk_is_the_same_as_one_by_one(fmt):
    config = config_of(fmt)
    rng = np.random.default_rng(fmt)
    frames = []
    for index in range(50):
        numbers = rng.integers(0, 256, config.layout.body.size, np.uint8).tobytes()
        frames.append(seal(struct.pack(">HHHII", 0xAA02, 16 + len(numbers), 1, index, index) + numbers))
    frames.append(DataFrame.build(config, 2, 3, [PmuData((complex(nan, nan), 1j), nan, nan, (nan,), (0, 0))]).encode())
    block = DataBlock.decode(b"".join(frames), config)
    singles = [decode(frame, config) for frame in frames]
    assert block.time_ns.tolist() == [single.time_ns for single in singles]
    (bulk,) = block.pmus
    for name in ("phasors", "frequency_hz", "rocof_hz_per_s", "analogs", "digitals", "stat"):
        one_by_one = np.array([getattr(single.pmus[0], name) for single in singles])
        np.testing.assert_allclose(getattr(bulk, name), one_by_one, rtol=1e-12, err_msg=name)
    back = DataBlock.build(config, block.soc, block.fracsec, block.pmus)
    again = [DataFrame.build(config, single.soc, single.fracsec, single.pmus).encode() for single in singles]
    assert back.encode() == b"".join(again)
