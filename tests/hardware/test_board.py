"""The stripboard of design A against the schematic's netlist, and against what fits into holes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations, pairwise
from math import hypot

import numpy as np
import pytest

from hardware.tools import board
from tests.hardware.test_schematic import netlist


def groups(pin_to_net):
    nets = defaultdict(set)
    for pin, net in pin_to_net.items():
        nets[net].add(pin)
    return {frozenset(pins) for pins in nets.values()}


def drawn():
    """Pin, as "R1.2", to net of the schematic."""
    return {f"{ref}.{pin}": net for (ref, pin), net in netlist(board.DESIGN)[1].items()}


def built(layout):
    return {name: copper for name, copper in board.joined(layout).items() if name not in layout.points}


def test_copper_cuts_and_links_join_what_the_schematic_joins():
    assert groups(built(board.load())) == groups(drawn())


@pytest.mark.parametrize("what", ["cuts", "links"])
def test_no_cut_and_no_link_could_be_left_out(what):
    layout = board.load()
    for one in getattr(layout, what):
        rest = [other for other in getattr(layout, what) if other != one]
        assert groups(built(replace(layout, **{what: rest}))) != groups(drawn()), one


def test_one_wire_in_a_hole():
    assert [hole for hole, uses in Counter(board.load().used()).items() if uses > 1] == []


def test_test_points_are_free_holes_on_their_nets():
    layout = board.load()
    copper = board.joined(layout)
    assert set(layout.points) == {f"TP{i}" for i in range(1, 9)}
    for name, (pin, hole) in layout.points.items():
        assert copper[name] == copper[pin], name
        assert hole not in layout.used()


def test_parts_fit():
    """DIP-8 is four rows by three columns; two wires are 2 to 8 holes apart; pin rows are straight, hole by hole."""
    parts = board.load().parts
    u1 = parts["U1"]
    row, column = u1["1"]
    assert [u1[str(i)] for i in range(1, 5)] == [(row + i, column) for i in range(4)]
    assert [u1[str(i)] for i in range(8, 4, -1)] == [(row + i, column + 3) for i in range(4)]
    for ref, pins in parts.items():
        if len(pins) == 2 and ref != "JP1":
            (r1, c1), (r2, c2) = pins.values()
            assert 2 <= hypot(r1 - r2, c1 - c2) <= 8, ref
    for ref in ("D2", "U2", "JP1", "JP2"):
        rows, columns = zip(*parts[ref].values(), strict=True)
        assert len(set(columns)) == 1, ref
        assert {abs(b - a) for a, b in pairwise(rows)} == {1}, ref
        assert len(set(rows)) == len(rows), ref


def test_no_part_on_another():
    """Bodies seen from above: half a hole of room round the line between two wires, and round every row of pins."""
    layout = board.load()
    for (one, first), (other, second) in combinations(layout.parts.items(), 2):
        apart = min(hypot(a[0] - b[0], a[1] - b[1]) for a in along(first) for b in along(second))
        assert apart > 0.9, (one, other)


def along(pins):
    """Points a tenth of a hole apart on the lines through a part's pins; of a package, over its whole area."""
    holes = list(pins.values())
    if len(holes) == 8:
        rows, columns = ([h[i] for h in holes] for i in (0, 1))
        return [
            (r, c) for r in np.arange(min(rows), max(rows) + 0.1, 0.5) for c in range(min(columns), max(columns) + 1)
        ]
    return [
        (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
        for a, b in pairwise(holes)
        if hypot(a[0] - b[0], a[1] - b[1]) <= 8
        for share in np.linspace(0, 1, 80)
    ]


def test_every_part_is_in_one_step_and_its_drawing():
    layout = board.load()
    placed = [ref for step in layout.steps for ref in step.parts]
    assert sorted(placed) == sorted(layout.parts)
    assert sorted(point for step in layout.steps for point in step.points) == sorted(layout.points)
    for number, step in enumerate(layout.steps):
        text = board.step_svg(layout, number)
        for ref in step.parts:
            assert f">{ref}<" in text or ref == "J3"


def test_a_hole_off_the_board_is_named(monkeypatch, tmp_path):
    file = tmp_path / "board-a.toml"
    file.write_text(board.FILE.read_text().replace('"A22"', '"A33"'))
    monkeypatch.setattr(board, "FILE", file)
    with pytest.raises(ValueError, match="hole A33 is not on the board, which is A1 to P32"):
        board.load()
