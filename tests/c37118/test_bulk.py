"""Many frames at once: checks, shapes, several PMUs. (The sixteen formats are in test_formats.py.)"""

from binascii import crc_hqx
from dataclasses import replace

import numpy as np
import pytest

from rpmu.c37118 import (
    ConfigFrame2,
    DataFrame,
    Format,
    PhasorChannel,
    PmuConfig,
    PmuData,
    ProtocolError,
    Stamp,
    TimeQuality,
)
from rpmu.c37118.bulk import DataBlock, PmuArrays, crc_of_rows
from rpmu.errors import InputError
from tests.c37118.cases import HOME, PDC, refit

N = 5000  # more than two chunks of the CRC


def home_frames(count):
    for number in range(count):
        second, index = divmod(number, 60)
        data = PmuData((120 + 1j * number,), 60 + 0.001 * index, 0.5, stat=number)
        yield DataFrame.at(HOME, 1_700_000_000 + second, index, [data], TimeQuality(number % 16))


@pytest.fixture(scope="module")
def frames():
    return [frame.encode() for frame in home_frames(N)]


@pytest.mark.parametrize("length", [1, 2, 3, 16, 66, 301])
def test_crc_of_rows(length):
    rows = np.random.default_rng(length).integers(0, 256, (3000, length), np.uint8)
    assert crc_of_rows(rows).tolist() == [crc_hqx(row.tobytes(), 0xFFFF) for row in rows]


