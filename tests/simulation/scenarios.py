"""The numbered scenarios: what happens, and what the frames must and may say of it, second by second.

6xx crystal and pulse, 65x losses, 7xx sentences and receiver, 75x leap seconds, 8xx acquisition. Times are seconds
since the twin's first instant. What must hold in every scenario is not written here but in judge.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from rpmu.calibrate.profile import load_profile
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.faults import Fault, parse_faults
from rpmu.twin.gps import GpsSettings

SOURCE_HZ = 59.97  # a whole second wrong is an angle of 11 degrees
SOURCE = f"nominal,frequency_hz={SOURCE_HZ}"
START = 1_795_000_000  # 2026-11-18 11:06:40 UTC
YEAR_END = 1_798_761_600  # 2027-01-01 00:00:00 UTC
PROFILE = load_profile("reference-a-120v")

NTP = 2_208_988_800
NO_LEAP = f"#@ {YEAR_END + 200 * 86_400 + NTP}\n3692217600 37\n"  # made by hand: none after 2017, good until mid-2027
EXPIRED = f"#@ {START - 86_400 + NTP}\n3692217600 37\n"  # ... and one that says nothing of today


CRYSTAL_JUMPS = "nothing tells of a crystal's jump before the next PPS"


def announced(step: int) -> str:
    """A leap-second file that has one at the end of 2026."""
    return f"{NO_LEAP}{YEAR_END + NTP} {37 + step}\n"


@dataclass(frozen=True)
class Leap:
    """A leap second that really happens.

    Attributes:
        at: the inserted second, or the first after a deleted one.
        step: 1 or -1; 0 for one that is announced and does not happen.
        pending: it is announced in the frames.
        occurred_s: how long after `at` the frames may take to say that it occurred.
    """

    at: int
    step: int
    pending: bool = True
    occurred_s: float = 0.0


@dataclass(frozen=True)
class Expect:
    """What all frames of a span of time must say; each pair is the least and the greatest code allowed.

    Attributes:
        from_s: begin of the span.
        to_s: its end.
        sync: STAT: in sync.
        msg_tq: MSG_TQ.
        pmu_tq: PMU_TQ.
        unlocked: unlocked time.
    """

    from_s: float
    to_s: float
    sync: bool
    msg_tq: tuple[int, int]
    pmu_tq: tuple[int, int]
    unlocked: tuple[int, int]


def sync(from_s: float, to_s: float, pmu_tq: int = 3) -> Expect:
    """Locked, with a PMU_TQ up to this."""
    return Expect(from_s, to_s, True, (0, 0), (1, pmu_tq), (0, 0))


def held(from_s: float, to_s: float, msg_tq: tuple[int, int], unlocked: tuple[int, int] = (0, 0)) -> Expect:
    """Not locked, but the time is known to within MSG_TQ (3 is 100 ns, 4 is 1 us ...) and so is PMU_TQ."""
    return Expect(from_s, to_s, False, msg_tq, (max(msg_tq[0] - 2, 1), min(msg_tq[1] - 2, 7)), unlocked)


def unknown(from_s: float, to_s: float, unlocked: tuple[int, int] = (0, 3)) -> Expect:
    """Nothing is claimed."""
    return Expect(from_s, to_s, False, (15, 15), (7, 7), unlocked)


@dataclass(frozen=True)
class NewRun:
    """A change of the configuration that begins a new run of the acquisition.

    Attributes:
        at_s: when it is asked for; what PDCs see holds from the next second on.
        ains: inputs of the channels.
        sampling: settings of the configuration's section [sampling].
    """

    at_s: float
    ains: tuple[int, ...] = (0,)
    sampling: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    Attributes:
        seconds: simulated.
        faults: what goes wrong (the words of `--fault`).
        expect: what the frames must say, span by span.
        peak_ns: largest time error while in sync.
        rms_ns: RMS of it.
        first_sync_s: latest time of the first frame in sync; None if there must be none.
        unknowable: spans in which the claim is not judged ...
        why_unknowable: ... and why nothing in the PMU can know better.
        start: UTC of the first instant, s.
        leap_file: text of the leap-second file.
        leap: the leap second that happens.
        restarts: the PRU was started anew so often: until it has locked again, the time without lock is unknown.
        counts: further facts at the end, of the daemon's status or of the twin: dotted name -> (least, greatest).
        long: too long for `make test`; `make simulation` runs it.
        gps: settings of the configuration's section [gps].
        new_runs: changes of the configuration while it runs.
        twin: settings of the twin.
    """

    seconds: float = 20.0
    faults: tuple[Fault, ...] = ()
    expect: tuple[Expect, ...] = (sync(8, 14), sync(14, 20, 2))
    peak_ns: float = 500.0
    rms_ns: float = 100.0
    first_sync_s: float | None = 10.0
    unknowable: tuple[tuple[float, float], ...] = ()
    why_unknowable: str = ""
    start: int = START
    leap_file: str = NO_LEAP
    leap: Leap | None = None
    restarts: int = 0
    counts: dict[str, tuple[float, float]] = field(default_factory=dict)
    long: bool = False
    gps: dict[str, Any] = field(default_factory=dict)
    new_runs: tuple[NewRun, ...] = ()
    twin: dict[str, Any] = field(default_factory=dict)


