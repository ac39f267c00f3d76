"""A unit of the twin on the bench for its self-test: jumpers set, outlet dead, a PWM folder to write to."""

from __future__ import annotations

from pathlib import Path

from rpmu.calibrate.profile import Profile
from rpmu.config import Config
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.link import TwinLink
from rpmu.twin.pacing import MAX_SPEED, Pacer, next_whole_second_ns
from rpmu.twin.tolerance import channels_of, unit_of
from rpmu.twin.tone import Dead, PwmFolder, ToneWiring
from rpmu.twin.world import Twin, TwinSettings


def self_test_bench(
    config: Config, profile: Profile, number: int, pwm: Path, skew_s: tuple[float, ...] = ()
) -> tuple[TwinLink, Pacer]:
    """A board's link, and what lets its time pass as fast as it goes.

    Args:
        config: which inputs are which.
        profile: nominal front end.
        number: of the unit.
        pwm: folder of the PWM channel, made here.
        skew_s: of the channels.

    Raises:
        InputError: the settings contradict themselves.
        HardwareError: the emulator is not built.
    """
    unit, channels = unit_of(profile, number), channels_of(profile, number, len(config.channels))
    settings = TwinSettings(
        start_ns=next_whole_second_ns(),
        profile=unit.profile,
        built=tuple(built for built, _ in channels),
        mains_ain=tuple(channel.ain for channel in config.channels),
        pps_ain=config.sampling.pps_ain,
        reference_ain=config.sampling.reference_ain,
        reference_v=config.sampling.reference_v,
        crystal=CrystalSettings(ppm=unit.crystal_ppm),
        adc=unit.adc,
        skew_s=skew_s,
        tone=ToneWiring(PwmFolder(pwm), profile, tuple(delay_s for _, delay_s in channels)),
    )
    twin = Twin(settings, source=Dead(len(config.channels)))
    return twin.link(), Pacer(twin, MAX_SPEED)
