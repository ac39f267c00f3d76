"""`rpmu calibrate`: find out what this device's front end really does, and keep it as a certificate."""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rpmu.calibrate.certificate import (
    add_to_history,
    check_history,
    device_serial,
    read_certificate,
    read_history,
)
from rpmu.calibrate.guide import (
    Guide,
    JsonLines,
    Terminal,
    by_generator,
    by_multimeter,
    by_reference,
    clear_progress,
    pairs,
    say,
)
from rpmu.calibrate.issue import IssueSettings, check_plan, issue, verification
from rpmu.calibrate.plan import generator_plan, two_numbers, verify_plan
from rpmu.calibrate.profile import Profile, load_profile
from rpmu.calibrate.readings import Base
from rpmu.calibrate.record import Reference, Site
from rpmu.calibrate.session import Session, Target
from rpmu.calibrate.show import certificate_lines, summary
from rpmu.calibrate.warmth import with_temperature_terms
from rpmu.cli.calibrate_options import configure
from rpmu.cli.calibrate_self_test import run_self_test
from rpmu.cli.running import run_until_told
from rpmu.errors import InputError, RpmuError
from rpmu.mid_scale import MidScale, from_text
from rpmu.pdc.client import NoAnswerError, PdcClient
from rpmu.serve.addresses import parse_address

__all__ = ["HELP", "configure", "run"]

HELP = "Calibrate this device: guided measurements against a reference, certificates and their history."
NS_PER_S = 1_000_000_000
INTERRUPTED = 130
ASK_S = 1.0  # the mid-scale is a mean over many seconds
CONNECT = {
    "generator": "set the generator (locked to the PPS) to",
    "reference": "leave device and reference at the same outlet;",
    "dmm": "leave the multimeter at the same outlet;",
}


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    plain = {"temperature": _temperature, "show": _show, "history": _history, "export": _export}
    if args.tool in plain:
        return plain[args.tool](args)
    if args.tool == "self-test":
        return run_until_told(run_self_test(args))
    return run_until_told(lambda stop: _measure_and_finish(args, stop))


# --- measuring ----------------------------------------------------------------------------------------------------


def plan_of(args: argparse.Namespace, profile: Profile) -> list[Target]:
    """The points that the options ask for."""
    if args.tool == "dmm":
        return [Target(None, _volts(args.volts)[0])] * args.readings
    if args.tool == "reference":
        return [Target(None, None)] * args.readings + [Target(None, None, verify=True)]
    if args.tool == "verify":
        against_pmu = args.reference is not None
        return [Target(None, None, verify=True)] if against_pmu else verify_plan(profile, args.check_points)
    return generator_plan(profile, args.points, args.check_points)


def _base(args: argparse.Namespace) -> Base:
    certificate = read_certificate(args.certificate) if args.certificate is not None else None
    if args.tool == "verify" and certificate is None:
        raise InputError("verify needs --certificate: the one that the PMU runs with")
    return Base(load_profile(certificate.device.profile if certificate else args.profile), certificate)


async def _measure_and_finish(args: argparse.Namespace, stop: asyncio.Event) -> int:
    base = _base(args)
    plan = plan_of(args, base.profile)
    fitting = None if args.tool == "verify" else _issue_settings(args, base.profile)
    if fitting is not None:  # whatever would be refused at the end is refused before anybody has measured
        check_history(args.history, fitting.serial)
        check_plan(plan, base, fitting, args.tool)
    about = {"method": args.tool, "profile": base.profile.name, "serial": fitting.serial if fitting else ""}
    about["certificate"] = base.certificate.sha256 if base.certificate else ""
    session = Session.open(args.session or Path(f"calibration-{args.tool}.json"), about)
    left = session.remaining(plan) if session.entries else plan
    if session.entries:
        _say_resumed(args, session, len(plan) - len(left), len(plan))
    if left and not await _measure(args, base, session, left, stop, len(plan) - len(left)):
        done = len(plan) - len(session.remaining(plan)) if session.entries else 0
        print(
            f"interrupted: {done} of {len(plan)} points are in {session.path}; run the same command to go on"
            if session.entries
            else "interrupted: nothing has been read yet; run the same command to begin again"
        )
        return INTERRUPTED
    return _finish_verification(args, base, session) if fitting is None else _finish(args, base, session, fitting)


