"""What `apply` says that a change does is what the rooms are told: every setting is changed once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rpmu import rooms
from rpmu.config import Channel, Config, default
from rpmu.config.effects import Effect, effects, in_words, needs_restart
from rpmu.config.rule import rule_of
from tests.config.test_schema import every_setting

PHASES = (("VA", "A", 0), ("VB", "B", 2), ("VC", "C", 3))
BASE = replace(
    default(),
    station=replace(default().station, phases=3),
    channel=tuple(Channel(name, "voltage", phase, ain) for name, phase, ain in PHASES),
    sampling=replace(default().sampling, reference_ain=5),
    server=replace(default().server, status_analogs=True),
)
OTHER = {  # where neither a choice nor the example is another value that is allowed beside the rest of BASE
    "name": "OTHER",
    "phases": 1,
    "reporting_rate_per_s": 30,
    "kind": "current",
    "open_delay_adc_clocks": (9, 9, 9, 9),
    "sample_delay_adc_clocks": (9, 9, 9, 9),
    "pps_ain": 6,
    "reference_ain": 6,
    "ain": 6,
    "profile": "reference-a-230v",
    "header": "Hello",
    "spontaneous": ("127.0.0.1:4713",),
    "multicast_interface": "127.0.0.1",
    "leap_second_file": None,
    "nominal_frequency_hz": 50,
    "pps_tau_s": 17e-6,
}


def other_value(item, section):
    rule, value = rule_of(item), getattr(getattr(BASE, section) if section != "channel" else BASE.channel[0], item.name)
    if item.name in OTHER:
        return OTHER[item.name]
    choices = [choice for choice in rule.choices if choice != value]
    if choices:
        return choices[0]
    if rule.example != value:
        return rule.example
    if isinstance(value, bool):
        return not value
    return value + 1 if rule.high is None or value + 1 <= rule.high else value - 1


def with_other(section, item):
    value = other_value(item, section)
    if section == "channel":
        return replace(BASE, channel=(replace(BASE.channel[0], **{item.name: value}), *BASE.channel[1:]))
    return replace(BASE, **{section: replace(getattr(BASE, section), **{item.name: value})})


def observed(old: Config, new: Config) -> Effect:
    """The greatest effect that follows from what the rooms are told."""
    before, after = rooms.server_settings(old), rooms.server_settings(new)
    nominal = rooms.calibration(BASE)  # what is announced does not depend on it
    if old.sampling.pru_link != new.sampling.pru_link:
        return Effect.PROCESS
    if old.time.source != new.time.source or rooms.timing_settings(old) != rooms.timing_settings(new):
        return Effect.CLOCK
    if old.sampler_settings() != new.sampler_settings():
        return Effect.ACQUISITION
    if rooms.reference_v(old) != rooms.reference_v(new):
        return Effect.ACQUISITION
    if before.endpoints != after.endpoints or before.tls != after.tls:
        return Effect.LISTENING
    if old.gps != new.gps:
        return Effect.RECEIVER
    if rooms.stream(old, nominal) != rooms.stream(new, nominal):
        return Effect.ANNOUNCED
    return Effect.MEASURED if old.calibration != new.calibration else Effect.AT_ONCE


UNSEEN = {"tls_certificate", "tls_key", "tls_client_ca"}  # TLS needs two of them; alone they change nothing
PARTS = {"open_delay_adc_clocks", "sample_delay_adc_clocks"}  # likewise


@pytest.mark.parametrize(
    ("section", "item"),
    [(section, item) for section, _, item in every_setting() if item.name not in UNSEEN | PARTS | {"leap_second_file"}],
    ids=lambda part: getattr(part, "name", part),
)
def test_a_setting_does_what_is_said(section, item):
    new = with_other(section, item)
    said = [effect for _, effect in effects(BASE, new)]
    assert said, "it differs"
    assert max(said, key=list(Effect).index) is observed(BASE, new)


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        (("adc", None), ("adc", 14), Effect.ACQUISITION),
        (("auto", None), ("auto", 14), Effect.CLOCK),
        (("auto", 14), ("auto", None), Effect.CLOCK),
        (("r31", 14), ("r31", 15), Effect.ACQUISITION),
        (("auto", None), ("adc", None), Effect.AT_ONCE),
        (("auto", 14), ("r31", 14), Effect.AT_ONCE),
        (("auto", None), ("r31", 14), Effect.CLOCK),
    ],
)
def test_the_clock_starts_anew_only_where_another_input_makes_the_time(before, after, effect):
    old, new = with_pulse(*before), with_pulse(*after)
    said = {said for _, said in effects(old, new)}
    assert max(said, key=list(Effect).index) is effect is observed(old, new)


def with_pulse(pps_input, pps_pin):
    time, sampling = replace(BASE.time, pps_input=pps_input), replace(BASE.sampling, pps_pin=pps_pin)
    return replace(BASE, time=time, sampling=sampling)


def test_files_of_tls_open_the_addresses_anew():
    server = replace(BASE.server, tls_certificate="a.pem", tls_key="a.key")
    new = replace(BASE, server=server)
    assert {effect for _, effect in effects(BASE, new)} == {observed(BASE, new)} == {Effect.LISTENING}


def test_another_number_of_channels_starts_the_acquisition_anew():
    new = replace(default(), channel=(Channel(), Channel("IA", "current", "A", 2)))
    assert Effect.ACQUISITION in {effect for _, effect in effects(default(), new)}


def test_another_list_of_leap_seconds_is_read_at_once():
    new = replace(BASE, time=replace(BASE.time, leap_second_file="/list"))
    assert {effect for _, effect in effects(BASE, new)} == {Effect.AT_ONCE}


def test_in_words():
    new = replace(BASE, station=replace(BASE.station, name="A"), server=replace(BASE.server, notice_s=5))
    assert in_words(BASE, new) == [
        '[station] name: "RPMU" -> "A"; announced to PDCs (5 s of STAT bit 10, then CFGCNT counts up); no frame is '
        "lost",
        "[server] notice_s: 60 -> 5; at once",
    ]


def test_only_the_way_to_the_pru_needs_a_new_daemon():
    for section, _, item in every_setting():
        if item.name not in UNSEEN | PARTS | {"leap_second_file"}:
            assert needs_restart(BASE, with_other(section, item)) == (item.name == "pru_link")
