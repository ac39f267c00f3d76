"""Leads a person (or a script) through a plan of points, reading the running PMU's stream.

Nobody has to press a key: it says what to set, sees in the stream when it is set, waits until it is stable, reads, and
goes on to the next point. With a reference PMU the frames of both are matched by their time.
"""

from __future__ import annotations

import asyncio
import cmath
import json
import math
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rpmu.c37118 import DataFrame
from rpmu.calibrate.fit import Reading
from rpmu.calibrate.readings import (
    CLIPPING,
    Base,
    Collector,
    divided_by_reference,
    from_nominal,
    generator_phasor,
    usable,
)
from rpmu.calibrate.session import Target
from rpmu.errors import InputError
from rpmu.pdc.client import PdcClient

SET_HZ = 0.05  # how near to the wanted point the stream must be
SET_SHARE, NEXT_SHARE = 0.35, 0.04  # at the first point the gain is unknown; then only the converter is
KEY_NS = 100_000  # two PMUs' stamps of one instant differ by the rounding of their TIME_BASE
WAITING_FRAMES = 1200
STEADY, SAY_EVERY = 6, 120  # frames: a cause of waiting is told when it lasts, or if others keep taking its place
BAR = 20

Truth = Callable[[DataFrame, DataFrame | None, Target], list[complex]]


class Voice(Protocol):
    """Whom the guide talks to."""

    def want(self, target: Target, number: int, of: int) -> None:
        """What is to be connected or set now."""

    def progress(self, share: float, note: str) -> None:
        """How far the reading is, and what it says so far or what is in its way; with every frame."""

    def waiting(self, why_not: str) -> None:
        """What is in the way has changed; empty if nothing is any more."""

    def reading(self, readings: dict[str, Reading]) -> None:
        """A point is done."""


def names_of(frame: DataFrame) -> list[str]:
    """Names of the channels: the phasors but for the positive sequence."""
    return [phasor.name.strip() for phasor in frame.config.pmus[0].phasors if phasor.name.strip() != "V1"]


def by_generator(angle_deg: float, started_ns: int = 0, *, three_phase: bool = False) -> Truth:
    """The truth of a generator whose angle was this at a second, and which has run undisturbed since.

    Args:
        angle_deg: of its signal, or of its phase A.
        started_ns: UTC of that second.
        three_phase: the channels get phases A, B, C in turn, instead of one signal all of them.
    """

    def truth(frame: DataFrame, _: DataFrame | None, target: Target) -> list[complex]:
        """What the generator gave at the frame's instant, V, one per channel."""
        assert target.frequency_hz is not None, "a generator's plan has frequencies"
        assert target.voltage_v is not None, "and levels"
        nominal_hz = frame.config.pmus[0].nominal_hz
        phasor = generator_phasor(
            frame.time_ns, target.frequency_hz, target.voltage_v, angle_deg, nominal_hz, started_ns
        )
        turns = [i % 3 / 3 if three_phase else 0.0 for i in range(len(names_of(frame)))]
        return [phasor * cmath.exp(-2j * math.pi * turn) for turn in turns]

    return truth


def by_multimeter(*volts: float) -> Truth:
    """The truth of a multimeter: its magnitude, with the angle that the PMU reports.

    Args:
        volts: of each channel, or one for all.

    Raises:
        InputError: (the truth) there are more channels than values.
    """

    def truth(frame: DataFrame, _: DataFrame | None, __: Target) -> list[complex]:
        """What the multimeter read, V, at the angles that the frame reports, one per channel."""
        names = names_of(frame)
        read = volts * len(names) if len(volts) == 1 else volts
        if len(read) != len(names):
            raise InputError(
                f"--volts has {len(read)} values, but the device {len(names)} channels ({', '.join(names)}); give one "
                "for each, such as 121.4,120.9,121.1, or a single one for all"
            )
        return [v * phasor / abs(phasor) for v, phasor in zip(read, frame.pmus[0].phasors, strict=False)]

    return truth


def refuse_one_signal(frame: DataFrame) -> None:
    """Refuse a three-phase PMU whose inputs all have the same signal.

    Raises:
        InputError: they do: the sum of the phases is there, and the positive sequence is not.
    """
    phasors = {
        phasor.name.strip(): value
        for phasor, value in zip(frame.config.pmus[0].phasors, frame.pmus[0].phasors, strict=True)
    }
    positive = phasors.pop("V1", None)
    zero = abs(sum(phasors.values())) / max(len(phasors), 1)
    if positive is not None and abs(positive) < 0.3 * zero:
        raise InputError(
            "all three inputs have the same signal, but the PMU looks for three phases and takes the frequency from "
            "their positive sequence: while you calibrate, set station.phases = 1 and name the three inputs as "
            "[[channel]], or use a three-phase generator and --three-phase"
        )


