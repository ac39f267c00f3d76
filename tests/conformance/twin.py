"""The whole PMU against the standard, on the twin: what a PDC gets against what the outlet did.

The mains plays the suite's own signals (`Playlist`) into the front end of a unit off the line; the committed firmware
samples it in the emulator, the daemon takes time from PPS and NMEA, estimates and serves, and a client reads the frames
from TCP. A unit that is called calibrated went through `rpmu calibrate generator`'s procedure on the same chain first,
and the daemon runs with the certificate that came out. Latency is from a report's instant to the moment at which its
frame is handed to the sockets, in the twin's time: it has everything in it but computing and network.
"""

import tempfile
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from rpmu import rooms
from rpmu.calibrate.certificate import add_to_history
from rpmu.calibrate.guide import Guide, by_generator
from rpmu.calibrate.issue import IssueSettings, issue
from rpmu.calibrate.profile import Profile, load_profile
from rpmu.calibrate.readings import Base
from rpmu.calibrate.record import Reference
from rpmu.calibrate.session import Session, Target
from rpmu.config import Config
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.pruss import AdcErrors
from rpmu.twin.tolerance import unit_of
from tests.conformance.cases import Case, build_cases
from tests.conformance.chain import Chain
from tests.conformance.limits import Task, latency_limit
from tests.conformance.playlist import Entry, Playlist, lay_out
from tests.conformance.runner import Errors, Result, Setup, judge, make_result, worst_steady
from tests.conformance.signals import tone
from tests.conformance.steps import STEPS, step_points, worst_steps
from tests.e2e.rig import NS_PER_S, START_NS, Outcome, configuration, run_chain

LOCK_S = 8  # the first report comes after five seconds
SETTLE_S = 0.08  # front end and equaliser
CRYSTAL = CrystalSettings(ppm=58.8, walk_ppb_per_rts=0.1)  # a real board's offset (docs/accuracy.md)
ADC = AdcErrors(noise_lsb_rms=0.5, offset_lsb=3.0, gain=1.004, inl_lsb=(0.0, 1.0, 0.0, -1.0, 0.0))
READING_S, READING_REACH_S = 1.4, 0.3
PLAN = tuple(Target(f, 1.0) for f in (-5.0, -2.0, 0.0, 2.0, 5.0))  # Hz from nominal, share of the nominal voltage
LEVELS = tuple(Target(0.0, level) for level in (0.1, 0.2, 0.5, 1.2))
CHECK = (Target(3.0, 0.9, verify=True),)


@dataclass(frozen=True)
class Unit:
    """A device on the twin.

    Attributes:
        name: for the report.
        profile: name of the front end's design.
        number: of the unit; 0 has parts that are exactly as designed, and an ideal converter but for noise.
        fit: what its calibration determines; empty for none: it runs with the design's values.
    """

    name: str
    profile: str
    number: int = 0
    fit: tuple[str, ...] = ()

    @property
    def built(self) -> Profile:
        """The front end as its parts make it."""
        return unit_of(load_profile(self.profile), self.number).profile

    @property
    def adc(self) -> AdcErrors:
        return ADC if self.number else AdcErrors(noise_lsb_rms=0.5)


NOMINAL = Unit("twin, nominal parts, 1 kHz front end", "reference-a-120v")
UNITS = (
    NOMINAL,
    Unit("twin, calibrated, 1 kHz front end", "reference-a-120v", 7, ("gain", "delay")),
    Unit("twin, calibrated, 100 Hz front end", "thesis-100hz", 7, ("gain", "delay", "f0", "q")),
)


class Silent:
    """A voice for `Guide` that says nothing."""

    def want(self, target, number, of):
        """See `Voice`."""

    def progress(self, share, why_not):
        """See `Voice`."""

    def waiting(self, why_not):
        """See `Voice`."""

    def reading(self, readings):
        """See `Voice`."""


def configured(unit: Unit, task: Task, phases: int = 1, certificate: Path | None = None) -> Config:
    """The configuration of a unit for one class and rate."""
    config = configuration(
        performance_class=task.performance_class,
        nominal_frequency_hz=task.nominal_hz,
        reporting_rate_per_s=task.rate,
        phases=phases,
    )
    chosen = replace(config.calibration, profile=unit.profile, certificate=certificate and str(certificate))
    return replace(config, calibration=chosen)


def _play(unit: Unit, config: Config, points, reach_s: float) -> tuple[list[Entry], Outcome]:
    """One run of the twin over all points, from its start on."""
    entries = lay_out(points, START_NS + LOCK_S * NS_PER_S, reach_s)
    mains = Playlist(entries, unit.built.nominal_voltage_v, config.station.phases)
    seconds = (mains.end_ns - START_NS) / NS_PER_S + reach_s + 0.1
    outcome = run_chain(seconds, config, mains=mains, profile=unit.built, crystal=CRYSTAL, adc=unit.adc)
    return entries, outcome


