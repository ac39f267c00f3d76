"""The schematics for KiCad 9, one sheet per design of hardware/parts.toml: places, wires, labels.

The connections here are drawn, not taken from the ngspice circuits: a test exports KiCad's netlist and compares both,
parts, values and nets, so that each checks the other. Designs of one circuit differ in values alone and share their
drawing; the mid-scale, the PPS divider, the reference and the header are the same on every sheet. Unit of the lists
below: 2.54 mm, y downwards.

Usage: python -m hardware.tools.schematic   (part of `make hardware`)
"""

from __future__ import annotations

from hardware.tools.kicad import Place, Point, Sheet, project_files
from hardware.tools.parts import HARDWARE, Design, content, designs

FOLDER = HARDWARE / "kicad"

# --- on every sheet: mid-scale VP and the amplifier's second half, supply, PPS divider, reference, header
COMMON_PLACES: list[Place] = [
    ("R5", "R", 20, 32, 0, 1),
    ("R6", "R", 20, 35, 0, 1),
    ("C5", "C", 24, 35, 0, 1),
    ("C6", "C", 28, 35, 0, 1),
    ("U1", "DUAL_AMPLIFIER", 37, 34, 0, 2),
    ("U1", "DUAL_AMPLIFIER", 46, 34, 0, 3),
    ("C7", "C", 51, 34, 0, 1),
    ("J2", "TERMINAL_2", 9, 45, 180, 1),
    ("JP2", "JUMPER_3", 15.5, 46, 0, 1),
    ("R11", "R", 20, 46, 90, 1),
    ("R12", "R", 24, 47.5, 0, 1),
    ("C11", "C", 28, 47.5, 0, 1),
    ("D2", "CLAMP", 37, 46, 0, 1),
    ("U2", "REFERENCE", 49, 46, 0, 1),
    ("J3", "BEAGLEBONE_P9", 64, 20, 0, 1),
    ("#FLG1", "PWR_FLAG", 55, 32, 0, 1),
    ("#FLG2", "PWR_FLAG", 59, 32, 0, 1),
]
COMMON_WIRES: list[list[Point]] = [
    [(20, 33.5), (24, 33.5), (28, 33.5), (30, 33.5)],
    [(34, 33), (34, 31), (41, 31), (41, 34), (40, 34)],
    [(12, 45), (13.5, 45)],
    [(12, 44), (12.5, 44)],
    [(17.5, 46), (18.5, 46)],
    [(55, 32), (55.5, 32)],
    [(59, 32), (59.5, 32)],
    [(21.5, 46), (24, 46), (28, 46), (29.5, 46)],
]
COMMON_JUNCTIONS: list[Point] = [(20, 33.5), (24, 33.5), (28, 33.5), (24, 46), (28, 46)]
COMMON_LABELS = [
    ("VP", 30, 33.5), ("PPS", 12, 45), ("AIN1", 29.5, 46), ("AGND", 20, 36.5), ("AGND", 24, 36.5), ("AGND", 28, 36.5),
    ("AGND", 46, 36.5), ("AGND", 51, 35.5), ("AGND", 12.5, 44), ("AGND", 24, 49), ("AGND", 28, 49), ("VDD", 20, 30.5),
    ("VDD", 46, 31.5), ("VDD", 51, 32.5), ("VDD", 55.5, 32), ("AGND", 59.5, 32),
]  # fmt: skip
COMMON_LEFT_LABELS = [
    ("VP", 34, 35), ("AGND", 34, 46), ("VDD", 34, 47), ("AIN1", 34, 48), ("VDD", 46, 46), ("AIN2", 46, 47),
    ("AGND", 46, 48), ("VDD", 61, 20), ("AGND", 61, 21), ("AIN0", 61, 22), ("AIN1", 61, 23), ("AIN2", 61, 24),
    ("TONE", 61, 25), ("TONE", 13.5, 47),
]  # fmt: skip

# --- circuit A: secondary of an adapter, inverting low-pass with multiple feedback
A_PLACES: list[Place] = [
    ("J1", "TERMINAL_2", 9, 20, 180, 1),
    ("F1", "F", 16, 20, 90, 1),
    ("D1", "D", 18, 21.5, 0, 1),
    ("R1", "R", 21, 20, 90, 1),
    ("C1", "C", 24, 21.5, 0, 1),
    ("R2", "R", 30, 12, 90, 1),
    ("R3", "R", 28, 20, 90, 1),
    ("C2", "C", 36, 16, 90, 1),
    ("U1", "DUAL_AMPLIFIER", 37, 21, 0, 1),
    ("R4", "R", 44, 21, 90, 1),
    ("C4", "C", 48, 22.5, 0, 1),
    ("JP1", "JUMPER_2", 16, 16, 90, 1),
    ("R7", "R", 20.5, 16, 90, 1),
]
A_WIRES: list[list[Point]] = [
    [(12, 20), (14.5, 20)],
    [(17.5, 20), (18, 20), (19.5, 20)],
    [(22.5, 20), (24, 20), (26.5, 20)],
    [(24, 20), (24, 16), (24, 12), (28.5, 12)],
    [(13.5, 16), (14.5, 16)],
    [(17.5, 16), (19, 16)],
    [(22, 16), (24, 16)],
    [(31.5, 12), (41, 12), (41, 16), (41, 21)],
    [(29.5, 20), (32, 20), (34, 20)],
    [(32, 20), (32, 16), (34.5, 16)],
    [(37.5, 16), (41, 16)],
    [(40, 21), (41, 21), (42.5, 21)],
    [(45.5, 21), (48, 21), (50, 21)],
    [(12, 19), (12.5, 19)],
]
A_JUNCTIONS: list[Point] = [(18, 20), (24, 20), (24, 16), (32, 20), (41, 16), (41, 21), (48, 21)]
A_LABELS = [("SEC", 18, 20), ("AIN0", 50, 21), ("AGND", 12.5, 19), ("AGND", 18, 23), ("AGND", 24, 23), ("AGND", 48, 24)]
A_LEFT_LABELS = [("VP", 34, 22), ("TONE", 13.5, 16)]
A_VALUES = {"J1": "SECONDARY", "F1": "250 mA", "D1": "SMBJ22CA"}
CT_VALUES = {"J1": "CT, 1 V", "F1": "LINK", "D1": "OMIT"}  # a CT needs no protection of its own secondary

