"""One waveform written in every format must come back the same, with its rate and time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rpmu.errors import InputError
from rpmu.record import read_waveform

DATA = Path(__file__).parents[1] / "data" / "waveforms"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "waveforms"
RATE = 12_000
FIRST_NS = 1_700_000_000_123_456_789  # does not fit float64
N = 480
SIGNAL = np.vstack([170 * np.cos(2 * np.pi * 60 * np.arange(N) / RATE), np.linspace(-1, 1, N)])


def write_npz(path: Path) -> None:
    np.savez(path, samples=SIGNAL, sample_rate_hz=RATE, first_sample_time_ns=FIRST_NS, channel_names=["va", "ramp"])


def write_csv(path: Path) -> None:
    times = FIRST_NS + np.round(np.arange(N) * 1e9 / RATE).astype(np.int64)
    rows = [f"{t},{a!r},{b!r}" for t, a, b in zip(times.tolist(), *SIGNAL.tolist(), strict=True)]
    path.write_text("# recorded by hand\ntime_ns,va,ramp\n" + "\n".join(rows) + "\n")


def write_csv_without_times(path: Path) -> None:
    rows = [f"{a!r};{b!r}" for a, b in zip(*SIGNAL.tolist(), strict=True)]
    head = f"# sample_rate_hz: {RATE}\n# first_sample_time_ns: {FIRST_NS}\nva;ramp\n"
    path.write_text(head + "\n".join(rows))


@pytest.mark.parametrize(
    ("name", "write"), [("a.npz", write_npz), ("b.csv", write_csv), ("c.CSV", write_csv_without_times)]
)
def test_same_waveform_from_every_exact_format(tmp_path, name, write):
    write(tmp_path / name)
    waveform = read_waveform(tmp_path / name)
    assert waveform.samples.dtype == np.float64
    np.testing.assert_array_equal(waveform.samples, SIGNAL)
    assert waveform.sample_rate_hz == pytest.approx(RATE, rel=1e-7)
    assert waveform.first_sample_time_ns == FIRST_NS
    assert waveform.channel_names == ("va", "ramp")
    assert waveform.units == ("V", "V")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_audio_is_fractions_of_full_scale(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, SIGNAL.T / 200, RATE, subtype="PCM_24")
    waveform = read_waveform(path, scale=200.0)
    np.testing.assert_allclose(waveform.samples, SIGNAL, atol=200 / 2**23)
    assert waveform.sample_rate_hz == RATE
    assert waveform.first_sample_time_ns is None


def test_channels_by_name_and_position(tmp_path):
    write_npz(tmp_path / "a.npz")
    for channels in ("ramp", 1, "1", ["ramp"]):
        waveform = read_waveform(tmp_path / "a.npz", channels)
        np.testing.assert_array_equal(waveform.samples, SIGNAL[1:])
        assert waveform.channel_names == ("ramp",)
    swapped = read_waveform(tmp_path / "a.npz", [1, "va"])
    np.testing.assert_array_equal(swapped.samples, SIGNAL[::-1])


def test_unknown_channel_names_the_nearest(tmp_path):
    write_npz(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"no channel 'rmap' \(did you mean 'ramp'\?\); it has va, ramp"):
        read_waveform(tmp_path / "a.npz", "rmap")


def test_csv_without_header_needs_a_rate(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    with pytest.raises(InputError, match="nothing says the sampling rate"):
        read_waveform(tmp_path / "a.csv")
    waveform = read_waveform(tmp_path / "a.csv", rate_hz=10.0)
    np.testing.assert_array_equal(waveform.samples, [[1, 3], [2, 4]])
    assert waveform.channel_names == ("ch0", "ch1")


def test_csv_time_in_seconds(tmp_path):
    (tmp_path / "a.csv").write_text("time_s\tx\n" + "\n".join(f"{5 + i * 0.001:.3f}\t{i}" for i in range(100)))
    waveform = read_waveform(tmp_path / "a.csv")
    assert waveform.sample_rate_hz == pytest.approx(1000)
    assert waveform.first_sample_time_ns is None


def test_raw_counts_with_meta(tmp_path):
    meta = json.dumps({"fs_hz": 400, "scale_v_per_count": 0.5})
    np.savez(tmp_path / "a.npz", counts=np.array([2, 4, 6], dtype=np.int16), meta=meta)
    np.testing.assert_array_equal(read_waveform(tmp_path / "a.npz").samples, [[1, 2, 3]])
    np.testing.assert_array_equal(read_waveform(tmp_path / "a.npz", scale=1.0).samples, [[2, 4, 6]])
    other = read_waveform(tmp_path / "a.npz", array="counts", rate_hz=800.0)
    assert other.sample_rate_hz == 800.0


BAD = {
    "uneven.csv": ("time_s,x\n0,1\n1,2\n2,3\n7,4\n", "not evenly spaced"),
    "backwards.csv": ("time_s,x\n5,1\n4,2\n", "do not increase"),
    "letters.csv": ("time_s,x\n0,1\n1,oops\n", "oops"),
    "short_row.csv": ("time_s,x\n0,1\n1\n", "column"),
    "nothing.csv": ("", "holds no samples"),
    "header_only.csv": ("time_s,x\n", "holds 0 rows"),
    "only_time.csv": ("time_s\n0\n1\n", "no column of samples"),
    "two_times.csv": ("time_s,time_ns,x\n0,0,1\n1,1,2\n", "keep one"),
    "nan.csv": ("time_s,x\n0,1\n1,nan\n2,3\n", "sample 1, is nan"),
    "float_ns.csv": ("time_ns,x\n1.5,1\n2.5,2\n", "1.5"),
    "comment.csv": ("# sample_rate_hz: fast\nx\n1\n2\n", "must give one float"),
    "text.npz": ("this is not a zip file", "not a whole NPZ"),
    "text.wav": ("RIFFthis is not a wave file", "not a whole WAV"),
    "text.flac": ("fLaC", "not a whole FLAC"),
    "a.mp3": ("", r"allowed are \.npz, \.csv"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_one_clear_sentence(tmp_path, name):
    text, message = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_waveform(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": [1.0, 2.0]}, "has no array 'samples'; it holds x"),
        ({"samples": [1.0, 2.0]}, "no 'sample_rate_hz'"),
        ({"samples": [1.0, 2.0], "sample_rate_hz": -5}, "must be a positive number"),
        ({"samples": [1.0, 2.0], "sample_rate_hz": "fast"}, "must be one number"),
        ({"samples": [1.0], "sample_rate_hz": 5}, "n of 2 or more"),
        ({"samples": np.zeros((2, 2, 2)), "sample_rate_hz": 5}, "must hold real numbers"),
        ({"samples": np.zeros((1, 9), complex), "sample_rate_hz": 5}, "must hold real numbers"),
        ({"samples": np.array([None, 1], object), "sample_rate_hz": 5}, "plain arrays"),
        ({"samples": [1.0, 2.0], "sample_rate_hz": 5, "first_sample_time_ns": 1.7e18}, "must be one integer"),
        ({"samples": [1.0, 2.0], "sample_rate_hz": 5, "channel_names": ["a", "b"]}, "2 channel_names for 1"),
        ({"counts": [1, 2], "meta": "{"}, "'meta' is not JSON"),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        read_waveform(tmp_path / "a.npz")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_waveform(tmp_path / "absent.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InputError, match="no such file"):
        read_waveform(tmp_path / "folder.npz")


@pytest.mark.parametrize("suffix", ["npz", "csv", "flac", "wav"])
def test_damaged_anywhere_never_a_traceback(tmp_path, suffix):
    """Every cut and many flipped bytes: either a waveform, or one InputError."""
    good = tmp_path / f"good.{suffix}"
    if suffix in ("flac", "wav"):
        soundfile.write(good, SIGNAL.T / 200, RATE)
    else:
        (write_npz if suffix == "npz" else write_csv)(good)
    content = good.read_bytes()
    rng = np.random.default_rng(1)
    bad = tmp_path / f"bad.{suffix}"
    refused = 0
    for trial in range(300):
        place = int(rng.integers(len(content)))
        flipped = bytes([content[place] ^ int(rng.integers(1, 256))])
        bad.write_bytes(content[:place] if trial % 3 == 0 else content[:place] + flipped + content[place + 1 :])
        try:
            read_waveform(bad)
        except InputError:
            refused += 1
    assert refused > 90  # the cuts at least


def test_recorded_outlet_of_wuhan():
    waveform = read_waveform(DATA / "enf_whu_100_first60s.npz")
    assert waveform.samples.shape == (1, 24000)
    assert waveform.sample_rate_hz == 400.0


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/waveforms: recordings without a licence to ship")
def test_every_shared_recording_reads():
    expected = {
        "opq_hawaii_8873_first48s.npz": (1, 12_000.0, 127.965),
        "plaid_cycles_even.npz": (125, 30_000.0, 122.07),
        "bbb_adc_qpmu_120V-0W-0Var.npz": (6, 1e6 / 841.9, 576.7),
        "openpmu_cpow_50hz_first31s.flac": (2, 12_800.0, 0.29818),
        "comtrade/generator_2.dat": (26, 5760.0, 7517.98),
    }
    for name, (channels, rate, deviation) in expected.items():
        waveform = read_waveform(SHARED / name)
        assert len(waveform.samples) == channels
        assert waveform.sample_rate_hz == pytest.approx(rate)
        assert float(waveform.samples[0].std()) == pytest.approx(deviation, rel=1e-3)