def _say_resumed(args: argparse.Namespace, session: Session, done: int, of: int) -> None:
    if args.json:
        say("resumed", session=str(session.path), done=done, of=of)
    else:
        print(f"going on: {done} of {of} points are in {session.path} (remove it to begin anew)", flush=True)


async def _measure(
    args: argparse.Namespace, base: Base, session: Session, left: list[Target], stop: asyncio.Event, before: int
) -> bool:
    """Take what is left of the plan; False if told to stop before the end."""
    rests: dict[str, MidScale] = {}
    guide = Guide(
        base,
        _truth(args),
        left,
        args.seconds,
        JsonLines() if args.json else Terminal(base, CONNECT[_against(args)]),
        lambda readings, target: session.add(readings, target.verify, guide.divided, rests),
        gain=base.gain_of(session.entries[-1].channel, session.entries[-1].reading) if session.entries else 0.0,
        may_invert=args.inverting,
        before=before,
    )

    async def follow() -> None:
        """Feed the guide with both streams until the measurement is complete."""
        async with AsyncExitStack() as stack:
            device = await stack.enter_async_context(_client(args.device, args.idcode))
            other = getattr(args, "reference", None)
            client = _client(other, args.reference_idcode) if other is not None else None
            reference = await stack.enter_async_context(client) if client is not None else None
            await device.configuration()
            header = await _header(device)
            base.refuse_other(header)
            rests.update(from_text(header))
            asking = asyncio.create_task(_ask_mid_scales(device, rests))
            stack.callback(asking.cancel)
            async for frame, match in pairs(device, reference):
                guide.feed(frame, match)
                if guide.finished:
                    return

    following, stopping = asyncio.create_task(follow()), asyncio.create_task(stop.wait())
    await asyncio.wait([following, stopping], timeout=args.timeout, return_when=asyncio.FIRST_COMPLETED)
    following.cancel()
    stopping.cancel()
    await asyncio.wait([following, stopping])
    clear_progress()
    if not following.cancelled():
        following.result()
    if not guide.finished and not stop.is_set():
        raise RpmuError(
            f"no stable reading within {args.timeout:g} s ({guide.waiting_for or 'too little time'}); what was read is "
            f"in {session.path}: run the same command again to go on"
        )
    return guide.finished


async def _ask_mid_scales(device: PdcClient, rests: dict[str, MidScale]) -> None:
    """Keep what the device says of its converter's mid-scale up to date."""
    while True:
        await asyncio.sleep(ASK_S)
        rests.update(from_text(await _header(device)))


async def _header(device: PdcClient) -> str:
    """What the device says of itself; a device that says nothing is no failure."""
    try:
        return (await device.header()).text
    except NoAnswerError:
        return ""


def _against(args: argparse.Namespace) -> str:
    """The procedure whose instrument a verification uses."""
    if args.tool != "verify":
        return str(args.tool)
    return "generator" if args.reference is None else "reference"


def _truth(args: argparse.Namespace) -> Any:
    if getattr(args, "reference", None) is not None:
        return by_reference
    if args.tool == "dmm":
        return by_multimeter(*_volts(args.volts))
    return by_generator(args.angle_deg, _started_ns(args.started), three_phase=args.three_phase)


def _volts(text: str) -> tuple[float, ...]:
    """What the multimeter reads: one number, or one per channel."""
    try:
        volts = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--volts is {text!r}, but must be a number, or one per channel: 121.4,120.9,121.1") from None
    if not all(0 < v < float("inf") for v in volts):
        raise InputError(f"--volts is {text!r}, but every value must be positive")
    return volts


def _started_ns(text: str | None) -> int:
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--started is {text!r}, but must be a UTC time such as 2026-06-01T12:00:00") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * NS_PER_S


