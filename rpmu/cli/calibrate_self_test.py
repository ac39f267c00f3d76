"""`rpmu calibrate self-test`: square waves from the board into its own filter."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rpmu import rooms
from rpmu.acquire.detect import detect_link
from rpmu.acquire.link import Pace, PruLink
from rpmu.calibrate.certificate import add_to_history, check_history, device_serial
from rpmu.calibrate.guide import clear_progress, say
from rpmu.calibrate.profile import Profile, load_profile
from rpmu.calibrate.pwm import SquareWave, find_pwm
from rpmu.calibrate.self_test import Found, require_tone, self_test
from rpmu.calibrate.tested import after_self_test, moved
from rpmu.config import Config, default, load
from rpmu.errors import HardwareError, InputError
from rpmu.serve.status_socket import default_socket, read_status

BAR = 20


def run_self_test(args: argparse.Namespace) -> Callable[[asyncio.Event], Coroutine[Any, Any, int]]:
    """The command, as `run_until_told` wants it."""

    async def work(stop: asyncio.Event) -> int:
        """Test until done, or until told to end: then nothing has been written."""
        testing, stopping = asyncio.create_task(_test(args)), asyncio.create_task(stop.wait())
        await asyncio.wait([testing, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not testing.done():
            testing.cancel()
            await asyncio.wait([testing])
            clear_progress()
            print("interrupted: nothing was written")
            return 130
        return testing.result()

    return work


async def _test(args: argparse.Namespace) -> int:
    config = load(args.config) if args.config is not None else default()
    profile = load_profile(args.profile or rooms.profile_name(config))
    require_tone(profile)
    names, columns = _tested(args.channels, config)
    simulated = args.twin is not None
    serial = f"TWIN-{args.twin}" if simulated and args.serial is None else device_serial(args.serial)
    history = check_history(args.history, serial)
    previous = history[-1][1] if history else None
    with ExitStack() as stack:
        stack.callback(clear_progress)
        link, pace, pwm = _bench(args, config, profile, stack)
        found = await self_test(
            link,
            pace,
            config.sampler_settings(),
            SquareWave(pwm),
            profile,
            names,
            args.tone_v,
            args.seconds,
            _quiet if args.json else _progress,
            columns,
        )
    _report(found, profile, args.json)
    worst = max(moved(found, previous).values(), key=abs, default=0.0)
    if abs(worst) > args.limit:
        print(
            f"f0 or Q has moved by {worst:+.2f} % since the last self-test, more than {args.limit:g} %: look for a "
            "broken or loose part, then calibrate again (--limit accepts more); nothing was written",
            file=sys.stderr,
        )
        return 1
    today = datetime.now(UTC).date()
    path, _ = add_to_history(args.history, after_self_test(found, profile, previous, serial, today, simulated))
    if args.json:
        say("certificate", path=str(path))
    else:
        print(f"written to {path}; take both jumpers out again, plug the adapter in, and start the daemon")
    return 0


def _tested(asked: str | None, config: Config) -> tuple[list[str], list[int]]:
    """Names of the channels to test, and where they are among the sampled ones: those asked for, or every voltage.

    Raises:
        InputError: there is no such channel.
    """
    every = [channel.name for channel in config.channels]
    voltages = [channel.name for channel in config.channels if channel.kind == "voltage"]
    names = voltages if asked is None else [name.strip() for name in asked.split(",")]
    for name in names:
        if name not in every:
            raise InputError(f"--channels {asked}: the configuration has no channel {name!r}, only {', '.join(every)}")
    if len(set(names)) < len(names):
        raise InputError(f"--channels {asked}: give each channel once")
    return names, [every.index(name) for name in names]


def _bench(args: argparse.Namespace, config: Config, profile: Profile, stack: ExitStack) -> tuple[PruLink, Pace, Path]:
    """The board, or a unit of the twin on the same bench."""
    if args.twin is None:
        _refuse_beside_daemon()
        return detect_link(config.sampling.pru_link), asyncio.sleep, args.pwm or find_pwm()
    from rpmu.twin.bench import self_test_bench  # the twin's libraries are not on a board

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "pwm0"
    link, pacer = self_test_bench(config, profile, args.twin, folder)
    stack.callback(pacer.close)
    return link, pacer.pace, folder


def _refuse_beside_daemon() -> None:
    try:
        read_status(default_socket())
    except HardwareError:
        return
    raise HardwareError("the daemon is sampling: stop it first (systemctl stop rpmu), the self-test needs the ADC")


def _quiet(what: str, share: float) -> None:
    """A program needs no bar."""


def _progress(what: str, share: float) -> None:
    if sys.stderr.isatty():
        bar = "#" * round(BAR * share)
        print(f"\r  [{bar:.<{BAR}}] {100 * share:3.0f} %  {what}\033[K", end="", file=sys.stderr, flush=True)


def _report(found: Sequence[Found], profile: Profile, as_json: bool) -> None:
    for one in found:
        if as_json:
            say("self-test", **asdict(one))
            continue
        f0, q = 100 * (one.f0_hz / profile.f0_hz - 1), 100 * (one.q / profile.q - 1)
        print(f"{one.name}: f0 {one.f0_hz:.3f} Hz ({f0:+.3f} % from nominal), Q {one.q:.5f} ({q:+.3f} %)")
        skew = "" if one is found[0] else f", skew {one.skew_s * 1e6:+.3f} us against {found[0].name}"
        print(f"  delay of the electronics {one.delay_s * 1e6:.3f} us{skew}")
        rest = f"noise {one.noise_counts:.2f} counts, mid-scale {one.dc_counts:.2f} counts"
        print(f"  tone {100 * one.level:.1f} % of nominal, {rest}")
