"""The parts of every design, from hardware/parts.toml.

One file holds every value; circuits (hardware/spice/*.sub), schematic, BOM and profiles are made from it or tested
against it. Values are kept as written on a schematic ("191k") and as numbers in ohm, farad and henry.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from math import pi, sqrt
from pathlib import Path
from typing import Any

HARDWARE = Path(__file__).parents[1]
FACTORS = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6}


def number(text: str) -> float:
    """A value as schematics write it, "4.7n" or "220", in the base unit."""
    return float(text[:-1]) * FACTORS[text[-1]] if text[-1] in FACTORS else float(text)


@dataclass(frozen=True)
class Design:
    """One front end.

    Attributes:
        name: also the name of its profile in calibration/.
        title: one line.
        circuit: subcircuit in hardware/spice/.
        amplifier: its figures, as parameters of the subcircuit.
        mains_voltage_v: nominal RMS.
        mains_frequency_hz: 50 or 60.
        turns: mains volts per volt at the circuit's input.
        parts: reference to value as written.
        extra: further parameters of the subcircuit (transformer).
    """

    name: str
    title: str
    circuit: str
    amplifier: dict[str, float]
    mains_voltage_v: float
    mains_frequency_hz: float
    turns: float
    parts: dict[str, str]
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """Reference to value in ohm and farad."""
        return {reference: number(text) for reference, text in self.parts.items()}

    @property
    def parameters(self) -> dict[str, float]:
        """All parameters of the subcircuit."""
        return {r.lower(): v for r, v in self.values.items()} | self.amplifier | self.extra


def content() -> dict[str, Any]:
    """The whole file."""
    return tomllib.loads((HARDWARE / "parts.toml").read_text(encoding="utf-8"))


def designs() -> dict[str, Design]:
    """Every front end by its name."""
    everything = content()
    return {
        name: Design(
            name=name,
            title=d["title"],
            circuit=d["circuit"],
            amplifier=everything["amplifiers"][d["amplifier"]],
            mains_voltage_v=d["mains_voltage_v"],
            mains_frequency_hz=d["mains_frequency_hz"],
            turns=d["turns"],
            parts=d["parts"],
            extra=d.get("transformer", {}),
        )
        for name, d in everything["designs"].items()
    }


@dataclass(frozen=True)
class Formula:
    """What the textbook says of a design, with an ideal amplifier and an ideal transformer."""

    gain: float
    f0_hz: float
    q: float
    rc_pole_hz: float
    bias_v: float


def formula(design: Design, vdd_v: float) -> Formula:
    """Gain from the mains, corner, quality and DC at the pin, from the parts alone.

    Circuit A is the multiple-feedback low-pass: gain R2/R1, w0 = 1/sqrt(R2 R3 C1 C2),
    Q = sqrt(C1/C2)/(sqrt(R3/R2) + sqrt(R2/R3) + sqrt(R2 R3)/R1). Circuit B is two real poles.
    """
    v = design.values
    middle = vdd_v * v["R6"] / (v["R5"] + v["R6"])
    rc = 1 / (2 * pi * v["R4"] * v["C4"])
    if design.circuit == "front_end_b":
        feedback = 1 / (2 * pi * v["R3"] * v["C1"])
        gain = v["R3"] / (v["R1"] + v["R2"] + 2 * design.extra["winding_ohm"])
        return Formula(gain, sqrt(feedback * rc), sqrt(feedback * rc) / (feedback + rc), float("inf"), middle)
    r1, r2, r3 = v["R1"], v["R2"], v["R3"]
    f0 = 1 / (2 * pi * sqrt(r2 * r3 * v["C1"] * v["C2"]))
    q = sqrt(v["C1"] / v["C2"]) / (sqrt(r3 / r2) + sqrt(r2 / r3) + sqrt(r2 * r3) / r1)
    return Formula(r2 / r1 / design.turns, f0, q, rc, middle * (1 + r2 / r1))
