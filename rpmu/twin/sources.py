"""From the words of `--source` to a source: nominal, grid, a generator, the standard's test signals, and recordings.

Every test signal is the one of IEC/IEEE 60255-118-1 (the same as C37.118.1a-2014): steady state, harmonic, out-of-band
interference, amplitude and phase modulation, frequency ramp, magnitude and phase step. Time in their formulas counts
from the twin's first instant. Defaults of `grid` are fitted to recordings of real outlets (see `GRID_*`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from rpmu.errors import InputError
from rpmu.twin.generator import Generator, default_points, points
from rpmu.twin.laws import Law, Lines, ModulatedLaw, PiecewiseLaw, StepLaw, WanderLaw
from rpmu.twin.recording import RecordedMains
from rpmu.twin.signals import NS_PER_S, MainsSource
from rpmu.twin.spec import Key, choose, exact, harmonics, number, split, truth_value, values, words
from rpmu.twin.synthetic import Interferer, Synthetic

# Frequency of two 50 Hz recordings of 10 minutes each (Wuhan): standard deviation 21 and 24 mHz; the change over 0.5,
# 1, 2, 5, 10 and 20 s has the standard deviation 1.2, 1.8, 3.0, 5.3, 8.9 and 15 mHz. The lines are fitted to these.
GRID_CORNER_HZ, GRID_EXPONENT = 0.004, 2.6
# Their voltage: 0.17 and 0.25 %; the change over 0.5 s 0.04 to 0.08 %, over 10 s 0.08 to 0.15 %.
GRID_VOLTAGE_CORNER_HZ, GRID_VOLTAGE_EXPONENT = 0.001, 1.6
# Harmonics of a 120 V outlet in Hawaii, percent; the angles are of no particular outlet.
GRID_HARMONICS = "3:0.36:140;5:0.87:-60;7:0.96:25;9:0.2:100;11:0.62:-120;13:0.39:70;15:0.15:-10"


@dataclass(frozen=True)
class Setting:
    """What the source is not told in its own words.

    Attributes:
        nominal_hz: 50 or 60.
        phases: 1 or 3, unless the words say otherwise.
        start_ns: the twin's first instant, UTC ns.
        seed: of everything random.
        voltage_v: RMS volts, unless the words say otherwise.
    """

    nominal_hz: int = 60
    phases: int = 1
    start_ns: int = 0
    seed: int = 0
    voltage_v: float = 120.0


def _common(setting: Setting) -> dict[str, Key]:
    return {
        "voltage_v": number(setting.voltage_v, "a number of volts RMS", 0, 1e6),
        "angle_deg": number(0, "a number of degrees", -36000, 36000),
        "phases": Key(int, setting.phases, "1 or 3", allowed=(1, 3)),
        "noise_v": number(0, "a number of volts RMS", 0, 1e6),
    }


def _frequency(setting: Setting) -> Key:
    return number(setting.nominal_hz, "a number of Hz", 1, 1000)


def _harmonics_key(default: str) -> Key:
    return Key(harmonics, harmonics(default), "order:percent[:angle_deg];... with orders from 2 to 100, or none")


def _steady(setting: Setting, v: dict[str, Any], rocof: Fraction = Fraction(0)) -> PiecewiseLaw:
    deviation_hz = v.get("frequency_hz", Fraction(setting.nominal_hz)) - setting.nominal_hz
    ramps = [(rocof, Fraction(0))]
    return PiecewiseLaw.ramps(float(v["voltage_v"]), setting.start_ns, v["angle_deg"] / 360, deviation_hz, ramps)


def _synthetic(setting: Setting, v: dict[str, Any], law: Law, **more: Any) -> Synthetic:
    return Synthetic(
        law,
        setting.nominal_hz,
        v["phases"],
        float(v["voltage_v"]),
        noise_v=float(v["noise_v"]),
        seed=setting.seed,
        **more,
    )


def _nominal(setting: Setting, raw: dict[str, str]) -> MainsSource:
    keys = _common(setting) | {
        "frequency_hz": _frequency(setting),
        "rocof_hz_per_s": number(0, "a number of Hz/s", -100, 100),
        "harmonics": _harmonics_key("none"),
    }
    v = values("source nominal", raw, keys)
    return _synthetic(setting, v, _steady(setting, v, v["rocof_hz_per_s"]), harmonics=v["harmonics"])


def _grid(setting: Setting, raw: dict[str, str]) -> MainsSource:
    keys = _common(setting) | {
        "frequency_hz": _frequency(setting),
        "noise_v": number("0.05", "a number of volts RMS", 0, 1e6),
        "harmonics": _harmonics_key(GRID_HARMONICS),
        "wander_mhz": number(22, "a standard deviation in mHz", 0, 1000),
        "voltage_wander_percent": number("0.2", "a standard deviation in percent", 0, 5),
    }
    v = values("source grid", raw, keys)
    rng = np.random.default_rng([setting.seed, 0x671D])
    lines = (
        Lines.random(rng, setting.start_ns, float(v["wander_mhz"]) * 1e-3, GRID_CORNER_HZ, GRID_EXPONENT),
        Lines.random(
            rng,
            setting.start_ns,
            float(v["voltage_wander_percent"]) / 100,
            GRID_VOLTAGE_CORNER_HZ,
            GRID_VOLTAGE_EXPONENT,
        ),
    )
    law = WanderLaw(float(v["voltage_v"]), _steady(setting, v), *lines)
    return _synthetic(setting, v, law, harmonics=v["harmonics"])


def _generator(setting: Setting, raw: dict[str, str]) -> MainsSource:
    keys = {
        "points": Key(points, default_points(setting.nominal_hz, setting.voltage_v), "HZ:V;HZ:V;..."),
        "each_s": number(20, "a number of seconds", 1, 3600),
        "angle_deg": number(0, "a number of degrees", -36000, 36000),
        "phases": Key(int, setting.phases, "1, 2 or 3 (inputs that it feeds)", allowed=(1, 2, 3)),
        "three_phase": Key(truth_value, False, "true or false"),
    }
    v = values("source generator", raw, keys)
    angle_rad = float(v["angle_deg"]) * np.pi / 180
    lag_rad = 2 * np.pi / 3 if v["three_phase"] else 0.0
    return Generator(
        v["points"], float(v["each_s"]), setting.nominal_hz, v["phases"], setting.start_ns, angle_rad, lag_rad
    )


def _test_steady(setting: Setting, raw: dict[str, str]) -> MainsSource:
    v = values("source test:steady", raw, _common(setting) | {"frequency_hz": _frequency(setting)})
    return _synthetic(setting, v, _steady(setting, v))


def _test_harmonic(setting: Setting, raw: dict[str, str]) -> MainsSource:
    keys = _common(setting) | {
        "frequency_hz": _frequency(setting),
        "order": Key(int, 2, "a whole number from 2 to 50", 2, 50),
        "percent": number(10, "a number of percent", 0, 100),
        # public test code disagrees on phases b and c of a harmonic: h * 120 degrees, or 120 for every h
        "sequence": Key(str, "natural", "natural or positive", allowed=("natural", "positive")),
    }
    v = values("source test:harmonic", raw, keys)
    single = {v["order"]: (float(v["percent"]) / 100, 0.0)}
    positive = v["sequence"] == "positive"
    return _synthetic(setting, v, _steady(setting, v), harmonics=single, positive_harmonics=positive)


def _test_interference(setting: Setting, raw: dict[str, str]) -> MainsSource:
    keys = _common(setting) | {
        "frequency_hz": _frequency(setting),
        "interferer_hz": number(setting.nominal_hz - 30, "a number of Hz", 1, 3000),
        "percent": number(10, "a number of percent", 0, 100),
    }
    v = values("source test:interference", raw, keys)
    interferer = Interferer(float(v["percent"]) / 100, v["interferer_hz"], setting.start_ns)
    return _synthetic(setting, v, _steady(setting, v), interferer=interferer)


def _test_modulation(setting: Setting, raw: dict[str, str], kind: str) -> MainsSource:
    depths = {"am": ("kx",), "pm": ("ka_rad",), "am-pm": ("kx", "ka_rad")}[kind]  # both at once: the edition of 2011
    keys = _common(setting) | {"modulation_hz": number(1, "a number of Hz", 0, 50)}
    keys |= {depth: number("0.1", "a modulation depth", 0, 3) for depth in depths}
    v = values(f"source test:{kind}", raw, keys)
    law = ModulatedLaw(
        float(v["voltage_v"]),
        float(v["angle_deg"]) * np.pi / 180,
        setting.start_ns,
        v["modulation_hz"],
        float(v.get("kx", 0)),
        float(v.get("ka_rad", 0)),
    )
    return _synthetic(setting, v, law)


def _test_ramp(setting: Setting, raw: dict[str, str]) -> MainsSource:
    keys = _common(setting) | {
        "rocof_hz_per_s": number(1, "a number of Hz/s other than 0", -50, 50),
        "span_hz": number(5, "a number of Hz above 0", 0.01, 30),
        "at_s": number(5, "a number of seconds", 0, 1e6),
    }
    v = values("source test:ramp", raw, keys)
    rocof, span = v["rocof_hz_per_s"], v["span_hz"]
    if rocof == 0:
        raise InputError("source test:ramp: rocof_hz_per_s is 0, which is no ramp; use test:steady")
    first_hz = -span if rocof > 0 else span
    flat = Fraction(0)
    ramps = [(flat, v["at_s"]), (rocof, 2 * span / abs(rocof)), (flat, flat)]
    law = PiecewiseLaw.ramps(float(v["voltage_v"]), setting.start_ns, v["angle_deg"] / 360, first_hz, ramps)
    return _synthetic(setting, v, law)


def _test_step(setting: Setting, raw: dict[str, str], kind: str) -> MainsSource:
    step = (
        {"step_percent": number(10, "a number of percent", -100, 100)}
        if kind == "magnitude-step"
        else {"step_deg": number(10, "a number of degrees", -180, 180)}
    )
    keys = _common(setting) | step
    keys["at_s"] = number(5, "a number of seconds", 0, 1e6)
    keys["every_s"] = number(0, "a number of seconds, 0 for a single step", 0, 1e6)
    v = values(f"source test:{kind}", raw, keys)
    law = StepLaw(
        float(v["voltage_v"]),
        float(v["angle_deg"]) * np.pi / 180,
        setting.start_ns + round(v["at_s"] * NS_PER_S),
        round(v["every_s"] * NS_PER_S),
        float(v.get("step_percent", 0)) / 100,
        float(v.get("step_deg", 0)) * np.pi / 180,
    )
    return _synthetic(setting, v, law)


TESTS: dict[str, Callable[[Setting, dict[str, str]], MainsSource]] = {
    "steady": _test_steady,
    "harmonic": _test_harmonic,
    "interference": _test_interference,
    "am": lambda setting, raw: _test_modulation(setting, raw, "am"),
    "pm": lambda setting, raw: _test_modulation(setting, raw, "pm"),
    "am-pm": lambda setting, raw: _test_modulation(setting, raw, "am-pm"),
    "ramp": _test_ramp,
    "magnitude-step": lambda setting, raw: _test_step(setting, raw, "magnitude-step"),
    "phase-step": lambda setting, raw: _test_step(setting, raw, "phase-step"),
}
PLAIN = {"nominal": _nominal, "grid": _grid, "generator": _generator}
NAMES: dict[str, object] = {**PLAIN, "test": None, "file": None}


def _file(setting: Setting, path: str, raw: dict[str, str]) -> MainsSource:
    keys = {
        "loop": Key(truth_value, False, "true or false"),
        "channel": Key(words, (), "a list of names or positions separated by semicolons"),
        "scale": Key(exact, None, "a number of volts per unit of the file"),
        "voltage_v": Key(exact, None, "a number of volts RMS", 0, 1e6),
        "rate_hz": Key(exact, None, "a number of Hz", 1, 10**8),
        "array": Key(str, None, "the name of an array"),
        "phases": Key(int, setting.phases, "1 or 3", allowed=(1, 3)),
    }
    v = values(f"source file:{path}", raw, keys)
    if not path:
        raise InputError("source file: no path is given; write file:PATH,loop=true")
    return RecordedMains.open(
        Path(path),
        start_ns=setting.start_ns,
        nominal_hz=setting.nominal_hz,
        phases=v["phases"],
        channels=v["channel"],
        loop=v["loop"],
        scale=None if v["scale"] is None else float(v["scale"]),
        voltage_v=None if v["voltage_v"] is None else float(v["voltage_v"]),
        rate_hz=None if v["rate_hz"] is None else float(v["rate_hz"]),
        array=v["array"],
    )


def parse_source(spec: str, setting: Setting) -> MainsSource:
    """The source that `spec` describes.

    Raises:
        InputError: a word or a value in it is wrong, or its recording cannot be read.
    """
    name, argument, raw = split(spec)
    choose("the source", name, NAMES)
    if name == "file":
        return _file(setting, argument, raw)
    if name == "test":
        return TESTS[choose("the test signal", argument.replace("_", "-"), TESTS)](setting, raw)
    if argument:
        raise InputError(f"source {spec!r}: {name} takes no {argument!r}; its keys follow after a comma")
    return PLAIN[name](setting, raw)
