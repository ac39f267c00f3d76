"""The whole board in its room: outlet, front end, crystal, GPS receiver and the emulated PRU with its ADC.

`advance` is the only thing that makes time pass. It prepares what the pins will see (mains in segments of 0.1 s, the
next PPS edges), runs the emulator up to the new instant, lets faults happen at theirs, and moves the receiver's bytes.
It reads no clock and uses one thread, so the same settings and seed give the same run. `Pacer` (pacing.py) is what
ties it to the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rpmu.calibrate.profile import Profile, load_profile
from rpmu.errors import InputError
from rpmu.twin.crystal import SEGMENT_CYCLES, Crystal, CrystalSettings
from rpmu.twin.faults import Fault, Faults
from rpmu.twin.front_end import AnalogChain
from rpmu.twin.gps import GpsReceiver, GpsSettings
from rpmu.twin.laws import Floats
from rpmu.twin.link import TwinLink
from rpmu.twin.pruss import AdcErrors, AdcEvent, BusTiming, Pruss
from rpmu.twin.signals import NS_PER_S, Grid, MainsSource, Truth
from rpmu.twin.sources import Setting, parse_source
from rpmu.twin.tone import Tone, ToneWiring, loaded
from rpmu.twin.transformer import Core, Magnetising
from rpmu.twin.uart import misread

STEP_CYCLES = 1000  # grid of the analogue simulation: 5 us, 200 kHz
POINTS = SEGMENT_CYCLES // STEP_CYCLES
MARGIN_POINTS = 16  # the emulator interpolates over six points
AHEAD_NS = NS_PER_S // 4  # edges of the PPS are planned this much before they happen
CYCLES_PER_MS = 200_000
LAST_START_NS = 230 * 31_556_952 * NS_PER_S  # the year 2200; int64 ends in 2262
INSTANTS = ("adc_overrun", "tag_slip", "adc_stall")


class SerialLine(Protocol):
    """The receiver's end of a serial line: `PtyPort`, or anything that takes bytes."""

    @property
    def host_baud_rate(self) -> int | None:
        """The speed that the host has set; None for a line that has none."""

    def write(self, data: bytes) -> None:
        """Towards the host."""

    def read(self) -> bytes:
        """From the host; empty if nothing came."""

    def close(self) -> None:
        """Give it back."""


@dataclass(frozen=True)
class VddSettings:
    """The supply that is the converter's full scale, relative to what the converter's `gain` says of it.

    Attributes:
        swing_percent: amplitude of a slow sinusoid (temperature, load).
        period_s: its period.
        percent_per_s: drift on top.
    """

    swing_percent: float = 0.0
    period_s: float = 600.0
    percent_per_s: float = 0.0

    def ratio(self, seconds: Any) -> Any:
        """Full scale at these seconds after the start, 1 for no change."""
        swing = self.swing_percent * np.sin(2.0 * np.pi * seconds / self.period_s)
        return 1.0 + 0.01 * (swing + self.percent_per_s * seconds)


