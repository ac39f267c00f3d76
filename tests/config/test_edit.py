"""Setting one value changes that value and not another character."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.config import default, difference, parse, render
from rpmu.config.edit import assign, parse_assignment
from rpmu.config.problems import toml_value
from rpmu.errors import InputError

FILE = """# our outlet
[station]   # who
name = "Kitchen"  # seen by the PDC
idcode = 7

[[channel]]
name = "VA"
[[channel]]
name = "IA"
ain = 2
[server]
listen = [
  "127.0.0.1:4712",  # local
]
logging-is-below = 0
[logging]"""


def changed(text, assignment):
    return assign(text, *parse_assignment(assignment))


@pytest.mark.parametrize(
    ("assignment", "old", "new"),
    [
        ("station.idcode=8", "idcode = 7\n", "idcode = 8\n"),
        ("station.name=Hall", '"Kitchen"  #', '"Hall"  #'),
        ("station.name='a \"b\"'", '"Kitchen"', "'a \"b\"'"),
        ("station.phases = 3", "[station]   # who\n", "[station]   # who\nphases = 3\n"),
        ("channel.2.ain=3", "ain = 2", "ain = 3"),
        ("channel.1.kind=current", '[[channel]]\nname = "VA"', '[[channel]]\nkind = "current"\nname = "VA"'),
        ("logging.level=debug", "[logging]", '[logging]\nlevel = "debug"\n'),
        ("gps.baud_rate=115200", "[logging]", "[logging]\n\n[gps]\nbaud_rate = 115200\n"),
        ("server.listen=0.0.0.0:1, [::]:2", '[\n  "127.0.0.1:4712",  # local\n]', '["0.0.0.0:1", "[::]:2"]'),
        ('server.listen=["h:1"]', '[\n  "127.0.0.1:4712",  # local\n]', '["h:1"]'),
        ("station.name=''#", '"Kitchen"', "\"''#\""),
        ("station.idcode=", "idcode = 7\n", ""),
        ("station.phases=", "", ""),
    ],
)
def test_only_the_value_changes(assignment, old, new):
    assert changed(FILE, assignment) == FILE.replace(old, new, 1)


def test_windows_line_ends_stay():
    text = "[station]\r\nidcode = 1 \r\nname = 'x'\r\n"
    assert changed(text, "station.idcode=2") == "[station]\r\nidcode = 2 \r\nname = 'x'\r\n"


@pytest.mark.parametrize(
    "assignment", ["station.idcode", "idcode=1", "station.nonsense=1", "channel.0.ain=1", "channel.x.ain=1", "=1", ""]
)
def test_what_is_no_assignment(assignment):
    with pytest.raises(InputError, match=r"is not SECTION\.KEY=VALUE"):
        parse_assignment(assignment)


def test_a_channel_that_is_not_there():
    with pytest.raises(InputError, match=r"no \[\[channel\]\] number 3: add the channel"):
        changed(FILE, "channel.3.ain=1")


def test_an_inline_table_is_left_to_a_person():
    with pytest.raises(InputError, match=r"\[station\] is not written as a \[section\]"):
        changed("station = { idcode = 1 }\n", "station.idcode=2")


VALUES = {
    "station.idcode": st.integers(1, 65534).map(str),
    "station.name": st.text("abcXYZ019 _-.,=[]#'", min_size=1, max_size=16).map(str.strip).filter(bool),
    "station.performance_class": st.sampled_from(["P", "M", '"P"']),
    "time.pps_delay_ns": st.floats(-1e6, 1e6).map(repr),
    "server.status_analogs": st.sampled_from(["true", "false"]),
    "server.max_clients": st.integers(1, 1000).map(str),
}


def meant(value):
    """What the words on the command line mean: a quoted TOML text without its quotes, anything else as it stands."""
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return value
    return parsed if isinstance(parsed, str) else value


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(sorted(VALUES)).flatmap(lambda key: VALUES[key].map(lambda value: (key, value))), max_size=6
    ),
    st.sampled_from(["", render(default()), render(default(), comments=False), "[station]\n[server]"]),
)
def test_what_was_set_is_what_is_read(assignments, text):
    expected = {}
    for key, value in assignments:
        text = changed(text, f"{key}={value}")
        expected[tuple(key.split("."))] = value
    config = tomllib.loads(text)
    for (section, key), value in expected.items():
        read = config[section][key]
        assert read == meant(value) or toml_value(read) == value
    if not any(key == "station.name" for key, _ in assignments):
        assert all(change.path in expected for change in difference(default(), parse(text.encode())))
