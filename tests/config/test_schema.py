"""Showing and reading are inverse, the schema is complete, and differences are found."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import tomllib
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rpmu
from rpmu.config import Channel, Config, default, difference, json_schema, parse, render
from rpmu.config.locate import key_places
from rpmu.config.rule import rule_of
from rpmu.config.schema import Server, Station

SECTIONS = [name for name in (item.name for item in dataclasses.fields(Config)) if name != "channel"]


def every_setting():
    for section, kind in typing.get_type_hints(Config).items():
        cls = Channel if section == "channel" else kind
        for item in dataclasses.fields(cls):
            yield section, cls, item


@pytest.mark.parametrize(
    ("section", "cls", "item"),
    list(every_setting()),
    ids=lambda part: getattr(part, "name", getattr(part, "__name__", part)),
)
def test_defaults_and_examples_obey_their_own_rule(section, cls, item):
    rule = rule_of(item)
    assert rule.doc.endswith(".")
    for value in (item.default, rule.example):
        for single in value if isinstance(value, tuple) else (value,):
            if single is not None and (single, item.name) != ("", "header"):
                assert rule.complaint(single) is None


def test_every_setting_is_read_by_somebody():
    """A setting that nothing reads would be a promise that nothing keeps."""
    package = pathlib.Path(rpmu.__file__).parent
    outside = [path for path in package.rglob("*.py") if path.parent.name != "config" or path.name == "schema.py"]
    text = "\n".join(path.read_text() for path in outside)
    for section, _, item in every_setting():
        read = rf"\.{item.name}\b" if section != "sampling" else rf"sampling\.{item.name}\b|\"{item.name}\""
        assert re.search(read, text), f"nothing reads [{section}] {item.name}"


def test_units_are_in_the_names():
    """A number whose meaning has a dimension carries it; the rest are counts, ids and register values."""
    plain = {"idcode", "phases", "ain", "adc_clkdiv", "decimation", "pps_ain", "pps_pin", "measure_scans", "baud_rate"}
    plain |= {"udp_data_port", "multicast_ttl", "time_base", "sync_version", "max_clients", "max_clients_per_address"}
    plain |= {"temperature_scale"}
    for _, cls, item in every_setting():
        if typing.get_type_hints(cls)[item.name] in (int, float) and item.name not in plain:
            units = ("_hz", "_v", "_s", "_ns", "_per_s", "_counts", "_bytes", "_adc_clocks")
            assert item.name.endswith(units), item.name


@pytest.mark.parametrize("comments", [True, False])
def test_what_is_shown_reads_back_the_same(comments):
    assert difference(parse(render(default(), comments).encode()), default()) == []


def test_every_setting_is_shown_with_its_meaning():
    text = " ".join(render(default()).replace("\n#", " ").split())
    for _, _, item in every_setting():
        assert f"{item.name} = " in text
        assert rule_of(item).doc.rstrip(".") in text


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16)


@st.composite
def configurations(draw):
    station = Station(
        name=draw(NAMES),
        idcode=draw(st.integers(1, 65534)),
        performance_class=draw(st.sampled_from(["P", "M"])),
        reporting_rate_per_s=draw(st.sampled_from([10, 12, 15, 20, 30, 60, 120, 1, -2])),
    )
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    channels = tuple(Channel(name=name, ain=2 + number) for number, name in enumerate(names))
    server = Server(
        listen=tuple(draw(st.lists(st.sampled_from(["[::]:1", "h:2", "1.2.3.4:65535"])))),
        header=draw(st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)),
        max_stall_s=draw(st.floats(0.1, 3600.0)),
        sync_version=draw(st.sampled_from([1, 2])),
        status_word=draw(st.booleans()),
    )
    return Config(station=station, channel=channels, server=server)


@settings(max_examples=100, deadline=None)
@given(configurations())
def test_any_configuration_reads_back_the_same(config):
    again = parse(render(config).encode())
    assert difference(again, config) == []
    assert (again.station, again.server, again.channels) == (config.station, config.server, config.channels)


def test_differences_name_the_setting_and_both_values():
    new = parse(b"[station]\nidcode = 7\n[sampling]\npps_pin = 3\n[[channel]]\n[[channel]]\nname = 'IA'\nain = 2\n")
    found = [str(change) for change in difference(default(), new)]
    assert found[0] == "[station] idcode: 1 -> 7"
    assert "[sampling] pps_pin: nothing -> 3" in found
    assert '[[channel]] number 2 name: nothing -> "IA"' in found
    assert len(found) == 6
    assert difference(new, new) == []


def test_json_schema_knows_every_setting_and_its_bounds():
    schema = json_schema()
    json.dumps(schema)
    assert schema["additionalProperties"] is False
    for section, _, item in every_setting():
        part = schema["properties"][section]
        settings_ = (part["items"] if section == "channel" else part)["properties"]
        assert settings_[item.name]["description"] == rule_of(item).doc
    station = schema["properties"]["station"]["properties"]
    assert (station["idcode"]["type"], station["idcode"]["minimum"], station["idcode"]["maximum"]) == (
        "integer",
        1,
        65534,
    )
    assert station["performance_class"]["enum"] == ["P", "M"]
    delays = schema["properties"]["sampling"]["properties"]["open_delay_adc_clocks"]
    assert (delays["type"], delays["items"]["maximum"]) == ("array", 262143)
    assert schema["properties"]["sampling"]["properties"]["pps_pin"]["type"] == "integer"


TOML_TEXTS = [
    'a = 1\n[b]\nc = "x # no comment"\n\n# comment [z]\nd = [1, # one\n 2]\ne = 3\n',
    "[[t]]\nx = 1\n[t.u]\ny = 2\n[[t]]\nx = '''\nq = 1\n[no]\n'''\nz = 1\n[[t.v]]\nw = 1\n",
    'a.b.c = 1\n"quoted key".d = 2\na.e = { f = 1, g = "}" }\n',
    's = """\none \\"""\n"""\nt = "esc \\" # x"\n[ spaced . key ]\nu = \'\'\n',
]


@pytest.mark.parametrize("text", TOML_TEXTS)
def test_places_of_keys_and_values(text):
    places = key_places(text)
    rows = text.split("\n")
    tree = tomllib.loads(text)
    for path in leaves(tree):
        known = next(path[:length] for length in range(len(path), 0, -1) if path[:length] in places)
        place = places[known]
        assert len(known) == len(path) or path[-1] in ("f", "g")
        assert str(known[-1]) in rows[place.line - 1]
        assert text[place.start :].startswith(rows[place.line - 1])
        value = tree
        for key in known:
            value = value[key]
        assert tomllib.loads(f"v = {text[place.value : place.end]}")["v"] == value


def leaves(tree, path=()):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)
