"""What a change of each setting does to a running PMU: nothing that anybody notices, up to a restart.

`rpmu config apply` says it beforehand. The daemon does not ask here, it compares what its rooms are told; a test holds
the two together. A section's entry stands for its keys that have none of their own. Which input's pulse makes the time
follows from two settings together, so what becomes of the clock by them is no matter of either alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from rpmu.config.difference import Change, difference
from rpmu.config.schema import Config


class Effect(Enum):
    """From the least to the greatest; the value is what is said about it."""

    AT_ONCE = "at once"
    ANNOUNCED = "announced to PDCs ({notice_s} s of STAT bit 10, then CFGCNT counts up); no frame is lost"
    MEASURED = "from the next seconds on; no frame is lost"
    RECEIVER = "the receiver's port is opened anew; the time stays locked"
    LISTENING = "PDCs at addresses that go have to connect again"
    ACQUISITION = "the sampling starts anew: some tenths of a second of frames are invalid; the time stays locked"
    CLOCK = "the clock starts anew: no frames until the time is found again"
    PROCESS = "the daemon starts anew: PDCs have to connect again, no frames until the time is found again"


EFFECTS: dict[tuple[str, ...], Effect] = {
    ("station",): Effect.ANNOUNCED,
    ("channel",): Effect.ANNOUNCED,
    ("channel", "ain"): Effect.ACQUISITION,
    ("sampling",): Effect.ACQUISITION,
    ("sampling", "pru_link"): Effect.PROCESS,
    ("sampling", "poll_interval_s"): Effect.AT_ONCE,
    ("gps",): Effect.RECEIVER,
    ("time",): Effect.CLOCK,
    ("time", "leap_second_file"): Effect.AT_ONCE,
    ("time", "pps_input"): Effect.AT_ONCE,
    ("calibration",): Effect.MEASURED,
    ("server",): Effect.AT_ONCE,
    ("server", "listen"): Effect.LISTENING,
    ("server", "transport"): Effect.LISTENING,
    ("server", "udp_data_port"): Effect.LISTENING,
    ("server", "tls_certificate"): Effect.LISTENING,
    ("server", "tls_key"): Effect.LISTENING,
    ("server", "tls_client_ca"): Effect.LISTENING,
    ("server", "phasor_format"): Effect.ANNOUNCED,
    ("server", "phasor_notation"): Effect.ANNOUNCED,
    ("server", "frequency_format"): Effect.ANNOUNCED,
    ("server", "analog_format"): Effect.ANNOUNCED,
    ("server", "time_base"): Effect.ANNOUNCED,
    ("server", "sync_version"): Effect.ANNOUNCED,
    ("server", "positive_sequence"): Effect.ANNOUNCED,
    ("server", "status_word"): Effect.ANNOUNCED,
    ("server", "status_analogs"): Effect.ANNOUNCED,
    ("logging",): Effect.AT_ONCE,
}

CHOOSE_INPUT = (("sampling", "pps_pin"), ("time", "pps_input"))


def effects(old: Config, new: Config) -> Iterator[tuple[Change, Effect]]:
    """Each setting that differs, and what its change does."""
    other_pulse = old.pulse_input != new.pulse_input
    for change in difference(old, new):
        section, key = str(change.path[0]), str(change.path[-1])
        by_input = other_pulse and (section, key) in CHOOSE_INPUT
        yield change, Effect.CLOCK if by_input else EFFECTS.get((section, key), EFFECTS[(section,)])


def in_words(old: Config, new: Config) -> list[str]:
    """The same, one line each."""
    words = {effect: effect.value.format(notice_s=new.server.notice_s) for effect in Effect}
    return [f"{change}; {words[effect]}" for change, effect in effects(old, new)]


def needs_restart(old: Config, new: Config) -> bool:
    """Whether the daemon has to start anew."""
    return any(effect is Effect.PROCESS for _, effect in effects(old, new))