# --- circuit B: mains, fuse, varistor, two resistors, current transformer, virtual ground
B_PLACES: list[Place] = [
    ("J1", "TERMINAL_2", 9, 20, 180, 1),
    ("F1", "F", 15.5, 20, 90, 1),
    ("RV1", "VARISTOR", 18, 21.5, 0, 1),
    ("R1", "R", 21, 20, 90, 1),
    ("R2", "R", 25, 20, 90, 1),
    ("T1", "TRANSFORMER", 30, 20, 0, 1),
    ("R3", "R", 41, 12, 90, 1),
    ("C1", "C", 41, 16, 90, 1),
    ("U1", "DUAL_AMPLIFIER", 41, 21, 0, 1),
    ("R4", "R", 48, 21, 90, 1),
    ("C4", "C", 52, 22.5, 0, 1),
    ("R7", "R", 39.5, 8, 270, 1),
    ("JP1", "JUMPER_2", 44, 8, 270, 1),
]
B_WIRES: list[list[Point]] = [
    [(12, 20), (14, 20)],
    [(17, 20), (18, 20), (19.5, 20)],
    [(22.5, 20), (23.5, 20)],
    [(26.5, 20), (27, 20)],
    [(33, 20), (36, 20), (38, 20)],
    [(36, 20), (36, 16), (39.5, 16)],
    [(36, 16), (36, 12), (39.5, 12)],
    [(36, 12), (36, 8), (38, 8)],
    [(41, 8), (42.5, 8)],
    [(45.5, 8), (46, 8)],
    [(42.5, 12), (45, 12), (45, 16), (45, 21)],
    [(42.5, 16), (45, 16)],
    [(44, 21), (45, 21), (46.5, 21)],
    [(49.5, 21), (52, 21), (54, 21)],
    [(12, 19), (12.5, 19)],
    [(33, 22), (34, 22)],
]
B_JUNCTIONS: list[Point] = [(18, 20), (36, 20), (36, 16), (36, 12), (45, 16), (45, 21), (52, 21)]
B_LABELS = [
    ("TONE", 46, 8),
    ("N", 12.5, 19),
    ("N", 18, 23),
    ("MID", 34, 22),
    ("AIN0", 54, 21),
    ("AGND", 52, 24),
    ("MID", 41, 34),
]
B_LEFT_LABELS = [("N", 27, 22), ("VP", 38, 22)]
B_VALUES = {"J1": "MAINS L N", "F1": "T100mA", "RV1": "150 V AC", "T1": "ZMPT101B"}
B_NOTES = [
    ("MAINS left of the dashed line: LETHAL.", 7, 8),
    ("6.4 mm from it to everything on the right, 8 mm", 7, 9.4),
    ("for reinforced insulation. T1 alone crosses it.", 7, 10.8),
]
NOTES = [
    ("In service JP1 is open and JP2 joins 1 and 2. For the self-test JP1 is set and JP2 joins 2 and 3.", 9, 52),
    ("Wiring, test points, safety: docs/hardware.md", 9, 53.4),
]
CT_NOTES = [
    ("A further channel: R4 goes to its own pin, AIN3 to AIN6 in the place of AIN0;", 9, 54.8),
    ("J2, JP2, R11, R12, C11, D2 and U2 are on the first board alone.", 9, 56.2),
]
B_BARRIER: list[Point] = [(30, 10), (30, 28)]

COMMON_VALUES = {
    "JP1": "SELF-TEST", "JP2": "PPS",
    "J2": "GPS PPS", "J3": "BEAGLEBONE P9", "D2": "BAT54S", "U2": "REF3312", "C7": "100n", "#FLG1": "PWR_FLAG",
    "#FLG2": "PWR_FLAG",
}  # fmt: skip


def sheet(design: Design) -> Sheet:
    """The sheet of a design."""
    of_b = design.circuit == "front_end_b"
    of_ct = design.name.startswith("option-ct")
    protection = B_VALUES if of_b else CT_VALUES if of_ct else A_VALUES
    amplifier = {"U1": content()["designs"][design.name]["amplifier"].upper()}
    return Sheet(
        name=design.name,
        title="rpmu front end " + design.title.partition(":")[0],
        places=(B_PLACES if of_b else A_PLACES) + COMMON_PLACES,
        wires=(B_WIRES if of_b else A_WIRES) + COMMON_WIRES,
        junctions=(B_JUNCTIONS if of_b else A_JUNCTIONS) + COMMON_JUNCTIONS,
        labels=(B_LABELS if of_b else A_LABELS) + COMMON_LABELS,
        left_labels=(B_LEFT_LABELS if of_b else A_LEFT_LABELS) + COMMON_LEFT_LABELS,
        values=design.parts | content()["pps"]["parts"] | COMMON_VALUES | protection | amplifier,
        notes=NOTES + (B_NOTES if of_b else CT_NOTES if of_ct else []),
        barrier=B_BARRIER if of_b else [],
    )


def files() -> dict[str, str]:
    """Every file of the projects by its name."""
    return project_files(sheet(design) for design in designs().values())


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