@cache
def certificate_of(unit: Unit, nominal_hz: int) -> str:
    """Run the generator's procedure on a unit; the certificate as text.

    The plan is that of docs/calibration.md: five frequencies at one level, four more levels, one point to verify.
    """
    profile = load_profile(unit.profile)
    volts = profile.nominal_voltage_v
    plan = [
        replace(t, frequency_hz=nominal_hz + t.frequency_hz, voltage_v=volts * t.voltage_v)
        for t in (*PLAN, *LEVELS, *CHECK)
    ]
    points = [(tone(nominal_hz, t.frequency_hz, t.voltage_v / volts), (0.0, READING_S)) for t in plan]
    task = Task(nominal_hz, "M", nominal_hz)
    entries, outcome = _play(unit, configured(unit, task), points, READING_REACH_S)
    with tempfile.TemporaryDirectory() as folder:
        base = Base(profile)
        session = Session.open(Path(folder) / "session.json", {"method": "generator"})
        guide = Guide(base, by_generator(0.0), plan, READING_S - 0.1, Silent(), lambda r, t: session.add(r, t.verify))
        for number, entry in enumerate(entries, 1):
            begin_ns, end_ns = entry.span_ns
            for frame in outcome.frames:
                if begin_ns <= frame.time_ns <= end_ns and guide._done < number:
                    guide.feed(frame)
        assert guide.finished, f"{unit}: no stable reading at point {guide._done + 1} of {len(plan)}"
        settings = IssueSettings(
            f"TWIN-{unit.number}",
            Reference(0.02, 0.2),
            date(2026, 6, 1),
            parameters=unit.fit,
            band_hz=(nominal_hz - 5.0, nominal_hz + 5.0),
            simulated=True,
        )
        path, _ = add_to_history(Path(folder) / "history", issue(session, base, settings))
        return path.read_text(encoding="utf-8")


@dataclass(frozen=True)
class TwinJob:
    """One unit against one class and rate.

    Attributes:
        unit: the device.
        task: class, rate and nominal frequency.
        phases: 1 or 3.
        points: at most so many points of each test; 0 for all of the thinned set.
        offsets: of the step tests by equivalent time; 0 for no steps.
        steps: which steps.
    """

    unit: Unit
    task: Task
    phases: int = 1
    points: int = 0
    offsets: int = 0
    steps: tuple[str, ...] = field(default=tuple(STEPS))

    @property
    def setup(self) -> Setup:
        """What the results are filed under."""
        return Setup(self.task, Chain(self.unit.name), self.phases)

    def run(self) -> list[Result]:
        """All results."""
        with tempfile.TemporaryDirectory() as folder:
            certificate = None
            if self.unit.fit:
                certificate = Path(folder) / "certificate.toml"
                certificate.write_text(certificate_of(self.unit, self.task.nominal_hz), encoding="utf-8")
            config = configured(self.unit, self.task, self.phases, certificate)
            return self._judge(config)

    def _judge(self, config: Config) -> list[Result]:
        highest_hz = float(config.sampler_settings().sample_rate_hz) / 2
        cases = _thinned(build_cases(self.task, self.phases, thin=True, highest_hz=highest_hz), self.points)
        steps = step_points(self.task, self.offsets, self.steps) if self.offsets else []
        window_s, delay_s = rooms.window_and_delay_s(config, rooms.calibration(config))
        points = [(p.signal, p.span_s) for p in (*cases, *steps)]
        entries, outcome = _play(self.unit, config, points, max(delay_s, window_s - delay_s) + SETTLE_S)
        assert outcome.status.drops == 0, f"{self}: {outcome.status.drops} lost"
        reports = _Reports(outcome, self.phases, self.unit.built.nominal_voltage_v)
        measured = [reports.errors(entry) for entry in entries]
        results = worst_steady(self.setup, zip(cases, measured, strict=False))
        if steps:
            results += worst_steps(self.setup, zip(steps, measured[len(cases) :], strict=True))
        return [*results, self._latency(outcome)]

    def _latency(self, outcome: Outcome) -> Result:
        return make_result(
            self.setup, "latency", "latency", worst_latency_s(outcome), latency_limit(self.task), "at the socket"
        )


def socket_latency_s(task: Task, phases: int = 1) -> float:
    """From a report's instant to the moment at which its frame is handed to the sockets: the worst, in twin time."""
    config = configured(NOMINAL, task, phases)
    outcome = run_chain(LOCK_S + 20 / task.rate, config, profile=NOMINAL.built, crystal=CRYSTAL)
    return worst_latency_s(outcome)


def worst_latency_s(outcome: Outcome) -> float:
    """The oldest report of a run when its frame was handed to the sockets, once locked."""
    pairs = zip(outcome.sent_ns, outcome.measurements, strict=True)
    return max(s - m.time_ns for s, m in pairs if m.time_ns > START_NS + LOCK_S * NS_PER_S) / NS_PER_S


def _thinned(cases, points: int) -> list[Case]:
    """At most so many cases of each test, the first and the last among them."""
    by_test: dict[str, list[Case]] = {}
    for case in cases:
        by_test.setdefault(case.test, []).append(case)
    chosen = []
    for found in by_test.values():
        n = min(points or len(found), len(found))
        chosen += [found[i] for i in np.unique(np.linspace(0, len(found) - 1, n).round().astype(int))]
    return chosen


class _Reports:
    """The good frames of a run as arrays, and those of one entry against its truth."""

    def __init__(self, outcome: Outcome, phases: int, voltage_v: float) -> None:
        good = outcome.good
        self._time_ns = outcome.time_ns
        self._phasors = outcome.phasors / voltage_v
        self._frequency_hz = outcome.frequency_hz
        self._rocof = np.array([f.pmus[0].rocof_hz_per_s for f in good])
        self._phases = phases
        self._interval_ns = NS_PER_S / good[0].config.data_rate

    def errors(self, entry: Entry) -> Errors:
        """Errors of the reports that count; every one that is due must be there and good."""
        begin_ns, end_ns = entry.span_ns
        at = (self._time_ns >= begin_ns - 1) & (self._time_ns <= end_ns + 1)
        due = int((end_ns - begin_ns) / self._interval_ns)
        assert np.count_nonzero(at) >= max(due, 2), f"{np.count_nonzero(at)} good reports, {due} are due"
        t = (self._time_ns[at] - entry.zero_ns) * 1e-9
        return judge(entry.signal, t, self._phasors[at], self._phases, self._frequency_hz[at], self._rocof[at])
