"""Every name in the code overview exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "code-overview.md").read_text()
DOTTED = sorted(set(re.findall(r"\brpmu(?:\.\w+)+", TEXT)))
FILES = sorted(set(re.findall(r"\b(?:rpmu|pru|image|tests|docs)/[\w./]+\w", TEXT)))
LABELS = ("next", "look", "found", "read_scan", "store_scan", "store_pps")


def resolve(name):
    """The object behind a dotted name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"{name} does not exist")


@pytest.mark.parametrize("name", DOTTED)
def test_name_exists(name):
    assert resolve(name) is not None


@pytest.mark.parametrize("name", FILES)
def test_file_exists(name):
    assert (ROOT / name).exists()


def test_labels_of_the_firmware_exist():
    source = "".join(path.read_text() for path in (ROOT / "pru").glob("*.S"))
    for label in LABELS:
        assert re.search(rf"^{label}:", source, re.MULTILINE), label
        assert label in TEXT


def test_there_is_something_to_check():
    assert len(DOTTED) > 25
    assert len(FILES) > 5