def faults(text: str) -> tuple[Fault, ...]:
    return tuple(parse_faults(text))


def crystal(**settings: float) -> dict[str, Any]:
    """A crystal, 58.8 ppm off with a random walk unless told."""
    return {"crystal": CrystalSettings(**({"ppm": 58.8, "walk_ppb_per_rts": 0.1} | settings))}


def exactly(ppm: float) -> dict[str, Any]:
    """A crystal that never moves."""
    return crystal(ppm=ppm, walk_ppb_per_rts=0.0)


def slope(factor: float) -> dict[str, Any]:
    """A PPS input whose time constant is not the one the daemon was told."""
    return {"profile": replace(PROFILE, pps_tau_s=PROFILE.pps_tau_s * factor)}


def receiver(**settings: Any) -> dict[str, Any]:
    """A receiver with other habits."""
    return {"gps": GpsSettings(**settings)}


PULSES = {
    "601 calm": Scenario(),
    "602 crystal 58.8 ppm fast": Scenario(twin=crystal()),
    "603 crystal exactly right: every PPS at the same place between samples": Scenario(twin=exactly(0.0)),
    "604 crystal off by one scan per second": Scenario(twin=exactly(16.6667)),
    "605 crystal off by two scans per second": Scenario(twin=exactly(33.3333)),
    "606 crystal drifts by 1 ppb/s": Scenario(twin=crystal(drift_ppb_per_s=1.0)),
    "607 PPS jitter of 30 ns": Scenario(twin=receiver(pps_jitter_ns=30.0)),
    "608 PPS jitter of 1 us": Scenario(
        twin=receiver(pps_jitter_ns=1000.0), expect=(sync(8, 20, 3),), peak_ns=5000, rms_ns=1500
    ),
    "609 slope 2 % slower than told": Scenario(twin=slope(1.02)),
    "610 slope 10 % slower than told": Scenario(twin=slope(1.1)),
    "611 double PPS": Scenario(faults=faults("pps_double@10+5"), counts={"time.counters.double": (4, 6)}),
    "612 spurious PPS, two a second": Scenario(
        faults=faults("pps_spurious@10+6"), counts={"time.counters.rejected": (8, 12)}
    ),
    "613 spurious PPS from the start": Scenario(faults=faults("pps_spurious@0+20"), expect=(sync(12, 20),)),
    "614 one PPS 50 us late": Scenario(
        faults=faults("pps_late@12+1=50"),
        expect=(sync(8, 11.8), held(12.2, 12.8, (5, 7)), sync(17, 20)),  # the edge may be right and the clock wrong
        counts={"time.counters.rejected": (1, 1)},
    ),
    "615 crystal steps by 1 ppm": Scenario(
        seconds=40,
        faults=faults("crystal_step@20=1"),
        expect=(sync(8, 20), sync(21, 24, 3), sync(36, 40)),
        peak_ns=2500,
        rms_ns=400,
        unknowable=((20, 21),),
        why_unknowable=CRYSTAL_JUMPS,
    ),
    "616 crystal steps by 3 ppm soon after a loss of fix": Scenario(
        seconds=32,
        faults=faults("gps_loss@8+6,crystal_step@22=3"),
        expect=(sync(19, 22), held(28, 32, (5, 7), (0, 1))),  # a PPS that moved is watched before it is believed
        peak_ns=10_000,
        rms_ns=3000,
        unknowable=((22, 23.1),),
        why_unknowable=CRYSTAL_JUMPS,
    ),
}

