"""The examples that users read are run."""

import doctest
from pathlib import Path

import rpmu.c37118

PAGE = Path(__file__).parents[2] / "docs/c37118.md"


def test_the_page():
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8", globs={})
    assert result.attempted > 20
    assert result.failed == 0


def test_the_package_docstring():
    result = doctest.testmod(rpmu.c37118)
    assert result.attempted > 5
    assert result.failed == 0


def test_every_public_name_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    types_of_values = {"AnalogKind", "ConfigFrame", "Event", "Frame", "FrameType", "HeaderFrame", "PhasorComponent"}
    types_of_values |= {"PmuRaw", "TriggerReason"}  # met as attributes of what the page shows
    assert [name for name in rpmu.c37118.__all__ if name not in text and name not in types_of_values] == []
