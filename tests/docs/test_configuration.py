"""The commands and the file of the page on configuration work as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rpmu.cli.main import main
from rpmu.config import parse

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
FILE = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL).group(1)
COMMANDS = [line.partition("#")[0].strip() for line in re.findall(r"^\$ rpmu (.*)$", PAGE, re.MULTILINE)]
EXPECTED = {"diff": 1, "confirm": 3}  # it does differ; and by then nothing awaits confirmation


def test_the_file_is_valid():
    config = parse(FILE.encode())
    assert (config.station.name, len(config.channels)) == ("Basement", 2)


def test_the_sentences_are_those_that_are_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("rpmu.toml").write_text("\n[station]\nidcode = 70000\nnam = 'x'\n")
    main(["config", "check", "rpmu.toml"])
    printed = capsys.readouterr().err.removeprefix("rpmu config: ").strip()
    assert printed in PAGE


def test_the_commands_work_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("rpmu.toml").write_text(FILE)
    assert len(COMMANDS) >= 10
    for command in COMMANDS:
        words = shlex.split(command)
        verb = words[1]
        if verb in ("apply", "confirm", "rollback", "recover", "revisions"):
            words += ["--store", "store"]
        if verb in ("apply", "rollback"):
            words += ["--reload", ""]
        if verb == "rollback":  # needs one before
            assert (
                main(["config", "apply", "rpmu.toml", "--store", "store", "--reload", "", "--confirm-within", "0"]) == 0
            )
        assert main(words) == EXPECTED.get(verb, 0), command
    assert "idcode = 8" in Path("rpmu.toml").read_text()
    assert "(in force)" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["check", "show", "diff", "schema", "set", "apply", "confirm", "rollback", "recover"])
def test_every_verb_is_on_the_page(verb):
    assert any(command.startswith(f"config {verb}") for command in COMMANDS)
