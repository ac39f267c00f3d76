"""The KiCad schematics: their netlists and the circuits that ngspice runs are the same parts, values and nets.

The comparison reads the committed netlists and needs nothing; ERC and a fresh export need KiCad 9 (Debian 12: package
kicad of bookworm-backports).
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from hardware.tools import bom, schematic
from hardware.tools.parts import HARDWARE, content, designs, number

SPICE = HARDWARE / "spice"
DESIGNS = designs()
each_design = pytest.mark.parametrize("name", DESIGNS)
# On the board and not in the simulation: protection, connectors, reference, supply capacitor, second half of U1.
BOARD_ONLY = {"F1", "D2", "J1", "J2", "J3", "U1", "U2", "C7"}
BOARD_ONLY_OF = {"front_end_a": BOARD_ONLY | {"D1"}, "front_end_b": BOARD_ONLY | {"RV1", "T1"}}
# A jumper is as many resistors in the simulation as it has ways to be set; these are the pins of each.
JUMPER_PINS = {"RJP1": ("JP1", "1", "2"), "RJP2A": ("JP2", "1", "2"), "RJP2B": ("JP2", "2", "3")}
AMPLIFIER_PINS = {"XU1A": ("3", "2", "1", "8"), "XU1B": ("5", "6", "7", "8")}  # inp, inn, out, vdd
# The transformer's model in the subcircuit has inner nodes: these are its four ends.
TRANSFORMER_PINS = {("T1", "1"): "l2", ("T1", "2"): "neutral", ("T1", "3"): "inn", ("T1", "4"): "mid"}


def kicad_9():
    if not shutil.which("kicad-cli"):
        return False
    version = subprocess.run(["kicad-cli", "version"], capture_output=True, text=True).stdout
    return version.startswith("9.")


needs_kicad = pytest.mark.skipif(not kicad_9(), reason="needs KiCad 9 (Debian package kicad of bookworm-backports)")


def parsed(text):
    """Reference to value, and (reference, pin) to net, of a KiCad netlist."""
    values = dict(re.findall(r'\(comp \(ref "([^"]+)"\)\s*\(value "([^"]*)"\)', text))
    nets = {}
    for block in text.split("(net (code ")[1:]:
        name = re.search(r'\(name "([^"]*)"\)', block)[1]
        nets |= dict.fromkeys(re.findall(r'\(node \(ref "([^"]+)"\) \(pin "([^"]+)"\)', block), name)
    return values, nets


def netlist(name):
    return parsed((HARDWARE / "kicad" / f"{name}.net").read_text())


def circuit(file):
    """(reference, pin) to node of the parts in a subcircuit, its amplifiers' pins by their numbers in the package."""
    nodes = {}
    for line in (SPICE / file).read_text().splitlines():
        words = line.split()
        if re.fullmatch(r"[RC]\d+", words[0] if words else ""):
            nodes |= {(words[0], "1"): words[1], (words[0], "2"): words[2]}
        elif words and words[0] in JUMPER_PINS:
            reference, first, second = JUMPER_PINS[words[0]]
            nodes |= {(reference, first): words[1], (reference, second): words[2]}
        elif words and words[0] in AMPLIFIER_PINS:
            nodes |= {("U1", pin): node for pin, node in zip(AMPLIFIER_PINS[words[0]], words[1:5], strict=True)}
    return nodes


def groups(pin_to_net):
    """Which pins are together, whatever the nets are called."""
    nets = {}
    for pin, net in pin_to_net.items():
        nets.setdefault(net, set()).add(pin)
    return {frozenset(pins) for pins in nets.values()}


def test_sources_are_current():
    for name, text in schematic.files().items():
        assert (schematic.FOLDER / name).read_text() == text, "run make hardware"


@each_design
def test_same_parts_and_values(name):
    values, _ = netlist(name)
    parts, board_only = DESIGNS[name].parts | content()["pps"]["parts"], BOARD_ONLY_OF[DESIGNS[name].circuit]
    jumpers = {reference for reference, _, _ in JUMPER_PINS.values()}
    assert jumpers < set(values), "the self-test's jumpers are on every sheet"
    drawn = {r: number(v) for r, v in values.items() if r not in board_only | jumpers}
    assert drawn == {r: number(v) for r, v in parts.items()}
    assert set(values) & board_only == board_only
    assert values["U1"].lower() == content()["designs"][name]["amplifier"]


