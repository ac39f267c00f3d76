"""ngspice in batch mode: a deck of text in, columns of numbers out.

Every analysis is one run of `ngspice -b` in a temporary folder; `wrdata` writes what the deck asks for. The circuits
are the subcircuits in hardware/spice/, their values come as parameters from hardware/parts.toml. The mains is fed
through its transformer's ratio, so every response is from the mains to the ADC pin. Every circuit inverts, and its
transformer's leads are taken the other way round, as in the profiles.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hardware.tools.parts import HARDWARE, Design, content, number

SUBCIRCUITS = {
    "front_end_a": ("amplifier.sub", "front-end-a.sub"),
    "front_end_b": ("amplifier.sub", "front-end-b.sub"),
    "pps_divider": ("pps-divider.sub",),
}
POLARITY = -1.0  # every circuit inverts; the transformer's leads the other way round undo it, as in the profiles
AC = "Vmains mains 0 DC 0 AC 1"
DEAD = "Vmains mains 0 DC 0"  # an outlet that is switched off
JUMPER_SET = {"jp1": 0.01}  # ohm
IDLE = "Vtone tone 0 DC 0"  # P9.14 low


def run(deck: Iterable[str], commands: Iterable[str]) -> dict[str, NDArray[np.float64]]:
    """Run a deck with control commands; every `wrdata NAME ...` in them comes back as float64 [n, columns].

    Raises:
        RuntimeError: ngspice says error, or gives no data.
    """
    commands = list(commands)
    control = [".control", "set wr_singlescale", "set numdgt=12", "set noaskquit", *commands, "quit", ".endc"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deck.cir"
        path.write_text("\n".join(["* made by hardware/tools/spice.py", *deck, *control, ".end", ""]))
        done = subprocess.run(["ngspice", "-b", path.name], cwd=folder, capture_output=True, text=True, timeout=120)
        names = [c.split()[1] for c in commands if c.startswith("wrdata")]
        absent = [n for n in names if not (Path(folder) / n).exists()]
        if absent or "error" in done.stderr.lower():
            raise RuntimeError(f"ngspice: {done.stderr or done.stdout}")
        return {n: np.loadtxt(Path(folder) / n, ndmin=2) for n in names}


def includes(circuit: str) -> list[str]:
    """The lines that bring in a circuit's subcircuits."""
    return [f".include {HARDWARE / 'spice' / name}" for name in SUBCIRCUITS[circuit]]


def instance(design: Design, name: str = "1", pin: str = "ain", values: Mapping[str, float] | None = None) -> str:
    """The front end as one line: from node `mains` (volts of the outlet) to node `pin`."""
    parameters = design.parameters | dict(values or {})
    nodes = f"line 0 {pin} vdd tone" if design.circuit == "front_end_b" else f"sec {pin} vdd tone"
    return f"X{name} {nodes} {design.circuit} " + " ".join(f"{k}={v:.12g}" for k, v in parameters.items())


def bench(design: Design, source: str, tone: str = IDLE) -> list[str]:
    """Supply, mains (the element `source`, at node `mains`), transformer ratio and P9.14 (`tone`) round a design."""
    node = "line" if design.circuit == "front_end_b" else "sec"
    return [
        *includes(design.circuit),
        f"Vdd vdd 0 {content()['supply']['vdd_v']:g}",
        source,
        f"Emains {node} 0 mains 0 {1 / design.turns:.15g}",
        tone,
    ]


