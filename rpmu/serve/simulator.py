"""A PMU simulator for network tests: right frames at the right time, and wrong ones where a test wants them.

There is no estimator behind it: the signal is a formula, so frequency, ROCOF and angle of a frame belong together
exactly. The frequency is constant, or wanders as a sum of slow sines; the angle is 2π times the integral of its
deviation from nominal. The same seed gives the same stream.
"""

from __future__ import annotations

import asyncio
import random
import time
from cmath import rect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import cos, pi, sin

from rpmu.c37118 import (
    AnalogChannel,
    ConfigFrame,
    ConfigFrame2,
    DataFrame,
    DigitalWord,
    Format,
    PhasorChannel,
    PhasorComponent,
    PmuConfig,
    PmuData,
    Stat,
    TimeQuality,
)
from rpmu.errors import InputError
from rpmu.serve.faults import Faults
from rpmu.serve.grid import Grid
from rpmu.serve.pacing import Pacer
from rpmu.serve.server import PmuServer
from rpmu.serve.stream import ScheduledChange

NS_PER_S = 1_000_000_000
INTEGER_SCALE = 0.02  # V or A per bit of an integer phasor
CURRENT_A = 5.0
WANDER = ((0.012, 97.0), (0.006, 23.0), (0.002, 5.3))  # amplitude in Hz and period in s, like a large grid's
PMU_TQ_BELOW_1_US = 2
YIELD_EVERY = 64  # frames
FORMATS = {
    "float": Format.FLOAT_POLAR,
    "float-polar": Format.FLOAT_POLAR,
    "float-rectangular": Format.FLOAT,
    "int": Format.POLAR,
    "int-rectangular": Format.INTEGER,
    "int-polar": Format.POLAR,
}


@dataclass(frozen=True)
class SimulatorSettings:
    """What is simulated.

    Attributes:
        idcode: IDCODE of the stream; with several PMUs they have the IDCODEs after it.
        pmus: number of PMUs in the stream.
        rate: frames per second, or negated seconds per frame.
        format: which numbers the data frames are made of.
        sync_version: version in SYNC.
        phasors: phasors per PMU: VA, VB, VC, then currents.
        analogs: analog values per PMU.
        digitals: digital words per PMU.
        nominal_hz: 50 or 60.
        frequency_hz: mean frequency; None for nominal.
        voltage_v: RMS voltage.
        wander: let the frequency wander.
        locked: False marks the time as unlocked.
        seed: of the wandering and of the faults.
        time_base: TIME_BASE.
    """

    idcode: int = 1
    pmus: int = 1
    rate: int = 60
    format: Format = Format.FLOAT_POLAR
    sync_version: int = 2
    phasors: int = 1
    analogs: int = 0
    digitals: int = 0
    nominal_hz: int = 60
    frequency_hz: float | None = None
    voltage_v: float = 120.0
    wander: bool = False
    locked: bool = True
    seed: int = 0
    time_base: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("pmus", "phasors", "analogs", "digitals"):
            value, least = getattr(self, name), 1 if name == "pmus" else 0
            if not least <= value <= 10_000:
                raise InputError(f"number of {name} is {value}, but must be {least} … 10000")

    def configuration(self, soc: int) -> ConfigFrame2:
        """The stream's configuration, stamped with a second."""
        several = self.pmus > 1
        pmus = tuple(self._pmu(n, self.idcode + 1 + n if several else self.idcode) for n in range(self.pmus))
        return ConfigFrame2(self.idcode, pmus, self.rate, time_base=self.time_base, soc=soc, version=self.sync_version)

    def _pmu(self, number: int, idcode: int) -> PmuConfig:
        scale = 1.0 if self.format & Format.FLOAT_PHASORS else INTEGER_SCALE
        names = [("VA", "A"), ("VB", "B"), ("VC", "C")] + [(f"I{n}", "A") for n in range(1, self.phasors - 2)]
        phasors = tuple(
            PhasorChannel(name, name[0] == "I", scale, component=PhasorComponent[f"PHASE_{phase}"])
            for name, phase in names[: self.phasors]
        )
        return PmuConfig(
            f"SIM {number + 1}",
            idcode,
            self.format,
            phasors,
            tuple(AnalogChannel(f"ANALOG{n + 1}") for n in range(self.analogs)),
            tuple(DigitalWord(tuple(f"BIT {16 * n + bit}" for bit in range(16))) for n in range(self.digitals)),
            self.nominal_hz,
        )


