import csv
import json

import numpy as np
import pytest

from rpmu.cli.main import main
from tests.estimate.waves import RATE_HZ, RMS_V, START_NS, synchrophasor, tone


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "mains.npz"
    np.savez(path, samples=tone(60.2, 1.0, phases=3), sample_rate_hz=RATE_HZ, first_sample_time_ns=START_NS)
    return path


def test_csv_has_the_columns_of_the_contract(recording, tmp_path):
    out = tmp_path / "out.csv"
    assert main(["estimate", str(recording), "--class", "P", "--rate", "30", "--phases", "3", "-o", str(out)]) == 0
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    names = list(rows[0])
    assert names[:3] == ["time_ns", "frequency_hz", "rocof_hz_per_s"]
    assert names[-2:] == ["V1_magnitude_v", "V1_angle_rad"]
    assert len(names) == 3 + 2 * 3 + 2
    time_ns = np.array([int(row["time_ns"]) for row in rows])
    read = [float(r["V1_magnitude_v"]) * np.exp(1j * float(r["V1_angle_rad"])) for r in rows]
    np.testing.assert_allclose(read, synchrophasor(time_ns, 60.2, 60), rtol=1e-5)


def test_json_lines_and_rectangular_output(recording, capsys):
    assert main(["estimate", str(recording), "--class", "P", "--rate", "60", "--json", "--rectangular"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    real = next(name for name in lines[0] if name.endswith("_real_v"))
    value = complex(lines[0][real], lines[0][real.replace("_real_v", "_imag_v")])
    assert value == pytest.approx(complex(synchrophasor(lines[0]["time_ns"], 60.2, 60)), rel=1e-5)


def test_several_estimators_stand_side_by_side(recording, capsys):
    words = ["estimate", str(recording), "--class", "P", "--rate", "60", "--json", "--channels", "0"]
    assert main([*words, "--estimator", "fir,ipdft,twls"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main([*words, "--estimator", "ipdft"]) == 0
    alone = {row["time_ns"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert len(lines) > 40
    for line in lines:
        row = alone[line["time_ns"]]
        assert {name: line[f"ipdft_{name}"] for name in row if name != "time_ns"} == {
            name: value for name, value in row.items() if name != "time_ns"
        }
        assert line["fir_frequency_hz"] == pytest.approx(60.2, abs=1e-5)
        assert line["twls_frequency_hz"] == pytest.approx(60.2, abs=1e-3)


@pytest.mark.parametrize("name", ["front.toml", "front.json"])
def test_the_front_end_comes_from_a_file(tmp_path, recording, capsys, name):
    path = tmp_path / name
    path.write_text('{"front_end": {"gain": 2.0}}' if name.endswith("json") else "gain = 2.0\n")
    assert main(["estimate", str(recording), "--class", "P", "--json", "--front-end", str(path)]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    magnitude = next(value for key, value in first.items() if key.endswith("_magnitude_v"))
    assert magnitude == pytest.approx(RMS_V / 2, rel=1e-5)


@pytest.mark.parametrize("text", ["", "gain = 'big'\n", "[front_end]\ngain = 1.0\nsize = 3\n", "gain ="])
def test_a_bad_front_end_file_is_refused(tmp_path, recording, capsys, text):
    path = tmp_path / "front.toml"
    path.write_text(text)
    assert main(["estimate", str(recording), "--front-end", str(path)]) == 3
    error = capsys.readouterr().err
    assert str(path) in error
    assert error.count("\n") == 1


def test_a_recording_without_a_report_is_refused(tmp_path, capsys):
    path = tmp_path / "short.npz"
    np.savez(path, samples=tone(60.0, 0.01), sample_rate_hz=RATE_HZ, first_sample_time_ns=START_NS)
    assert main(["estimate", str(path)]) == 3
    assert "too short" in capsys.readouterr().err
