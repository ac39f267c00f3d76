"""One scenario on the whole twin, and what went over the wire beside what was true.

The firmware runs in the emulator, the daemon reads ring and serial line, a PDC takes the frames over TCP. For every
report the true instant of the samples that it stands for is known to a nanosecond or so: its place on the scan axis,
by the daemon's own map, carried to cycles of the emulator by the counters in the ring, and from there to true time by
the twin's crystal. The daemon's map is what is judged, so only its inverse is used and never its word.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire import SampleBlock
from rpmu.config import Channel, Config
from rpmu.pipeline import Pipeline
from tests.e2e.rig import NS_PER_S, Outcome, configuration, run_chain
from tests.simulation.scenarios import SOURCE, Leap, NewRun, Scenario

CONVERSION_CLOCKS = 13  # of the ADC, from a scan's sampling instant to its result
READ_TICKS = 11  # the firmware reads a scan at the earliest so long after it is ready, on the emulator
COUNTER_WRAP = 2**32
NOMINAL_HZ, RATE = 60, 60


@dataclass(frozen=True)
class Seen:
    """All reports of a run, as arrays of one length.

    Attributes:
        elapsed_s: true time of the report since the twin's first instant, s.
        run: which clock gave its time, from 0; the daemon starts a new one with the PRU.
        error_ns: its time on the wire (SOC and FRACSEC) minus the truth, ns; whole seconds and leap seconds included.
        angle: of its phasor, rad; NaN where the report is invalid.
        angle_error_s: error of its phasor's angle as a time, s; NaN where the report is invalid.
        grid: whether SOC and FRACSEC lie on the grid of reports.
        soc: on the wire.
        msg_tq, leap_bits: of its TIME_QUALITY byte.
        pmu_tq, unlocked, in_sync, data_error: of its STAT.
        outcome: everything else of the run.
    """

    elapsed_s: NDArray[np.float64]
    run: NDArray[np.int64]
    error_ns: NDArray[np.float64]
    angle: NDArray[np.float64]
    angle_error_s: NDArray[np.float64]
    grid: NDArray[np.bool_]
    soc: NDArray[np.int64]
    msg_tq: NDArray[np.int64]
    leap_bits: NDArray[np.int64]
    pmu_tq: NDArray[np.int64]
    unlocked: NDArray[np.int64]
    in_sync: NDArray[np.bool_]
    data_error: NDArray[np.bool_]
    outcome: Outcome


class Spy:
    """Notes where on the scan axis each report lies, and what the counters say of each epoch of scans."""

    def __init__(self) -> None:
        self.pipelines: list[Pipeline] = []
        self._places: list[tuple[Any, tuple[int, int, float]]] = []  # run, epoch, scan (fractional) of measurements
        self._least: dict[tuple[int, int], Fraction] = {}  # run, epoch -> least counter - scan * ticks
        self._bases: dict[int, int] = {}  # run -> cycles of the emulator at counter 0
        self._newest_counter = 0
        self._feed = Pipeline.feed

    def feed(self, pipeline: Pipeline, item: Any) -> list[Any]:
        """In the place of `Pipeline.feed`."""
        measurements = self._feed(pipeline, item)
        if pipeline not in self.pipelines:
            self.pipelines.append(pipeline)
        if isinstance(item, SampleBlock):
            run = len(self.pipelines) - 1
            late = item.counter - item.first_scan * pipeline._info.counter_ticks_per_scan
            self._least[run, item.epoch] = min(late, self._least.get((run, item.epoch), late))
            self._newest_counter = item.counter
            if measurements:
                line = pipeline.time.map
                assert line is not None
                self._places += [(m, (run, item.epoch, line.index_at(m.time_ns))) for m in measurements]
        return measurements

    def step(self, twin: Any, _daemon: Any) -> None:
        """After each step of the daemon: tie the counter of a new run, which wraps every 21 s, to the emulator's."""
        run = len(self.pipelines) - 1
        if run >= 0 and run not in self._bases:
            ahead = twin.crystal.cycle_at(twin.now_ns) - self._newest_counter
            base = round(ahead / COUNTER_WRAP) * COUNTER_WRAP
            assert abs(ahead - base) < 2e8, "the counter of the emulator is its cycle"
            self._bases[run] = base

    def places(self, sent: list[Any]) -> list[tuple[int, int, float]]:
        """Those of the measurements that were sent; of the second in which a new run begins the old one's are not."""
        known = {id(measurement): place for measurement, place in self._places}
        return [known[id(measurement)] for measurement in sent]

    def clock(self, run: int) -> int:
        """Number of the clock that a run of the acquisition goes by; it may be that of the run before."""
        clocks = [pipeline.time for pipeline in self.pipelines[: run + 1]]
        return sum(clock is not before for before, clock in itertools.pairwise(clocks))

    def true_ns(self, twin: Any, place: tuple[int, int, float]) -> tuple[int, float]:
        """True time of a place, integer ns and the rest."""
        run, epoch, scan = place
        info, whole = self.pipelines[run]._info, int(scan)
        ticks = info.counter_ticks_per_scan
        conversion = CONVERSION_CLOCKS * ticks / info.scan_adc_clocks
        cycle = float(whole * ticks + self._least[run, epoch] + self._bases[run] - READ_TICKS - conversion)
        return twin.crystal.utc(cycle + (scan - whole) * float(ticks))


