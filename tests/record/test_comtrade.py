"""COMTRADE: every revision and data type written here by its rules must read back; real files too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpmu.errors import InputError
from rpmu.record import read_waveform

DATA = Path(__file__).parents[1] / "data" / "waveforms"
START_NS = 1_333_694_579_391_076_000  # 2012-04-06 06:42:59.391076 UTC
RAW = np.array([[100, -200, 300, 32767, 0], [5, 4, 3, 2, 1]])


@dataclass
class Recording:
    """The writer of this test: a .cfg and a .dat by the rules of each revision."""

    revision: int = 1999
    data_type: str = "BINARY"
    raw: np.ndarray = None
    n_digital: int = 17
    rates: tuple = ((1000, 5),)
    stamps: tuple = (0, 1000, 2000, 3000, 4000)
    date: str | None = None
    extra: tuple[str, ...] = ("0,0", "0,0")

    def config(self) -> str:
        raw = RAW if self.raw is None else self.raw
        lines = ["station,device" + ("" if self.revision == 1991 else f",{self.revision}")]
        lines.append(f"{len(raw) + self.n_digital},{len(raw)}A,{self.n_digital}D")
        for i, unit in zip(range(len(raw)), ["kV", "A"], strict=False):
            line = f"{i + 1},ch{i},{'ABC'[i]},,{unit},0.5,0.25,{i * 10},-32768,32767"
            lines.append(line + ("" if self.revision == 1991 else ",2000,5,S"))
        lines += [f"{i + 1},d{i},,,0" for i in range(self.n_digital)]
        lines += ["60", str(len(self.rates)), *(f"{rate},{last}" for rate, last in self.rates)]
        date = self.date or ("04/06/12" if self.revision == 1991 else "06/04/2012")
        lines += [f"{date},06:42:59.391076", f"{date},06:42:59.500000", self.data_type]
        if self.revision >= 1999:
            lines.append("1")
        if self.revision >= 2013:
            lines += self.extra
        return "\r\n".join(lines) + "\r\n"

    def data(self) -> bytes:
        raw = RAW if self.raw is None else self.raw
        words = -(-self.n_digital // 16)
        if self.data_type == "ASCII":
            rows = [
                ",".join([str(i + 1), str(self.stamps[i]), *(str(v) for v in raw[:, i]), *["0"] * self.n_digital])
                for i in range(raw.shape[1])
            ]
            return ("\r\n".join(rows) + "\r\n\x1a").encode()
        kind = {"BINARY": "<i2", "BINARY32": "<i4", "FLOAT32": "<f4"}[self.data_type]
        return b"".join(
            np.array([i + 1, self.stamps[i]], "<u4").tobytes() + raw[:, i].astype(kind).tobytes() + bytes(2 * words)
            for i in range(raw.shape[1])
        )

    def write(self, folder: Path) -> Path:
        (folder / "r.dat").write_bytes(self.data())
        (folder / "r.cfg").write_bytes(self.config().encode())
        return folder / "r.cfg"


CASES = [(1991, "ASCII"), (1991, "BINARY"), (1999, "ASCII"), (1999, "BINARY")] + [
    (2013, kind) for kind in ("ASCII", "BINARY", "BINARY32", "FLOAT32")
]


@pytest.mark.parametrize(("revision", "data_type"), CASES)
def test_every_revision_and_type(tmp_path, revision, data_type):
    path = Recording(revision, data_type).write(tmp_path)
    for name in (path, path.with_suffix(".dat")):
        waveform = read_waveform(name)
        np.testing.assert_allclose(waveform.samples, [[1000 * (0.5 * x + 0.25) for x in RAW[0]], 0.5 * RAW[1] + 0.25])
        assert waveform.units == ("V", "A")
        assert waveform.sample_rate_hz == 1000.0
        assert waveform.first_sample_time_ns == START_NS
        assert waveform.trigger_time_ns == START_NS + 108_924_000
        assert waveform.skew_s == (0.0, pytest.approx(10e-6))
        assert waveform.missing == 0


def single_file(recording: Recording) -> bytes:
    kind = "ASCII" if recording.data_type == "ASCII" else f"{recording.data_type}: {len(recording.data())}"
    head = f"--- file type: CFG ---\r\n{recording.config()}--- file type: INF ---\r\nx\r\n--- file type: HDR ---\r\n"
    return head.encode() + f"--- file type: DAT {kind} ---\r\n".encode() + recording.data()


@pytest.mark.parametrize("data_type", ["ASCII", "BINARY", "BINARY32", "FLOAT32"])
def test_single_file(tmp_path, data_type):
    recording = Recording(2013, data_type)
    (tmp_path / "r.cff").write_bytes(single_file(recording))
    whole = read_waveform(tmp_path / "r.cff")
    np.testing.assert_array_equal(whole.samples, read_waveform(recording.write(tmp_path)).samples)
    assert whole.first_sample_time_ns == START_NS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[:-3], "announces"),
        (lambda c: c.replace(b"DAT", b"DUT"), "no section '--- file type: DAT ---'"),
        (lambda c: c.replace(b"CFG", b"CFX"), "no section '--- file type: CFG ---'"),
        (lambda c: b"", "no COMTRADE"),
    ],
)
def test_bad_single_file(tmp_path, change, message):
    (tmp_path / "r.cff").write_bytes(change(single_file(Recording(2013))))
    with pytest.raises(InputError, match=message):
        read_waveform(tmp_path / "r.cff")


def test_rate_from_time_stamps_with_nanoseconds(tmp_path):
    """With nine digits in the start time, the stamps count nanoseconds."""
    recording = Recording(2013, rates=((0, 5),), stamps=(0, 100, 200, 301, 400))
    path = recording.write(tmp_path)
    assert read_waveform(path).sample_rate_hz == pytest.approx(10_000)
    path.write_text(path.read_text().replace("391076", "391076123"))
    waveform = read_waveform(path)
    assert waveform.sample_rate_hz == pytest.approx(1e7)
    assert waveform.first_sample_time_ns == START_NS + 123


def test_time_code_is_the_offset_to_utc(tmp_path):
    assert read_waveform(Recording(2013, extra=("-5h30,x", "0,0")).write(tmp_path)).first_sample_time_ns == (
        START_NS + 19_800 * 10**9
    )


def test_recorder_without_a_clock(tmp_path):
    assert read_waveform(Recording(date="00/00/0000").write(tmp_path)).first_sample_time_ns is None


def test_missing_samples_are_filled_and_counted(tmp_path):
    raw = np.array([[0, -32768, 20, 30, 40], [1, 1, 1, 1, -32768]])
    waveform = read_waveform(Recording(raw=raw).write(tmp_path))
    assert waveform.missing == 2
    np.testing.assert_allclose(waveform.samples[0], [1000 * (0.5 * x + 0.25) for x in (0, 10, 20, 30, 40)])


def test_side_of_the_instrument_transformer(tmp_path):
    path = Recording().write(tmp_path)
    secondary = read_waveform(path, side="secondary").samples
    np.testing.assert_allclose(read_waveform(path, side="primary").samples, secondary * 400)
    unknown = Recording(1991).write(tmp_path)
    with pytest.raises(InputError, match="does not say how to convert"):
        read_waveform(unknown, side="primary")


def test_real_relay_event():
    waveform = read_waveform(DATA / "wisp_3.cfg", ["F5-VA", "F6-VB", "F7-VC"])
    assert waveform.samples.shape == (3, 1360)
    assert waveform.sample_rate_hz == pytest.approx(800.21, abs=0.01)
    assert waveform.first_sample_time_ns == START_NS
    # the first record, by hand: number 1, stamp 0, then 24 int16
    first = np.frombuffer((DATA / "wisp_3.dat").read_bytes(), "<i2", 24, 8)
    assert waveform.samples[0, 0] == pytest.approx(0.012207 * first[4])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("BINARY", "BINARY64", r"line 27: .*BINARY64.*allowed are ASCII"),
        ("2A,", "xA,", "line 2: the number of analogue channels"),
        (",0.5,", ",half,", "line 3: the multiplier a is 'half'"),
        ("1000,5", "1000,9", "announces 9"),
        ("1000,5", "1000", "line 24: a sampling rate and its last sample needs 2 fields"),
        ("1\r\n1000,5", "2\r\n1000,3\r\n500,5", "changes its sampling rate"),
        ("17D", "33D", "ends after line|cut short"),
    ],
)
def test_bad_config(tmp_path, old, new, message):
    path = Recording().write(tmp_path)
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
    with pytest.raises(InputError, match=message):
        read_waveform(path)


def test_half_of_the_pair(tmp_path):
    path = Recording().write(tmp_path)
    path.with_suffix(".dat").unlink()
    with pytest.raises(InputError, match=r"other half r\.dat is missing"):
        read_waveform(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.sampled_from(["cfg", "dat", "cff"]),
    place=st.integers(0, 10**6),
    junk=st.binary(max_size=6),
    data_type=st.sampled_from(["ASCII", "BINARY"]),
)
def test_damaged_pair_never_a_traceback(tmp_path, where, place, junk, data_type):
    path = Recording(data_type=data_type).write(tmp_path)
    target = path.with_suffix(f".{where}")
    if where == "cff":
        path = target
        target.write_bytes(single_file(Recording(2013, data_type)))
    content = target.read_bytes()
    place %= len(content)
    target.write_bytes(content[:place] + junk + content[place + max(1, len(junk)) :])
    try:
        waveform = read_waveform(path)
    except InputError:
        return
    assert np.isfinite(waveform.samples).all()
