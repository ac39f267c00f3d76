"""`rpmu config` as a person and as a program uses it."""

from __future__ import annotations

import io
import json
import sys

import pytest

from rpmu.cli.main import main


@pytest.fixture
def files(tmp_path):
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("[station]\nidcode = 9\n")
    bad.write_text("[station]\nidcode = 0\nnam = 'x'\n")
    return good, bad


def test_check(files, capsys):
    good, bad = files
    assert main(["config", "check", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: fine\n"
    assert main(["config", "check", str(bad)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{bad}:2: [station] idcode is 0" in err
    assert "did you mean name?" in err
    assert "Traceback" not in err


def test_check_json(files, capsys):
    good, bad = files
    assert main(["config", "check", "--json", str(bad)]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["fine"] is False
    assert [(problem["line"], problem["key"]) for problem in answer["problems"]] == [
        (2, "[station] idcode"),
        (3, "[station] nam"),
    ]
    assert main(["config", "check", "--json", str(good)]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_check_of_standard_input(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[station]\nidcode = 0\n")))
    assert main(["config", "check", "-"]) == 3
    assert "standard input:2: [station] idcode" in capsys.readouterr().err


def test_a_missing_file_ends_with_3(tmp_path, capsys):
    assert main(["config", "check", str(tmp_path / "none")]) == 3
    assert "No such file" in capsys.readouterr().err


def test_show_is_a_file_that_checks(tmp_path, capsys):
    assert main(["config", "show"]) == 0
    shown = tmp_path / "shown.toml"
    shown.write_text(capsys.readouterr().out)
    assert main(["config", "check", str(shown)]) == 0
    assert main(["config", "diff", str(shown)]) == 0


def test_show_of_a_file(files, capsys):
    assert main(["config", "show", "--plain", str(files[0])]) == 0
    out = capsys.readouterr().out
    assert "idcode = 9\n" in out
    assert "#" not in out
    assert main(["config", "show", "--json", str(files[0])]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["station"]["idcode"] == 9
    assert tree["channel"][0]["name"] == "VA"


def test_schema_is_json(capsys):
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "rpmu configuration"


def test_diff(files, capsys, tmp_path):
    good, _ = files
    assert main(["config", "diff", str(good)]) == 1
    assert capsys.readouterr().out == "[station] idcode: 9 -> 1\n"
    assert main(["config", "diff", "--json", str(good), str(good)]) == 0
    assert capsys.readouterr().out == ""
