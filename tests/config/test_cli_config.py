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


def test_set_changes_the_file_and_says_what(files, capsys):
    good, _ = files
    assert main(["config", "set", str(good), "station.idcode=10", "gps.baud_rate=115200"]) == 0
    assert capsys.readouterr().out == "[station] idcode: 9 -> 10\n[gps] baud_rate: 9600 -> 115200\n"
    assert good.read_text() == "[station]\nidcode = 10\n\n[gps]\nbaud_rate = 115200\n"


def test_set_to_what_is_not_allowed_leaves_the_file_alone(files, capsys):
    good, _ = files
    before = good.read_text()
    assert main(["config", "set", str(good), "station.idcode=0"]) == 3
    assert f"{good}:2: [station] idcode is 0, but must be 1 to 65534" in capsys.readouterr().err
    assert good.read_text() == before


def test_set_as_a_filter(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[station]\nidcode = 5\n")))
    assert main(["config", "set", "-", "station.idcode=6"]) == 0
    assert capsys.readouterr().out == "[station]\nidcode = 6\n"


def apply(store, file, *more):
    return main(["config", "apply", str(file), "--store", str(store), "--reload", "", *more])


def test_apply_rollback_and_list(files, tmp_path, capsys):
    good, bad = files
    store = tmp_path / "store"
    assert apply(store, good, "--confirm-within", "0") == 0
    good.write_text("[station]\nidcode = 11\n")
    assert apply(store, good, "--confirm-within", "0") == 0
    assert apply(store, bad) == 3
    assert (store / "current").read_text() == "[station]\nidcode = 11\n"
    capsys.readouterr()
    assert main(["config", "revisions", "--store", str(store)]) == 0
    assert capsys.readouterr().out == "1\n2 (in force)\n"
    assert main(["config", "rollback", "--store", str(store), "--reload", ""]) == 0
    assert (store / "current").read_text() == "[station]\nidcode = 9\n"


def test_apply_with_a_daemon_that_does_not_take_it(files, tmp_path, capsys):
    good, _ = files
    store = tmp_path / "store"
    apply(store, good, "--confirm-within", "0")
    good.write_text("[station]\nidcode = 11\n")
    assert main(["config", "apply", str(good), "--store", str(store), "--reload", "false"]) == 1
    assert "undone: the daemon did not take it" in capsys.readouterr().out
    assert (store / "current").read_text() == "[station]\nidcode = 9\n"


def test_apply_that_nobody_confirms(files, tmp_path, capsys):
    good, _ = files
    store = tmp_path / "store"
    apply(store, good, "--confirm-within", "0")
    good.write_text("[station]\nidcode = 11\n")
    assert apply(store, good, "--confirm-within", "0.2") == 1
    assert "not confirmed in time" in capsys.readouterr().out
    assert main(["config", "confirm", "--store", str(store)]) == 3
    assert main(["config", "recover", "--store", str(store)]) == 0
    assert "nothing to undo" in capsys.readouterr().out


def test_a_store_that_cannot_be_written(files, tmp_path, capsys):
    (tmp_path / "store").write_text("no folder")
    assert apply(tmp_path / "store", files[0]) == 4
    assert "cannot use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("station.nam=X", "station.name"),
        ("staton.name=X", "station.name"),
        ("idcode=3", "station.idcode"),
        ("channel.2.nme=X", "channel.2.name"),
        ("serverlisten=x", "server.listen"),
    ],
)
def test_set_knows_the_nearest_spelling(files, capsys, wrong, meant):
    assert main(["config", "set", str(files[0]), wrong]) == 3
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_set_of_something_else_points_to_the_list(files, capsys):
    assert main(["config", "set", str(files[0]), "zzz=1"]) == 3
    assert "`rpmu config show` lists all settings" in capsys.readouterr().err


def test_dry_run_says_what_would_happen_and_does_nothing(files, tmp_path, capsys):
    good, _ = files
    store = tmp_path / "store"
    apply(store, good, "--confirm-within", "0")
    capsys.readouterr()
    good.write_text("[station]\nidcode = 11\n[sampling]\npps_pin = 14\n")
    assert apply(store, good, "--dry-run") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("[station] idcode: 9 -> 11; announced to PDCs (60 s of STAT bit 10")
    anew = "the clock starts anew: no frames until the time is found again"
    assert said[1] == f"[sampling] pps_pin: nothing -> 14; {anew}"
    assert "idcode = 9" in (store / "current").read_text()


def test_the_first_revision_has_no_way_back_and_says_so(files, tmp_path, capsys):
    words = ["config", "apply", str(files[0]), "--store", str(tmp_path / "store"), "--reload", "false"]
    assert main(words) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-2] == "the daemon did not take revision 1: `false`: it ended with 1"
    assert said[-1] == "in force all the same: there is no revision before it to return to"


@pytest.mark.parametrize("words", [["--confirm-within", "-1"], ["--confirm-within", "nan"], ["--well-within", "0"]])
def test_lengths_of_time_are_checked(files, tmp_path, capsys, words):
    assert apply(tmp_path / "store", files[0], *words) == 3
    assert f"{words[0]} is" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
