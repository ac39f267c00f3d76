"""`python -m tests.calibrate.study`: what a calibration leaves, over many units off the line, by each procedure.

Every unit is measured by `tests.calibrate.device`, fitted by the code of `rpmu calibrate` with several independent
draws of the reference's errors, and compared with what the unit really does at frequencies and levels that no fit has
seen. Written to docs/calibration-study.md with a plot. Errors are those of the electronics: the estimator's and the
clock's noise are averaged out, the transformer's lead is taken as a delay.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from rpmu.calibrate.fit import DEFAULT, NAMES, Reading
from rpmu.calibrate.issue import IssueSettings, channel_of, verification
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.readings import Base
from rpmu.calibrate.record import Channel, Reference
from rpmu.twin.tolerance import unit_of
from tests.calibrate.device import Device, Tone, self_tested

DRAWS = 5
PAGE = Path(__file__).parents[2] / "docs" / "calibration-study.md"
BEGIN, END = "<!-- begin of what the study writes -->", "<!-- end of what the study writes -->"
TESTED = {  # whose self-test is studied, and from which unit on: before, there are those that set what it states
    "reference-a-120v": 1,
    "thesis-100hz": 1,
    "reference-b-120v": 101,
    "option-ct-30a": 601,
}
MAINS = ((3, 0.01), (5, 0.012), (7, 0.006))  # what an outlet carries besides
FIT_POINTS = tuple((f, 120.0) for f in (55.0, 58.0, 60.0, 62.0, 65.0))
LEVEL_POINTS = tuple((60.0, v) for v in (12.0, 24.0, 48.0, 72.0, 96.0, 144.0))
UNSEEN = {
    "band": tuple((f, 120.0) for f in (55.0, 56.3, 59.1, 60.7, 62.9, 65.0)),
    "levels": ((60.4, 24.5), (60.2, 30.0), (59.3, 57.0), (61.1, 84.0), (58.7, 108.0), (62.3, 132.0), (57.7, 143.0)),
    "low": ((60.6, 13.0), (59.7, 17.0), (60.3, 21.0)),
    "wide": ((45.0, 118.0), (47.3, 124.0), (51.1, 110.0), (53.8, 60.0)),
}


@dataclass(frozen=True)
class Procedure:
    """How a unit is calibrated.

    Attributes:
        points: frequency and level of the readings.
        reference: what the certificate says of it, k = 2.
        scatter: of its magnitude from point to point, relative, one standard deviation.
        jitter_s: of its time from point to point.
        magnitude_only: it has no angle.
        profile: of the units' front end.
        parameters: what is fitted.
    """

    points: tuple[tuple[float, float], ...]
    reference: Reference
    scatter: float
    jitter_s: float
    magnitude_only: bool = False
    profile: str = "reference-a-120v"
    parameters: tuple[str, ...] = DEFAULT


GENERATOR = Procedure(FIT_POINTS + LEVEL_POINTS, Reference(0.02, 0.2), 3e-5, 20e-9)
PROCEDURES = {
    "generator": GENERATOR,
    "generator, 100 Hz front end": replace(GENERATOR, profile="thesis-100hz", parameters=NAMES),
    "reference": Procedure(((60.02, 121.0), (59.97, 121.4), (60.01, 120.6)), Reference(0.2, 1.0), 2e-5, 20e-9),
    "dmm": Procedure(((60.01, 121.0),), Reference(0.5, 0.0), 0.0, 0.0, True),
}


@dataclass
class Found:
    """What one calibration left: largest TVE, percent, of each group of unseen points, and what it had stated."""

    procedure: str
    unit: int
    before: dict[str, float]
    after: dict[str, float]
    stated: float
    levels_within: list[bool]


def with_error(reading: Reading, gain: float, time_s: float) -> Reading:
    """The reading as a reference finds it that is off by so much."""
    turn = np.exp(-2j * np.pi * reading.frequency_hz * time_s)
    return replace(reading, response=complex(reading.response * (1 + gain) * turn))


def as_read(readings: Sequence[Reading], how: Procedure, rng: np.random.Generator) -> list[Reading]:
    """The readings of a procedure with one draw of its reference's errors."""
    gain = 0.01 * how.reference.magnitude_percent / 2 * rng.standard_normal()
    time_s = 1e-6 * how.reference.time_us / 2 * rng.standard_normal()
    return [
        with_error(r, gain + how.scatter * rng.standard_normal(), time_s + how.jitter_s * rng.standard_normal())
        for r in readings
    ]


