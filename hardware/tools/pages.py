"""The tables of docs/hardware.md that come from parts, wiring, BOM and simulation, and the drawings.

A table stands between `<!-- made: NAME -->` and `<!-- end -->`; this rewrites what is between. The tests compare, so a
changed part cannot leave an old number in the page.

Usage: python -m hardware.tools.pages   (part of `make hardware`; needs Debian's ngspice)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hardware.tools import board, bom, drawing, spice
from hardware.tools.parts import HARDWARE, content, designs
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.self_test import TONES_OF_F0

PAGE = HARDWARE.parent / "docs" / "hardware.md"
DRAWINGS = HARDWARE / "drawings"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def values() -> str:
    """Every part of every design."""
    every = designs()
    references = sorted({r for d in every.values() for r in d.parts}, key=lambda r: (r[0], int(r[1:])))
    return table(["part", *every], [[r, *(d.parts.get(r, "") for d in every.values())] for r in references])


def simulated() -> str:
    """What ngspice says of every design."""
    rows: dict[str, list[str]] = {}

    def add(label: str, value: str) -> None:
        rows.setdefault(label, []).append(value)

    for design in designs().values():
        nominal, f = design.mains_voltage_v, design.mains_frequency_hz
        h = spice.responses(design, [{}], f)[0]
        add("gain from the mains, nominal frequency", f"{abs(h) * 1e3:.4f} mV/V")
        add("phase, nominal frequency", f"{np.degrees(np.angle(h)):.3f} deg")
        add("DC at the pin", f"{spice.operating_point(design):.3f} V")
        for percent in (10, 100, 127):
            y = spice.transient(design, nominal * percent / 100)
            add(f"range at the pin, {percent} % of nominal", f"{y.min():.3f} to {y.max():.3f} V")
        add("AC at the pin, 100 %", f"{1e3 * nominal * abs(h):.1f} mV RMS")
        y = spice.transient(design, nominal * 1.5)
        add("clipped range, 150 %", f"{y.min():.3f} to {y.max():.3f} V")
        add("noise at the pin, 1 Hz to 10 kHz", f"{spice.noise_v(design) * 1e6:.2f} uV RMS")
        _, loop = spice.loop_gain(design)
        margin = np.degrees(np.angle(loop[int(np.argmax(np.abs(loop) < 1))]))
        add("phase margin", f"{margin:.0f} deg")
        tone_hz = load_profile(design.name).f0_hz * TONES_OF_F0[0]
        y = spice.tone_at_pin(design, round(tone_hz))
        add("self-test playing, range at the pin", f"{y.min():.3f} to {y.max():.3f} V")
    return table(["quantity", *designs()], [[label, *cells] for label, cells in rows.items()])


def points() -> str:
    """Test points of design A, 120 V, with the values to expect."""
    design, supply = designs()["reference-a-120v"], content()["supply"]
    v, dc = design.values, spice.operating_point(design)
    middle = supply["vdd_v"] * v["R6"] / (v["R5"] + v["R6"])
    h = abs(spice.responses(design, [{}], design.mains_frequency_hz)[0])
    plateau = spice.pps_edge()[1][-1]
    secondary = design.mains_voltage_v / design.turns
    tone_v, tone_hz = content()["self_test"]["tone_v"], load_profile(design.name).f0_hz * TONES_OF_F0[0]
    played = spice.tone_at_pin(design, round(tone_hz))
    rows = [
        ["TP1", "VDD_ADC to AGND, all connected", f"{supply['vdd_v']:.2f} V DC, 2 %"],
        ["TP2", "VP (C5) to AGND", f"{middle:.3f} V DC, 2 %"],
        [
            "TP3",
            "OUT (before R4), adapter unplugged, secondary open",
            f"{middle:.3f} V DC: without R1's path the gain is 1",
        ],
        ["TP3", "OUT, SEC tied to AGND", f"{dc:.3f} V DC, 2 %"],
        [
            "TP4",
            "SEC to AGND, adapter plugged in, 120 V",
            f"{secondary:.2f} V AC at exactly 14:1; unloaded adapters give more",
        ],
        ["TP5", "AIN0 to AGND, adapter plugged in, 120 V", f"{dc:.3f} V DC, {1e3 * 120 * h:.1f} mV AC at exactly 14:1"],
        ["TP6", "AIN1 to AGND, PPS high", f"{plateau:.3f} V"],
        ["TP7", "AIN2 to AGND", "1.250 V DC"],
        ["TP8", "TONE to AGND, in service", "0 V"],
        ["TP8", "TONE to AGND, while the self-test plays", f"{tone_v / 2:.2f} V DC, {tone_v / 2:.2f} V AC (square)"],
        [
            "TP5",
            "the same, JP1 set, outlet dead",
            f"{played.mean():.3f} V DC, {1e3 * played.std():.0f} mV AC",
        ],
        ["TP6", "the same, JP2 on 2 and 3", f"{plateau / 2:.3f} V DC, {plateau / 2:.3f} V AC"],
    ]
    return table(["point", "between, and when", "expected"], rows)


def wiring() -> str:
    """The wiring table."""
    return table(
        ["pin", "signal", "goes to", "remark"], [[w["pin"], w["name"], w["to"], w["note"]] for w in drawing.wires()]
    )


def cost() -> str:
    """Totals of the bill of materials."""
    channel, current = bom.channel_usd(), bom.current_usd()
    totals = {name: bom.total_usd(name) for name in "AB"}
    totals["A, split phase"] = totals["A"] + channel
    totals["A, three phases"] = totals["A"] + 2 * channel
    totals["a current on a further channel"] = current
    rows = [[name, f"{total:.0f} USD", f"{total * bom.SPREAD:.0f} USD"] for name, total in totals.items()]
    return table(["design", "parts of one unit", "with 15 % for shipping and spread"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "values": values,
    "simulated": simulated,
    "test points": points,
    "wiring": wiring,
    "cost": cost,
}


def drawings() -> dict[str, str]:
    """Every drawing by its file's name in hardware/drawings/."""
    return {"wiring.svg": drawing.wiring_svg()} | board.drawings()


def rewritten(page: str) -> str:
    """The page with every table made anew."""
    for name, make in TABLES.items():
        before, start, rest = page.partition(f"<!-- made: {name} -->\n")
        if not start:
            raise ValueError(f"{PAGE.name} has no place for the table {name!r}")
        page = before + start + make() + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    return page


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    for name, text in drawings().items():
        (DRAWINGS / name).write_text(text, encoding="utf-8")
    print(f"wrote the tables of {PAGE.name} and {len(drawings())} drawings")