def by_reference(frame: DataFrame, other: DataFrame | None, _: Target) -> list[complex]:
    """The truth of a reference PMU: its phasors in the same order.

    Raises:
        InputError: it has fewer than the device.
    """
    assert other is not None, "frames come in pairs"
    phasors = list(other.pmus[0].phasors)
    if len(phasors) < len(names_of(frame)):
        raise InputError(
            f"the reference has {len(phasors)} phasors, but the device {len(names_of(frame))} channels; give a "
            "reference that measures all of them"
        )
    return phasors


async def pairs(device: PdcClient, reference: PdcClient | None) -> AsyncIterator[tuple[DataFrame, DataFrame | None]]:
    """Frames of the device, each with the reference's of the same instant if there is a reference."""
    if reference is None:
        async for frame in device.frames():
            yield frame, None
        return
    both: asyncio.Queue[tuple[int, DataFrame]] = asyncio.Queue()

    async def pass_on(which: int, client: PdcClient) -> None:
        async for frame in client.frames():
            both.put_nowait((which, frame))

    tasks = [asyncio.create_task(pass_on(which, client)) for which, client in enumerate((device, reference))]
    waiting: tuple[dict[int, DataFrame], dict[int, DataFrame]] = ({}, {})
    try:
        while True:
            which, frame = await both.get()
            key = round(frame.time_ns / KEY_NS)
            match = waiting[1 - which].pop(key, None)
            if match is not None:
                yield (frame, match) if which == 0 else (match, frame)
                continue
            waiting[which][key] = frame
            if len(waiting[which]) > WAITING_FRAMES:
                del waiting[which][next(iter(waiting[which]))]
    finally:
        for task in tasks:
            task.cancel()


@dataclass
class Guide:
    """One run through a plan; feed it frames.

    Attributes:
        base: what the PMU runs with.
        truth: what it should say.
        plan: points to come.
        seconds: of one reading.
        voice: whom to talk to.
        keep: called with every reading, to store it.
        gain: of the first channel against what the PMU runs with, once a reading has told; 0 before.
        may_invert: see `Collector`.
        before: points of the whole plan that were read in an earlier run.
        waiting_for: what is in the way now; empty if nothing is.
        divided: the device divides its converter's reference out.
    """

    base: Base
    truth: Truth
    plan: Sequence[Target]
    seconds: float
    voice: Voice
    keep: Callable[[dict[str, Reading], Target], None]
    gain: float = 0.0
    may_invert: bool = False
    before: int = 0
    waiting_for: str = field(default="", init=False)
    divided: bool = field(default=False, init=False)
    _collector: Collector | None = field(default=None, init=False)
    _done: int = field(default=0, init=False)
    _asked: bool = field(default=False, init=False)
    _clipped: int = field(default=0, init=False)
    _silent: int = field(default=0, init=False)  # frames since something was said to be in the way
    _lasts: int = field(default=0, init=False)  # frames that have the present cause
    _said: str = field(default="", init=False)

    @property
    def finished(self) -> bool:
        """No point is left."""
        return self._done >= len(self.plan)

    def feed(self, frame: DataFrame, other: DataFrame | None = None) -> None:
        """One frame of the device and, with a reference, its frame of the same instant.

        Raises:
            InputError: a reading that cannot be right.
        """
        target = self.plan[self._done]
        self.divided = divided_by_reference(frame)
        if not usable(frame):
            refuse_one_signal(frame)
        collector = self._collector = self._collector or self._new_collector(frame)
        if not self._asked:
            self._asked = True
            self.voice.want(target, self.before + self._done + 1, self.before + len(self.plan))
        why_not = usable(frame) or self._not_set(frame, target) or (other is not None and _refused(other)) or ""
        self._count_clipped(why_not, collector.needed)
        self._say_why(why_not, collector)
        if why_not:
            return
        pmu = frame.pmus[0]
        collector.add(pmu.phasors, self.truth(frame, other, target), pmu.frequency_hz)
        self.voice.progress(collector.progress, collector.so_far)
        readings = collector.take()
        if readings is not None:
            self.keep(readings, target)
            self.voice.reading(readings)
            self.gain = self.base.gain_of(collector.channels[0], readings[collector.channels[0]])
            self._done += 1
            self._asked = False

    def _say_why(self, why_not: str, collector: Collector) -> None:
        """Tell what is in the way, and forget what was collected before it came."""
        if why_not:
            collector.restart()
            self.voice.progress(collector.progress, f"waiting: {why_not}")
        self._lasts = self._lasts + 1 if why_not == self.waiting_for else 1
        self.waiting_for = why_not
        self._silent += 1
        if why_not != self._said and (self._lasts >= STEADY or self._silent >= SAY_EVERY):
            self._silent, self._said = 0, why_not
            self.voice.waiting(why_not)

    def _count_clipped(self, why_not: str, patience: int) -> None:
        self._clipped = self._clipped + 1 if why_not == CLIPPING else 0
        if self._clipped > patience:
            raise InputError(
                "the input has been clipping for the whole length of a reading: the level is above what the front end "
                "can take; lower it, and check that --profile is the front end that is built"
            )

    def _new_collector(self, frame: DataFrame) -> Collector:
        rate = frame.config.data_rate
        per_second = float(rate) if rate > 0 else -1.0 / rate
        nominal_hz, made_for_hz = frame.config.pmus[0].nominal_hz, self.base.profile.nominal_frequency_hz
        if nominal_hz != made_for_hz:
            raise InputError(
                f"the PMU runs at nominal {nominal_hz:g} Hz, but profile {self.base.profile.name} is made for "
                f"{made_for_hz:g} Hz: give the --profile that is built, or mend station.nominal_frequency_hz"
            )
        return Collector(names_of(frame), self.base, max(6, round(self.seconds * per_second)), self.may_invert)

    def _not_set(self, frame: DataFrame, target: Target) -> str:
        """What differs from the wanted point, in words."""
        pmu = frame.pmus[0]
        if target.frequency_hz is not None and abs(pmu.frequency_hz - target.frequency_hz) > SET_HZ:
            return f"it reads {pmu.frequency_hz:.1f} Hz"
        if target.voltage_v is not None:
            expected, share = (target.voltage_v * self.gain, NEXT_SHARE) if self.gain else (target.voltage_v, SET_SHARE)
            if abs(abs(pmu.phasors[0]) / expected - 1) > share:
                return f"it reads {abs(pmu.phasors[0]):.3g} V"
        return ""