@dataclass(frozen=True)
class TwinSettings:
    """What the twin is like.

    Attributes:
        start_ns: UTC of the first instant.
        source: the words of `--source`.
        nominal_hz: 50 or 60.
        phases: 1 or 3, unless the source says otherwise.
        voltage_v: RMS volts of a source that does not say.
        profile: its front end, in all that its channels have in common.
        built: the front end of each channel, where they are not all `profile`.
        magnetising: what its transformers do as the level changes; None for nothing.
        mains_ain: analog input of each phase.
        pps_ain: analog input of the PPS.
        reference_ain: analog input of the known voltage, or None.
        reference_v: that voltage.
        skew_s: what each mains input lies behind, beyond the firmware's schedule; empty for nothing.
        tone: the self-test's wiring, jumpers set; None in service.
        vdd: how the supply moves that the converter measures against.
        pps_pin: bit of PRU0's R31 that the PPS is wired to as well, or None.
        crystal: its crystal.
        gps: its receiver.
        adc: errors of its converter; the reference is the profile's.
        bus: cycles per access of the PRU.
        faults: what goes wrong when.
        seed: of everything random.
    """

    start_ns: int
    source: str = "nominal"
    nominal_hz: int = 60
    phases: int = 1
    voltage_v: float = 120.0
    profile: Profile = field(default_factory=lambda: load_profile("reference-a-120v"))
    built: tuple[Profile, ...] = ()
    magnetising: Magnetising | None = None
    mains_ain: tuple[int, ...] = (0, 2, 3)
    pps_ain: int = 1
    reference_ain: int | None = None
    reference_v: float = 1.25
    skew_s: tuple[float, ...] = ()
    tone: ToneWiring | None = None
    vdd: VddSettings = field(default_factory=VddSettings)
    pps_pin: int | None = None
    crystal: CrystalSettings = field(default_factory=lambda: CrystalSettings(ppm=23.0, walk_ppb_per_rts=0.1))
    gps: GpsSettings = field(default_factory=GpsSettings)
    adc: AdcErrors = field(default_factory=lambda: AdcErrors(noise_lsb_rms=0.5))
    bus: BusTiming = field(default_factory=BusTiming)
    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no simulation can be made of.

        Raises:
            InputError: names the setting and what is allowed.
        """
        if not 0 <= self.seed < 2**63:
            raise InputError(f"the seed is {self.seed}, but must be a whole number from 0 to 2^63 - 1")
        if not 0 <= self.start_ns < LAST_START_NS:
            raise InputError("the twin must start between the years 1970 and 2200")
        if self.nominal_hz not in (50, 60):
            raise InputError(f"the nominal frequency is {self.nominal_hz} Hz, but must be 50 or 60")
        if self.pps_ain in self.mains_ain:
            raise InputError(f"AIN{self.pps_ain} cannot be both a mains input and the PPS input")
        if self.reference_ain is not None and self.reference_ain in (self.pps_ain, *self.mains_ain):
            raise InputError(f"AIN{self.reference_ain} cannot be both the converter's reference and another input")


class Twin:
    """A board that does not exist.

    Args:
        settings: what it is like.
        line: the receiver's serial line; None lets its bytes fall on the floor.
        source: a mains that no words describe, instead of the one that the settings name.

    Raises:
        InputError: the settings contradict themselves, or the source is wrong.
        HardwareError: the emulator is not built.
    """

    def __init__(
        self, settings: TwinSettings, line: SerialLine | None = None, source: MainsSource | None = None
    ) -> None:
        self.settings = settings
        self.source: MainsSource = source or parse_source(
            settings.source,
            Setting(settings.nominal_hz, settings.phases, settings.start_ns, settings.seed, settings.voltage_v),
        )
        phases = self.source.phases
        if phases > len(settings.mains_ain):
            raise InputError(
                f"the source has {phases} phases, but only {len(settings.mains_ain)} mains inputs are wired"
            )
        self.crystal = Crystal(settings.start_ns, settings.crystal, settings.seed)
        self.faults = Faults(settings.start_ns, list(settings.faults))
        self.gps = GpsReceiver(settings.start_ns, settings.gps, self.faults, settings.seed)
        self._tone = Tone(settings.tone) if settings.tone is not None else None
        self._built = (*settings.built, *(settings.profile,) * phases)[:phases]
        built = self._built
        if settings.tone is not None:
            built = tuple(loaded(profile, settings.tone.design) for profile in built)
        self.chain = AnalogChain(*built, seed=settings.seed)
        self._cores = [] if settings.magnetising is None else [Core(settings.magnetising) for _ in built]
        adc = AdcErrors(**(settings.adc.__dict__ | {"vref_v": settings.profile.vref_v}))
        self.pruss = Pruss(settings.bus, adc, settings.seed)
        self._line = line
        self._now_ns = settings.start_ns
        self._second = settings.start_ns // NS_PER_S + 1  # first whole second whose pulse is not planned yet
        self._spoken = -(-settings.start_ns // NS_PER_S)  # first whole second whose sentences have not begun
        self._last_edge_ns = settings.start_ns
        self._segments = 0
        self._crystal_steps_to_s = 0.0
        self._plug_in()

    @property
    def now_ns(self) -> int:
        """UTC of the simulation."""
        return self._now_ns

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first instant."""
        return (self._now_ns - self.settings.start_ns) / NS_PER_S

    def link(self) -> TwinLink:
        """The board as the daemon's sampler sees it."""
        return TwinLink(self.pruss)

    def truth(self, utc_ns: NDArray[Any] | int) -> Truth | None:
        """What a perfect PMU would report at these instants; None for a recording.

        The simulation's time is continuous, as the timing room's is: it equals UTC up to a leap second (fault
        `leap_second`) and counts straight through it. SOC and the receiver are a second behind it afterwards.
        """
        return self.source.truth(np.atleast_1d(np.asarray(utc_ns, dtype=np.int64)))

    def inject(self, fault: Fault) -> None:
        """Plan a fault while the twin runs; pins are prepared up to 0.3 s ahead, so it should start later than that."""
        self.faults.add(fault)

    def close(self) -> None:
        """Give the serial line back."""
        if self._line is not None:
            self._line.close()

    # ---- time ----

    def advance(self, seconds: float) -> None:
        """Let so much true time pass.

        Raises:
            PruFault: the firmware did what would hang the chip.
        """
        end_ns = self._now_ns + round(seconds * NS_PER_S)
        while self._now_ns < end_ns:
            self._advance_to(min(end_ns, self._now_ns + NS_PER_S // 10))

    def _advance_to(self, end_ns: int) -> None:
        """One step of at most 0.1 s."""
        from_s, to_s = self.elapsed_s, (end_ns - self.settings.start_ns) / NS_PER_S
        self._plan_crystal(to_s + 0.3)
        self._plan_pulses(end_ns + AHEAD_NS)
        self._prepare_mains(self.crystal.cycle_at(end_ns))
        for fault in self.faults.between(from_s, to_s, *INSTANTS):
            self.pruss.run_until(int(self.crystal.cycle_at(self.settings.start_ns + round(fault.start_s * NS_PER_S))))
            self._strike(fault)
        self.pruss.run_until(int(self.crystal.cycle_at(end_ns)))
        self._now_ns = end_ns
        self._serve_line()

    def _strike(self, fault: Fault) -> None:
        """Make a fault of the ADC happen now."""
        if fault.name == "adc_overrun":
            self.pruss.inject(AdcEvent.FORCE_OVERRUN)
        elif fault.name == "tag_slip":
            self.pruss.inject(AdcEvent.DROP_WORDS, max(1, round(fault.value)))
        else:
            self.pruss.inject(AdcEvent.STALL, round(fault.value * CYCLES_PER_MS))

    # ---- pins ----

    def _plug_in(self) -> None:
        """Put a voltage on every wired pin, with the front end already settled."""
        s = self.settings
        tau_cycles = s.profile.pps_tau_s * 2e8
        self.pruss.set_pulses(s.pps_ain, [0.0], [0.0], tau_cycles)
        for ain in s.mains_ain[self.source.phases :]:  # a channel without a signal rests at its bias
            self.pruss.set_pulses(ain, [0.0], [s.profile.bias_v], 0.0)
        self._feed(-1, keep=MARGIN_POINTS)

    def _plan_crystal(self, to_s: float) -> None:
        for fault in self.faults.between(self._crystal_steps_to_s, to_s, "crystal_step"):
            self.crystal.add_step(fault.start_s, fault.value)
        self._crystal_steps_to_s = max(to_s, self._crystal_steps_to_s)

    def _plan_pulses(self, to_ns: int) -> None:
        """Plan the PPS edges of every second that begins before `to_ns`."""
        s = self.settings
        if self._tone is not None:
            self._plan_tone(self.crystal.cycle_at(to_ns))
            return
        while self._second * NS_PER_S < to_ns:
            edges = self.gps.pulse(self._second)
            edges = [edge for edge in edges if edge.utc_ns > self._last_edge_ns]  # a very long pulse swallows the next
            cycles = [self.crystal.cycle_at(edge.utc_ns, edge.fraction_ns) for edge in edges]
            if edges:
                self._last_edge_ns = edges[-1].utc_ns
                levels = [float(edge.high) for edge in edges]
                tau_cycles = s.profile.pps_tau_s * 2e8
                high_v = s.profile.pps_high_v / s.vdd.ratio(self._second - s.start_ns / NS_PER_S)
                self.pruss.set_pulses(s.pps_ain, cycles, [high_v * level for level in levels], tau_cycles)
                if s.pps_pin is not None:
                    self.pruss.set_pin_edges(0, s.pps_pin, cycles, levels)
            self._second += 1

    def _plan_tone(self, to_cycle: float) -> None:
        """The tone in the place of the PPS."""
        assert self._tone is not None, "asked for with a tone only"
        self._tone.look(self._segments * float(SEGMENT_CYCLES))
        cycles, levels = self._tone.edges(to_cycle)
        if cycles:
            profile = self.settings.profile
            volts = [profile.pps_high_v * level for level in levels]
            self.pruss.set_pulses(self.settings.pps_ain, cycles, volts, profile.pps_tau_s * 2e8)

    def _prepare_mains(self, to_cycle: float) -> None:
        """Have the mains at the pins up to a cycle, and a margin more."""
        while self._segments * SEGMENT_CYCLES < to_cycle + MARGIN_POINTS * STEP_CYCLES:
            self._feed(self._segments, keep=POINTS)
            self._segments += 1

    def _feed(self, segment: int, keep: int) -> None:
        """Simulate the front end over one segment of the crystal, and hand its last `keep` points to the pins."""
        start_cycle = segment * SEGMENT_CYCLES
        utc_ns, fraction_ns = self.crystal.utc(start_cycle)
        step_ns = STEP_CYCLES * self.crystal.ns_per_cycle(max(segment, 0))
        grid = Grid(utc_ns, step_ns, POINTS, fraction_ns)
        volts = self._volts(grid)
        if self._tone is not None:
            cycle: Floats = start_cycle + np.arange(POINTS, dtype=np.float64) * STEP_CYCLES
            for i, (row, skew_s) in enumerate(zip(volts, self._skews, strict=True)):
                late_s = self._tone.wiring.delay_s[i] + skew_s
                row += self._tone.mains_volts(np.asarray(cycle - late_s * CYCLES_PER_MS * 1e3))
        self._scale(volts, grid)
        for row, core in zip(volts, self._cores, strict=False):
            row[:] = core.run(row, step_ns * 1e-9)
        pins = self.chain.run(volts, step_ns * 1e-9)
        # The emulator's converter has a constant full scale; one that moves is the same as pins that move the other
        # way. The front end's mid-scale is a share of the supply, so it stays.
        elapsed_s = (utc_ns - self.settings.start_ns) * 1e-9 + grid.dt_s
        ratio = self.settings.vdd.ratio(elapsed_s)
        bias_v = np.array([[profile.bias_v] for profile in self._built])
        pins = bias_v + (pins - bias_v) / ratio
        first_cycle = start_cycle + (POINTS - keep) * STEP_CYCLES
        for ain, row in zip(self.settings.mains_ain, pins, strict=False):
            self.pruss.set_waveform(ain, first_cycle, STEP_CYCLES, row[-keep:])
        if self.settings.reference_ain is not None:
            row = np.full(POINTS, self.settings.reference_v) / ratio
            self.pruss.set_waveform(self.settings.reference_ain, first_cycle, STEP_CYCLES, row[-keep:])

    @property
    def _skews(self) -> tuple[float, ...]:
        return (*self.settings.skew_s, *(0.0,) * self.source.phases)[: self.source.phases]

    def _volts(self, grid: Grid) -> NDArray[np.float64]:
        """The outlet as the filters see it at the grid's instants, float64 [phases, n]."""
        delays_s = [profile.delay_s + skew_s for profile, skew_s in zip(self._built, self._skews, strict=True)]
        if len(set(delays_s)) == 1:
            return self.source.volts(grid.delayed(delays_s[0]))
        return np.stack([self.source.volts(grid.delayed(delay_s))[i] for i, delay_s in enumerate(delays_s)])

    def _scale(self, volts: NDArray[np.float64], grid: Grid) -> None:
        """Overvoltage while the fault `clipping` holds."""
        from_s = (grid.start_ns - self.settings.start_ns) / NS_PER_S
        for fault in self.faults.windows("clipping", from_s, from_s + grid.n * grid.step_ns * 1e-9):
            t = from_s + grid.dt_s
            volts[:, (t >= fault.start_s) & (t < fault.end_s)] *= fault.value

    # ---- the serial line ----

    def _serve_line(self) -> None:
        """Let the receiver speak and listen up to now."""
        while self._spoken * NS_PER_S <= self._now_ns:
            self.gps.begin_second(self._spoken)
            self._spoken += 1
        data = self.gps.received(self._now_ns)
        if self._line is None:
            return
        speed = self.gps.baud_rate
        host_speed = self._line.host_baud_rate or speed
        self._line.write(misread(data, speed, host_speed))
        heard = self._line.read()
        if heard:
            self.gps.command(misread(heard, host_speed, speed), self._now_ns)