LOSSES = {
    "651 PPS missing for 1 s": Scenario(
        faults=faults("pps_missing@12+1"), expect=(sync(8, 20),), counts={"time.counters.missing": (1, 1)}
    ),
    "652 PPS missing for 10 s": Scenario(
        seconds=30,
        faults=faults("pps_missing@12+10"),
        expect=(sync(8, 13), held(15.2, 22, (3, 5), (0, 1)), sync(27, 30)),
        counts={"time.counters.missing": (10, 10)},
    ),
    "653 PPS missing for 100 s": Scenario(
        seconds=135,
        faults=faults("pps_missing@20+100"),
        expect=(sync(8, 21), held(25, 28, (3, 4)), held(60, 110, (4, 6), (1, 1)), sync(126, 135)),
        twin=crystal(drift_ppb_per_s=1.0),
        counts={"time.counters.missing": (100, 100)},
        rms_ns=150,
    ),
    "654 PPS missing for 1000 s": Scenario(
        seconds=1060,
        faults=faults("pps_missing@40+1000"),
        expect=(
            sync(8, 41),
            held(60, 100, (4, 5), (1, 1)),
            held(200, 300, (5, 7), (2, 2)),
            held(900, 1030, (7, 8), (2, 2)),
            sync(1050, 1060),
        ),
        twin=crystal(drift_ppb_per_s=0.8),
        counts={"time.counters.missing": (1000, 1000)},
        long=True,
    ),
    "655 fix lost and found": Scenario(
        seconds=34,
        faults=faults("gps_loss@10+10"),
        expect=(sync(8, 10), held(13, 20, (3, 5), (0, 1)), sync(26, 34)),
    ),
    "656 receiver without power for 3 s, then without fix": Scenario(
        seconds=45,
        faults=faults("gps_power@15+3=8"),
        expect=(sync(8, 16), held(20, 26, (3, 5), (0, 1)), sync(34, 45)),
    ),
    "657 receiver swapped for one of another make, whose PPS is 0.2 us later": Scenario(
        seconds=40,
        faults=faults("gps_swap@15+5=0.2"),
        expect=(sync(8, 16), held(20, 24, (3, 4), (0, 1)), sync(32, 40)),
        peak_ns=500,
        rms_ns=200,
        unknowable=((24, 40),),
        why_unknowable="two receivers differ by less than either promises, and only the twin knows which is right",
    ),
    "658 receiver swapped for one whose PPS is 200 us later": Scenario(
        seconds=130,
        faults=faults("gps_swap@15+5=200"),
        expect=(sync(8, 16), held(20, 24, (3, 4), (0, 1)), held(34, 80, (7, 8), (1, 1)), sync(120, 130)),
        peak_ns=500,
        rms_ns=200,
        unknowable=((88, 130),),
        why_unknowable="after a minute the new PPS is believed: with one receiver nobody can tell that it is wrong",
        counts={"time.counters.resyncs": (1, 1)},
        long=True,
    ),
}

