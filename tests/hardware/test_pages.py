"""Bill of materials, wiring drawing and the tables of docs/hardware.md against what they are made from."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from hardware.tools import bom, drawing, pages
from hardware.tools.parts import designs, number
from rpmu.config import parse

ALSO = {
    "C7",
    "C11",
    "D1",
    "D2",
    "F1",
    "J1",
    "J2",
    "J3",
    "JP1",
    "JP2",
    "R11",
    "R12",
    "RV1",
    "T1",
    "U1",
    "U2",
}  # not in the front end
DESIGN_OF = {"A": "reference-a-120v", "B": "reference-b-120v"}


@pytest.mark.parametrize("letter", "AB")
def test_the_list_has_the_parts_and_values_of_the_circuit(letter):
    listed = {r: line.value for line in bom.lines(letter) for r in line.references}
    parts = designs()[DESIGN_OF[letter]].parts
    assert {r: number(listed[r]) for r in parts} == {r: number(v) for r, v in parts.items()}
    assert set(listed) - set(parts) <= ALSO
    assert {"U1", "U2", "R11", "R12", "C11"} <= set(listed)


@pytest.mark.parametrize("letter", "AB")
def test_quantities_and_prices(letter):
    for line in bom.lines(letter):
        assert line.unit_price_usd > 0
        assert not line.references or len(line.references) == line.quantity
    assert 100 < bom.total_usd(letter) * bom.SPREAD < 1000 / 4
    assert f"| {letter} | {bom.total_usd(letter):.0f} USD |" in pages.PAGE.read_text()


def test_a_has_no_mains_parts():
    assert not {"RV1"} & {r for line in bom.lines("A") for r in line.references}
    assert {"F1", "RV1", "R1", "R2"} <= {r for line in bom.lines("B") for r in line.references}


@pytest.mark.parametrize("name", pages.drawings())
def test_drawings_are_current_and_well_formed(name):
    text = (pages.DRAWINGS / name).read_text()
    assert text == pages.drawings()[name], "run make hardware"
    ET.fromstring(text)


def test_wiring_drawing_shows_every_wire():
    text = drawing.wiring_svg()
    words = [e.text for e in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    for wire in drawing.wires():
        assert wire["pin"] in words
        assert wire["name"] in words


@pytest.mark.skipif(not shutil.which("ngspice"), reason="needs the Debian package ngspice")
def test_tables_are_current():
    page = pages.PAGE.read_text()
    assert page == pages.rewritten(page), "run make hardware"


def test_every_configuration_in_the_page_is_accepted():
    examples = re.findall(r"```toml\n(.*?)```", pages.PAGE.read_text(), re.DOTALL)
    assert len(examples) == 3
    for text in examples:
        assert parse(text.encode()).channels


def test_what_a_further_channel_costs():
    """More than its adapter, less than half of a unit; of a line with three terminals only one counts."""
    price = {line.references: line.unit_price_usd for line in bom.lines("A") if len(line.references) == 1}
    adapter, protection = price["T1",], price["F1",] + price["D1",]
    assert adapter + 10 < bom.channel_usd() < bom.total_usd("A") / 2
    once = [line for line in bom.lines("A") if not line.references and not line.description.startswith("stripboard")]
    shared = sum(line.quantity * line.unit_price_usd for line in once)
    first_alone = {"J2", "J3", "JP2", "R11", "R12", "C11", "D2", "U2"}
    shared += sum(
        len(first_alone & set(line.references)) * line.unit_price_usd for line in bom.lines("A") if line.references
    )
    assert bom.channel_usd() == pytest.approx(bom.total_usd("A") - shared)
    assert bom.current_usd() == pytest.approx(bom.channel_usd() - adapter - protection + bom.total_usd("CT"))