def within_levels(channel: Channel, readings: Sequence[Reading]) -> list[bool]:
    """For each level that no fit has seen: whether the certificate's level table is as good there as it says."""
    if not channel.level_v:
        return []
    stated = np.interp([r.voltage_v for r in readings], channel.level_v, channel.u_level_percent)
    return [verification(channel, r).tve_percent <= u for r, u in zip(readings, stated, strict=True)]


@dataclass(frozen=True)
class Subject:
    """One unit of a design: what it is, and what it really does where no fit looks."""

    base: Base
    device: Device
    unseen: dict[str, list[Reading]]

    @classmethod
    def of(cls, number: int, profile: str) -> Subject:
        """Unit `number`."""
        base = Base(load_profile(profile))
        clock_ns = float(np.random.default_rng([number, 0xC1]).normal(0.0, 100.0))
        device = Device(unit_of(base.profile, number), number, clock_ns)
        unseen = {
            group: [device.reading(Tone(f, v), base, 60 if f >= 55 else 50) for f, v in points]
            for group, points in UNSEEN.items()
        }
        return cls(base, device, unseen)

    def left(self, channel: Channel) -> dict[str, float]:
        """Largest TVE that a certificate's channel leaves in each group, percent."""
        return {
            group: max(verification(channel, r).tve_percent for r in readings)
            for group, readings in self.unseen.items()
        }

    def nominal(self) -> Channel:
        """What is assumed of it before anybody has looked."""
        front_end = self.base.front_end
        return Channel("VA", front_end.gain, front_end.f0_hz, front_end.q, front_end.delay_s)


def study_unit(number: int, draws: int = DRAWS, procedures: Sequence[str] = tuple(PROCEDURES)) -> list[Found]:
    """All procedures on one unit, each with several draws of its reference's errors."""
    rng = np.random.default_rng([number, 0x57])
    subjects: dict[str, Subject] = {}
    found = []
    for name in procedures:
        how = PROCEDURES[name]
        subject = subjects.setdefault(how.profile, Subject.of(number, how.profile))
        harmonics = () if how.points == GENERATOR.points else MAINS
        true = [subject.device.reading(Tone(f, v, harmonics), subject.base) for f, v in how.points]
        settings = IssueSettings(f"TWIN-{number}", how.reference, date(2026, 1, 1), how.parameters)
        before = subject.left(subject.nominal())
        for _ in range(draws):
            channel, _ = channel_of("VA", as_read(true, how, rng), subject.base, settings, how.magnitude_only)
            within = within_levels(channel, [*subject.unseen["levels"], *subject.unseen["low"]])
            found.append(Found(name, number, before, subject.left(channel), channel.u_tve_percent, within))
    return found


def study(units: int, processes: int, draws: int = DRAWS) -> list[Found]:
    """Units 1 to `units`."""
    numbers = [(number, draws) for number in range(1, units + 1)]
    if processes == 1:
        return [found for number in numbers for found in study_unit(*number)]
    with Pool(processes) as pool:
        return [found for one in pool.starmap(study_unit, numbers, chunksize=5) for found in one]


def coverage(found: Sequence[Found]) -> float:
    """Share of calibrations whose worst error in the band lay within the stated k = 2 uncertainty, percent."""
    return 100 * float(np.mean([f.after["band"] <= f.stated for f in found]))


def level_coverage(found: Sequence[Found]) -> float:
    """Share of unseen levels at which the error lay within what the level table states, percent."""
    return 100 * float(np.mean([within for f in found for within in f.levels_within]))


def percentile(found: Sequence[Found], group: str, q: float, when: str = "after") -> float:
    """Of the largest TVE over the points of a group."""
    return float(np.percentile([getattr(f, when)[group] for f in found], q))


@dataclass(frozen=True)
class Tested:
    """What a self-test got wrong, and what it had stated (k = 2): percent of f0 and Q, us of the delay."""

    profile: str
    error: tuple[float, float, float]
    stated: tuple[float, float, float]


def try_unit(number: int, profile: str) -> Tested:
    """The self-test of a unit."""
    design = load_profile(profile)
    unit = unit_of(design, number)
    found = self_tested(unit, design, number)
    delay_s = unit.profile.front_end.delay_s - unit.profile.delay_s + unit.electronics_delay_s
    error = (100 * (found.f0_hz / unit.profile.f0_hz - 1), 100 * (found.q / unit.profile.q - 1))
    stated = (found.u_f0_percent, found.u_q_percent, 1e6 * found.u_delay_s)
    return Tested(profile, (*error, 1e6 * (found.delay_s - delay_s)), stated)


