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

from rpmu.calibrate.certificate import add_to_history, device_serial, read_certificate, read_history
from rpmu.calibrate.guide import Guide, JsonLines, Terminal, by_generator, by_multimeter, by_reference, pairs, say
from rpmu.calibrate.issue import IssueSettings, issue, verification
from rpmu.calibrate.profile import load_profile
from rpmu.calibrate.readings import Base
from rpmu.calibrate.record import Reference, Site
from rpmu.calibrate.session import Session, Target
from rpmu.calibrate.show import certificate_lines, summary
from rpmu.cli.running import run_until_told
from rpmu.errors import InputError, RpmuError
from rpmu.pdc.client import PdcClient
from rpmu.serve.addresses import parse_address

HELP = "Calibrate this device: guided measurements against a reference, certificates and their history."
HISTORY = Path("/etc/rpmu/calibration")
INTERRUPTED = 130
CONNECT = {
    "generator": "set the generator (locked to the PPS) to",
    "reference": "leave device and reference at the same outlet;",
    "dmm": "leave the multimeter at the same outlet;",
    "verify": "connect",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    generator = tools.add_parser("generator", help="against a generator locked to the PPS: best")
    _add_measuring(generator)
    _add_fitting(generator)
    _add_points(generator, "55:120,58:120,60:120,62:120,65:120")
    reference = tools.add_parser("reference", help="against a PMU at the same outlet")
    _add_measuring(reference)
    _add_fitting(reference)
    _add_reference(reference, required=True)
    reference.add_argument(
        "--readings", type=int, default=3, metavar="N", help="to fit; one more verifies (default: 3)"
    )
    dmm = tools.add_parser("dmm", help="against a multimeter: the magnitude alone")
    _add_measuring(dmm)
    _add_fitting(dmm)
    dmm.add_argument("--volts", type=float, required=True, metavar="V", help="what the multimeter reads, RMS")
    dmm.add_argument("--readings", type=int, default=1, metavar="N", help=argparse.SUPPRESS)
    verify = tools.add_parser("verify", help="the running PMU with its certificate, at points no fit has seen")
    _add_measuring(verify)
    _add_points(verify, "57:108,63:108")
    _add_reference(verify, required=False)
    verify.add_argument("--limit", type=float, default=0.3, metavar="PERCENT", help="TVE to pass (default: 0.3)")
    for name, text in (("show", "a certificate in words"), ("history", "all certificates of this device")):
        tool = tools.add_parser(name, help=text)
        tool.add_argument("path", type=Path, nargs="?", default=HISTORY, help=f"file or folder (default: {HISTORY})")
        tool.add_argument("--json", action="store_true", help="as JSON")
    export = tools.add_parser("export", help="copy a certificate to a new file, checked")
    export.add_argument("path", type=Path, help="file, or history folder for the newest")
    export.add_argument("output", type=Path, help="new file")


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", metavar="HOST:PORT", help="the running PMU that is calibrated")
    parser.add_argument("--idcode", type=int, default=1, metavar="N", help="IDCODE of its stream (default: 1)")
    parser.add_argument("--profile", default="reference-a-120v", metavar="NAME", help="its nominal front end")
    parser.add_argument("--certificate", type=Path, metavar="PATH", help="what it runs with now, if not the profile")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of one reading (default: 10)")
    parser.add_argument("--session", type=Path, default=Path("calibration-session.json"), metavar="FILE")
    parser.add_argument("--timeout", type=float, metavar="S", help="give up after S seconds; the session stays")
    parser.add_argument("--json", action="store_true", help="one JSON object per event")


def _add_fitting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--history", type=Path, default=HISTORY, metavar="FOLDER", help=f"default: {HISTORY}")
    parser.add_argument("--serial", metavar="S", help="of the device (default: the board's)")
    parser.add_argument("--fit", default="gain,delay", metavar="LIST", help="of gain, delay, f0, q")
    parser.add_argument("--band", default="55:65", metavar="LOW:HIGH", help="Hz, where the TVE is stated")
    parser.add_argument(
        "--reference-percent", type=float, required=True, metavar="X", help="reference's magnitude uncertainty, k = 2"
    )
    parser.add_argument("--reference-us", type=float, default=0.0, metavar="X", help="its time uncertainty, k = 2")
    parser.add_argument("--reference-model", default="", metavar="TEXT", help="maker, model, serial")
    parser.add_argument("--operator", default="", metavar="TEXT")
    parser.add_argument("--ambient-c", type=float, metavar="C", help="temperature of the room")
    parser.add_argument("--site-angle-deg", type=float, default=0.0, metavar="D", help="taken off every angle")
    parser.add_argument("--leg", default="", metavar="TEXT", help="leg or phase of the outlet")
    parser.add_argument("--simulated", action="store_true", help="this is the twin, not a real device")


def _add_points(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--points", default=default, metavar="HZ:V,...", help=f"whole Hz (default: {default})")
    parser.add_argument("--verify", default="", metavar="HZ:V,...", help="points to hold back from the fit")
    parser.add_argument("--angle-deg", type=float, default=0.0, metavar="D", help="generator's angle at the PPS")


def _add_reference(parser: argparse.ArgumentParser, *, required: bool) -> None:
    name = "--reference"
    parser.add_argument(name, required=required, metavar="HOST:PORT", help="a PMU at the same outlet")
    parser.add_argument("--reference-idcode", type=int, default=1, metavar="N", help="of its stream (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    plain = {"show": _show, "history": _history, "export": _export}
    if args.tool in plain:
        return plain[args.tool](args)
    return run_until_told(lambda stop: _measure_and_finish(args, stop))


# --- measuring ----------------------------------------------------------------------------------------------------


def plan_of(args: argparse.Namespace) -> list[Target]:
    """The points that the options ask for."""
    if args.tool == "dmm":
        return [Target(None, args.volts)] * args.readings
    if args.tool == "reference":
        return [Target(None, None)] * args.readings + [Target(None, None, verify=True)]
    if args.tool == "verify" and args.reference is not None:
        return [Target(None, None, verify=True)]
    held_back = args.points if args.tool == "verify" else args.verify
    fitted = "" if args.tool == "verify" else args.points
    return [*_targets(fitted, verify=False), *_targets(held_back, verify=True)]


def _targets(text: str, *, verify: bool) -> list[Target]:
    targets = []
    for part in filter(None, text.split(",")):
        frequency, volts = _two_numbers("a point", part)
        targets.append(Target(frequency, volts, verify))
    return targets


def _two_numbers(what: str, text: str) -> tuple[float, float]:
    try:
        first, second = text.split(":")
        numbers = float(first), float(second)
    except ValueError:
        raise InputError(f"{what} is {text!r}, but must be two numbers such as 60:120") from None
    if not (numbers[0] > 0 and numbers[1] > 0):
        raise InputError(f"{what} is {text!r}, but both numbers must be positive, such as 60:120")
    return numbers


def _base(args: argparse.Namespace) -> Base:
    certificate = read_certificate(args.certificate) if args.certificate is not None else None
    if args.tool == "verify" and certificate is None:
        raise InputError("verify needs --certificate: the one that the PMU runs with")
    return Base(load_profile(certificate.device.profile if certificate else args.profile), certificate)


async def _measure_and_finish(args: argparse.Namespace, stop: asyncio.Event) -> int:
    base, plan = _base(args), plan_of(args)
    fitting = None if args.tool == "verify" else _issue_settings(args)
    about = {"method": args.tool, "profile": base.profile.name, "serial": fitting.serial if fitting else ""}
    about["certificate"] = base.certificate.sha256 if base.certificate else ""
    session = Session.open(args.session, about)
    left = session.remaining(plan) if session.entries else plan
    if left and not await _measure(args, base, session, left, stop):
        done = len(plan) - len(session.remaining(plan)) if session.entries else 0
        print(f"interrupted: {done} of {len(plan)} points are in {session.path}; run the same command to go on")
        return INTERRUPTED
    return _finish_verification(args, base, session) if fitting is None else _finish(args, base, session, fitting)


async def _measure(
    args: argparse.Namespace, base: Base, session: Session, left: list[Target], stop: asyncio.Event
) -> bool:
    """Take what is left of the plan; False if told to stop before the end."""
    guide = Guide(
        base,
        _truth(args),
        left,
        args.seconds,
        JsonLines() if args.json else Terminal(base, CONNECT[args.tool]),
        lambda readings, target: session.add(readings, target.verify),
    )

    async def follow() -> None:
        """Feed the guide with both streams until the measurement is complete."""
        async with AsyncExitStack() as stack:
            device = await stack.enter_async_context(_client(args.device, args.idcode))
            other = getattr(args, "reference", None)
            client = _client(other, args.reference_idcode) if other is not None else None
            reference = await stack.enter_async_context(client) if client is not None else None
            await device.configuration()
            async for frame, match in pairs(device, reference):
                guide.feed(frame, match)
                if guide.finished:
                    return

    following, stopping = asyncio.create_task(follow()), asyncio.create_task(stop.wait())
    await asyncio.wait([following, stopping], timeout=args.timeout, return_when=asyncio.FIRST_COMPLETED)
    following.cancel()
    stopping.cancel()
    await asyncio.wait([following, stopping])
    if not following.cancelled():
        following.result()
    if not guide.finished and not stop.is_set():
        raise RpmuError(
            f"no stable reading within {args.timeout:g} s; what was read is in {session.path}: run the same command "
            "again to go on"
        )
    return guide.finished


def _truth(args: argparse.Namespace) -> Any:
    if getattr(args, "reference", None) is not None:
        return by_reference
    return by_multimeter(args.volts) if args.tool == "dmm" else by_generator(args.angle_deg)


def _client(address: str, idcode: int) -> PdcClient:
    place = parse_address(address)
    return PdcClient(place.host, place.port, idcode)


# --- what comes of it ---------------------------------------------------------------------------------------------


def _issue_settings(args: argparse.Namespace) -> IssueSettings:
    return IssueSettings(
        serial=device_serial(args.serial),
        reference=Reference(args.reference_percent, args.reference_us, model=args.reference_model),
        today=datetime.now(UTC).date(),
        parameters=tuple(args.fit.split(",")),
        band_hz=_two_numbers("--band", args.band),
        operator=args.operator,
        ambient_c=args.ambient_c,
        simulated=args.simulated,
        site=Site(args.site_angle_deg, args.leg),
    )


def _finish(args: argparse.Namespace, base: Base, session: Session, settings: IssueSettings) -> int:
    path, certificate = add_to_history(args.history, issue(session, base, settings))
    if args.json:
        say("certificate", path=str(path), sha256=certificate.sha256, tve_percent=certificate.uncertainty.tve_percent)
    else:
        print("\n".join(certificate_lines(certificate, settings.today)))
        print(f"written to {path}; set [calibration] certificate to it or to its folder, and restart the daemon")
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
    if not args.json:
        print(f"{'passed' if passed else 'FAILED'}: limit {args.limit:g} % TVE")
    return 0 if passed else 1


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
    text = read_certificate(args.path).render()
    try:
        with args.output.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{args.output}: cannot be written: {error.strerror}; nothing is overwritten") from error
    return 0
