"""What goes wrong, and when: faults on a schedule, from the command line or from a test.

A fault is written name@start[+duration][=value], times in seconds since the twin's first instant; several are separated
by commas or semicolons: "pps_missing@12+5,nmea_second@30+10=1". `FAULTS` lists the names, what the value means, and
what is taken where it is left out. Faults that happen at an instant (adc_overrun, tag_slip) take no duration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rpmu.errors import InputError
from rpmu.twin.signals import NS_PER_S
from rpmu.twin.spec import choose


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        meaning: what it does.
        value: the value where none is given.
        value_meaning: what the value is; empty if it takes none.
        low: least value.
        high: greatest value.
        lasts: it has a duration.
        duration_s: the duration where none is given.
    """

    meaning: str
    value: float = 1.0
    value_meaning: str = ""
    low: float = -1e9
    high: float = 1e9
    lasts: bool = True
    duration_s: float = 1.0


FAULTS = {
    "pps_missing": Kind("no pulse"),
    "pps_double": Kind("a second pulse in the same second", 0.3, "how much later, s", 0.001, 0.5),
    "pps_spurious": Kind("further pulses, anywhere in the second", 2.0, "how many a second", 1, 20, duration_s=10.0),
    "pps_late": Kind("the pulse comes late", 50.0, "how much, us", -50e3, 300e3),
    "gps_loss": Kind("no fix: no pulse, sentences say so", duration_s=10.0),
    "gps_silent": Kind("no sentence", duration_s=10.0),
    "gps_power": Kind(
        "the receiver has no power, and has forgotten date and settings when it is back",
        5.0,
        "seconds from power to the fix",
        0.0,
        3600.0,
        duration_s=3.0,
    ),
    "gps_swap": Kind(
        "no receiver, then one of another make that understands no command",
        0.0,
        "how much later its pulse comes, us",
        -50e3,
        300e3,
        duration_s=5.0,
    ),
    "nmea_void": Kind("sentences say that there is no fix, and the pulse goes on", duration_s=10.0),
    "nmea_late": Kind("sentences come late", 0.5, "how much, s", 0.001, 5.0, duration_s=10.0),
    "nmea_second": Kind("sentences name a wrong second", 1.0, "by how many seconds", duration_s=10.0),
    "leap_second": Kind(
        "a leap second that the receiver shows: it calls this second 23:59:60, or skips 23:59:59 before it",
        1.0,
        "1 inserts a second, -1 deletes one",
        -1,
        1,
        lasts=False,
    ),
    "leap_repeat": Kind(
        "an inserted second that the receiver does not show, because it says another one twice",
        59.0,
        "59 for 23:59:59 twice, 0 for 00:00:00 twice",
        0,
        59,
        lasts=False,
    ),
    "adc_overrun": Kind("the ADC's FIFO overruns and latches", lasts=False),
    "tag_slip": Kind("conversions vanish on the way to the FIFO", 1.0, "how many words", 1, 64, lasts=False),
    "adc_stall": Kind("the ADC's sequencer stands still", 0.6, "for how many ms", 0.001, 1000, lasts=False),
    "reader_stalled": Kind("nobody reads the ring", duration_s=0.5),
    "crystal_step": Kind(
        "the crystal jumps, at the next tenth of a second", 1.0, "by how many ppm", -1000, 1000, lasts=False
    ),
    "clipping": Kind("the mains is that much higher than it should be", 2.0, "factor", -10, 10),
}
PATTERN = re.compile(r"([\w-]+)@([0-9.]+)(?:\+([0-9.]+))?(?:=([-+0-9.eE]+))?")


@dataclass(frozen=True)
class Fault:
    """One fault: kind, seconds since the twin's first instant, and value."""

    name: str
    start_s: float
    duration_s: float
    value: float

    @classmethod
    def parse(cls, text: str) -> Fault:
        """One entry of a fault list.

        Raises:
            InputError: it is not written as a fault, or there is no such kind.
        """
        match = PATTERN.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"fault {text!r} is not written as name@start[+duration][=value] with seconds, such as pps_missing@12+5"
            )
        name, start, duration, value = match.groups()
        kind = FAULTS[choose("the fault", name.replace("-", "_"), FAULTS)]
        if duration is not None and not kind.lasts:
            raise InputError(f"fault {text!r}: {name} happens at an instant and takes no duration")
        if value is not None and not kind.value_meaning:
            raise InputError(f"fault {text!r}: {name} takes no value")
        try:
            numbers = [float(n) for n in (start, duration or kind.duration_s, value or kind.value)]
        except ValueError as error:
            raise InputError(f"fault {text!r}: {error}") from error
        if not kind.low <= numbers[2] <= kind.high:
            raise InputError(f"fault {text!r}: the value must lie from {kind.low:g} to {kind.high:g}")
        return cls(name.replace("-", "_"), *numbers)

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.start_s + (self.duration_s if FAULTS[self.name].lasts else 0.0)


def parse_faults(text: str) -> list[Fault]:
    """A list of faults, separated by commas or semicolons; empty for none.

    Raises:
        InputError: see `Fault.parse`.
    """
    return [Fault.parse(part) for part in re.split(r"[,;]", text) if part.strip()]


class Faults:
    """The schedule.

    Args:
        start_ns: the twin's first instant, UTC ns.
        faults: what is planned; `add` plans more while the twin runs.
    """

    def __init__(self, start_ns: int, faults: list[Fault] | None = None) -> None:
        self._start_ns = start_ns
        self.faults = list(faults or [])

    def add(self, fault: Fault) -> None:
        """Plan one more."""
        self.faults.append(fault)

    def value(self, name: str, second: int) -> float | None:
        """Value of a fault that holds at a whole UTC second; None if none does."""
        t = second - self._start_ns / NS_PER_S
        return next((f.value for f in self.faults if f.name == name and f.start_s <= t < f.end_s), None)

    def between(self, from_s: float, to_s: float, *names: str) -> list[Fault]:
        """Faults of these names that begin in [from_s, to_s), seconds since the first instant, in order."""
        found = [f for f in self.faults if f.name in names and from_s <= f.start_s < to_s]
        return sorted(found, key=lambda f: f.start_s)

    def windows(self, name: str, from_s: float, to_s: float) -> list[Fault]:
        """Faults of this name that hold at some time in [from_s, to_s)."""
        return [f for f in self.faults if f.name == name and f.start_s < to_s and f.end_s > from_s]
