"""Checks of the running daemon, by its status: ADC, FIFO, losses, PPS, receiver, crystal, input, calibration, PDCs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from rpmu.doctor.finding import Finding, fail, ok, warn
from rpmu.doctor.subject import Subject

Status = Mapping[str, Any]
FIFO_WORDS = 64
FIFO_COMFORT = 48
PPS_FRESH_S = 1.5
ORDINARY_PPM = 100.0  # a board's crystal is within 50 ppm or so; one was seen at 59
WRONG_PPM = 500.0
ADC_TOP = 4095
LITTLE_SWING_COUNTS = 400  # a tenth of the range
MAX_ADC_CLOCK_HZ = 3_000_000
GRID_HZ = (50, 60)


def examine_running(subject: Subject) -> list[Finding]:
    """All of them, or the one line that no daemon answers."""
    status = subject.status
    if status is None:
        step = "`systemctl start rpmu` on a board (`journalctl -u rpmu` says why it ended), `rpmu twin` elsewhere"
        return [(fail if subject.on_board else warn)("daemon", "none answers, so nothing is known of the signal", step)]
    by_gps = subject.config.time.source == "gps"
    findings = [check(status) for check in (*SAMPLING, *(GPS if by_gps else ()), time, *REPORTS)]
    more = [held_configuration(status, subject), second_pps(status, subject) if by_gps else None]
    return findings + [finding for finding in more if finding is not None]


def daemon(status: Status) -> Finding:
    """Whether it measures."""
    restarts = status["pru_restarts"]
    evidence = f"{status['reports']} reports, {status['invalid_reports']} invalid, {restarts} restarts of the PRU"
    if restarts:
        return warn("daemon", evidence, "`journalctl -u rpmu` has the reason of each restart")
    return ok("daemon", evidence)


def held_configuration(status: Status, subject: Subject) -> Finding | None:
    """Whether the daemon goes by the file that is in force."""
    held = status.get("configuration")
    if held is None:  # a daemon of a version that reads it only when it starts
        return None
    if held["refused"]:
        step = "mend the file and `rpmu config apply` it; until then the configuration before it goes on"
        return fail("in force", f"the daemon refused the last configuration: {held['refused']}", step)
    try:
        wanted = hashlib.sha256(subject.config_file.read_bytes()).hexdigest()
    except OSError:
        return None  # one of the other findings says so
    if held["sha256"] != wanted:
        evidence = f"the daemon goes by {held['file']} as it was when it read it, not by {subject.config_file} as it is"
        return warn("in force", evidence, "`systemctl reload rpmu`, or `rpmu config apply` with a way back")
    return ok("in force", f"{held['file']}, change {status['stream']['cfgcnt']} of the stream")


def second_pps(status: Status, subject: Subject) -> Finding | None:
    """Whether the PPS arrives at the other input too, where the configuration says that it is wired."""
    if subject.config.sampling.pps_pin is None:
        return None
    deviation = status["time"]["other_input_ns"]
    if deviation is None:
        step = "is the PPS wired to it and the pin in PRU input mode (docs/hardware.md)? else leave pps_pin out"
        return warn("second PPS", "no edge was seen by one of the two inputs (ADC, R31)", step)
    return ok("second PPS", f"the inputs differ by {deviation:+.0f} ns")


def adc(status: Status) -> Finding:
    """Clock and REVISION."""
    revision, clock_hz = status["ring"]["adc_revision"], status["acquisition"]["adc_clock_hz"]
    evidence = f"REVISION {revision:#010x}, clock {clock_hz / 1e6:g} MHz"
    if revision in (0, 0xFFFFFFFF):
        return fail("ADC", evidence, "the ADC has no module clock: see ADC driver and device tree")
    if clock_hz > MAX_ADC_CLOCK_HZ:
        return fail("ADC", evidence, "at most 3 MHz are allowed: set [sampling] adc_clkdiv to 7 or more")
    return ok("ADC", evidence)


def reference(status: Status) -> Finding:
    """Whether the known voltage on the converter's reference channel can be believed."""
    found = status["reference"]
    if found is None:
        return ok("reference", "no channel for it: the drift of VDD_ADC stays in the magnitudes")
    if found["full_scale_v"] is None:
        return ok("reference", "not known yet")
    evidence = f"VDD_ADC {found['full_scale_v']:.4f} V by the {found['reference_v']:g} V, {found['off_percent']:+.3f} %"
    if not found["trusted"]:
        step = "is the reference wired to the input of [sampling] reference_ain, and is reference_v its voltage?"
        return fail("reference", evidence + ", not believed and not divided out", step)
    return ok("reference", evidence + ", divided out")


