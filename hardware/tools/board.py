"""The stripboard of design A: which pins its copper, cuts and links join, and the drawings of every building step.

hardware/board-a.toml says where the cuts, links and parts are; nothing here knows the schematic. `joined` follows the
copper, and a test compares what it finds with KiCad's netlist: a link in the wrong hole fails the build, not the unit.

The drawings look at the side of the parts; the copper strips of the far side shine through. What a step adds is drawn
black, what is there already grey.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from html import escape
from math import atan2, degrees, hypot
from typing import Any

from hardware.tools.kicad import P9
from hardware.tools.parts import HARDWARE, designs
from hardware.tools.schematic import sheet

FILE = HARDWARE / "board-a.toml"
DESIGN = "reference-a-120v"
PITCH, LEFT, TOP, FOOT = 26, 46, 74, 34
NEW, OLD = "black", "#b0b0b0"
Hole = tuple[int, int]  # row, column, from 0


@dataclass(frozen=True)
class Step:
    """One step of the building guide."""

    title: str
    parts: list[str]
    points: list[str]
    shows: list[str]


@dataclass(frozen=True)
class Board:
    """A stripboard with its parts.

    Attributes:
        rows: letters of the strips, from the top.
        columns: holes along a strip.
        cuts: holes at which a strip is cut.
        links: pairs of holes joined by a wire.
        parts: reference to pin to hole.
        points: test point to (pin of the schematic on the same net, hole).
        steps: of the building guide.
    """

    rows: str
    columns: int
    cuts: list[Hole]
    links: list[tuple[Hole, Hole]]
    parts: dict[str, dict[str, Hole]]
    points: dict[str, tuple[str, Hole]]
    steps: list[Step]

    def used(self) -> list[Hole]:
        """Every hole that takes a wire or a drill, one entry for each use."""
        ends = [hole for link in self.links for hole in link]
        return [*self.cuts, *ends, *(hole for pins in self.parts.values() for hole in pins.values())]


def load() -> Board:
    """The board of hardware/board-a.toml.

    Raises:
        ValueError: a hole that is not on the board.
    """
    data: dict[str, Any] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    rows, columns = str(data["rows"]), int(data["columns"])

    def hole(text: str) -> Hole:
        row, column = rows.find(text[0]), int(text[1:]) - 1
        if row < 0 or not 0 <= column < columns:
            raise ValueError(
                f"{FILE.name}: hole {text} is not on the board, which is {rows[0]}1 to {rows[-1]}{columns}"
            )
        return row, column

    return Board(
        rows=rows,
        columns=columns,
        cuts=[hole(h) for h in data["cuts"]],
        links=[(hole(a), hole(b)) for a, b in data["links"]],
        parts={ref: {pin: hole(h) for pin, h in pins.items()} for ref, pins in data["part"].items()},
        points={name: (pin, hole(h)) for name, (pin, h) in data["point"].items()},
        steps=[Step(s["title"], s.get("parts", []), s.get("points", []), s.get("shows", [])) for s in data["step"]],
    )


def joined(board: Board) -> dict[str, int]:
    """Which copper every pin ("R1.2") and test point ("TP1") stands on: equal numbers are joined."""
    segment: dict[Hole, int] = {}
    number = 0
    for row in range(len(board.rows)):
        number += 1
        for column in range(board.columns):
            if (row, column) in board.cuts:
                number += 1
            else:
                segment[row, column] = number
    for a, b in board.links:
        keep, drop = segment[a], segment[b]
        segment = {hole: keep if n == drop else n for hole, n in segment.items()}
    pins = {f"{ref}.{pin}": hole for ref, holes in board.parts.items() for pin, hole in holes.items()}
    return {name: segment[hole] for name, hole in (pins | {n: h for n, (_, h) in board.points.items()}).items()}


def place(hole: Hole) -> tuple[float, float]:
    """Centre of a hole in the drawing."""
    return LEFT + hole[1] * PITCH, TOP + hole[0] * PITCH


def words(x: float, y: float, content: str, colour: str = NEW, size: int = 11, anchor: str = "middle") -> str:
    """A line of text."""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(content)}</text>'
    )


def copper(board: Board) -> list[str]:
    """Strips and holes, with the letters and numbers of rows and columns."""
    out = []
    for row, letter in enumerate(board.rows):
        x, y = place((row, 0))
        width = (board.columns - 1) * PITCH + 16
        out.append(f'<rect x="{x - 8:g}" y="{y - 8:g}" width="{width}" height="16" fill="#f3dcc0"/>')
        out.append(words(x - 22, y + 4, letter, "#444"))
    for column in range(board.columns):
        if column % 5 == 4 or not column:
            out.append(words(place((0, column))[0], TOP - 16, str(column + 1), "#444"))
        out += [
            f'<circle cx="{place((row, column))[0]:g}" cy="{place((row, column))[1]:g}" r="2.4" fill="white"/>'
            for row in range(len(board.rows))
        ]
    return out


def cut(hole: Hole, colour: str) -> str:
    """A strip cut with a drill at this hole."""
    x, y = place(hole)
    return (
        f'<rect x="{x - 6:g}" y="{y - 9:g}" width="12" height="18" fill="white"/>'
        f'<path d="M{x - 5:g} {y - 5:g} l10 10 m0 -10 l-10 10" stroke="{colour}" stroke-width="2"/>'
    )


def link(ends: tuple[Hole, Hole], colour: str) -> str:
    """A wire on the side of the parts."""
    (x1, y1), (x2, y2) = (place(end) for end in ends)
    return (
        f'<path d="M{x1:g} {y1:g} L{x2:g} {y2:g}" stroke="{colour}" stroke-width="3" stroke-linecap="round"/>'
        + "".join(f'<circle cx="{x:g}" cy="{y:g}" r="4" fill="{colour}"/>' for x, y in ((x1, y1), (x2, y2)))
    )


def two_pins(ref: str, ends: list[Hole], value: str, colour: str) -> str:
    """A part with two wires: resistor, capacitor, diode, fuse."""
    (x1, y1), (x2, y2) = (place(end) for end in ends)
    length, turn = hypot(x2 - x1, y2 - y1), degrees(atan2(y2 - y1, x2 - x1))
    body = min(length - 14, 62)
    start = (length - body) / 2
    radius = {"C": 9, "F": 9}.get(ref[0], 3)
    band = f'<rect x="{start + 5:g}" y="-9" width="5" height="18" fill="{colour}"/>' if ref[0] == "D" else ""
    plus = f'<path d="M{start - 5:g} -12 h6 m-3 -3 v6" stroke="{colour}"/>' if ref == "C5" else ""
    side = 14 if abs(x2 - x1) < abs(y2 - y1) else 0
    lean = 0.0 if side else 10 * abs(y2 - y1) / abs(x2 - x1)  # words keep clear of a body that is not level
    x, y, anchor = (x1 + x2) / 2 + side, (y1 + y2) / 2, "start" if side else "middle"
    lines = words(x, y + (-1 if side else -13 - lean), ref, colour, 11, anchor)
    lines += words(x, y + (10 if side else 22 + lean), value, colour, 9, anchor)
    return (
        f'<g transform="translate({x1:g} {y1:g}) rotate({turn:.2f})" fill="white" stroke="{colour}" stroke-width="1.6">'
        f'<path d="M0 0 H{start:g} M{start + body:g} 0 H{length:g}"/>'
        f'<rect x="{start:g}" y="-9" width="{body:g}" height="18" rx="{radius}" fill-opacity="0.9"/>{band}{plus}</g>'
        + "".join(f'<circle cx="{x:g}" cy="{y:g}" r="3" fill="{colour}"/>' for x, y in ((x1, y1), (x2, y2)))
        + lines
    )


def package(ref: str, pins: dict[str, Hole], value: str, colour: str) -> str:
    """A part with a row or two of pins: amplifier, adapter, terminal."""
    spots = {pin: place(hole) for pin, hole in pins.items()}
    xs, ys = [x for x, _ in spots.values()], [y for _, y in spots.values()]
    x, y, width, height = min(xs) - 11, min(ys) - 11, max(xs) - min(xs) + 22, max(ys) - min(ys) + 22
    out = [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="white" fill-opacity="0.9"'
        f' stroke="{colour}" stroke-width="1.6"/>'
    ]
    if ref == "U1":
        out.append(f'<path d="M{x + width / 2 - 7:g} {y:g} a7 7 0 0 0 14 0" fill="none" stroke="{colour}"/>')
    for pin, (px, py) in spots.items():
        out.append(f'<circle cx="{px:g}" cy="{py:g}" r="3" fill="{colour}"/>')
        inward = 9 if ref == "U1" and px == min(xs) else -9 if ref == "U1" else 8
        out.append(words(px + inward, py - 4 if ref != "U1" else py + 3, pin, colour, 8))
    at = (x + width / 2, (min(ys) + max(ys)) / 2) if ref == "U1" else (x + width + 4, y + height / 2)
    anchor = "middle" if ref == "U1" else "start"
    return "".join([*out, words(*at, ref, colour, 11, anchor), words(at[0], at[1] + 11, value, colour, 9, anchor)])


def wires_off(pins: dict[str, Hole], colour: str) -> str:
    """A header whose pins leave the board as wires, each with its name."""
    names = dict(zip(pins, ("P9." + name for name in P9), strict=True))
    out = []
    for pin, hole in pins.items():
        x, y = place(hole)
        out.append(f'<path d="M{x:g} {y:g} h26" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<circle cx="{x:g}" cy="{y:g}" r="4" fill="{colour}"/>')
        out.append(words(x + 30, y + 4, names[pin], colour, 10, "start"))
    return "".join(out)


def part(ref: str, pins: dict[str, Hole], value: str, colour: str) -> str:
    """Any part, by its pins."""
    if ref == "J3":
        return wires_off(pins, colour)
    if len(pins) == 2 and ref[0] != "J":
        return two_pins(ref, list(pins.values()), value, colour)
    return package(ref, pins, value, colour)


def point(name: str, hole: Hole, colour: str) -> str:
    """A test point."""
    x, y = place(hole)
    return (
        f'<circle cx="{x:g}" cy="{y:g}" r="7" fill="none" stroke="{colour}" stroke-width="2"/>'
        f"{words(x, y - 10, name, colour)}"
    )


def values() -> dict[str, str]:
    """What to write beside a part."""
    return {**sheet(designs()[DESIGN]).values, "D1": "P6KE22CA", "J1": "adapter", "J2": "PPS"}


def step_svg(board: Board, number: int) -> str:
    """The drawing of a step, from 0."""
    step, text = board.steps[number], values()
    width, height = LEFT + board.columns * PITCH + 130, TOP + len(board.rows) * PITCH + FOOT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        words(16, 26, step.title, NEW, 16, "start"),
        words(
            16, 44, "Seen from the side of the parts; copper on the far side. Grey: done before.", "#444", 11, "start"
        ),
        *copper(board),
    ]
    bare = OLD if "cuts" not in step.shows else NEW
    out += [cut(hole, bare) for hole in board.cuts] + [link(ends, bare) for ends in board.links]
    for i, (earlier, colour) in enumerate((s, NEW if s is step else OLD) for s in board.steps[: number + 1]):
        out += [part(ref, board.parts[ref], text[ref], colour) for ref in earlier.parts]
        if i == number:
            out += [point(name, board.points[name][1], "#c00000") for name in earlier.points]
    return "\n".join([*out, "</svg>"]) + "\n"


def drawings() -> dict[str, str]:
    """Every drawing by its file's name in hardware/drawings/."""
    board = load()
    return {f"board-a-step-{i + 1}.svg": step_svg(board, i) for i in range(len(board.steps))}