def response(
    design: Design, low_hz: float = 10.0, high_hz: float = 3000.0, per_decade: int = 40
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """AC response from the mains to the pin: frequencies float64 [n] and complex128 [n], the latter in V/V."""
    commands = [f"ac dec {per_decade} {low_hz:g} {high_hz:g}", "wrdata ac.txt v(ain)"]
    data = run([*bench(design, AC), instance(design)], commands)["ac.txt"]
    return data[:, 0], POLARITY * (data[:, 1] + 1j * data[:, 2])


def tone_response(
    design: Design, low_hz: float = 10.0, high_hz: float = 3000.0, per_decade: int = 40
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """AC response from the self-test's tone to the pin, jumper set and outlet dead; as `response`."""
    commands = [f"ac dec {per_decade} {low_hz:g} {high_hz:g}", "wrdata ac.txt v(ain)"]
    deck = [*bench(design, DEAD, f"{IDLE} AC 1"), instance(design, values=JUMPER_SET)]
    data = run(deck, commands)["ac.txt"]
    return data[:, 0], data[:, 1] + 1j * data[:, 2]


def tone_at_pin(design: Design, frequency_hz: float, cycles: int = 4) -> NDArray[np.float64]:
    """Volts at the pin while P9.14 plays a square wave, jumper set and outlet dead, float64 [cycles * 500]."""
    high, period = content()["self_test"]["tone_v"], 1 / frequency_hz
    wave = f"Vtone tone 0 PULSE(0 {high:g} 0 20n 20n {period / 2 - 20e-9:.12g} {period:.12g})"
    step, end = period / 500, (6 + cycles) * period
    commands = [f"tran {step:.12g} {end:.12g} 0 {step / 4:.12g}", "linearize v(ain)", "wrdata tran.txt v(ain)"]
    data = run([*bench(design, DEAD, wave), instance(design, values=JUMPER_SET)], commands)["tran.txt"]
    return np.asarray(data[-cycles * 500 - 1 : -1, 1])


def responses(design: Design, values: Iterable[Mapping[str, float]], frequency_hz: float) -> NDArray[np.complex128]:
    """AC response at one frequency of many units, complex128 [units], all in one deck."""
    units = [instance(design, str(i), f"ain{i}", v) for i, v in enumerate(values)]
    vectors = " ".join(f"v(ain{i})" for i in range(len(units)))
    commands = [f"ac lin 1 {frequency_hz:.9g} {frequency_hz:.9g}", f"wrdata ac.txt {vectors}"]
    data = run([*bench(design, AC), *units], commands)["ac.txt"][0]
    return np.asarray(POLARITY * (data[1::2] + 1j * data[2::2]))


def operating_point(design: Design, values: Mapping[str, float] | None = None) -> float:
    """DC at the pin, V; P9.14 is low."""
    deck = [*bench(design, AC), instance(design, values=values)]
    return float(run(deck, ["op", "wrdata op.txt v(ain)"])["op.txt"][0, -1])


def transient(design: Design, volts_rms: float, cycles: int = 4) -> NDArray[np.float64]:
    """Volts at the pin over whole cycles of a cosine after six cycles to settle, float64 [cycles * 500]."""
    f, peak = design.mains_frequency_hz, volts_rms * np.sqrt(2)
    # a cosine from rest leaves no DC flux in the transformer, a SIN source would be at its peak for ever before
    source = f"Bmains mains 0 V = time > 0 ? {peak:.12g}*cos({2 * np.pi * f:.15g}*time) : 0"
    step, end = 1 / f / 500, (6 + cycles) / f
    commands = [f"tran {step:.12g} {end:.12g} 0 {step / 4:.12g}", "linearize v(ain)", "wrdata tran.txt v(ain)"]
    data = run([*bench(design, source), instance(design), ".options reltol=1e-6"], commands)["tran.txt"]
    return np.asarray(data[-cycles * 500 - 1 : -1, 1])


def noise_v(design: Design, low_hz: float = 1.0, high_hz: float = 10e3) -> float:
    """RMS noise at the pin, V."""
    commands = [f"noise v(ain) Vmains dec 50 {low_hz:g} {high_hz:g}", "setplot noise2", "wrdata n.txt onoise_total"]
    return float(run([*bench(design, AC), instance(design)], commands)["n.txt"][0, -1])


def noise_v_per_rthz(design: Design, frequency_hz: float) -> float:
    """Noise density at the pin, V/sqrt(Hz)."""
    f = f"{frequency_hz:g}"
    commands = [f"noise v(ain) Vmains lin 1 {f} {f}", "setplot noise1", "wrdata n.txt onoise_spectrum"]
    return float(run([*bench(design, AC), instance(design)], commands)["n.txt"][0, -1])


def loop_gain(design: Design, extra: Iterable[str] = ()) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Loop gain of the first amplifier, 1 kHz to 30 MHz: its feedback is opened for AC at its inverting input.

    Args:
        design: the front end.
        extra: lines added to the deck (a capacitor at the pin of a circuit without R4, say).
    """
    subcircuit = (HARDWARE / "spice" / SUBCIRCUITS[design.circuit][-1]).read_text(encoding="utf-8")
    # what the amplifier's input sees goes through an inductor that is a short for DC and open for AC
    opened = subcircuit.replace("XU1A vp inn out", "Lbreak inn test 1g\nCdrive test drive 1g\nXU1A vp test out")
    opened = opened.replace(f".subckt {design.circuit} ", f".subckt {design.circuit} drive inn ")
    deck = [f".include {HARDWARE / 'spice' / 'amplifier.sub'}", *opened.splitlines()]
    supply = f"Vdd vdd 0 {content()['supply']['vdd_v']:g}"
    unit = instance(design).replace("X1 ", "X1 drive inn ").replace(" sec ", " 0 ").replace(" line ", " 0 ")
    commands = ["ac dec 100 1k 30meg", "wrdata loop.txt v(inn)"]
    data = run([*deck, supply, IDLE, "Vdrive drive 0 DC 0 AC 1", unit, *extra], commands)["loop.txt"]
    return data[:, 0], data[:, 1] + 1j * data[:, 2]


def pps_edge(
    step_s: float = 0.25e-6, by_jumper: Mapping[str, float] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A rising edge at the PPS's ADC pin: seconds since the edge and volts, float64 [n] each.

    Args:
        step_s: between the values.
        by_jumper: resistances of JP2; default as in service. With 2 and 3 joined the edge is that of P9.14.
    """
    everything = content()
    parts = " ".join(f"{r.lower()}={number(v):g}" for r, v in everything["pps"]["parts"].items())
    if by_jumper:
        parts += " " + " ".join(f"{name}={ohm:g}" for name, ohm in by_jumper.items())
    pulse = "PULSE(0 {:g} 1u 10n 10n 1m 2m)"
    pps, tone = everything["supply"]["pps_v"], everything["self_test"]["tone_v"]
    sources = (
        ("Vpps pps 0 DC 0", f"Vtone tone 0 {pulse.format(tone)}")
        if by_jumper
        else (f"Vpps pps 0 {pulse.format(pps)}", IDLE)
    )
    deck = [*includes("pps_divider"), *sources, f"X1 pps ain tone pps_divider {parts}"]
    commands = [f"tran {step_s:g} 200u 0 {step_s / 2:g}", "linearize v(ain)", "wrdata pps.txt v(ain)"]
    data = run(deck, commands)["pps.txt"]
    return data[:, 0] - 1.005e-6, data[:, 1]
