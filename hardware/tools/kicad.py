"""KiCad 9 schematic files as text: the project's few symbols, and a sheet from places, wires and labels.

A sheet is data (`Sheet`), this module only writes it down; `hardware.tools.schematic` holds the sheets. Unit of every
place is 2.54 mm, y downwards. UUIDs are derived from what they name: a file changes only where the drawing does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from uuid import NAMESPACE_URL, uuid5

GRID_MM = 2.54
FONT = "(effects (font (size 1.27 1.27)))"
HIDDEN = "(effects (font (size 1.27 1.27)) (hide yes))"
BOX = "(stroke (width 0.254) (type default)) (fill (type background))"
TABLE_ROW = '(lib (name "rpmu")(type "KiCad")(uri "${KIPRJMOD}/rpmu.kicad_sym")(options "")(descr ""))'
PROJECT = '{"meta": {"filename": "NAME.kicad_pro", "version": 3}}\n'

# symbol: (letter, drawing, pins by unit); a pin is (number, name, type, x mm, y mm upwards, direction)
Pin = tuple[str, str, str, float, float, int]
TWO: list[Pin] = [("1", "~", "passive", 0, 3.81, 270), ("2", "~", "passive", 0, -3.81, 90)]
PLATES = " ".join(f"(rectangle (start -2.032 {y}) (end 2.032 {y + 0.254}) {BOX})" for y in (0.508, -0.762))
BODY = f"(rectangle (start -1.016 -2.54) (end 1.016 2.54) {BOX})"
SUPPLY = f"(rectangle (start -2.54 -3.81) (end 2.54 3.81) {BOX})"
LINE = "(stroke (width 0.254) (type default)) (fill (type none))"
FUSE = f"{BODY} (polyline (pts (xy 0 2.54) (xy 0 -2.54)) {LINE})"
VARISTOR = f"{BODY} (polyline (pts (xy -1.778 -2.032) (xy -1.778 -1.27) (xy 1.778 2.032)) {LINE})"
TVS = (  # two diodes tip to tip, their bars in the middle
    f"(polyline (pts (xy -1.27 2.54) (xy 1.27 2.54) (xy 0 0) (xy -1.27 2.54)) {BOX})"
    f" (polyline (pts (xy -1.27 -2.54) (xy 1.27 -2.54) (xy 0 0) (xy -1.27 -2.54)) {BOX})"
    f" (polyline (pts (xy -1.778 -0.508) (xy -1.27 0) (xy 1.27 0) (xy 1.778 0.508)) {LINE})"
)
OPEN = (  # two contacts and the bridge that is not there
    f"(circle (center 0 1.524) (radius 0.508) {LINE}) (circle (center 0 -1.524) (radius 0.508) {LINE})"
    f" (polyline (pts (xy -1.016 -1.524) (xy -1.016 1.524)) {LINE})"
)
CHOICE = (  # three contacts, the bridge from 1 to 2
    f"(circle (center -2.032 2.54) (radius 0.508) {LINE}) (circle (center -2.032 -2.54) (radius 0.508) {LINE})"
    f" (circle (center 2.032 0) (radius 0.508) {LINE}) (polyline (pts (xy -1.524 2.286) (xy 1.524 0.254)) {LINE})"
)
PIN_LENGTH = {"R": 1.27, "F": 1.27, "VARISTOR": 1.27, "D": 1.27, "C": 3.048, "JUMPER_2": 1.778}  # else 2.54
P9 = ("32 VDD_ADC", "34 GNDA_ADC", "39 AIN0", "40 AIN1", "37 AIN2", "14 EHRPWM1A")
TRIANGLE = f"(polyline (pts (xy -5.08 5.08) (xy 5.08 0) (xy -5.08 -5.08) (xy -5.08 5.08)) {BOX})"


def side(*pins: tuple[str, str]) -> list[Pin]:
    """Pins one below the other at the left of a box: (name, type)."""
    return [(str(i + 1), name, kind, -7.62, -2.54 * i, 0) for i, (name, kind) in enumerate(pins)]


def frame(pins: int, right_mm: float = 7.62) -> str:
    """A box for `side`."""
    return f"(rectangle (start -5.08 2.54) (end {right_mm:g} {-2.54 * pins:g}) {BOX})"


def amplifier(minus: str, plus: str, output: str) -> tuple[str, list[Pin]]:
    """One half of a dual amplifier, by its pin numbers."""
    pins: list[Pin] = [
        (minus, "-", "input", -7.62, 2.54, 0),
        (plus, "+", "input", -7.62, -2.54, 0),
        (output, "~", "output", 7.62, 0, 180),
    ]
    return TRIANGLE, pins


SYMBOLS: dict[str, tuple[str, dict[int, tuple[str, list[Pin]]]]] = {
    "R": ("R", {1: (BODY, TWO)}),
    "F": ("F", {1: (FUSE, TWO)}),
    "D": ("D", {1: (TVS, TWO)}),
    "VARISTOR": ("RV", {1: (VARISTOR, TWO)}),
    "JUMPER_2": ("JP", {1: (OPEN, TWO)}),
    "JUMPER_3": (
        "JP",
        {
            1: (
                CHOICE,
                [
                    ("1", "~", "passive", -5.08, 2.54, 0),
                    ("2", "~", "passive", 5.08, 0, 180),
                    ("3", "~", "passive", -5.08, -2.54, 0),
                ],
            )
        },
    ),
    "C": ("C", {1: (PLATES, TWO)}),
    "DUAL_AMPLIFIER": (
        "U",
        {
            1: amplifier("2", "3", "1"),
            2: amplifier("6", "5", "7"),
            3: (SUPPLY, [("8", "V+", "power_in", 0, 6.35, 270), ("4", "V-", "power_in", 0, -6.35, 90)]),
        },
    ),
    "TRANSFORMER": (
        "T",
        {
            1: (
                f"(rectangle (start -5.08 2.54) (end 5.08 -7.62) {BOX})",
                [
                    ("1", "P1", "passive", -7.62, 0, 0),
                    ("2", "P2", "passive", -7.62, -5.08, 0),
                    ("3", "S1", "passive", 7.62, 0, 180),
                    ("4", "S2", "passive", 7.62, -5.08, 180),
                ],
            )
        },
    ),
    "TERMINAL_2": ("J", {1: (frame(2), side(("1", "passive"), ("2", "passive")))}),
    "BEAGLEBONE_P9": (
        "J",
        {1: (frame(len(P9), 10.16), side(*((name, "passive") for name in P9)))},
    ),
    "REFERENCE": ("U", {1: (frame(3), side(("IN", "passive"), ("OUT", "passive"), ("GND", "passive")))}),
    "CLAMP": ("D", {1: (frame(3), side(("A", "passive"), ("K", "passive"), ("AK", "passive")))}),
    "PWR_FLAG": (
        "#FLG",
        {1: (f"(rectangle (start -0.5 1.27) (end 0.5 2.54) {BOX})", [("1", "~", "power_out", 0, 0, 90)])},
    ),
}

Place = tuple[str, str, float, float, int, int]  # reference, symbol, x, y, angle, unit
Point = tuple[float, float]


@dataclass(frozen=True)
class Sheet:
    """One drawing.

    Attributes:
        name: of the file and of the project, without ending.
        title: in the title block.
        places: the symbols.
        wires: lines through points.
        junctions: where wires that cross or end on each other are joined.
        labels: (net, x, y), text to the right of a point on a wire, or above or below a vertical pin.
        left_labels: the same, text to the left: for the pins at the left of boxes.
        values: reference to value.
        notes: (text, x, y), for the reader.
        barrier: a dashed line that no conductor crosses, or nothing.
    """

    name: str
    title: str
    places: list[Place]
    wires: list[list[Point]]
    junctions: list[Point]
    labels: list[tuple[str, float, float]]
    left_labels: list[tuple[str, float, float]]
    values: Mapping[str, str]
    notes: list[tuple[str, float, float]]
    barrier: list[Point]


def identity(*what: object) -> str:
    """A UUID that stays the same from run to run."""
    return str(uuid5(NAMESPACE_URL, "rpmu/" + "/".join(map(str, what))))


def symbol_text(name: str, prefix: str = "") -> str:
    """A symbol's definition."""
    letter, units = SYMBOLS[name]
    numbered = len(units) > 1 or len(units[1][1]) > 2 or units[1][0].startswith("(rectangle (start -5.08")
    hide = "" if numbered else " (hide yes)"
    power = "(power) " if name == "PWR_FLAG" else ""
    out = [f'(symbol "{prefix}{name}" {power}(pin_numbers{hide}) (pin_names (offset 0.5){hide})']
    out.append("(exclude_from_sim no) (in_bom yes) (on_board yes)")
    out += [f'(property "{k}" "{v}" (at 0 0 0) {FONT})' for k, v in (("Reference", letter), ("Value", name))]
    for unit, (shape, pins) in units.items():
        out.append(f'(symbol "{name}_{unit}_1" {shape}')
        out += [
            f"(pin {kind} line (at {x} {y} {direction}) (length {PIN_LENGTH.get(name, 2.54)})"
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
        return {1: (0, -2.9, -2.2), 2: (0, 2.4, 2.4), 3: (1.7, -0.4, 0.4)}[unit]
    if name == "TRANSFORMER":  # not across the barrier in its middle
        return (0.4, -2.4, -1.7)
    if name == "JUMPER_3":
        return (0, 2.0, 2.7)
    if name in ("R", "C", "D", "F", "VARISTOR", "JUMPER_2"):
        right = 0.7 if name == "R" else 1
        return (right, -0.4, 0.4) if angle == 0 else (0, -2.0 if name == "C" else -1.6, -1.3 if name == "C" else -0.9)
    return (0, -3.4, -2.7) if angle == 180 else (0, -2.4, -1.7)


def label_text(name: str, x: float, y: float, side: str) -> str:
    """A label and the side of its point on which its text stands: left, right, above or below."""
    angle = 180 if side == "left" else 0
    where = {"left": "right bottom", "right": "left bottom", "above": "bottom", "below": "top"}[side]
    look = FONT.replace("(font", f"(justify {where}) (font")
    return f'(label "{name}" (at {mm(x)} {mm(y)} {angle}) {look} (uuid "{identity("l", name, x, y)}"))'


def side_of(sheet: Sheet, name: str, x: float, y: float) -> str:
    """Right of a point on a wire; at the end of a vertical pin in its direction, supply up and everything else down."""
    on_wire = any(
        min(a[0], b[0]) <= x <= max(a[0], b[0]) and min(a[1], b[1]) <= y <= max(a[1], b[1])
        for line in sheet.wires
        for a, b in pairwise(line)
    )
    return "right" if on_wire else "above" if name == "VDD" else "below"


def note_text(text: str, x: float, y: float) -> str:
    """Words for the reader."""
    look = FONT.replace("(font", "(justify left) (font")
    return f'(text "{text}" (exclude_from_sim no) (at {mm(x)} {mm(y)} 0) {look} (uuid "{identity("t", text)}"))'


def instance_text(sheet: Sheet, place: Place) -> str:
    """A symbol on the sheet."""
    reference, name, x, y, angle, unit = place
    right, first, second = text_places(place)
    where = [(x + right, y + first), (x + right, y + second)]
    head = f'(symbol (lib_id "rpmu:{name}") (at {mm(x)} {mm(y)} {angle}) (unit {unit}) (exclude_from_sim no)'
    out = [head, f'(in_bom yes) (on_board yes) (dnp no) (uuid "{identity(reference, unit)}")']
    style = [HIDDEN if name == "PWR_FLAG" else FONT, HIDDEN if name == "PWR_FLAG" or unit > 1 else FONT]
    if right:
        style = [text.replace("(font", "(justify left) (font") for text in style]
    texts = (("Reference", reference), ("Value", sheet.values[reference]))
    for (key, text), (px, py), look in zip(texts, where, style, strict=True):
        turn = 90 if angle in (90, 270) else 0
        out.append(f'(property "{key}" "{text}" (at {mm(px)} {mm(py)} {turn}) {look})')
    out += [f'(pin "{p[0]}" (uuid "{identity(reference, unit, p[0])}"))' for p in SYMBOLS[name][1][unit][1]]
    path = f'(path "/{identity("sheet")}" (reference "{reference}") (unit {unit}))'
    return "\n".join([*out, f'(instances (project "{sheet.name}" {path})))'])


def wire_texts(line: list[Point]) -> Iterable[str]:
    """The straight pieces of a wire."""
    for a, b in pairwise(line):
        ends = f"(xy {mm(a[0])} {mm(a[1])}) (xy {mm(b[0])} {mm(b[1])})"
        yield f'(wire (pts {ends}) (stroke (width 0) (type default)) (uuid "{identity("wire", a, b)}"))'


def barrier_text(line: list[Point]) -> str:
    """The dashed line."""
    points = " ".join(f"(xy {mm(x)} {mm(y)})" for x, y in line)
    return f'(polyline (pts {points}) (stroke (width 0.4) (type dash)) (fill (type none)) (uuid "{identity("b")}"))'


def schematic(sheet: Sheet) -> str:
    """The sheet as KiCad's schematic file."""
    out = [f'(kicad_sch (version 20250114) (generator "rpmu") (generator_version "9.0") (uuid "{identity("sheet")}")']
    out.append(f'(paper "A4") (title_block (title "{sheet.title}") (company "rpmu"))')
    out += ["(lib_symbols", *(symbol_text(name, "rpmu:") for name in SYMBOLS), ")"]
    out += [
        f'(junction (at {mm(x)} {mm(y)}) (diameter 0) (color 0 0 0 0) (uuid "{identity("j", x, y)}"))'
        for x, y in sheet.junctions
    ]
    out += [text for line in sheet.wires for text in wire_texts(line)]
    out += [barrier_text(sheet.barrier)] if sheet.barrier else []
    out += [note_text(*note) for note in sheet.notes]
    out += [label_text(*label, side_of(sheet, *label)) for label in sheet.labels]
    out += [label_text(*label, "left") for label in sheet.left_labels]
    out += [instance_text(sheet, place) for place in sheet.places]
    return "\n".join([*out, '(sheet_instances (path "/" (page "1")))', "(embedded_fonts no))", ""])


def library() -> str:
    """The symbols as a library of the projects."""
    symbols = (symbol_text(name) for name in SYMBOLS)
    return "\n".join(['(kicad_symbol_lib (version 20241209) (generator "rpmu")', *symbols, ")", ""])


def project_files(sheets: Iterable[Sheet]) -> dict[str, str]:
    """Every source file of the projects, one per sheet, by its name."""
    files = {"rpmu.kicad_sym": library(), "sym-lib-table": f"(sym_lib_table (version 7) {TABLE_ROW})\n"}
    for sheet in sheets:
        files[f"{sheet.name}.kicad_sch"] = schematic(sheet)
        files[f"{sheet.name}.kicad_pro"] = PROJECT.replace("NAME", sheet.name)
    return files
