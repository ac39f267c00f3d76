"""The schematic of design A for KiCad 9, drawn from hardware/parts.toml: symbols, places, wires, labels.

The connections here are drawn, not taken from the ngspice circuit: a test exports KiCad's netlist and compares both,
parts, values and nets, so that each checks the other. Unit of the lists below: 2.54 mm, y downwards.

Usage: python -m hardware.tools.schematic   (part of `make hardware`)
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from uuid import NAMESPACE_URL, uuid5

from hardware.tools.parts import HARDWARE, content, designs

FOLDER = HARDWARE / "kicad"
NAME = "front-end-a"
GRID_MM = 2.54
FONT = "(effects (font (size 1.27 1.27)))"
HIDDEN = "(effects (font (size 1.27 1.27)) (hide yes))"
BOX = "(stroke (width 0.254) (type default)) (fill (type background))"

# symbol: (letter, drawing, pins by unit); a pin is (number, name, type, x mm, y mm upwards, direction)
TWO = [("1", "~", "passive", 0, 3.81, 270), ("2", "~", "passive", 0, -3.81, 90)]
PLATES = " ".join(f"(rectangle (start -2.032 {y}) (end 2.032 {y + 0.254}) {BOX})" for y in (0.508, -0.762))
BODY = f"(rectangle (start -1.016 -2.54) (end 1.016 2.54) {BOX})"
TRIANGLE = f"(polyline (pts (xy -5.08 5.08) (xy 5.08 0) (xy -5.08 -5.08) (xy -5.08 5.08)) {BOX})"
Pin = tuple[str, str, str, float, float, int]


def side(*pins: tuple[str, str]) -> list[Pin]:
    """Pins one below the other at the left of a box: (name, type)."""
    return [(str(i + 1), name, kind, -7.62, -2.54 * i, 0) for i, (name, kind) in enumerate(pins)]


def frame(pins: int) -> str:
    """A box for `side`."""
    return f"(rectangle (start -5.08 2.54) (end 7.62 {-2.54 * pins:g}) {BOX})"


SYMBOLS: dict[str, tuple[str, dict[int, tuple[str, list[Pin]]]]] = {
    "R": ("R", {1: (BODY, TWO)}),
    "F": ("F", {1: (BODY, TWO)}),
    "D": ("D", {1: (BODY, TWO)}),
    "C": ("C", {1: (PLATES, [(n, m, k, x, y, a) for n, m, k, x, y, a in TWO])}),
    "DUAL_AMPLIFIER": (
        "U",
        {
            1: (
                TRIANGLE,
                [
                    ("2", "-", "input", -7.62, 2.54, 0),
                    ("3", "+", "input", -7.62, -2.54, 0),
                    ("1", "~", "output", 7.62, 0, 180),
                ],
            ),
            2: (
                TRIANGLE,
                [
                    ("6", "-", "input", -7.62, 2.54, 0),
                    ("5", "+", "input", -7.62, -2.54, 0),
                    ("7", "~", "output", 7.62, 0, 180),
                ],
            ),
            3: (BODY, [("8", "V+", "power_in", 0, 3.81, 270), ("4", "V-", "power_in", 0, -3.81, 90)]),
        },
    ),
    "TERMINAL_2": ("J", {1: (frame(2), side(("1", "passive"), ("2", "passive")))}),
    "BEAGLEBONE_P9": (
        "J",
        {1: (frame(5), side(*((n, "passive") for n in ("32 VDD_ADC", "34 GNDA", "39 AIN0", "40 AIN1", "37 AIN2"))))},
    ),
    "REFERENCE": ("U", {1: (frame(3), side(("IN", "passive"), ("OUT", "passive"), ("GND", "passive")))}),
    "CLAMP": ("D", {1: (frame(3), side(("A", "passive"), ("K", "passive"), ("AK", "passive")))}),
    "PWR_FLAG": (
        "#FLG",
        {1: (f"(rectangle (start -0.5 1.27) (end 0.5 2.54) {BOX})", [("1", "~", "power_out", 0, 0, 90)])},
    ),
}

Place = tuple[str, str, float, float, int, int]  # reference, symbol, x, y, angle, unit
PLACES: list[Place] = [
    ("J1", "TERMINAL_2", 9, 20, 180, 1),
    ("F1", "F", 15.5, 20, 90, 1),
    ("D1", "D", 18, 21.5, 0, 1),
    ("R1", "R", 21, 20, 90, 1),
    ("C1", "C", 24, 21.5, 0, 1),
    ("R2", "R", 30, 12, 90, 1),
    ("R3", "R", 28, 20, 90, 1),
    ("C2", "C", 36, 16, 90, 1),
    ("U1", "DUAL_AMPLIFIER", 37, 21, 0, 1),
    ("R4", "R", 44, 21, 90, 1),
    ("C4", "C", 48, 22.5, 0, 1),
    ("R5", "R", 20, 32, 0, 1),
    ("R6", "R", 20, 35, 0, 1),
    ("C5", "C", 24, 35, 0, 1),
    ("C6", "C", 28, 35, 0, 1),
    ("U1", "DUAL_AMPLIFIER", 37, 34, 0, 2),
    ("U1", "DUAL_AMPLIFIER", 46, 34, 0, 3),
    ("C7", "C", 49, 34, 0, 1),
    ("J2", "TERMINAL_2", 9, 46, 180, 1),
    ("R11", "R", 20, 46, 90, 1),
    ("R12", "R", 24, 47.5, 0, 1),
    ("C11", "C", 28, 47.5, 0, 1),
    ("D2", "CLAMP", 37, 46, 0, 1),
    ("U2", "REFERENCE", 49, 46, 0, 1),
    ("J3", "BEAGLEBONE_P9", 61, 20, 0, 1),
    ("#FLG1", "PWR_FLAG", 55, 32, 0, 1),
    ("#FLG2", "PWR_FLAG", 58, 32, 0, 1),
]
WIRES: list[list[tuple[float, float]]] = [
    [(12, 20), (14, 20)],
    [(17, 20), (18, 20), (19.5, 20)],
    [(22.5, 20), (24, 20), (26.5, 20)],
    [(24, 20), (24, 12), (28.5, 12)],
    [(31.5, 12), (41, 12), (41, 16), (41, 21)],
    [(29.5, 20), (32, 20), (34, 20)],
    [(32, 20), (32, 16), (34.5, 16)],
    [(37.5, 16), (41, 16)],
    [(40, 21), (41, 21), (42.5, 21)],
    [(45.5, 21), (48, 21), (50, 21)],
    [(20, 33.5), (24, 33.5), (28, 33.5), (30, 33.5)],
    [(34, 33), (34, 31), (41, 31), (41, 34), (40, 34)],
    [(12, 46), (18.5, 46)],
    [(21.5, 46), (24, 46), (28, 46), (31, 46)],
]
JUNCTIONS = [
    (18, 20), (24, 20), (32, 20), (41, 16), (41, 21), (48, 21), (20, 33.5), (24, 33.5), (28, 33.5), (24, 46), (28, 46),
]  # fmt: skip
LABELS = [
    ("SEC", 18, 20), ("AIN0", 50, 21), ("VP", 34, 22), ("VP", 30, 33.5), ("VP", 34, 35), ("PPS", 14, 46),
    ("AIN1", 31, 46), ("AGND", 12, 19), ("AGND", 18, 23), ("AGND", 24, 23), ("AGND", 48, 24), ("AGND", 20, 36.5),
    ("AGND", 24, 36.5), ("AGND", 28, 36.5), ("AGND", 46, 35.5), ("AGND", 49, 35.5), ("AGND", 12, 45), ("AGND", 24, 49),
    ("AGND", 28, 49), ("VDD", 20, 30.5), ("VDD", 46, 32.5), ("VDD", 49, 32.5), ("AGND", 34, 46), ("VDD", 34, 47),
    ("AIN1", 34, 48), ("VDD", 46, 46), ("AIN2", 46, 47), ("AGND", 46, 48), ("VDD", 58, 20), ("AGND", 58, 21),
    ("AIN0", 58, 22), ("AIN1", 58, 23), ("AIN2", 58, 24), ("VDD", 55, 32), ("AGND", 58, 32),
]  # fmt: skip
OTHER_VALUES = {
    "J1": "SECONDARY", "J2": "GPS PPS", "J3": "BEAGLEBONE P9", "F1": "250 mA", "D1": "SMBJ22CA", "D2": "BAT54S",
    "U1": "MCP6002", "U2": "REF3312", "C7": "100n", "#FLG1": "PWR_FLAG", "#FLG2": "PWR_FLAG",
}  # fmt: skip


def identity(*what: object) -> str:
    """A UUID that stays the same from run to run."""
    return str(uuid5(NAMESPACE_URL, "rpmu/" + "/".join(map(str, what))))


def symbol_text(name: str, prefix: str = "") -> str:
    """A symbol's definition."""
    letter, units = SYMBOLS[name]
    hide = " (hide yes)" if len(units) == 1 and not units[1][0].startswith("(rectangle (start -5.08") else ""
    power = "(power) " if name == "PWR_FLAG" else ""
    out = [f'(symbol "{prefix}{name}" {power}(pin_numbers{hide}) (pin_names (offset 0.5){hide})']
    out.append("(exclude_from_sim no) (in_bom yes) (on_board yes)")
    out += [f'(property "{k}" "{v}" (at 0 0 0) {FONT})' for k, v in (("Reference", letter), ("Value", name))]
    for unit, (shape, pins) in units.items():
        out.append(f'(symbol "{name}_{unit}_1" {shape}')
        out += [
            f"(pin {kind} line (at {x} {y} {direction}) (length 2.54)"
            f' (name "{label}" {FONT}) (number "{number}" {FONT}))'
            for number, label, kind, x, y, direction in pins
        ]
        out.append(")")
    return "\n".join([*out, ")"])


