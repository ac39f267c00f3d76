"""A small world for the timekeeper: a crystal, a PPS with its RC slope, a receiver that talks NMEA, and the truth.

Time is simulated second by second on a float axis of scans; a world is a handful of numbers and functions of the
second, so that a scenario is a few lines. `run` feeds a TimeKeeper as the daemon would and notes error, sigma, state
and codes a few times per second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.timing import LeapSchedule, LockState, TimeKeeper, TimingSettings

INFO = AcquisitionInfo(1, 7, 50, 5, 3, 0, (25,), "1.0")
RATE = 60_000.0
START = 1_780_315_200  # 2026-06-01 12:00:00 UTC
TICKS_PER_SCAN = 10_000 / 3
LAG_TICKS = 5000.0
LATE_TICKS = 44  # spread of the lateness with which the firmware reads a scan, as on the emulator
NO_CODES = np.zeros((64, 1), dtype=np.uint16)


def never(_second: int) -> bool:
    return False


def always(_second: int) -> bool:
    return True


@dataclass
class World:
    """What is true. Functions take the number of the second since the start."""

    seconds: int = 60
    ppm: Callable[[int], float] = lambda _: 58.8  # the crystal: positive is fast
    jitter_ns: float = 20.0
    tau_scans: Callable[[int], float] = lambda _: 0.99
    step_counts: float = 3754.0
    noise_counts: float = 1.0
    first_scan: float = 1000.3
    start: int = START
    pps: Callable[[int], bool] = always
    pps_error_ns: Callable[[int], float] = lambda _: 0.0
    extra_pps_s: Callable[[int], tuple[float, ...]] = lambda _: ()  # further pulses, s after the right one
    both_inputs: bool = False
    adc_events: Callable[[int], bool] = always  # with both inputs: whether the ADC's one is there
    pin_ticks: float = 0.0  # > 0: the PPS is at a pin, looked at every so many ticks
    nmea: Callable[[int], bool] = always
    fix: Callable[[int], bool] = always
    dated: Callable[[int], bool] = always  # whether a receiver without fix knows the date
    nmea_delay_s: Callable[[int], float] = lambda _: 0.35
    nmea_error_s: Callable[[int], int] = lambda _: 0
    leap_utc: Callable[[int], tuple[int, int]] | None = None  # second -> (Unix count, 60th second?)
    restart_ticks: Callable[[int], float] = lambda _: 0.0  # ADC restarts in this second; instants move by this
    # A new run of the acquisition begins in this second: after how much of it, for how long nothing is sampled, and
    # the length of the new scans in ADC clocks.
    new_run: Callable[[int], tuple[float, float, int] | None] = lambda _: None
    seed: int = 1
    sentences: Callable[[int, bool, bool, bool], bytes] | None = None
    talkers: Callable[[int], str] = lambda _: "GP"
    mangle: Callable[[int, PpsEvent], PpsEvent] = lambda _, event: event  # what becomes of an event of the ADC


@dataclass
class Record:
    """What was seen, one entry per look."""

    t: np.ndarray
    error_ns: np.ndarray
    sigma_ns: np.ndarray
    state: list[LockState]
    msg_tq: np.ndarray
    pmu_tq: np.ndarray
    in_sync: np.ndarray
    unlocked_time: np.ndarray
    resyncs: np.ndarray
    soc_error: np.ndarray
    keeper: TimeKeeper
    reasons: list[str] = field(default_factory=list)

    def when(self, state: LockState) -> np.ndarray:
        return np.array([s is state for s in self.state])

    def between(self, start: float, end: float) -> np.ndarray:
        return (self.t >= start) & (self.t < end)

    def first_lock(self) -> float:
        locked = self.when(LockState.LOCKED)
        return float(self.t[locked][0]) if locked.any() else float("inf")

    def lock_errors(self) -> np.ndarray:
        return self.error_ns[self.when(LockState.LOCKED)]


def with_checksum(body: str) -> bytes:
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode()


def sentences(utc: int, fix: bool, dated: bool, leap: bool = False, talker: str = "GP") -> bytes:
    """GGA, GSA and RMC of an MTK3339 for one second."""
    when = datetime.fromtimestamp(utc - leap, UTC)
    clock = f"{when:%H%M%S}.000" if not leap else "235960.000"
    day = f"{when:%d%m%y}"
    if not fix and not dated:
        return with_checksum(f"{talker}GGA,,,,,,0,00,,,M,,M,,") + with_checksum(f"{talker}RMC,,V,,,,,,,,,,N")
    gga = f"{talker}GGA,{clock},4404.1306,N,12118.8515,W,{'1,10,0.98' if fix else '0,00,'},1127.7,M,-19.6,M,,"
    gsa = f"{talker}GSA,A,{3 if fix else 1},20,16,09,03,07,10,23,19,27,30,,,1.64,0.98,1.31"
    rmc = (
        f"{talker}RMC,{clock},{'A' if fix else 'V'},4404.1306,N,12118.8515,W,0.03,225.97,{day},,,{'A' if fix else 'N'}"
    )
    return b"".join(map(with_checksum, (gga, gsa, rmc)))


class _Axis:
    """Scan positions of true time: the crystal's frequency is constant within a second."""

    def __init__(self, world: World) -> None:
        rates = np.array([RATE * (1 + world.ppm(k) * 1e-6) for k in range(world.seconds + 2)])
        self.edges = world.first_scan + np.concatenate([[0.0], np.cumsum(rates)])
        self.rates = rates

    def scan(self, t: float) -> float:
        k = int(t)
        return float(self.edges[k] + (t - k) * self.rates[k])

    def time(self, scan: float) -> float:
        k = int(np.searchsorted(self.edges, scan, side="right")) - 1
        return k + (scan - self.edges[k]) / self.rates[k]