def test_a_recording(frames):
    block = DataBlock.decode(b"".join(frames), HOME)
    assert len(block) == N
    assert block.dropped == 0
    stamps = [Stamp.at(1_700_000_000 + n // 60, n % 60, 60) for n in range(N)]
    assert block.soc.tolist() == [stamp.soc for stamp in stamps]
    assert block.fracsec.tolist() == [stamp.fracsec for stamp in stamps]
    assert block.time_ns.tolist() == [stamp.time_ns(1_000_000) for stamp in stamps]
    assert block.time_quality.tolist() == [n % 16 for n in range(N)]
    (pmu,) = block.pmus
    assert pmu.stat.tolist() == list(range(N))
    np.testing.assert_allclose(pmu.phasors[:, 0], 120 + 1j * np.arange(N), rtol=1e-6)
    assert (pmu.analogs.shape, pmu.digitals.shape) == ((N, 0), (N, 0))
    assert block.encode() == b"".join(frames)


def test_built_the_same_as_one_by_one(frames):
    block = DataBlock.decode(b"".join(frames), HOME)
    exact = PmuArrays(
        120 + 1j * np.arange(N)[:, None],
        60 + 0.001 * (np.arange(N) % 60),
        np.full(N, 0.5),
        np.empty((N, 0)),
        np.empty((N, 0), np.uint16),
        np.arange(N, dtype=np.uint16),
    )
    assert DataBlock.build(HOME, block.soc, block.fracsec, [exact], block.time_quality).encode() == block.encode()


def test_several_pmus_in_a_frame():
    first = PmuData((230 + 1j, -1j), 49.9, 0.01, (6.0, 1.0), (3,), 1)
    second = PmuData((120j,), 60.1, -1.0, stat=2)
    frames = [DataFrame.at(PDC, 100, index, [first, second]) for index in range(25)]
    block = DataBlock.decode(b"".join(frame.encode() for frame in frames), PDC)
    assert block.time_ns.tolist() == [frame.time_ns for frame in frames]  # TIME_BASE 16777215
    for number, pmu in enumerate(frames[0].pmus):
        np.testing.assert_allclose(block.pmus[number].phasors, [pmu.phasors] * 25)
        assert block.pmus[number].analogs.tolist() == [list(pmu.analogs)] * 25
    back = DataBlock.build(PDC, block.soc, block.fracsec, block.pmus)
    assert [raw.tobytes() for raw in back.records] == [frame.encode() for frame in frames]


@pytest.mark.parametrize(
    ("at", "new"),
    [
        pytest.param(0, "ab", id="SYNC"),
        pytest.param(1, "12", id="type"),
        pytest.param(1, "03", id="version"),
        pytest.param(2, "0021", id="FRAMESIZE"),
        pytest.param(4, "0008", id="IDCODE"),
        pytest.param(11, "0f4240", id="FRACSEC"),
    ],
)
def test_bad_frames_are_refused_or_dropped(frames, at, new):
    wrong = [frames[0], refit(frames[1], at, bytes.fromhex(new)), *frames[2:5]]
    with pytest.raises(ProtocolError, match=r"number 1 of 5") as caught:
        DataBlock.decode(b"".join(wrong), HOME)
    assert caught.value.offset == HOME.layout.frame_size
    block = DataBlock.decode(b"".join(wrong), HOME, skip_bad=True)
    assert (block.dropped, block.encode()) == (1, b"".join([frames[0], *frames[2:5]]))


def test_every_flipped_bit_is_found(frames):
    size = len(frames[0])
    flipped = np.frombuffer(frames[0] * (8 * size), np.uint8).reshape(8 * size, size).copy()
    for bit in range(8 * size):
        flipped[bit, bit // 8] ^= 1 << bit % 8
    assert DataBlock.decode(flipped.tobytes(), HOME, skip_bad=True).dropped == 8 * size


def test_a_cut_buffer_is_refused(frames):
    with pytest.raises(ProtocolError, match="67 bytes, but must be a multiple of the FRAMESIZE, which is 34"):
        DataBlock.decode((frames[0] + frames[1])[:-1], HOME)
    assert len(DataBlock.decode(b"", HOME)) == 0


def arrays(n=3, phasors=1, **changes):
    values = PmuArrays(
        np.ones((n, phasors), complex),
        np.full(n, 60.0),
        np.zeros(n),
        np.empty((n, 0)),
        np.empty((n, 0), np.uint16),
        np.zeros(n, np.uint16),
    )
    return replace(values, **changes)


@pytest.mark.parametrize(
    ("fracsec", "pmus", "said"),
    [
        ([0, 1, 2], [], "0 PMUs given"),
        ([0, 1, 1_000_000], [arrays()], "FRACSEC must lie in 0 to 999999"),
        ([0, 1, 2], [arrays(n=2)], "does not fit 3 frames"),
        ([0, 1, 2], [arrays(phasors=2)], r"shape \(3, 2\) instead of \(3, 1\)"),
        ([0, 1, 2], [arrays(phasors=0)], r"shape \(3, 0\) instead of \(3, 1\)"),
        ([0, 1, 2], [arrays(analogs=np.ones((3, 4)))], "does not fit 3 frames"),
        ([0, 1, 2], [arrays(frequency_hz=np.full(3, 1e39))], "overflow"),
    ],
)
def test_what_does_not_fit_is_refused(fracsec, pmus, said):
    with pytest.raises(InputError, match=said):
        DataBlock.build(HOME, [1, 1, 1], fracsec, pmus)


@pytest.mark.parametrize("fmt", [Format.POLAR, Format.INTEGER])
def test_integer_limits_are_those_of_one_by_one(fmt):
    pmu = PmuConfig("P", 1, fmt, (PhasorChannel("V", scale=0.01),))
    config = ConfigFrame2(1, (pmu,), 1)
    magnitudes = np.array([0, 0.005, 0.015, 327.67, 330, 655.35, 655.354, 655.36, 1e9, np.nan, np.inf])
    n = len(magnitudes)
    phasors = magnitudes[:, None] * np.exp(-3.0j)
    values = replace(arrays(n), phasors=phasors, rocof_hz_per_s=np.linspace(-330, 330, n))
    bulk = DataBlock.build(config, np.arange(n), np.zeros(n), [values])
    for row, raw in enumerate(bulk.records):
        data = PmuData(tuple(values.phasors[row]), values.frequency_hz[row], values.rocof_hz_per_s[row])
        assert DataFrame.build(config, row, 0, [data]).encode() == raw.tobytes(), magnitudes[row]