def true_soc(second: int, leap: Leap | None, start: int) -> int:
    """SOC of a second of the simulation, as POSIX counts: an inserted second bears the number of the next."""
    since = -1 if leap is None else second - start - leap.at
    if leap is None or since < 0 or not leap.step:
        return second
    return second + 1 if leap.step < 0 else second - (since > 0)


def observe(scenario: Scenario) -> Seen:
    """Run a scenario."""
    spy = Spy()
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(Pipeline, "feed", lambda p, i: spy.feed(p, i)):
        config = _configuration(scenario, Path(folder))
        outcome = run_chain(
            scenario.seconds,
            config,
            watch=spy.step,
            changes={new.at_s: _changed(new, config) for new in scenario.new_runs},
            source=SOURCE,
            start_ns=scenario.start * NS_PER_S,
            faults=scenario.faults,
            seed=601,
            **scenario.twin,
        )
    return _seen(scenario, spy, outcome)


def _configuration(scenario: Scenario, folder: Path) -> Any:
    file = folder / "leap-seconds.list"
    file.write_text(scenario.leap_file, encoding="ascii")
    config = configuration()
    return replace(
        config,
        time=replace(config.time, leap_second_file=str(file)),
        gps=replace(config.gps, **scenario.gps),
    )


def _changed(new: NewRun, config: Config) -> Config:
    """The configuration of a new run of the acquisition; without notice, to hold from the next second on."""
    channels = tuple(Channel(f"V{phase}", "voltage", phase, ain) for phase, ain in zip("ABC", new.ains, strict=False))
    return replace(
        config,
        station=replace(config.station, phases=len(new.ains)),
        channel=channels,
        sampling=replace(config.sampling, **new.sampling),
        server=replace(config.server, notice_s=0),
    )


def _seen(scenario: Scenario, spy: Spy, outcome: Outcome) -> Seen:
    frames, places = outcome.frames, spy.places(outcome.measurements)
    assert len(frames) == len(places), "every report is a frame"
    start_ns = scenario.start * NS_PER_S
    rows, errors_ns = [], []
    for frame, place in zip(frames, places, strict=True):
        stat, quality = frame.pmus[0].stat, frame.time_quality
        rate, base = frame.config.data_rate, frame.config.time_base
        index = round(frame.fracsec * rate / base)
        on_grid = abs(frame.fracsec - index * base / rate) <= 0.5 and index < rate
        whole_ns, rest_ns = spy.true_ns(outcome.twin, place)
        second = (whole_ns + 1_000_000) // NS_PER_S  # an instant on a second stays there, whatever its last digits
        claimed_ns = (frame.soc - true_soc(second, scenario.leap, scenario.start)) * NS_PER_S
        claimed_ns += index * NS_PER_S // rate
        errors_ns.append(claimed_ns - (whole_ns - second * NS_PER_S) - rest_ns)
        elapsed_s = (whole_ns - start_ns) / NS_PER_S
        rows.append((elapsed_s, spy.clock(place[0]), on_grid, frame.soc, quality.code, quality & 0x70, stat.pmu_tq,
                     stat.unlocked_time, stat.in_sync, stat.data_error != 0))  # fmt: skip
    columns = [np.array(column) for column in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 10
    elapsed_s, run, grid, soc, msg_tq, leap_bits, pmu_tq, unlocked, in_sync, bad = columns
    truth_ns = np.array([m.time_ns for m in outcome.measurements], dtype=np.int64)
    angle, angle_error = np.full(len(frames), np.nan), np.full(len(frames), np.nan)
    if len(frames):
        phasors = np.array([frame.pmus[0].phasors[0] for frame in frames])
        # the map's own seconds: on the continuous scale a whole second wrong is seen in the angle, at 59.97 Hz
        angle_error = np.angle(phasors / outcome.twin.truth(truth_ns).phasors[:, 0]) / (2 * np.pi * NOMINAL_HZ)
        angle = np.angle(phasors)
        angle[bad.astype(bool)] = angle_error[bad.astype(bool)] = np.nan
    return Seen(
        elapsed_s, run, np.array(errors_ns), angle, angle_error, grid.astype(bool), soc, msg_tq, leap_bits, pmu_tq,
        unlocked, in_sync.astype(bool), bad.astype(bool), outcome,
    )  # fmt: skip