def run(
    world: World, settings: TimingSettings | None = None, leaps: LeapSchedule | None = None, looks: int = 4
) -> Record:
    """Feed a keeper with the world, looking at it `looks` times a second."""
    return Runner(world, settings, leaps).run(looks)


class Runner:
    """A keeper in a world."""

    def __init__(self, world: World, settings: TimingSettings | None, leaps: LeapSchedule | None) -> None:
        self.world, self.axis = world, _Axis(world)
        self.rng = np.random.default_rng(world.seed)
        self.keeper = TimeKeeper(INFO, settings, leaps)
        self.epoch, self.moved = 1, 0.0  # scans by which the numbers lag behind the axis ...
        self.info, self.ratio = INFO, 1.0  # ... whose scans are of this number in the present run
        self.sampling_from = 0.0
        self.rows: list[tuple[float, ...]] = []
        self.states: list[LockState] = []
        self.reasons: list[str] = []

    def number(self, position: float) -> float:
        return (position - self.moved) * self.ratio

    def position(self, number: float) -> float:
        return number / self.ratio + self.moved

    def run(self, looks: int) -> Record:
        for k in range(self.world.seconds):
            todo: list[tuple[float, Callable[[float], None]]] = []
            if self.world.pps(k):
                todo.append((0.0005, lambda _, k=k: self._pulse(k + self._pps_error(k))))
            todo += [(s + 0.0005, lambda _, s=s, k=k: self._pulse(k + s)) for s in self.world.extra_pps_s(k)]
            if self.world.nmea(k):
                todo.append((self.world.nmea_delay_s(k), lambda t, k=k: self._talk(k, t)))
            if self.world.restart_ticks(k):
                todo.append((0.6, lambda _, k=k: self._restart(k)))
            if (new := self.world.new_run(k)) is not None:
                after, pause, clocks = new
                todo.append((after, lambda t, pause=pause, clocks=clocks: self._new_run(t + pause, clocks)))
                todo.append((after + pause + 0.003, self._look))
            todo += [((i + 0.5) / looks, self._look) for i in range(looks)]
            for offset, action in sorted(todo, key=lambda item: item[0]):
                action(k + offset)
        columns = [np.array(column) for column in zip(*self.rows, strict=True)]
        t, error, sigma, msg_tq, pmu_tq, sync, unlocked, resyncs, soc = columns
        return Record(
            t, error, sigma, self.states, msg_tq, pmu_tq, sync > 0, unlocked, resyncs, soc, self.keeper, self.reasons
        )

    def _pps_error(self, k: int) -> float:
        return 1e-9 * (self.world.pps_error_ns(k) + self.world.jitter_ns * self.rng.standard_normal())

    def _pulse(self, t: float) -> None:
        if t < self.sampling_from:
            return
        position = self.number(self.axis.scan(max(t, 0.0)))
        if self.world.pin_ticks:
            self.keeper.feed_event(self._pin_event(position))
        if not self.world.pin_ticks or (self.world.both_inputs and self.world.adc_events(int(t + 0.5))):
            self.keeper.feed_event(self.world.mangle(int(t + 0.5), self._adc_event(position, int(t + 0.5))))

    def _adc_event(self, position: float, k: int) -> PpsEvent:
        first = int(position) - 20
        scans = np.arange(first, first + 80, dtype=np.float64)
        tau = self.world.tau_scans(k) * self.ratio
        rise = -np.expm1(-np.maximum(scans - position, 0) / tau) if tau else (scans >= position).astype(float)
        volts = 3.0 + self.world.step_counts * rise + self.world.noise_counts * self.rng.standard_normal(scans.size)
        codes = np.clip(np.rint(volts), 0, 4095).astype(np.uint16)
        crossing = int(np.argmax(codes >= 2000))
        start = crossing - 16
        counter = self._counter(first + crossing)
        return PpsEvent("adc", self.epoch, first + start, codes[start : start + 48], 16, counter, counter)

    def _pin_event(self, position: float) -> PpsEvent:
        # Ticks of the edge: a scan's result is ready 13 ADC clocks after its sampling instant, read 22 ticks later;
        # a look at the pin comes 12 ticks after the counter is read (both as on the emulator).
        ticks = (self.position(position) - 13 / 50) * TICKS_PER_SCAN + LAG_TICKS
        before = ticks - 12 - self.rng.uniform() * self.world.pin_ticks
        none = np.zeros(0, dtype=np.uint16)
        after = before + self.world.pin_ticks
        newest = int(position - 13 / self.info.scan_adc_clocks)
        return PpsEvent("pin", self.epoch, newest, none, 0, round(before), round(after))

    def _counter(self, number: float) -> int:
        return int(self.position(number) * TICKS_PER_SCAN + LAG_TICKS + 22 + self.rng.uniform() * LATE_TICKS)

    def _restart(self, k: int) -> None:
        self.moved += self.world.restart_ticks(k) / TICKS_PER_SCAN
        self.epoch += 1

    def _new_run(self, t: float, clocks: int) -> None:
        self.epoch += 1
        self.moved, self.ratio, self.sampling_from = self.axis.scan(t) - 0.3, 50 / clocks, t
        self.info = replace(INFO, scan_adc_clocks=clocks)
        assert self.keeper.resume(self.info)

    def _talk(self, k: int, t: float) -> None:
        utc, leap = self.world.start + k, 0
        if self.world.leap_utc is not None:
            utc, leap = self.world.leap_utc(k)
        utc += self.world.nmea_error_s(k)
        data = sentences(utc, self.world.fix(k), self.world.dated(k), bool(leap), self.world.talkers(k))
        if self.world.sentences is not None:
            data = self.world.sentences(k, utc, data)
        at = int(self.number(self.axis.scan(max(t, self.sampling_from))))
        cut = int(self.rng.integers(1, max(len(data), 2)))
        self.keeper.feed_nmea(data[:cut], at)
        self.keeper.feed_nmea(data[cut:], at + 600)

    def _look(self, t: float) -> None:
        if t < self.sampling_from:
            return
        scan = int(self.number(self.axis.scan(t)))
        true_t = self.axis.time(self.position(scan))
        self.keeper.feed_block(SampleBlock(scan, NO_CODES, self.epoch, self._counter(scan)))
        status, line = self.keeper.status, self.keeper.map
        second = int(true_t)
        error, soc_error = np.nan, 0
        if line is not None:
            error = (line.utc_ns_at(scan) - (self.world.start + second) * 10**9) - (true_t - second) * 1e9
            if self.world.leap_utc is not None:
                soc_error = (
                    self.keeper.report_time((self.world.start + second) * 10**9).soc - self.world.leap_utc(second)[0]
                )
        codes = status.codes
        self.rows.append(
            (t, error, status.sigma_ns, codes.msg_tq, codes.pmu_tq, codes.in_sync, codes.unlocked_time,
             status.counters.resyncs, soc_error)
        )  # fmt: skip
        self.states.append(status.state)
        self.reasons.append(status.reason)


MSG_TQ_LIMIT_NS = np.array([np.inf, *(10.0 ** np.arange(0, 11)), np.inf, np.inf, np.inf, np.inf])
PMU_TQ_LIMIT_NS = np.array([np.inf, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, np.inf])


def dishonest(record: Record) -> np.ndarray:
    """Looks at which the error is outside what the codes claim; where there is no map the codes must say unknown."""
    error = np.abs(record.error_ns)
    unknown = np.isnan(error)
    claim = np.minimum(MSG_TQ_LIMIT_NS[record.msg_tq.astype(int)], PMU_TQ_LIMIT_NS[record.pmu_tq.astype(int)])
    lies = np.where(unknown, np.isfinite(claim) | record.in_sync, error > claim)
    return np.flatnonzero(lies | (record.in_sync != (record.msg_tq == 0)))


def changed(world: World, **values: object) -> World:
    return replace(world, **values)  # type: ignore[arg-type]
