"""The wiring drawing: BeagleBone Black on the left, what its pins go to on the right, one line per wire.

Made from hardware/wiring.toml, so that drawing, wiring table and device tree cannot differ. Plain SVG, black on white,
for paper.
"""

from __future__ import annotations

import tomllib
from html import escape
from typing import Any

from hardware.tools.parts import HARDWARE

ROW, TOP, LEFT, RIGHT, WIDTH = 30, 90, 250, 470, 760


def wires() -> list[dict[str, Any]]:
    """The wires, in the order of the file."""
    return list(tomllib.loads((HARDWARE / "wiring.toml").read_text(encoding="utf-8"))["wire"])


def text(x: float, y: float, content: str, anchor: str = "start", style: str = "") -> str:
    """One line of text."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{escape(content)}</text>'


def box(x: float, y: float, width: float, height: float) -> str:
    """One grey box."""
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#f4f4f4" stroke="black"/>'


def blocks(rows: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Neighbouring wires to the same thing: (its name, first row, last row)."""
    found: list[tuple[str, int, int]] = []
    for i, wire in enumerate(rows):
        name = wire["to"].partition(":")[0]
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], i)
        else:
            found.append((name, i, i))
    return found


def wiring_svg() -> str:
    """The drawing as SVG text."""
    rows = wires()
    height = TOP + ROW * len(rows) + 70
    bold, small = ' font-weight="bold"', ' font-size="11" fill="#444"'
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        f' font-family="sans-serif" font-size="13"><rect width="{WIDTH}" height="{height}" fill="white"/>',
        text(20, 28, "Wiring: BeagleBone Black, front end and GPS receiver", style=bold),
        box(20, TOP - 25, LEFT - 20, ROW * len(rows) + 20),
        text(30, TOP - 32, "BeagleBone Black"),
    ]
    for name, first, last in blocks(rows):
        y, h = TOP + ROW * first - 18, ROW * (last - first + 1) - 6
        out.append(box(RIGHT, y, WIDTH - RIGHT - 20, h))
        if not any(w["to"] == name for w in rows[first : last + 1]):
            out.append(text(WIDTH - 30, y + 17, name, "end", bold))
    for i, wire in enumerate(rows):
        y = TOP + ROW * i
        dash = ' stroke-dasharray="5 4"' if wire["note"].startswith("option") or wire["to"].startswith("option") else ""
        label = wire["to"].partition(": ")[2] or wire["to"]
        out += [
            text(LEFT - 10, y, wire["pin"], "end", bold),
            text(30, y, wire["name"]),
            f'<line x1="{LEFT}" y1="{y - 4}" x2="{RIGHT}" y2="{y - 4}" stroke="black"{dash}/>',
            text(RIGHT + 10, y, label),
        ]
    foot = TOP + ROW * len(rows) + 20
    out += [
        text(
            20,
            foot,
            "Dashed: optional. The adapter's secondary goes to the front end's SEC and AGND only.",
            style=small,
        ),
        text(
            20,
            foot + 18,
            "No conductor of the mains, neutral included, goes to any pin, to AGND or to DGND.",
            style=small,
        ),
        "</svg>",
    ]
    return "\n".join(out) + "\n"
