"""The KiCad schematic of design A: its netlist and the circuits that ngspice runs are the same parts, values and nets.

The comparison reads the committed netlist and needs nothing; ERC and a fresh export need KiCad 9 (Debian 12: package
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
# On the board and not in the simulation: protection, connectors, reference, supply capacitor.
BOARD_ONLY = {"F1", "D1", "D2", "J1", "J2", "J3", "U1", "U2", "C7"}
AMPLIFIER_PINS = {"3": "inp", "2": "inn", "1": "out", "8": "vdd"}


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


@pytest.fixture(scope="module")
def netlist():
    return parsed((HARDWARE / "kicad" / "front-end-a.net").read_text())


def circuit(file):
    """(reference, pin) to node of the parts in a subcircuit, its amplifier's pins by their numbers in the package."""
    nodes = {}
    for line in (SPICE / file).read_text().splitlines():
        words = line.split()
        if line[:1] in "RC" and re.fullmatch(r"[RC]\d+", words[0]):
            nodes |= {(words[0], "1"): words[1], (words[0], "2"): words[2]}
        elif words and words[0] == "XU1A":
            nodes |= {
                ("U1", pin): words[1 + ["inp", "inn", "out", "vdd"].index(name)] for pin, name in AMPLIFIER_PINS.items()
            }
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


def test_same_parts_and_values(netlist):
    values, _ = netlist
    parts = designs()["reference-a-120v"].parts | content()["pps"]["parts"]
    assert {r: number(v) for r, v in values.items() if r not in BOARD_ONLY} == {r: number(v) for r, v in parts.items()}
    assert set(values) & BOARD_ONLY == BOARD_ONLY


def test_same_connections(netlist):
    """Two-pin parts may lie either way round, so pins 1 and 2 of the circuit are matched to the schematic's."""
    _, nets = netlist
    simulated = circuit("front-end-a.sub") | circuit("pps-divider.sub")
    # the two circuits share the names 0 and ain: the second one's pin is AIN1
    for reference in ("R11", "R12", "C11"):
        simulated |= dict.fromkeys([k for k, n in simulated.items() if k[0] == reference and n == "ain"], "ain1")
    assert {r for r, _ in simulated} == {r for r, _ in nets} - (BOARD_ONLY - {"U1"})
    drawn = {pin: nets[pin] for pin in simulated}
    assert groups(drawn) == groups(simulated)


def test_protection_and_supplies(netlist):
    _, nets = netlist
    names = {r: {p: n for (ref, p), n in nets.items() if ref == r} for r in BOARD_ONLY}
    assert names["F1"] == {"1": names["J1"]["1"], "2": "/SEC"}
    assert names["D1"] == {"1": "/SEC", "2": "/AGND"}
    assert names["D2"] == {"1": "/AGND", "2": "/VDD", "3": "/AIN1"}
    assert names["J1"]["2"] == names["J2"]["2"] == names["J3"]["2"] == names["U1"]["4"] == "/AGND"
    assert names["J3"] == {"1": "/VDD", "2": "/AGND", "3": "/AIN0", "4": "/AIN1", "5": "/AIN2"}
    assert nets[("R1", "1")] == "/SEC"
    assert nets[("R4", "2")] == "/AIN0"
    assert names["U1"]["5"] == "/VP"
    assert names["U1"]["6"] == names["U1"]["7"]


def test_every_drawn_part_is_in_the_bill_of_materials(netlist):
    values, _ = netlist
    listed = {r: line.value for line in bom.lines("A") for r in line.references}
    assert set(values) <= set(listed)
    assert all(number(listed[r]) == number(v) for r, v in values.items() if r[0] in "RC")


@needs_kicad
def test_kicad_finds_no_violation_and_exports_the_committed_netlist(netlist, tmp_path):
    sheet = schematic.FOLDER / "front-end-a.kicad_sch"
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    erc = ["sch", "erc", "--severity-all", "--exit-code-violations", "-o", tmp_path / "erc.txt", sheet]
    done = subprocess.run(["kicad-cli", *erc], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (tmp_path / "erc.txt").read_text()
    export = ["sch", "export", "netlist", "-o", tmp_path / "x.net", sheet]
    subprocess.run(["kicad-cli", *export], env=environment, capture_output=True, check=True)
    assert parsed((tmp_path / "x.net").read_text()) == netlist


@needs_kicad
def test_erc_sees_a_wire_taken_away(tmp_path, monkeypatch):
    monkeypatch.setattr(schematic, "WIRES", [w for w in schematic.WIRES if w != [(12, 20), (14, 20)]])
    for name, text in schematic.files().items():
        (tmp_path / name).write_text(text)
    erc = ["sch", "erc", "--severity-all", "--exit-code-violations", "-o", tmp_path / "erc.txt"]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["kicad-cli", *erc, tmp_path / "front-end-a.kicad_sch"], env=environment, capture_output=True)
    assert done.returncode != 0