def mm(value: float) -> str:
    """Grid to millimetres."""
    return f"{value * GRID_MM:g}"


def text_places(place: Place) -> tuple[float, float, float]:
    """Where reference and value stand: to the right of the centre, and below it (both in grid units)."""
    _, name, _, _, angle, unit = place
    if name == "DUAL_AMPLIFIER":
        return (1, -0.4, 0.4) if unit == 3 else (0, -2.9, -2.2)
    if name in ("R", "C", "D", "F"):
        return (1, -0.4, 0.4) if angle == 0 else (0, -2.0 if name == "C" else -1.6, -1.3 if name == "C" else -0.9)
    return (0, -3.4, -2.7) if angle == 180 else (0, -2.4, -1.7)


def label_text(name: str, x: float, y: float) -> str:
    """A label; at the left pins of boxes and amplifiers it extends to the left."""
    left = x == 34 or (x == 46 and y >= 46) or (x == 58 and y < 30)
    angle, look = (180, FONT.replace("(font", "(justify right bottom) (font")) if left else (0, FONT)
    return f'(label "{name}" (at {mm(x)} {mm(y)} {angle}) {look} (uuid "{identity("l", name, x, y)}"))'


def instance_text(place: Place, value: str) -> str:
    """A symbol on the sheet."""
    reference, name, x, y, angle, unit = place
    right, first, second = text_places(place)
    where = [(x + right, y + first), (x + right, y + second)]
    head = f'(symbol (lib_id "rpmu:{name}") (at {mm(x)} {mm(y)} {angle}) (unit {unit}) (exclude_from_sim no)'
    out = [head, f'(in_bom yes) (on_board yes) (dnp no) (uuid "{identity(reference, unit)}")']
    style = [HIDDEN if name == "PWR_FLAG" else FONT, HIDDEN if name == "PWR_FLAG" or unit > 1 else FONT]
    if right:
        style = [text.replace("(font", "(justify left) (font") for text in style]
    for (key, text), (px, py), look in zip((("Reference", reference), ("Value", value)), where, style, strict=True):
        turn = 90 if angle == 90 else 0
        out.append(f'(property "{key}" "{text}" (at {mm(px)} {mm(py)} {turn}) {look})')
    out += [f'(pin "{p[0]}" (uuid "{identity(reference, unit, p[0])}"))' for p in SYMBOLS[name][1][unit][1]]
    path = f'(path "/{identity("sheet")}" (reference "{reference}") (unit {unit}))'
    return "\n".join([*out, f'(instances (project "{NAME}" {path})))'])


