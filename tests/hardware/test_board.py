"""The stripboard of design A against the schematic's netlist, and against what fits into holes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from math import hypot

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
    assert set(layout.points) == {f"TP{i}" for i in range(1, 8)}
    for name, (pin, hole) in layout.points.items():
        assert copper[name] == copper[pin], name
        assert hole not in layout.used()


def test_parts_fit():
    """DIP-8 is four rows by three columns; two wires are 2 to 8 holes apart; adapters and terminals are straight."""
    parts = board.load().parts
    u1 = parts["U1"]
    row, column = u1["1"]
    assert [u1[str(i)] for i in range(1, 5)] == [(row + i, column) for i in range(4)]
    assert [u1[str(i)] for i in range(8, 4, -1)] == [(row + i, column + 3) for i in range(4)]
    for ref, pins in parts.items():
        if len(pins) == 2:
            (r1, c1), (r2, c2) = pins.values()
            assert 2 <= hypot(r1 - r2, c1 - c2) <= 8, ref
    for ref in ("D2", "U2"):
        (r1, c1), (r2, c2), (r3, c3) = parts[ref].values()
        assert c1 == c2 == c3
        assert r2 - r1 == r3 - r2 in (1, -1), ref


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
    file.write_text(board.FILE.read_text().replace('"A20"', '"A31"'))
    monkeypatch.setattr(board, "FILE", file)
    with pytest.raises(ValueError, match="hole A31 is not on the board, which is A1 to P30"):
        board.load()