SENTENCES = {
    "701 sentences half a second late": Scenario(faults=faults("nmea_late@10+10=0.5"), expect=(sync(8, 20),)),
    "702 sentences 1.2 s late: the previous second": Scenario(
        seconds=40, faults=faults("nmea_late@12+8=1.2"), expect=(sync(8, 12), unknown(19, 20), sync(36, 40))
    ),
    "703 sentences void while the PPS goes on": Scenario(
        seconds=34, faults=faults("nmea_void@10+10"), expect=(sync(8, 10), held(13, 20, (3, 5), (0, 1)), sync(26, 34))
    ),
    "704 sentences name a wrong second for a while": Scenario(
        seconds=30, faults=faults("nmea_second@10+6=1"), expect=(sync(8, 10), unknown(16, 17), sync(26, 30))
    ),
    "705 receiver falls silent": Scenario(
        seconds=34, faults=faults("gps_silent@10+60"), expect=(sync(8, 19), held(24, 34, (3, 5), (0, 1)))
    ),
    "706 no sentence at all": Scenario(faults=faults("gps_silent@0+60"), expect=(), first_sync_s=None),
    "707 week rollover: the date jumps back by 1024 weeks": Scenario(
        faults=faults("nmea_second@10+60=-619315200"), counts={"time.rollovers": (1, 1)}
    ),
    "708 cold start with wrong whole seconds": Scenario(
        seconds=30,
        twin=receiver(cold_start_s=5.0, cold_leap_error_s=3),
        expect=(unknown(14, 30, (3, 3)),),
        first_sync_s=None,
    ),
    "709 cold start with wrong whole seconds, until they are right": Scenario(
        seconds=840,
        twin=receiver(cold_start_s=5.0, cold_leap_error_s=3, almanac_s=700.0),
        expect=(unknown(14, 700, (3, 3)), sync(790, 840)),
        first_sync_s=780.0,
        long=True,
    ),
    "711 receiver of the factory's speed, brought to 38 400 baud": Scenario(
        gps={"baud_rate": 38_400},
        expect=(sync(14, 20),),
        first_sync_s=14.0,
        counts={"twin.gps.baud_rate": (38_400, 38_400), "receiver.baud_rate": (38_400, 38_400)},
    ),
    "712 receiver that understands no command, at a speed of its own": Scenario(
        twin=receiver(obeys=False, baud_rate=38_400),
        expect=(sync(14, 20),),
        first_sync_s=14.0,
        counts={"receiver.baud_rate": (38_400, 38_400), "receiver.setups": (1, 2)},
    ),
    "713 receiver without power, back at another speed than the port": Scenario(
        seconds=50,
        gps={"baud_rate": 115_200},
        faults=faults("gps_power@25+3=6"),
        expect=(sync(18, 26), held(30, 34, (3, 5), (0, 1)), sync(46, 50)),
        first_sync_s=18.0,
        counts={"twin.gps.baud_rate": (115_200, 115_200), "receiver.setups": (2, 3)},
    ),
}

BEFORE_NEW_YEAR = {"start": YEAR_END - 20, "seconds": 30}
LEAPS = {
    "751 year end": Scenario(**BEFORE_NEW_YEAR, expect=(sync(8, 30),)),
    "752 leap second inserted, announced by the file": Scenario(
        **BEFORE_NEW_YEAR,
        faults=faults("leap_second@20"),
        leap_file=announced(1),
        leap=Leap(20, 1),
        expect=(sync(8, 30),),
    ),
    "753 leap second deleted, announced by the file": Scenario(
        start=YEAR_END - 21,
        seconds=30,
        faults=faults("leap_second@20=-1"),
        leap_file=announced(-1),
        leap=Leap(20, -1),
        expect=(sync(8, 30),),
    ),
    "754 month ends, and the file says nothing of it": Scenario(
        **BEFORE_NEW_YEAR, leap_file=EXPIRED, expect=(sync(8, 18.3), unknown(19, 21, (0, 0)), sync(22, 30))
    ),
    "755 leap second inserted, which only the receiver shows": Scenario(
        **BEFORE_NEW_YEAR,
        faults=faults("leap_second@20"),
        leap_file=EXPIRED,
        leap=Leap(20, 1, pending=False),
        expect=(sync(8, 18.3), unknown(19, 20.1, (0, 0)), sync(22, 30)),
    ),
    "756 leap second inserted, for which the receiver says 23:59:59 twice": Scenario(
        start=YEAR_END - 20,
        seconds=38,
        faults=faults("leap_repeat@20"),
        leap_file=EXPIRED,
        leap=Leap(20, 1, pending=False, occurred_s=10),
        expect=(sync(8, 18.3), unknown(19, 25, (0, 0)), sync(33, 38)),
    ),
    "757 leap second inserted, for which the receiver says 00:00:00 twice": Scenario(
        start=YEAR_END - 20,
        seconds=38,
        faults=faults("leap_repeat@20=0"),
        leap_file=EXPIRED,
        leap=Leap(20, 1, pending=False, occurred_s=10),
        expect=(sync(8, 18.3), unknown(19, 25, (0, 0)), sync(33, 38)),
    ),
    "758 leap second deleted, without a word": Scenario(
        start=YEAR_END - 21,
        seconds=38,
        faults=faults("leap_second@20=-1"),
        leap_file=EXPIRED,
        leap=Leap(20, -1, pending=False, occurred_s=10),
        expect=(sync(8, 19.2), unknown(19.8, 24, (0, 0)), sync(33, 38)),
    ),
    "759 leap second inserted, though the file says that there is none": Scenario(
        start=YEAR_END - 20,
        seconds=38,
        faults=faults("leap_repeat@20=0"),
        leap=Leap(20, 1, pending=False, occurred_s=10),
        expect=(sync(8, 20.9), unknown(21.6, 25, (0, 0)), sync(33, 38)),
        unknowable=((20.99, 21.6),),
        why_unknowable="a file that is wrong is believed until the receiver names the second otherwise",
    ),
    "760 leap second of the file that does not happen": Scenario(
        start=YEAR_END - 20,
        seconds=38,
        leap_file=announced(1),
        leap=Leap(20, 0),
        expect=(sync(8, 20), unknown(20.6, 24, (0, 0)), sync(33, 38)),
    ),
}

