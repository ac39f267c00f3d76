"""docs/twin.md names every source, every key and every fault with its default, and nothing that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rpmu.errors import InputError
from rpmu.twin.faults import FAULTS, parse_faults
from rpmu.twin.sources import NAMES, TESTS, Setting, parse_source

PAGE = (Path(__file__).parents[2] / "docs" / "twin.md").read_text(encoding="utf-8")
SOURCES = [name for name in NAMES if name not in ("test", "file")] + [f"test:{name}" for name in TESTS]


def rows(heading):
    """First and last cells of the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("| \n").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [(cells[0], cells[-1]) for cells in lines if "---" not in cells[0]][1:]


def allowed_keys(source):
    with pytest.raises(InputError) as caught:
        parse_source(f"{source},no_such_key=1", Setting())
    return re.search(r"allowed: (.*)\)", str(caught.value))[1].split(", ")


@pytest.mark.parametrize("source", [*SOURCES, "file:PATH"])
def test_every_key_of_every_source_is_on_the_page(source):
    cell = next(last for first, last in rows("Sources") if f"`{source}`" in first)
    header = "" if source.startswith("file") else "`voltage_v` `angle_deg` `phases` `noise_v`"
    for key in allowed_keys(source):
        assert f"`{key}`" in cell + header, f"{source}: {key}"


def test_no_source_is_made_up():
    named = {name for first, _ in rows("Sources") for name in re.findall(r"`([^`]+)`", first)}
    assert named == {*SOURCES, "file:PATH"}


def test_every_fault_with_its_default():
    table = {first.strip("`"): last for first, last in rows("Faults")}
    assert table.keys() == FAULTS.keys()
    for name, kind in FAULTS.items():
        if kind.value_meaning:
            assert re.search(rf"\({kind.value:g}\)", table[name]), name


def test_examples_parse():
    specs = re.findall(r"--source '?([^' \n]+)", PAGE)
    assert len(specs) >= 4
    for spec in specs:
        if spec.startswith("file:"):
            with pytest.raises(InputError, match="no such file"):  # every word before the file itself is right
                parse_source(spec, Setting())
        else:
            parse_source(spec, Setting())
    assert all(parse_faults(text) for text in re.findall(r"--fault '([^']+)'", PAGE))
