"""The commands of docs/install.md that rpmu itself understands are ones that it understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from rpmu import config
from rpmu.cli.main import build_parser, main, split_host
from rpmu.remote.permitted import Board, permit

TEXT = (Path(__file__).parents[2] / "docs/install.md").read_text()
COMMANDS = [line.split("#")[0].strip() for line in re.findall(r"^    (rpmu .*)$", TEXT, re.MULTILINE)]


def test_there_are_some():
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("line", COMMANDS)
def test_it_is_a_command(line):
    host, words = split_host(shlex.split(line.split(">")[0])[1:])
    build_parser(only=words[0]).parse_args(words)
    if host is not None:
        permit(shlex.join("-" if word.endswith((".toml", ".deb")) else word for word in words), Board())


def test_its_settings_are_valid(tmp_path):
    file = tmp_path / "rpmu.toml"
    file.write_text(config.render(config.default()))
    lines = [line for line in COMMANDS if line.startswith("rpmu config set /etc/rpmu/rpmu.toml")]
    assert len(lines) == 3
    for line in lines:
        assert main([str(file) if word.startswith("/etc") else word for word in shlex.split(line)[1:]]) == 0
    changed = config.load(file)
    assert changed.station.name == "CELLAR"
    assert changed.server.listen == ("0.0.0.0:4712",)
