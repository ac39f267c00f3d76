"""The nominal profiles as the circuits do it, amplifier included: fit of the profile's model to ngspice's response.

An amplifier of finite bandwidth lowers the corner a little and adds delay; with an ideal one the model of design A is
0.07 % and 0.25 degrees off at 3 kHz. Therefore gain, f0, Q, delay and RC pole are those of the profile's own formula
that come nearest to the simulated circuit over 10 Hz to 3 kHz. Design B's transformer is left out of the fit (its lead
is a high-pass at 0.24 Hz, no term of the model) and enters gain and delay at the nominal frequency alone.

Usage: python -m hardware.tools.derive_profiles [--check]   (rewrites the numbers in calibration/*.toml)
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from hardware.tools import spice
from hardware.tools.parts import HARDWARE, Design, content, designs, formula

IDEAL_H = 1e6  # magnetising inductance of a transformer without a lead


def model(values: NDArray[np.float64], f: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The response of a profile with (gain, f0, Q, delay in us[, RC pole])."""
    u = f / values[1]
    h = values[0] / (1 - u * u + 1j * u / values[2]) * np.exp(-2e-6j * np.pi * f * values[3])
    return np.asarray(h / (1 + 1j * f / values[4]) if len(values) > 4 else h)


def fit(design: Design) -> NDArray[np.float64]:
    """(gain, f0, Q, delay in us[, RC pole]) of a design, float64 [4 or 5]."""
    ideal = replace(design, extra=design.extra | {"magnetising_h": IDEAL_H}) if design.extra else design
    f, h = spice.response(ideal)
    start = formula(design, content()["supply"]["vdd_v"])
    x0 = np.array([start.gain, start.f0_hz, start.q, 0.1, start.rc_pole_hz])[
        : 5 if np.isfinite(start.rc_pole_hz) else 4
    ]

    def residual(x: NDArray[np.float64]) -> NDArray[np.float64]:
        error = model(x, f) / h - 1
        return np.concatenate([error.real, error.imag])

    x = np.asarray(least_squares(residual, x0, x_scale=np.abs(x0), xtol=1e-15, ftol=1e-15, gtol=1e-15).x)
    return with_transformer(design, x) if design.extra else x


def fit_tone(design: Design, x: NDArray[np.float64]) -> tuple[float, float, float]:
    """Gain from the self-test's tone, Q with its jumper set and delay in us (the tone passes no transformer).

    Corner and RC pole are those in service.
    """
    f, h = spice.tone_response(design)

    def residual(y: NDArray[np.float64]) -> NDArray[np.float64]:
        error = model(np.array([y[0], x[1], y[1], y[2], *x[4:]]), f) / h - 1
        return np.concatenate([error.real, error.imag])

    to = "R3" if design.circuit == "front_end_b" else "R2"
    start = np.array([-design.values[to] / design.values["R7"], x[2], 0.1])
    gain, q, delay_us = least_squares(residual, start, x_scale=np.abs(start), xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    return float(gain), float(q), float(delay_us)


def with_transformer(design: Design, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain and delay changed so that the nominal frequency comes out as with the real transformer."""
    f = np.array([design.mains_frequency_hz])
    rest = spice.responses(design, [{}], f[0]) / model(x, f)
    delay_us = -np.angle(rest[0]) / (2e-6 * np.pi * f[0])
    return np.array([x[0] * abs(rest[0]), x[1], x[2], x[3] + delay_us])


def rewrite(design: Design, write: bool) -> list[str]:
    """Put the numbers into the profile; what changed, as lines."""
    path = HARDWARE.parent / "calibration" / f"{design.name}.toml"
    text = old = path.read_text(encoding="utf-8")
    x = fit(design)
    gain, f0, q, delay, *pole = x
    new = {"gain": f"{gain * 1e3:.7f}e-3", "f0_hz": f"{f0:.4f}", "q": f"{q:.6f}", "delay_s": f"{delay:.4f}e-6"}
    overload = spice.transient(design, 1.5 * design.mains_voltage_v)
    if pole:
        new["rc_pole_hz"] = f"{pole[0]:.2f}"
    new |= {
        "bias_v": f"{spice.operating_point(design):.6f}",
        "low_v": f"{overload.min():.4f}",
        "high_v": f"{overload.max():.4f}",
        "noise_v_per_rthz": f"{spice.noise_v_per_rthz(design, design.mains_frequency_hz) * 1e9:.1f}e-9",
    }
    tone_gain, tone_q, tone_delay = fit_tone(design, x)
    new |= {
        "tone_gain": f"{tone_gain:.6f}",
        "tone_q": f"{tone_q:.6f}",
        "tone_delay_s": f"{tone_delay:.4f}e-6",
        "tone_bias_v": f"{spice.operating_point(design, spice.JUMPER_SET):.6f}",
    }
    changed = []
    for key, value in new.items():
        text, found = re.subn(rf"^{key} = \S+", f"{key} = {value}", text, count=1, flags=re.M)
        if not found:
            changed.append(f"{path.name}: has no {key} to take {value}")
    if text != old:
        changed.append(f"{path.name}: " + ", ".join(f"{k} = {v}" for k, v in new.items()))
        if write:
            path.write_text(text, encoding="utf-8")
    return changed


def main(arguments: list[str]) -> int:
    """Rewrite the profiles, or with --check only say what would change (exit 1)."""
    changed = [line for design in designs().values() for line in rewrite(design, "--check" not in arguments)]
    print("\n".join(changed) or "the profiles are those of the circuits")
    return int(bool(changed) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