def self_tests(units: int, processes: int) -> list[Tested]:
    """The self-test of so many units of every design that is studied."""
    numbers = [(number, profile) for profile, first in TESTED.items() for number in range(first, first + units)]
    if processes == 1:
        return [try_unit(*number) for number in numbers]
    with Pool(processes) as pool:
        return pool.starmap(try_unit, numbers, chunksize=5)


def self_test_table(tested: Sequence[Tested]) -> str:
    """By front end: errors, and how often they were within what was stated."""
    rows = []
    for profile in dict.fromkeys(one.profile for one in tested):
        own = [one for one in tested if one.profile == profile]
        errors = np.abs([one.error for one in own])
        within = 100 * np.mean(errors <= [one.stated for one in own], axis=0)
        worst = np.percentile(errors, 95, axis=0)
        cells = [f"{w:.3f} {u} ({c:.1f} %)" for w, u, c in zip(worst, ("%", "%", "us"), within, strict=True)]
        rows.append(f"| {profile}, {len(own)} units | {' | '.join(cells)} |")
    head = "| self-test | error of f0, 95 % of units (share within the stated) | of Q | of the electronics' delay |\n"
    return head + "|---|---|---|---|\n" + "\n".join(rows) + "\n"


TABLE_HEAD = """\
| procedure | at unseen points | before, 95 % of units | after: median | 95 % | worst |
|---|---|---|---|---|---|
"""
GROUP_WORDS = {
    "band": "55 to 65 Hz, 120 V",
    "levels": "57 to 63 Hz, 24 to 143 V",
    "low": "60 Hz, 13 to 21 V",
    "wide": "45 to 54 Hz, 60 to 124 V",
}


def tables(found: Sequence[Found]) -> str:
    """What was left, and whether it had been stated, as Markdown."""
    rows, stated = [], []
    for name in dict.fromkeys(f.procedure for f in found):
        own = [f for f in found if f.procedure == name]
        for group, words in GROUP_WORDS.items():
            numbers = [percentile(own, group, 95, "before"), *(percentile(own, group, q) for q in (50, 95, 100))]
            rows.append(f"| {name} | {words} | " + " | ".join(f"{n:.3f} %" for n in numbers) + " |")
        levels = f"{level_coverage(own):.1f} %" if own[0].levels_within else "no level table"
        median = float(np.median([f.stated for f in own]))
        stated.append(f"| {name} | {median:.3f} % | {coverage(own):.1f} % | {levels} |")
    head = "| procedure | stated TVE, k = 2, median | true error within it | and within the level table's |\n"
    head += "|---|---|---|---|\n"
    return TABLE_HEAD + "\n".join(rows) + "\n\n" + head + "\n".join(stated) + "\n"


def plot(found: Sequence[Found], path: Path) -> None:
    """Distribution of the worst TVE in the band, before and after, by procedure."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams |= {"svg.hashsalt": "rpmu", "svg.fonttype": "none"}
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), constrained_layout=True)
    names, share = list(dict.fromkeys(f.procedure for f in found)), np.arange(101)
    for name in names:
        values = [f.after["band"] for f in found if f.procedure == name]
        axes.semilogx(np.percentile(values, share), share, label=f"after {name}")
    values = [f.before["band"] for f in found if f.procedure == names[0]]
    axes.semilogx(np.percentile(values, share), share, "k--", label="before")
    axes.axvline(0.05, color="0.6", linewidth=0.8)
    axes.set(xlabel="largest TVE from 55 to 65 Hz at 120 V, %", ylabel="units with less, %", ylim=(0, 100))
    axes.grid(which="both", linewidth=0.3)
    axes.legend(loc="upper left", fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Run it; with --write into docs/calibration-study.md and its plot."""
    parser = argparse.ArgumentParser(description="What a calibration leaves, over many units off the line.")
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="into docs/")
    args = parser.parse_args()
    found = study(args.units, args.processes)
    text = tables(found) + "\n" + self_test_table(self_tests(args.units, args.processes))
    print(text)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        PAGE.write_text(head + BEGIN + "\n\n" + text + "\n" + END + rest.split(END)[1], encoding="utf-8")
        plot(found, PAGE.parent / "img" / "calibration-study.svg")


if __name__ == "__main__":
    main()