def step_rate(status: Status) -> Finding:
    """Scans per second as the firmware measured them, and whether they fit the grid."""
    info = status["acquisition"]
    evidence = (
        f"{info['scan_rate_hz']:.1f} scans/s of {info['scan_adc_clocks']} ADC clocks, "
        f"{info['sample_rate_hz']:.1f} samples/s, firmware {info['firmware_version']}"
    )
    if all(info["scan_rate_hz"] % grid for grid in GRID_HZ):
        step = "leave [sampling] *_delay_adc_clocks out, unless this is wanted"
        return warn("step rate", evidence + ": coherent with neither 50 nor 60 Hz", step)
    return ok("step rate", evidence)


def fifo(status: Status) -> Finding:
    """How close the ADC's FIFO came to overflowing."""
    ring = status["ring"]
    evidence = f"at most {ring['fifo_high_water']} of {FIFO_WORDS} words, {ring['overruns']} overruns"
    evidence += f", {ring['underflows']} underflows, {ring['tag_slips']} tag slips, {ring['stalls']} stalls"
    if ring["overruns"] or ring["underflows"] or ring["tag_slips"] or ring["stalls"]:
        return warn(
            "FIFO", evidence, "something held up the PRU or touched the ADC: see ADC driver; reload if it grows"
        )
    if ring["fifo_high_water"] > FIFO_COMFORT:
        return warn("FIFO", evidence, "what else loads the interconnect? compare with other programs stopped")
    return ok("FIFO", evidence)


def losses(status: Status) -> Finding:
    """Samples that never arrived."""
    ring = status["ring"]
    lost = ring["lost_samples"] + status["lost_before_restart"]
    evidence = f"{lost} samples lost in {ring['gaps']} gaps, {ring['events_lost']} PPS events lost"
    if lost or ring["events_lost"]:
        return warn("losses", evidence, "is the processor overloaded (`top`)? the ring holds a quarter of a second")
    return ok("losses", evidence)


def pps(status: Status) -> Finding:
    """Whether the PPS arrives and is good."""
    time, counters = status["time"], status["time"]["counters"]
    since, rms = time["seconds_since_pps"], time["residual_rms_ns"]
    evidence = f"{counters['accepted']} of {counters['edges']} edges taken, {counters['missing']} missing"
    if not counters["edges"]:
        step = "is the receiver's PPS wired through its divider to the input of [sampling] pps_ain, and has it a fix?"
        return fail("PPS", "no edge was ever seen", step)
    if since is None or since > PPS_FRESH_S:
        last = "none was accepted" if since is None else f"the last one {since:.0f} s ago"
        return fail("PPS", f"{evidence}; {last}", "look at the antenna, the fix and the wire")
    return ok("PPS", evidence + (f", residual {rms:.0f} ns RMS" if rms is not None else ""))


def nmea(status: Status) -> Finding:
    """Whether sentences arrive whole."""
    counters = status["time"]["counters"]
    good, bad = sum(counters["nmea_good"].values()), sum(counters["nmea_bad"].values())
    evidence = f"{good} good sentences, {bad} bad"
    if not good:
        step = "check [gps] device and baud_rate, the wires (TX to RX), and that nothing else has the port open"
        return fail("NMEA", evidence, step)
    if bad > good // 10:
        return warn("NMEA", evidence, "noise on the line, a wrong baud rate, or two readers on one port")
    return ok("NMEA", evidence)