def _client(address: str, idcode: int) -> PdcClient:
    place = parse_address(address)
    return PdcClient(place.host, place.port, idcode)


# --- what comes of it ---------------------------------------------------------------------------------------------


def _issue_settings(args: argparse.Namespace, profile: Profile) -> IssueSettings:
    nominal_hz = profile.nominal_frequency_hz
    return IssueSettings(
        serial=device_serial(args.serial),
        reference=Reference(args.reference_percent, args.reference_us, model=args.reference_model),
        today=datetime.now(UTC).date(),
        parameters=tuple(args.fit.split(",")),
        band_hz=(nominal_hz - 5, nominal_hz + 5) if args.band is None else two_numbers("--band", args.band),
        operator=args.operator,
        ambient_c=args.ambient_c,
        simulated=args.simulated,
        site=Site(args.site_angle_deg, args.leg),
    )


def _finish(args: argparse.Namespace, base: Base, session: Session, settings: IssueSettings) -> int:
    certificate = issue(session, base, settings)
    session.keep_copy(args.history / certificate.certificate.raw_data_file)
    path, certificate = add_to_history(args.history, certificate)
    session.path.unlink()  # its copy is in the history; the next calibration begins anew
    if args.json:
        say("certificate", path=str(path), sha256=certificate.sha256, tve_percent=certificate.uncertainty.tve_percent)
    else:
        print("\n".join(certificate_lines(certificate, settings.today)))
        print(f"written to {path}; set [calibration] certificate to it or to its folder, then systemctl reload rpmu")
    return 0


def _finish_verification(args: argparse.Namespace, base: Base, session: Session) -> int:
    assert base.certificate is not None, "checked in _base"
    passed = True
    for entry in session.entries:
        found = verification(base.certificate.channel_named(entry.channel), entry.reading)
        passed = passed and found.tve_percent <= args.limit
        if args.json:
            say("verification", **asdict(found))
        else:
            print(f"{found.channel} {found.frequency_hz:.3f} Hz {found.voltage_v:.2f} V: TVE {found.tve_percent:.4f} %")
    session.put_aside()
    if not args.json:
        print(f"{'passed' if passed else 'FAILED'}: limit {args.limit:g} % TVE")
    return 0 if passed else 1


def _temperature(args: argparse.Namespace) -> int:
    history = [certificate for _, certificate in read_history(args.history)]
    path, certificate = add_to_history(args.history, with_temperature_terms(history, datetime.now(UTC).date()))
    for channel in certificate.channel:
        terms = f"{channel.gain_ppm_per_k:+.2f} ppm/K and {channel.phase_deg_per_k:+.5f} degrees/K"
        print(f"{channel.name}: {terms} about {certificate.temperature.reference_c:g} °C")
    print(f"written to {path}; set [calibration] temperature_file to the sensor")
    return 0


def _show(args: argparse.Namespace) -> int:
    certificate = read_certificate(args.path)
    if args.json:
        print(json.dumps(asdict(certificate) | {"sha256": certificate.sha256}, default=str))
    else:
        print("\n".join(certificate_lines(certificate, datetime.now(UTC).date())))
    return 0


def _history(args: argparse.Namespace) -> int:
    entries = read_history(args.path)
    if not entries:
        raise InputError(f"{args.path}: holds no certificate-NNNN.toml; run `rpmu calibrate` first")
    for path, certificate in entries:
        if args.json:
            say("certificate", path=str(path), sha256=certificate.sha256, summary=summary(certificate))
        else:
            print(f"{path.name}  {summary(certificate)}")
    return 0


def _export(args: argparse.Namespace) -> int:
    certificate = read_certificate(args.path)
    try:
        with args.output.open("x", encoding="utf-8") as stream:
            stream.write(certificate.render())
    except OSError as error:
        raise InputError(f"{args.output}: cannot be written: {error.strerror}; nothing is overwritten") from error
    print(f"{summary(certificate)}: copied to {args.output}")
    return 0
