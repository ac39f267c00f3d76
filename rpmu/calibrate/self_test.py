"""The self-test: square waves from the board into its own filter, without any instrument.

Needed are the jumpers (JP1: tone into the filter, JP2: tone to the PPS input) and a dead outlet. It takes the sampler
for itself, so the daemon must be stopped. It gives f0, Q, delay of the electronics and the skew between channels, and
the mid-scale; not the gain, and nothing of the transformer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import hypot, isinf, sqrt

import numpy as np

from rpmu.acquire import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.link import Pace, PruLink
from rpmu.acquire.ring import RingReader
from rpmu.acquire.sampler import bring_up
from rpmu.acquire.settings import SamplerSettings
from rpmu.calibrate.profile import Profile, load_profile, profile_names
from rpmu.calibrate.pwm import SquareWave
from rpmu.calibrate.tones import HIGHEST_HZ, ToneRecord, fit_tones, highest_hz, responses, without_jumper
from rpmu.errors import InputError
from rpmu.mid_scale import MidScale

POLL_S = 0.01
QUIET_S, SETTLE_S = 1.0, 0.8
LIVE_COUNTS = 10.0  # RMS about the mean, of an outlet that is not dead
PARTS = 10  # of the quiet second, whose means show how well the mid-scale is known
TONES_OF_F0 = (0.081, 0.137, 0.311)  # their harmonics do not meet
SHIFT_SHARE = 0.02  # k = 2: what two resistors of 1 % and the mid-scale's divider do to what R7 adds to it
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Beyond:
    """What the harmonics' scatter does not show: the converter's non-linearity, and the RC pole's tolerance (k = 2).

    It bends all harmonics of a wave together. The figures are those of simulated units (tests/calibrate/study.py).

    Attributes:
        f0_percent: of the corner.
        q_percent: of the quality factor.
        periods: of the delay, in periods of the corner.
    """

    f0_percent: float
    q_percent: float
    periods: float

    @classmethod
    def of(cls, profile: Profile, info: AcquisitionInfo) -> Beyond:
        """What holds for a design, and for how far its harmonics are fitted."""
        if isinf(profile.rc_pole_hz):
            return BEYOND_TWO_RCS if highest_hz(info, profile) > HIGHEST_HZ else BEYOND_TWO_RCS_SLOW
        if profile.f0_hz < LOW_CORNER_HZ:
            return BEYOND_LOW_CORNER
        return BEYOND_HIGH_CORNER if profile.f0_hz > HIGH_CORNER_HZ else BEYOND


BEYOND = Beyond(0.13, 0.067, 2.55e-4)
BEYOND_LOW_CORNER = Beyond(0.115, 0.14, 2.1e-4)  # most harmonics lie above it and are weak
BEYOND_HIGH_CORNER = Beyond(0.114, 0.062, 2.14e-4)  # most lie below it
BEYOND_TWO_RCS = Beyond(0.042, 0.085, 1.38e-4)  # no further RC pole, and harmonics up to 4 kHz
BEYOND_TWO_RCS_SLOW = Beyond(0.142, 0.108, 2.41e-4)  # up to 2 kHz, where its f0 and Q look alike
LOW_CORNER_HZ, HIGH_CORNER_HZ = 300.0, 1200.0


@dataclass(frozen=True)
class Found:
    """What the self-test says of one channel.

    Attributes:
        name: of the phasor.
        f0_hz: corner.
        q: quality factor, in service.
        delay_s: of the electronics, RC pole included, against the PPS input.
        skew_s: of it, what this channel lies behind the first.
        dc_counts: mid-scale, with a dead outlet; what the jumper nominally adds is taken off.
        noise_counts: RMS, of the samples.
        level: amplitude of the tone, relative to nominal: filter, R7 and the 3.3 V together.
        u_f0_percent: expanded uncertainty (k = 2).
        u_q_percent: likewise.
        u_delay_s: likewise.
        u_skew_s: likewise; 0 for the first channel.
        u_dc_counts: likewise.
    """

    name: str
    f0_hz: float
    q: float
    delay_s: float
    skew_s: float
    dc_counts: float
    noise_counts: float
    level: float
    u_f0_percent: float
    u_q_percent: float
    u_delay_s: float
    u_skew_s: float = 0.0
    u_dc_counts: float = 0.0


def require_tone(profile: Profile) -> None:
    """Refuse a front end that the tone does not reach.

    Raises:
        InputError: its profile says nothing of a tone.
    """
    if not profile.tone_gain:
        able = ", ".join(name for name in profile_names() if load_profile(name).tone_gain)
        raise InputError(
            f"profile {profile.name} has no input for the self-test's tone, no [self_test] with tone_gain; the designs "
            f"that have one are {able} (docs/hardware.md)"
        )


def tones_hz(profile: Profile) -> tuple[float, ...]:
    """Fundamentals of the square waves, whole Hz: from a twelfth to a third of the corner."""
    return tuple(float(round(share * profile.f0_hz)) for share in TONES_OF_F0)


async def self_test(
    link: PruLink,
    pace: Pace,
    settings: SamplerSettings,
    wave: SquareWave,
    profile: Profile,
    names: Sequence[str],
    tone_v: float = 3.3,
    seconds: float = 5.0,
    progress: Progress = lambda _, __: None,
    columns: Sequence[int] | None = None,
) -> list[Found]:
    """Take the sampler, play the waves and fit; the sampler and the wave are stopped in any case.

    Args:
        link: to the PRU, which nobody else may use.
        pace: waits.
        settings: what to sample.
        wave: the PWM output.
        profile: nominal front end.
        names: of the channels to test.
        tone_v: level of the PWM pin.
        seconds: of each wave.
        progress: called with what is being done and how far it is, 0 to 1.
        columns: where among the sampled channels `names` are; the first ones unless given.

    Raises:
        InputError: the design has no tone input, the outlet is alive, or the tone does not arrive.
        HardwareError: the PRU does not answer, or the PWM refuses.
    """
    require_tone(profile)
    columns = range(len(names)) if columns is None else columns
    try:
        wave.stop()
        info = await bring_up(link, settings, pace)
        reader = RingReader(link.window(), info)
        quiet, _ = await _collect(reader, pace, SETTLE_S, QUIET_S, partial(progress, "listening"))
        rests, noise = _levels(quiet, info, names, columns)
        rests = [without_shift(rest, profile) for rest in rests]
        records = []
        for hz in tones_hz(profile):
            wave.start(hz)
            blocks, events = await _collect(reader, pace, SETTLE_S, seconds, partial(progress, f"tone of {hz:g} Hz"))
            records.append(ToneRecord(hz, blocks, events))
    finally:
        wave.stop()
        link.stop()
        link.close()
    return evaluate(records, info, profile, names, tone_v, rests, noise, columns)


async def _collect(
    reader: RingReader, pace: Pace, settle_s: float, seconds: float, progress: Callable[[float], None]
) -> tuple[list[SampleBlock], list[PpsEvent]]:
    """Everything of so many seconds, after some that are thrown away."""
    items: list[SampleBlock | PpsEvent] = []
    for step in range(round((settle_s + seconds) / POLL_S)):
        await pace(POLL_S)
        new = reader.poll()
        if step * POLL_S >= settle_s:
            items += new
        progress(min(1.0, (step + 1) * POLL_S / (settle_s + seconds)))
    blocks = [item for item in items if isinstance(item, SampleBlock)]
    return blocks, [item for item in items if isinstance(item, PpsEvent)]


def _levels(
    blocks: Sequence[SampleBlock], info: AcquisitionInfo, names: Sequence[str], columns: Sequence[int]
) -> tuple[list[MidScale], list[float]]:
    """Mid-scale and noise of each channel, counts.

    Raises:
        InputError: there are no samples, or something is on the inputs.
    """
    if not blocks:
        raise InputError("the PRU delivers no samples")
    counts = np.concatenate([b.codes for b in blocks]).astype(np.float64)[:, columns] * info.counts_per_code
    noise = counts.std(axis=0)
    for name, rms in zip(names, noise.tolist(), strict=True):
        if rms > LIVE_COUNTS:
            raise InputError(f"{name} is not quiet ({rms:.0f} counts RMS): unplug the adapter from the outlet")
    u_counts = 2 * np.array([part.mean(axis=0) for part in np.array_split(counts, PARTS)]).std(axis=0) / sqrt(PARTS)
    rests = zip(counts.mean(axis=0).tolist(), u_counts.tolist(), strict=True)
    return [MidScale(*rest) for rest in rests], noise.tolist()


def without_shift(rest: MidScale, profile: Profile) -> MidScale:
    """Mid-scale in service, of one with the jumper set: what R7 nominally adds is taken off, and is as good as R7."""
    shift_counts = profile.tone_shift_v / profile.volts_per_count
    return MidScale(rest.counts - shift_counts, hypot(rest.u_counts, SHIFT_SHARE * shift_counts))


def evaluate(
    records: Sequence[ToneRecord],
    info: AcquisitionInfo,
    profile: Profile,
    names: Sequence[str],
    tone_v: float,
    rests: Sequence[MidScale],
    noise: Sequence[float],
    columns: Sequence[int] | None = None,
) -> list[Found]:
    """One fit per channel over the harmonics of all waves.

    Raises:
        InputError: the tone does not arrive, or the harmonics contradict each other.
    """
    beyond = Beyond.of(profile, info)
    by_record = [responses(record, info, profile, tone_v) for record in records]
    found: list[Found] = []
    for i, name in enumerate(names):
        column = i if columns is None else columns[i]
        fit = fit_tones([reading for channels in by_record for reading in channels[column]], profile)
        if fit.polarity < 0:
            raise InputError(f"{name}: the tone comes through upside down: R7 is not at the filter's node")
        front_end = fit.front_end
        delay_s, u_delay_s = front_end.delay_s, hypot(fit.u_delay_s, beyond.periods / front_end.f0_hz)
        found.append(
            Found(
                name,
                front_end.f0_hz,
                without_jumper(front_end.q, profile),
                delay_s,
                delay_s - found[0].delay_s if found else 0.0,
                rests[i].counts,
                noise[i],
                front_end.gain / profile.tone_gain,
                hypot(fit.u_f0_percent, beyond.f0_percent),
                hypot(fit.u_q_percent, beyond.q_percent),
                u_delay_s,
                hypot(found[0].u_delay_s, u_delay_s) if found else 0.0,
                rests[i].u_counts,
            )
        )
    return found
