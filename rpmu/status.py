"""The daemon's status for people and programs: one plain object, and the same in lines of words.

Numbers that are not known are null in the object and left out of the lines. Everything that was ever lost is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any

from rpmu.daemon_status import DaemonStatus
from rpmu.timing.receiver_setup import DONE


def plain(value: Any) -> Any:
    """Only what JSON has: enumerations by value, numbers that are not finite as null."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def as_object(status: DaemonStatus) -> dict[str, Any]:
    """The whole status as JSON knows it."""
    whole: dict[str, Any] = plain(asdict(status))
    whole["time"]["codes_in_words"] = status.time.codes.words
    whole["drops"] = status.drops
    info = status.acquisition
    whole["acquisition"]["adc_clock_hz"] = float(info.adc_clock_hz)
    whole["acquisition"]["scan_rate_hz"] = float(info.scan_rate_hz)
    whole["acquisition"]["sample_rate_hz"] = float(info.sample_rate_hz)
    return whole


def as_lines(status: Mapping[str, Any]) -> list[str]:
    """The object in words, one fact a line."""
    time, ring, server = status["time"], status["ring"], status["server"]
    reference, stream = status["reference"], status["stream"]
    counters = time["counters"]
    return [
        f"time        {time['state']}: {time['reason']}",
        f"codes       {time['codes_in_words']}",
        f"leap second {time['leap']}",
        "PPS         "
        + _joined(
            _number(time["seconds_since_pps"], "{:.1f} s ago"),
            _number(time["residual_last_ns"], "residual {:+.0f} ns"),
            _number(time["residual_rms_ns"], "RMS {:.0f} ns"),
            _number(time["sigma_ns"], "sigma {:.0f} ns"),
        ),
        "crystal     " + _joined(_number(time["ppm"], "{:+.3f} ppm")),
        "GPS         "
        + _joined(
            ("no fix", "fix", "differential fix")[min(time["fix"], 2)],
            _number(time["satellites"], "{} satellites"),
            _number(time["hdop"], "HDOP {:.1f}"),
        ),
        "receiver    " + _receiver(status["receiver"]),
        f"PPS edges   {counters['accepted']} of {counters['edges']} taken, {counters['rejected']} rejected, "
        f"{counters['missing']} missing, {counters['resyncs']} resynchronisations",
        f"sampling    {ring['samples']} samples, {ring['lost_samples']} lost in {ring['gaps']} gaps, "
        f"FIFO at most {ring['fifo_high_water']} of 64 words, {status['pru_restarts']} restarts of the PRU, "
        f"{counters.get('carried', 0)} new settings with the time carried over",
        f"ADC         {ring['overruns']} overruns, {ring['underflows']} underflows, {ring['tag_slips']} tag slips, "
        f"{ring['stalls']} stalls",
        *([] if reference is None else [f"reference   {_reference(reference)}"]),
        f"reports     {status['reports']}, {status['invalid_reports']} of them invalid",
        f"calibration {'' if status['calibrated'] else 'NOT CALIBRATED: '}{status['calibration']}",
        *([] if status["warmed_by_k"] is None else [f"warmth      {status['warmed_by_k']:+.1f} K since calibration"]),
        "stream      "
        + _joined(
            f"{stream['name']} (IDCODE {stream['idcode']})",
            f"class {stream['performance_class']}",
            _rate(stream["reporting_rate_per_s"]),
            f"configuration change {stream['cfgcnt']}",
            _number(stream["change_in_s"], "the next one in {:.0f} s"),
        ),
        *_configuration(status.get("configuration")),
        f"PDCs        {server['streaming']} streaming, {server['clients']} connected, "
        f"{server['frames_published']} frames, {server['frames_failed']} not delivered",
    ]


def _receiver(receiver: Mapping[str, Any] | None) -> str:
    """The dialogue with the GPS receiver in words."""
    if receiver is None:
        return "none: the time is the host's"
    failed = [f"{command} {answer}" for command, answer in receiver["answers"].items() if answer != DONE]
    return _joined(
        f"{'heard' if receiver['hearing'] else 'not heard'} at {receiver['baud_rate']} baud",
        receiver["dialogue"],
        receiver["firmware"],
        *failed,
    )


def _reference(reference: Mapping[str, Any]) -> str:
    known = f"{reference['reference_v']:g} V"
    if reference["full_scale_v"] is None:
        return f"{known}: not known yet"
    said = f"VDD_ADC is {reference['full_scale_v']:.4f} V by the {known}, {reference['off_percent']:+.3f} %"
    return said + (", divided out" if reference["trusted"] else ": NOT BELIEVED, and not divided out")


def _rate(per_s: int) -> str:
    return f"{per_s} reports/s" if per_s > 0 else f"a report in {-per_s} s"


def _configuration(held: Mapping[str, Any] | None) -> list[str]:
    """Where the configuration came from; a daemon that is not started from the command line has none."""
    if held is None:
        return []
    refused = f"; the last one was REFUSED: {held['refused']}" if held["refused"] else ""
    return [f"config      {held['file']}{refused}"]


def _number(value: Any, form: str) -> str:
    return "" if value is None else form.format(value)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part) or "not known yet"
