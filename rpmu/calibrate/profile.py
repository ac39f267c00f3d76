"""Nominal profiles of front ends: what a unit of a design should do before anybody has calibrated it.

A profile is a TOML file (calibration/README.md has the schema). The daemon takes from it what to equalise and how ADC
counts become volts; the twin builds its analogue chain from the same numbers, in more detail: the RC pole and the
amplifier's rails stand apart there, whereas the estimator's `FrontEnd` has one low-pass, so the RC pole is folded into
its gain and delay at the nominal frequency (wrong by less than 1e-6 within 5 Hz of it).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import atan, hypot, inf, isinf, pi
from pathlib import Path
from typing import Any

from rpmu.errors import InputError
from rpmu.estimate.front_end import FrontEnd

SCHEMA = 1
FOLDERS = (Path(__file__).parent / "profiles", Path(__file__).parents[2] / "calibration")  # installed; checkout


@dataclass(frozen=True)
class Profile:
    """A front end by its design values.

    Attributes:
        name: how it is called in a configuration.
        description: one sentence.
        nominal_voltage_v: RMS volts of the mains it is made for.
        nominal_frequency_hz: 50 or 60.
        gain: volts at the ADC pin per volt of mains, at DC of the low-pass; negative if it inverts.
        f0_hz: corner frequency of the second-order low-pass.
        q: its quality factor.
        rc_pole_hz: corner of the RC between amplifier and ADC pin; infinite for none.
        delay_s: constant delay on top (negative for a transformer's lead).
        vref_v: full scale of the ADC.
        bias_v: DC at the ADC pin.
        amplifier_low_v: lowest output of the amplifier.
        amplifier_high_v: highest output of the amplifier.
        noise_v_per_rthz: noise density at the amplifier's output.
        pps_high_v: plateau of the PPS at its ADC pin.
        pps_tau_s: time constant of the PPS's RC.
        tone_gain: volts at the ADC pin per volt of the self-test's tone, at DC, jumper in; 0 where there is none.
        tone_q: quality factor of the low-pass with the jumper in.
        tone_delay_s: as `delay_s`, on the way of the tone, which passes no transformer.
        tone_bias_v: DC at the ADC pin with the jumper in and the tone's pin low; 0 where nobody said.
    """

    name: str
    description: str
    nominal_voltage_v: float
    nominal_frequency_hz: float
    gain: float
    f0_hz: float
    q: float
    rc_pole_hz: float
    delay_s: float
    vref_v: float
    bias_v: float
    amplifier_low_v: float
    amplifier_high_v: float
    noise_v_per_rthz: float
    pps_high_v: float
    pps_tau_s: float
    tone_gain: float = 0.0
    tone_q: float = 0.0
    tone_delay_s: float = 0.0
    tone_bias_v: float = 0.0

    @property
    def identity(self) -> str:
        """By what a running daemon says that it works with this profile and no certificate."""
        return f"profile {self.name}"

    @property
    def front_end(self) -> FrontEnd:
        """What the estimator has to undo."""
        u = self.nominal_frequency_hz / self.rc_pole_hz
        rc_delay_s = atan(u) / (2.0 * pi * self.nominal_frequency_hz)
        return FrontEnd(self.gain / hypot(1.0, u), self.f0_hz, self.q, self.delay_s + rc_delay_s)

    @property
    def volts_per_count(self) -> float:
        """Volts at the ADC pin per 12-bit count."""
        return self.vref_v / 4096.0

    @property
    def tone_shift_v(self) -> float:
        """By how much the jumper lifts the DC at the ADC pin while the tone's pin is low."""
        return self.tone_bias_v - self.bias_v if self.tone_bias_v else 0.0


@dataclass(frozen=True)
class _Rule:
    """Bounds of a number; `default` None means that it must be given."""

    low: float
    high: float
    default: float | None = None


_RULES: dict[str, dict[str, _Rule]] = {
    "front_end": {
        "gain": _Rule(-1.0, 1.0),
        "f0_hz": _Rule(10.0, 1e6),
        "q": _Rule(0.1, 10.0),
        "rc_pole_hz": _Rule(10.0, 1e9, inf),
        "delay_s": _Rule(-1e-3, 1e-2, 0.0),
    },
    "adc": {"vref_v": _Rule(0.5, 5.0), "bias_v": _Rule(0.0, 5.0)},
    "amplifier": {
        "low_v": _Rule(-5.0, 5.0),
        "high_v": _Rule(-5.0, 5.0),
        "noise_v_per_rthz": _Rule(0.0, 1e-3, 0.0),
    },
    "pps": {"high_v": _Rule(0.1, 5.0), "tau_s": _Rule(0.0, 1e-2)},
    "self_test": {
        "tone_gain": _Rule(-1.0, 1.0, 0.0),
        "tone_q": _Rule(0.0, 10.0, 0.0),
        "tone_delay_s": _Rule(-1e-3, 1e-2, 0.0),
        "tone_bias_v": _Rule(0.0, 5.0, 0.0),
    },
    "mains": {"voltage_v": _Rule(1.0, 1000.0), "frequency_hz": _Rule(50.0, 60.0)},
}


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with rpmu."""
    return tuple(sorted({path.stem for folder in FOLDERS for path in folder.glob("*.toml")}))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a profile: one that comes with rpmu by its name, or any file by its path.

    Raises:
        InputError: there is none, or its content is not a profile.
    """
    path = _find(name_or_path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not TOML: {error}") from error
    return _profile(path, content)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise InputError(f"{path}: there is no such front-end profile")
        return path
    for folder in FOLDERS:
        if (folder / f"{name_or_path}.toml").is_file():
            return folder / f"{name_or_path}.toml"
    near = get_close_matches(str(name_or_path), profile_names(), 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(
        f"there is no front-end profile {str(name_or_path)!r}{hint} (there are {', '.join(profile_names())}, "
        "or give the path of a .toml file)"
    )


def _profile(path: Path, content: Mapping[str, Any]) -> Profile:
    _refuse_unknown(path, "the top", content, {"schema", "name", "description", *_RULES})
    if content.get("schema") != SCHEMA:
        raise InputError(f"{path}: schema is {content.get('schema')!r}, but this version reads schema {SCHEMA}")
    for key in ("name", "description"):
        if not isinstance(content.get(key), str):
            raise InputError(f"{path}: {key} must be a text")
    n = {table: _numbers(path, table, content.get(table, {})) for table in _RULES}
    if not n["amplifier"]["low_v"] < n["adc"]["bias_v"] < n["amplifier"]["high_v"]:
        raise InputError(f"{path}: [adc] bias_v must lie between [amplifier] low_v and high_v")
    if not n["front_end"]["gain"]:
        raise InputError(f"{path}: [front_end] gain is 0; it must be the volts at the ADC pin per volt of mains")
    return Profile(
        name=content["name"],
        description=content["description"],
        nominal_voltage_v=n["mains"]["voltage_v"],
        nominal_frequency_hz=n["mains"]["frequency_hz"],
        **n["front_end"],
        **n["adc"],
        amplifier_low_v=n["amplifier"]["low_v"],
        amplifier_high_v=n["amplifier"]["high_v"],
        noise_v_per_rthz=n["amplifier"]["noise_v_per_rthz"],
        pps_high_v=n["pps"]["high_v"],
        pps_tau_s=n["pps"]["tau_s"],
        **n["self_test"],
    )


def _numbers(path: Path, table: str, content: Any) -> dict[str, float]:
    """The numbers of one table, checked."""
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: [{table}] must be a table")
    _refuse_unknown(path, f"[{table}]", content, set(_RULES[table]))
    numbers = {}
    for key, rule in _RULES[table].items():
        value = content.get(key, rule.default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{path}: [{table}] {key} is {value!r}, but must be a number")
        if not (rule.low <= value <= rule.high or (isinf(value) and value == rule.default)):
            raise InputError(f"{path}: [{table}] {key} is {value:g}, but must lie from {rule.low:g} to {rule.high:g}")
        numbers[key] = float(value)
    return numbers


def _refuse_unknown(path: Path, where: str, content: Mapping[str, Any], allowed: set[str]) -> None:
    for key in content:
        if key not in allowed:
            near = get_close_matches(key, sorted(allowed), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{path}: {where} has no key {key!r}{hint} (allowed: {', '.join(sorted(allowed))})")
