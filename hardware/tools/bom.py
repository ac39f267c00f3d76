"""The bill of materials, hardware/bom.csv: read, and summed per design.

Prices are estimates for one unit in USD, made at a desk: nobody has placed the order. References and values are
compared with hardware/parts.toml by the tests.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

from hardware.tools.parts import HARDWARE, designs

SPREAD = 1.15  # shipping and spread of prices


@dataclass(frozen=True)
class Line:
    """One line of the list."""

    designs: tuple[str, ...]
    references: tuple[str, ...]
    quantity: int
    value: str
    description: str
    example: str
    alternatives: str
    unit_price_usd: float


def lines(design: str) -> list[Line]:
    """The lines of design "A" or "B", or of the option "CT"."""
    with (HARDWARE / "bom.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            Line(
                designs=tuple(r["designs"].split()),
                references=tuple(r["references"].replace("-", "").split()),
                quantity=int(r["quantity"]),
                value=r["value"],
                description=r["description"],
                example=r["example"],
                alternatives=r["alternatives"],
                unit_price_usd=float(r["unit_price_usd"]),
            )
            for r in csv.DictReader(file)
        ]
    return [row for row in rows if design in row.designs]


def channel_usd() -> float:
    """A further board A with its adapter: its front end, terminal and jumper, without what only the first board has."""
    parts = designs()["reference-a-120v"].parts.keys() | {"T1", "F1", "D1", "C7", "U1", "J1", "JP1"}
    counts = [(len(parts & set(line.references)), line) for line in lines("A")]
    board = sum(line.unit_price_usd for line in lines("A") if line.description.startswith("stripboard"))
    return board + sum(count * line.unit_price_usd for count, line in counts)


def current_usd() -> float:
    """The same with a current transformer in the place of adapter, fuse and TVS."""
    left_out = sum(line.unit_price_usd for line in lines("A") if set(line.references) & {"T1", "F1", "D1"})
    return channel_usd() - left_out + total_usd("CT")


def total_usd(design: str) -> float:
    """Sum of the parts of one unit, without shipping."""
    return sum(line.quantity * line.unit_price_usd for line in lines(design))