@each_design
def test_same_connections(name):
    """Two-pin parts may lie either way round, so pins 1 and 2 of the circuit are matched to the schematic's."""
    _, nets = netlist(name)
    design = DESIGNS[name]
    file = design.circuit.replace("_", "-") + ".sub"
    simulated = circuit(file) | circuit("pps-divider.sub")
    if design.circuit == "front_end_b":
        simulated |= TRANSFORMER_PINS
    # the two circuits share the names 0 and ain: the second one's pin is AIN1
    for reference in ("R11", "R12", "C11"):
        simulated |= dict.fromkeys([k for k, n in simulated.items() if k[0] == reference and n == "ain"], "ain1")
    assert {r for r, _ in nets} - {r for r, _ in simulated} == BOARD_ONLY_OF[design.circuit] - {"U1", "T1"}
    drawn = {pin: nets[pin] for pin in simulated}
    assert groups(drawn) == groups(simulated)


@each_design
def test_supplies_and_pins(name):
    _, nets = netlist(name)
    names = {r: {p: n for (ref, p), n in nets.items() if ref == r} for r in BOARD_ONLY}
    assert names["D2"] == {"1": "/AGND", "2": "/VDD", "3": "/AIN1"}
    assert names["J2"]["2"] == names["J3"]["2"] == names["U1"]["4"] == "/AGND"
    assert names["J3"] == {"1": "/VDD", "2": "/AGND", "3": "/AIN0", "4": "/AIN1", "5": "/AIN2", "6": "/TONE"}
    assert nets[("R4", "2")] == "/AIN0"
    assert names["U1"]["5"] == "/VP"
    assert names["U1"]["6"] == names["U1"]["7"]


@pytest.mark.parametrize("name", [n for n, d in DESIGNS.items() if d.circuit == "front_end_a"])
def test_protection_of_a(name):
    _, nets = netlist(name)
    assert nets[("F1", "1")] == nets[("J1", "1")]
    assert nets[("F1", "2")] == nets[("D1", "1")] == nets[("R1", "1")] == "/SEC"
    assert nets[("D1", "2")] == nets[("J1", "2")] == "/AGND"


def test_protection_of_b():
    """Fuse in the line, varistor behind it, and nothing of the mains on any net of the secondary side."""
    _, nets = netlist("reference-b-120v")
    assert nets[("F1", "1")] == nets[("J1", "1")]
    assert nets[("F1", "2")] == nets[("RV1", "1")] == nets[("R1", "1")]
    assert nets[("RV1", "2")] == nets[("J1", "2")] == nets[("T1", "2")] == "/N"
    mains = {n for (r, p), n in nets.items() if r in ("F1", "RV1", "R1", "R2") or (r, p) in {("T1", "1"), ("T1", "2")}}
    on_mains = {(r, p) for (r, p), n in nets.items() if n in mains}
    assert {r for r, _ in on_mains} == {"J1", "F1", "RV1", "R1", "R2", "T1"}
    assert {p for r, p in on_mains if r == "T1"} == {"1", "2"}


@pytest.mark.parametrize(("letter", "name"), [("A", "reference-a-120v"), ("B", "reference-b-120v")])
def test_every_drawn_part_is_in_the_bill_of_materials(letter, name):
    values, _ = netlist(name)
    listed = {r: line.value for line in bom.lines(letter) for r in line.references}
    assert set(values) <= set(listed)
    assert all(number(listed[r]) == number(v) for r, v in values.items() if r[0] in "RC" and r != "RV1")


@each_design
def test_an_export_carries_no_date(name):
    """So that `make hardware` changes a file only where the drawing changed."""
    pdf = (HARDWARE / "kicad" / f"{name}.pdf").read_bytes()
    assert re.findall(rb"/CreationDate \(D:(\d+)", pdf) == [b"20000101000000"]
    assert '(date "")' in (HARDWARE / "kicad" / f"{name}.net").read_text()


@needs_kicad
@each_design
def test_kicad_finds_no_violation_and_exports_the_committed_netlist(name, tmp_path):
    sheet = schematic.FOLDER / f"{name}.kicad_sch"
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    erc = ["sch", "erc", "--severity-all", "--exit-code-violations", "-o", tmp_path / "erc.txt", sheet]
    done = subprocess.run(["kicad-cli", *erc], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (tmp_path / "erc.txt").read_text()
    export = ["sch", "export", "netlist", "-o", tmp_path / "x.net", sheet]
    subprocess.run(["kicad-cli", *export], env=environment, capture_output=True, check=True)
    assert parsed((tmp_path / "x.net").read_text()) == netlist(name)


@needs_kicad
def test_erc_sees_a_wire_taken_away(tmp_path, monkeypatch):
    monkeypatch.setattr(schematic, "A_WIRES", [w for w in schematic.A_WIRES if w != [(12, 20), (14.5, 20)]])
    for name, text in schematic.files().items():
        (tmp_path / name).write_text(text)
    erc = ["sch", "erc", "--severity-all", "--exit-code-violations", "-o", tmp_path / "erc.txt"]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["kicad-cli", *erc, tmp_path / "reference-a-120v.kicad_sch"], env=environment, capture_output=True
    )
    assert done.returncode != 0
