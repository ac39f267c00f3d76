"""The options of `rpmu calibrate`, by procedure."""

from __future__ import annotations

import argparse
from pathlib import Path

HISTORY = Path("/etc/rpmu/calibration")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    generator = tools.add_parser("generator", help="against a generator locked to the PPS: best")
    _add_measuring(generator)
    _add_fitting(generator)
    generator.add_argument(
        "--points",
        metavar="HZ:V,...",
        help="points to fit (default: five frequencies at nominal level, six more levels at nominal frequency)",
    )
    _add_generator(generator, "one")
    reference = tools.add_parser("reference", help="against a PMU at the same outlet")
    _add_measuring(reference)
    _add_fitting(reference)
    _add_reference(reference, required=True)
    reference.add_argument(
        "--readings", type=int, default=3, metavar="N", help="to fit; one more is kept out of the fit (default: 3)"
    )
    dmm = tools.add_parser("dmm", help="against a multimeter: the magnitude alone")
    _add_measuring(dmm)
    _add_fitting(dmm, reference_us=0.0)  # it has no time, and no delay is fitted
    dmm.add_argument(
        "--volts",
        required=True,
        metavar="V[,V...]",
        help="what the multimeter reads, RMS: one value, or one per channel",
    )
    dmm.add_argument("--readings", type=int, default=1, metavar="N", help=argparse.SUPPRESS)
    _add_self_test(tools.add_parser("self-test", help="tones from the board into its own filter: f0, Q, delay, skew"))
    warmth = tools.add_parser("temperature", help="temperature terms from calibrations at different temperatures")
    warmth.add_argument("--history", type=Path, default=HISTORY, metavar="FOLDER", help=f"default: {HISTORY}")
    verify = tools.add_parser("verify", help="the running PMU with its certificate, at points no fit has seen")
    _add_measuring(verify)
    _add_generator(verify, "three")
    _add_reference(verify, required=False)
    verify.add_argument("--limit", type=float, default=0.3, metavar="PERCENT", help="TVE to pass (default: 0.3)")
    for name, text in (("show", "a certificate in words"), ("history", "all certificates of this device")):
        tool = tools.add_parser(name, help=text)
        tool.add_argument("path", type=Path, nargs="?", default=HISTORY, help=f"file or folder (default: {HISTORY})")
        tool.add_argument("--json", action="store_true", help="as JSON")
    export = tools.add_parser("export", help="copy a certificate to a new file, checked")
    export.add_argument("path", type=Path, help="file, or history folder for the newest")
    export.add_argument("output", type=Path, help="new file")


def _add_self_test(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration of the PMU: which inputs are which")
    parser.add_argument("--profile", metavar="NAME", help="its nominal front end (default: the configuration's)")
    parser.add_argument(
        "--channels", metavar="LIST", help="names of the channels on boards of that profile (default: every voltage)"
    )
    parser.add_argument("--pwm", type=Path, metavar="FOLDER", help="channel of the PWM (default: EHRPWM1A in /sys)")
    parser.add_argument("--tone-v", type=float, default=3.3, metavar="V", help="high level of its pin (default: 3.3)")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="of each of three tones (default: 5)")
    parser.add_argument("--limit", type=float, default=0.5, metavar="PERCENT", help="alarm if f0 or Q moved by more")
    parser.add_argument("--history", type=Path, default=HISTORY, metavar="FOLDER", help=f"default: {HISTORY}")
    parser.add_argument("--serial", metavar="S", help="of the device (default: the board's)")
    parser.add_argument("--twin", type=int, metavar="N", help="test unit N of the digital twin instead of this board")
    parser.add_argument("--json", action="store_true", help="one JSON object per event")


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", metavar="HOST:PORT", help="the running PMU that is calibrated")
    parser.add_argument("--idcode", type=int, default=1, metavar="N", help="IDCODE of its stream (default: 1)")
    parser.add_argument("--profile", default="reference-a-120v", metavar="NAME", help="its nominal front end")
    parser.add_argument("--certificate", type=Path, metavar="PATH", help="what it runs with now, if not the profile")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of one reading (default: 10)")
    parser.add_argument(
        "--session",
        type=Path,
        metavar="FILE",
        help="readings so far, to go on after an interruption (default: calibration-TOOL.json here)",
    )
    parser.add_argument("--timeout", type=float, metavar="S", help="give up after S seconds; the session stays")
    parser.add_argument("--inverting", action="store_true", help="channels may be upside down against the reference")
    parser.add_argument("--json", action="store_true", help="one JSON object per event")


def _add_fitting(parser: argparse.ArgumentParser, reference_us: float = 1.0) -> None:
    parser.add_argument("--history", type=Path, default=HISTORY, metavar="FOLDER", help=f"default: {HISTORY}")
    parser.add_argument("--serial", metavar="S", help="of the device (default: the board's)")
    parser.add_argument("--fit", default="gain,delay", metavar="LIST", help="of gain, delay, f0, q")
    parser.add_argument("--band", metavar="LOW:HIGH", help="Hz, where the TVE is stated (default: nominal +- 5)")
    parser.add_argument(
        "--reference-percent", type=float, required=True, metavar="X", help="reference's magnitude uncertainty, k = 2"
    )
    parser.add_argument(
        "--reference-us",
        type=float,
        default=reference_us,
        metavar="X",
        help="its time uncertainty, k = 2 (default: %(default)g)",
    )
    parser.add_argument("--reference-model", default="", metavar="TEXT", help="maker, model, serial")
    parser.add_argument("--operator", default="", metavar="TEXT")
    parser.add_argument("--ambient-c", type=float, metavar="C", help="temperature of the room")
    parser.add_argument("--site-angle-deg", type=float, default=0.0, metavar="D", help="taken off every angle")
    parser.add_argument("--leg", default="", metavar="TEXT", help="leg or phase of the outlet")
    parser.add_argument("--simulated", action="store_true", help="this is the twin, not a real device")


def _add_generator(parser: argparse.ArgumentParser, how_many: str) -> None:
    parser.add_argument(
        "--check-points",
        metavar="HZ:V,...",
        help=f'points kept out of any fit, to check with; "" for none (default: {how_many} near nominal)',
    )
    parser.add_argument(
        "--three-phase",
        action="store_true",
        help="the generator has three phases, one for each channel in turn (default: one signal for all channels)",
    )
    parser.add_argument("--angle-deg", type=float, default=0.0, metavar="D", help="generator's angle at the PPS")
    parser.add_argument(
        "--started",
        metavar="UTC",
        help="second at which the generator had that angle, such as 2026-06-01T12:00:00; needed for fractions of a Hz "
        "(default: every second alike for whole Hz, every tenth second of UTC for tenths, and so on)",
    )


def _add_reference(parser: argparse.ArgumentParser, *, required: bool) -> None:
    name = "--reference"
    parser.add_argument(name, required=required, metavar="HOST:PORT", help="a PMU at the same outlet")
    parser.add_argument("--reference-idcode", type=int, default=1, metavar="N", help="of its stream (default: 1)")