def wire_texts(line: list[tuple[float, float]]) -> Iterable[str]:
    """The straight pieces of a wire."""
    for a, b in pairwise(line):
        ends = f"(xy {mm(a[0])} {mm(a[1])}) (xy {mm(b[0])} {mm(b[1])})"
        yield f'(wire (pts {ends}) (stroke (width 0) (type default)) (uuid "{identity("wire", a, b)}"))'


def schematic() -> str:
    """The sheet."""
    parts = designs()["reference-a-120v"].parts | content()["pps"]["parts"] | OTHER_VALUES
    out = [f'(kicad_sch (version 20250114) (generator "rpmu") (generator_version "9.0") (uuid "{identity("sheet")}")']
    out.append('(paper "A4") (title_block (title "rpmu front end, design A, 120 V (230 V: R1 196k)") (company "rpmu"))')
    out += ["(lib_symbols", *(symbol_text(name, "rpmu:") for name in SYMBOLS), ")"]
    out += [
        f'(junction (at {mm(x)} {mm(y)}) (diameter 0) (color 0 0 0 0) (uuid "{identity("j", x, y)}"))'
        for x, y in JUNCTIONS
    ]
    out += [text for line in WIRES for text in wire_texts(line)]
    out += [label_text(*label) for label in LABELS]
    out += [instance_text(place, parts[place[0]]) for place in PLACES]
    return "\n".join([*out, '(sheet_instances (path "/" (page "1")))', "(embedded_fonts no))", ""])


def library() -> str:
    """The symbols as a library of the project."""
    symbols = (symbol_text(name) for name in SYMBOLS)
    return "\n".join(['(kicad_symbol_lib (version 20241209) (generator "rpmu")', *symbols, ")", ""])


def files() -> dict[str, str]:
    """Every file of the project by its name."""
    row = '(lib (name "rpmu")(type "KiCad")(uri "${KIPRJMOD}/rpmu.kicad_sym")(options "")(descr ""))'
    table = f"(sym_lib_table (version 7) {row})\n"
    project = '{"meta": {"filename": "%s.kicad_pro", "version": 3}}\n' % NAME  # noqa: UP031 - braces belong to JSON
    return {
        f"{NAME}.kicad_sch": schematic(),
        "rpmu.kicad_sym": library(),
        "sym-lib-table": table,
        f"{NAME}.kicad_pro": project,
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
