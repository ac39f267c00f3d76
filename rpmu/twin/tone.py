"""The self-test's tone on the twin: a folder that looks like the kernel's PWM channel, and the wave that it asks for.

Whoever writes period, duty_cycle and enable into the folder gets the wave at the filter's node (through R7) and, by
jumper JP2, at the PPS input in the place of the receiver. The PWM counts the same crystal as the ADC, so all of it is
in PRU cycles. What is asked for holds from where the pins are not prepared yet, up to 0.4 s later; a kernel is faster.
The wave is the sum of its harmonics up to 20 kHz: what lies above does not get through the filter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpmu.calibrate.profile import Profile
from rpmu.twin.laws import Floats
from rpmu.twin.signals import Grid, Truth

FILES = ("period", "duty_cycle", "enable")
CYCLES_PER_NS = 0.2
HIGHEST_HZ = 20_000.0
CYCLES_PER_S = 200e6


@dataclass(frozen=True)
class Wave:
    """A rectangular wave from a cycle on.

    Attributes:
        start: PRU cycle of its first rising edge.
        period: cycles; 0 for low all the time.
        high: cycles.
    """

    start: float
    period: float = 0.0
    high: float = 0.0

    def level(self, cycle: Floats) -> Floats:
        """From 0 (low) to 1 (high) at these cycles, float64 of their shape; band-limited."""
        if not self.period:
            return np.zeros_like(cycle)
        duty, phase = self.high / self.period, 2 * np.pi * (cycle - self.start) / self.period
        out = np.full_like(cycle, duty)
        for k in range(1, int(HIGHEST_HZ * self.period / CYCLES_PER_S) + 1):
            share = 2 / (np.pi * k) * np.sin(np.pi * k * duty)
            if abs(share) > 1e-9:
                out += share * np.cos(k * (phase - np.pi * duty))
        return np.where(cycle >= self.start, out, 0.0)

    def edges(self, until: float) -> tuple[list[float], list[float]]:
        """Cycles of its edges before a cycle, and the level after each."""
        if not self.period:
            return [self.start], [0.0]
        rising = np.arange(self.start, until, self.period)
        both = np.column_stack([rising, rising + self.high]).ravel()
        return both.tolist(), [1.0, 0.0] * len(rising)


@dataclass(frozen=True)
class ToneWiring:
    """How the tone is wired.

    Attributes:
        pwm: the channel that drives it.
        design: nominal front end, which says what R7 does.
        delay_s: of each channel's electronics, without the transformer that the tone does not pass.
        level_v: of the PWM pin when it is high.
    """

    pwm: PwmFolder
    design: Profile
    delay_s: tuple[float, ...]
    level_v: float = 3.3


class Tone:
    """The waves that were asked for, one after the other.

    Args:
        wiring: see there.
    """

    def __init__(self, wiring: ToneWiring) -> None:
        self.wiring = wiring
        self._asked = (0.0, 0.0)
        self._waves = [Wave(0.0)]
        self._planned = 0.0

    def look(self, prepared: float) -> None:
        """See what is asked for now; a change holds from where no pin is prepared yet, `prepared` cycles or later."""
        asked = self.wiring.pwm.asked()
        if asked != self._asked:
            self._asked = asked
            self._waves.append(Wave(max(prepared, self._planned) + 1.0, *asked))

    def mains_volts(self, cycle: Floats) -> Floats:
        """What mains would do the same to the filter, at these cycles."""
        level = np.zeros_like(cycle)
        for wave in self._waves:
            level = np.where(cycle >= wave.start, wave.level(cycle), level) if cycle[-1] >= wave.start else level
        design = self.wiring.design
        at_pin = level * self.wiring.level_v * design.tone_gain + design.tone_shift_v
        return np.asarray(at_pin / design.gain)

    def edges(self, until: float) -> tuple[list[float], list[float]]:
        """Edges at the PPS input up to a cycle that were not given yet, and the level after each."""
        cycles, levels = self._waves[-1].edges(until)
        rows = [(c, v) for c, v in zip(cycles, levels, strict=True) if self._planned <= c < until]
        self._planned = max(until, self._planned)
        return [c for c, _ in rows], [v for _, v in rows]


class PwmFolder:
    """A PWM channel as sysfs shows it, in a folder of one's own.

    Args:
        folder: made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / name).write_text("0\n", encoding="ascii")

    def asked(self) -> tuple[float, float]:
        """Period and high time in cycles; 0, 0 while it is not enabled."""
        period_ns, high_ns, enabled = (int((self.folder / name).read_text().strip() or 0) for name in FILES)
        return (period_ns * CYCLES_PER_NS, high_ns * CYCLES_PER_NS) if enabled and period_ns else (0.0, 0.0)


class Dead:
    """An outlet that is switched off.

    Args:
        phases: of the channels behind it.
    """

    notes: tuple[str, ...] = ("the outlet is dead: the adapter is unplugged for the self-test",)

    def __init__(self, phases: int = 1) -> None:
        self.phases = phases

    def volts(self, grid: Grid) -> Floats:
        """See `MainsSource`."""
        return np.zeros((self.phases, grid.n))

    def truth(self, utc_ns: NDArray[np.int64]) -> Truth | None:  # noqa: ARG002 (at any instant)
        """See `MainsSource`."""
        return None


def loaded(built: Profile, design: Profile) -> Profile:
    """A unit's front end with R7 at its node: the same share of Q goes as the design loses."""
    return replace(built, q=1.0 / (1.0 / built.q + 1.0 / design.tone_q - 1.0 / design.q))