class Signal:
    """Frequency, its rate of change and the phasor angle at any time, from one formula."""

    def __init__(self, settings: SimulatorSettings, number: int) -> None:
        chance = random.Random(settings.seed * 10_007 + number)
        mean_hz = settings.nominal_hz if settings.frequency_hz is None else settings.frequency_hz
        self._nominal_hz = settings.nominal_hz
        self._offset_hz = mean_hz - settings.nominal_hz
        waves = WANDER if settings.wander else ()
        self._waves = [(amplitude, 2 * pi / period, chance.uniform(0, 2 * pi)) for amplitude, period in waves]

    def at(self, time_s: float) -> tuple[float, float, float]:
        """Frequency (Hz), ROCOF (Hz/s) and angle (rad) at a time since the start."""
        frequency_hz, rocof, turns = self._nominal_hz + self._offset_hz, 0.0, self._offset_hz * time_s % 1.0
        for amplitude, omega, phase in self._waves:
            frequency_hz += amplitude * sin(omega * time_s + phase)
            rocof += amplitude * omega * cos(omega * time_s + phase)
            turns += amplitude / omega * (cos(phase) - cos(omega * time_s + phase))
        return frequency_hz, rocof, 2 * pi * turns


class Simulator:
    """Makes the data frames of a stream and hands them to a server when they are due.

    Attributes:
        config: the stream.
        pacer: which frame is next, and how many were left out; None before the first.
    """

    def __init__(self, settings: SimulatorSettings, faults: Faults | None = None) -> None:
        self._settings = settings
        self._faults = faults if faults is not None else Faults()
        self._start_soc = time.time_ns() // NS_PER_S
        self.config: ConfigFrame = settings.configuration(self._start_soc)
        self.pacer: Pacer | None = None
        self._signals = [Signal(settings, number) for number in range(settings.pmus)]
        self._next: ScheduledChange | None = None
        tq = PMU_TQ_BELOW_1_US if settings.sync_version > 1 else 0  # 2005 has no PMU_TQ
        stat = Stat.of(pmu_tq=tq) if settings.locked else Stat.of(in_sync=False, pmu_tq=7)
        self._stat = stat
        self._time_quality = TimeQuality(0 if settings.locked else 11)

    def frame(self, ordinal: int) -> DataFrame:
        """The data frame of a report instant."""
        second, index = Grid(self.config.data_rate).instant(ordinal)
        time_s = second - self._start_soc + (index / self.config.data_rate if index else 0.0)
        pmus = [self._pmu(signal, time_s, ordinal) for signal in self._signals]
        return DataFrame.at(self.config, second, index, pmus, self._time_quality)

    def _pmu(self, signal: Signal, time_s: float, ordinal: int) -> PmuData:
        settings = self._settings
        frequency_hz, rocof, angle = signal.at(time_s)
        phasors = [
            rect(settings.voltage_v if n < 3 else CURRENT_A, angle - (n % 3) * 2 * pi / 3)
            for n in range(settings.phasors)
        ]
        analogs = tuple(float(100 * n + ordinal % 100) for n in range(settings.analogs))
        digitals = (ordinal & 0xFFFF,) * settings.digitals
        return PmuData(tuple(phasors), frequency_hz, rocof, analogs, digitals, self._stat)

    async def run(self, server: PmuServer) -> None:
        """Publish for ever, every frame at its time of UTC."""
        self.pacer = Pacer(Grid(self.config.data_rate), time.time_ns())
        while True:
            wait_ns = self.pacer.wait_ns(time.time_ns())
            if wait_ns > 0:
                await asyncio.sleep(wait_ns / NS_PER_S)
                continue  # the clock decides, not the sleep
            if self._switch_if_due(self.pacer):
                continue
            for data in self.published(self.pacer.advance()):
                server.publish(data)
            if self.pacer.ordinal % YIELD_EVERY == 0:
                await asyncio.sleep(0)  # catching up must not starve the connections

    def change_rate(self, server: PmuServer, rate: int) -> None:
        """Another reporting rate, announced and taken up as the server says."""
        self._next = server.reconfigure(replace(self.config, data_rate=rate))

    def _switch_if_due(self, pacer: Pacer) -> bool:
        """Take up the next configuration when its first second begins."""
        if self._next is None:
            return False
        due_soc = self._next.effective_soc or 0
        if Grid(self.config.data_rate).instant(pacer.ordinal)[0] < due_soc:
            return False
        at_ns = max(due_soc * NS_PER_S, Grid(self.config.data_rate).time_ns(pacer.ordinal))
        self.config, self._next = self._next.configuration, None
        pacer.change_grid(Grid(self.config.data_rate), at_ns)
        return True

    def published(self, ordinal: int) -> Iterator[bytes]:
        """The bytes that go out at a report instant: its frame, unless faults make something else of it."""
        return self._faults.apply(ordinal, self.frame(ordinal).encode())


def parse_format(text: str) -> Format:
    """Read a format: a name of `FORMATS`, or the FORMAT word as a number 0 … 15.

    Raises:
        InputError: neither.
    """
    if text in FORMATS:
        return FORMATS[text]
    if text.isdigit() and int(text) <= 15:
        return Format(int(text))
    raise InputError(f"format '{text}' is not known; use {', '.join(FORMATS)}, or the FORMAT word 0 … 15")