def fix(status: Status) -> Finding:
    """Whether the receiver knows where it is."""
    time = status["time"]
    evidence = f"{('no fix', 'fix', 'differential fix')[min(time['fix'], 2)]}"
    if time["satellites"] is not None:
        evidence += f", {time['satellites']} satellites"
    if time["hdop"] is not None:
        evidence += f", HDOP {time['hdop']:.1f}"
    if not time["fix"]:
        return fail("FIX", evidence, "give the antenna a free view of the sky; a cold start takes some minutes")
    return ok("FIX", evidence)


def crystal(status: Status) -> Finding:
    """How far the board's crystal is off."""
    ppm = status["time"]["ppm"]
    if ppm is None:
        return warn("crystal", "not known yet", "it is measured against the PPS: see PPS")
    evidence = f"{ppm:+.3f} ppm"
    if abs(ppm) > WRONG_PPM:
        return fail("crystal", evidence, "no crystal is that far off: is the PPS once a second?")
    if abs(ppm) > ORDINARY_PPM:
        return warn("crystal", evidence, "unusual for this board; holdover will follow its temperature")
    return ok("crystal", evidence)


def time(status: Status) -> Finding:
    """The lock."""
    state, reason = status["time"]["state"], status["time"]["reason"]
    sigma = status["time"]["sigma_ns"]
    evidence = f"{state}: {reason}" + (f", sigma {sigma:.0f} ns" if sigma is not None else "")
    if state == "locked":
        return ok("time", evidence)
    return (warn if state in ("holdover", "acquiring") else fail)("time", evidence, "see PPS, NMEA and FIX")


def signal(status: Status) -> Finding:
    """Level of the inputs."""
    lowest, highest = status["input"]["lowest_counts"], status["input"]["highest_counts"]
    if not lowest:
        return warn("input", "no samples yet", "see daemon")
    spans = [f"{low:.0f} to {high:.0f}" for low, high in zip(lowest, highest, strict=True)]
    evidence = f"counts {', '.join(spans)} of 0 to {ADC_TOP}"
    if status["input"]["clipped"]:
        return fail("input", f"clipped: {evidence}", "reduce the gain of the front end, or choose its other range")
    weak = [high - low < LITTLE_SWING_COUNTS for low, high in zip(lowest, highest, strict=True)]
    if any(weak):
        return warn(
            "input", f"little or no signal: {evidence}", "is the transformer plugged in, and [[channel]] ain right?"
        )
    return ok("input", evidence)


def calibration(status: Status) -> Finding:
    """Whether a certificate in force stands behind the numbers."""
    if status["calibrated"]:
        return ok("calibration", status["calibration"])
    step = "`rpmu calibrate` against a reference, then set [calibration] certificate"
    return warn("calibration", f"not calibrated: {status['calibration']}", step)


def pdcs(status: Status) -> Finding:
    """Who listens, and whether the frames arrive."""
    server = status["server"]
    evidence = f"{server['streaming']} streaming, {server['frames_failed']} frames not delivered"
    evidence += f", {server['refused_access']} refused by the access list"
    if server["frames_failed"] or server["datagrams_refused"]:
        return warn("PDCs", evidence, "the network or a PDC is too slow, or nobody listens at a UDP destination")
    if not server["streaming"]:
        step = "have a PDC connect, or try `rpmu pdc watch`; refused ones need [server] access"
        return warn("PDCs", evidence, step)
    return ok("PDCs", evidence)


Check = Callable[[Status], Finding]
SAMPLING: tuple[Check, ...] = (daemon, adc, reference, step_rate, fifo, losses)
GPS: tuple[Check, ...] = (pps, nmea, fix, crystal)
REPORTS: tuple[Check, ...] = (signal, calibration, pdcs)