def _refused(reference: DataFrame) -> str:
    """A reference that does not vouch for its own frame is no reference."""
    stat = reference.pmus[0].stat
    if stat.data_error:
        return "the reference marks its data as wrong"
    return "" if stat.in_sync else "the reference is not in sync"


class Terminal:
    """Talks to a person: what to set, a progress bar, what came out."""

    def __init__(self, base: Base, connect: str) -> None:
        self._base = base
        self._connect = connect
        self._live = sys.stderr.isatty()

    def want(self, target: Target, number: int, of: int) -> None:
        """See `Voice`."""
        frequency = "" if target.frequency_hz is None else f" {target.frequency_hz:g} Hz"
        level = "" if target.voltage_v is None else f" {target.voltage_v:g} V RMS"
        kind = "verification " if target.verify else ""
        print(f"{kind}point {number} of {of}: {self._connect}{frequency}{level}", flush=True)

    def progress(self, share: float, note: str) -> None:
        """See `Voice`."""
        if self._live:
            bar = "#" * round(BAR * share)
            print(f"\r  [{bar:.<{BAR}}] {100 * share:3.0f} %  {note}\033[K", end="", file=sys.stderr, flush=True)

    def waiting(self, why_not: str) -> None:
        """See `Voice`; without a progress line, a line of its own."""
        if why_not and not self._live:
            print(f"  waiting: {why_not}", flush=True)

    def reading(self, readings: dict[str, Reading]) -> None:
        """See `Voice`."""
        clear_progress()
        for name, r in readings.items():
            residual = from_nominal(r.response / self._base.front_end.response(r.frequency_hz))
            where = f"{r.frequency_hz:.3f} Hz {r.voltage_v:.2f} V"
            print(f"  {name}: {where}: {residual} from nominal, ± {100 * r.sigma:.4f} %", flush=True)


class JsonLines:
    """Talks to a program: one object a line."""

    def want(self, target: Target, number: int, of: int) -> None:
        """See `Voice`."""
        say("want", number=number, of=of, **target.__dict__)

    def progress(self, share: float, note: str) -> None:
        """See `Voice`; a program needs no bar."""

    def waiting(self, why_not: str) -> None:
        """See `Voice`."""
        say("waiting", why=why_not)

    def reading(self, readings: dict[str, Reading]) -> None:
        """See `Voice`."""
        for name, r in readings.items():
            say(
                "reading",
                channel=name,
                frequency_hz=r.frequency_hz,
                voltage_v=r.voltage_v,
                magnitude_ratio=abs(r.response),
                phase_deg=math.degrees(float(np.angle(r.response))),
                sigma=r.sigma,
            )


def clear_progress() -> None:
    """Take the progress line away, if there is one."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def say(event: str, **values: Any) -> None:
    """Print one JSON object."""
    print(json.dumps({"event": event} | values), flush=True)