ACQUISITION = {
    "801 ADC overruns: a ring gap and another epoch": Scenario(
        faults=faults("adc_overrun@12.3"),
        peak_ns=1000,
        counts={"ring.overruns": (1, 1), "time.counters.epochs": (1, 1)},
    ),
    "802 PRU stops and is started again": Scenario(
        seconds=30,
        faults=faults("adc_stall@12.3=5"),
        expect=(sync(8, 12), sync(22, 30)),
        restarts=1,
        counts={"pru_restarts": (1, 1)},
    ),
    "803 reader stalls for 0.15 s: nothing is lost": Scenario(
        faults=faults("reader_stalled@12.05+0.15"), counts={"ring.lost_samples": (0, 0)}
    ),
    "804 reader stalls for 3 s: blocks and a PPS are lost": Scenario(
        seconds=25, faults=faults("reader_stalled@12+3"), expect=(sync(8, 12),), counts={"ring.lost_samples": (1, 1e9)}
    ),
}

THREE = {"phases": 3, "mains_ain": (0, 2, 3)}
LONG_PAUSE = {"measure_scans": 12_000}  # 0.2 s
ACQUISITION |= {
    "805 three channels instead of one, and one again": Scenario(
        seconds=24,
        new_runs=(NewRun(12.2, (0, 2, 3)), NewRun(16.2)),
        twin=THREE,
        expect=(sync(8, 24),),
        counts={"time.counters.carried": (2, 2), "time.counters.missing": (0, 0), "pru_restarts": (0, 0)},
    ),
    "806 new run of the acquisition just where a PPS edge falls": Scenario(
        new_runs=(NewRun(11.85, sampling=LONG_PAUSE),),
        counts={"time.counters.carried": (1, 1), "time.counters.missing": (1, 1)},
    ),
    "807 PPS missing for 12 s, and new runs meanwhile": Scenario(
        seconds=34,
        faults=faults("pps_missing@12+12"),
        new_runs=(NewRun(17.2, (0, 2, 3)), NewRun(20.2)),
        twin=THREE,
        expect=(sync(8, 13), held(15.2, 24, (3, 5), (0, 1)), sync(29, 34)),
        counts={"time.counters.carried": (2, 2), "time.counters.missing": (12, 12)},
    ),
    "808 receiver falls silent, and new runs before and after it is given up": Scenario(
        seconds=34,
        faults=faults("gps_silent@10+60"),
        new_runs=(NewRun(15.3, sampling=LONG_PAUSE), NewRun(27.3)),
        expect=(sync(8, 19), held(24, 34, (3, 5), (0, 1))),
        counts={"time.counters.carried": (2, 2)},
    ),
    "809 new run every one and a half seconds": Scenario(
        seconds=28,
        new_runs=tuple(NewRun(10.2 + 1.5 * i, sampling={"measure_scans": 3000 + i}) for i in range(1, 10)),
        expect=(sync(8, 28),),
        counts={"time.counters.carried": (9, 9), "time.counters.resyncs": (0, 0)},
    ),
    "810 new runs just before a leap second, and in it": Scenario(
        start=YEAR_END - 20,
        seconds=30,
        faults=faults("leap_second@20"),
        leap_file=announced(1),
        leap=Leap(20, 1),
        new_runs=(NewRun(19.3, sampling=LONG_PAUSE), NewRun(20.3)),
        expect=(sync(8, 30),),
        counts={"time.counters.carried": (2, 2)},
    ),
}

SCENARIOS: dict[str, Scenario] = PULSES | LOSSES | SENTENCES | LEAPS | ACQUISITION
