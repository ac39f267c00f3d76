"""Sentences as an MTK3339 receiver writes them (Adafruit Ultimate GPS), and the PMTK commands it understands.

Order, fields and rates follow a log of that receiver: GGA, GSA, GSV every fifth second, RMC, ZDA. Without a fix the
position fields are empty and RMC says V; before the first satellite the date is the module's own, January 1980.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# number, elevation, azimuth, signal to noise
SATELLITES = (
    (9, 88, 89, 31),
    (7, 60, 281, 44),
    (23, 55, 123, 33),
    (10, 44, 274, 32),
    (16, 39, 51, 29),
    (30, 30, 262, 20),
    (20, 23, 308, 30),
    (27, 23, 93, 34),
    (19, 13, 123, 27),
    (3, 7, 176, 19),
)

# Positions of the sentences in PMTK314's list of rates, in the order in which the module sends them.
RATE_FIELDS = {"GLL": 0, "VTG": 2, "GGA": 3, "GSA": 4, "GSV": 5, "RMC": 1, "ZDA": 17}
DEFAULT_RATES = {"GLL": 0, "VTG": 0, "GGA": 1, "GSA": 1, "GSV": 5, "RMC": 1, "ZDA": 1}


@dataclass(frozen=True)
class Place:
    """Where the antenna stands: degrees north and east, metres."""

    latitude_deg: float = 42.8176
    longitude_deg: float = -73.9299
    altitude_m: float = 92.3


@dataclass(frozen=True)
class Fix:
    """What the receiver knows at a second.

    Attributes:
        second: UTC second it believes to be in, s since the Unix epoch.
        valid: it has a position fix.
        place: where it is.
        millisecond: of its epoch; 0 once it knows the time.
        leap: this is the leap second after `second`, 23:59:60.
    """

    second: int
    valid: bool
    place: Place = field(default_factory=Place)
    millisecond: int = 0
    leap: bool = False

    @property
    def moment(self) -> datetime:
        """The second as a date; a leap second has the date of the second before it."""
        return EPOCH + timedelta(seconds=self.second, milliseconds=self.millisecond)


def sentence(body: str) -> bytes:
    """A body between its dollar sign, its checksum (XOR of all characters) and its line end."""
    checksum = 0
    for character in body.encode("ascii"):
        checksum ^= character
    return f"${body}*{checksum:02X}\r\n".encode("ascii")


def checked_body(line: bytes) -> str | None:
    """The body of a line, or None if it is no sentence or its checksum is wrong."""
    text = line.decode("ascii", errors="replace").strip()
    body, star, _ = text[1:].rpartition("*")
    return body if text[:1] == "$" and star and sentence(body).strip() == text.encode("ascii", "replace") else None


def _angle(degrees: float, digits: int, positive: str, negative: str) -> str:
    """Degrees and minutes with the hemisphere: "4249.0560,N"."""
    whole, minutes = divmod(round(abs(degrees) * 600_000), 600_000)
    return f"{whole:0{digits}d}{minutes / 10_000:07.4f},{positive if degrees >= 0 else negative}"


def _clock(fix: Fix) -> str:
    second = 60 if fix.leap else fix.moment.second
    return f"{fix.moment:%H%M}{second:02d}.{fix.millisecond:03d}"


def _position(fix: Fix) -> str:
    if not fix.valid:
        return ",,,"
    place = fix.place
    return f"{_angle(place.latitude_deg, 2, 'N', 'S')},{_angle(place.longitude_deg, 3, 'E', 'W')}"


def gga(fix: Fix) -> str:
    """Fix data."""
    if not fix.valid:
        return f"GPGGA,{_clock(fix)},,,,,0,00,,,M,,M,,"
    quality = f"1,{len(SATELLITES):02d},0.98,{fix.place.altitude_m:.1f},M,-33.1,M,,"
    return f"GPGGA,{_clock(fix)},{_position(fix)},{quality}"


def gsa(fix: Fix) -> str:
    """Satellites in use and dilution of precision."""
    used = [f"{number:02d}" for number, *_ in SATELLITES] if fix.valid else []
    cells = ",".join((used + [""] * 12)[:12])
    return f"GPGSA,A,{3 if fix.valid else 1},{cells},{'1.64,0.98,1.31' if fix.valid else ',,'}"


def gsv(fix: Fix) -> list[str]:
    """Satellites in view, four to a sentence."""
    seen = SATELLITES if fix.valid else SATELLITES[:2]
    groups = [seen[i : i + 4] for i in range(0, len(seen), 4)]
    return [
        f"GPGSV,{len(groups)},{i + 1},{len(seen):02d},"
        + ",".join(f"{number:02d},{elevation:02d},{azimuth:03d},{snr:02d}" for number, elevation, azimuth, snr in group)
        for i, group in enumerate(groups)
    ]


def rmc(fix: Fix) -> str:
    """Recommended minimum: time, validity, position, date."""
    state, mode = ("A", "A") if fix.valid else ("V", "N")
    return f"GPRMC,{_clock(fix)},{state},{_position(fix)},0.03,225.97,{fix.moment:%d%m%y},,,{mode}"


def zda(fix: Fix) -> str:
    """Time and date with the century."""
    return f"GPZDA,{_clock(fix)},{fix.moment:%d,%m,%Y},,"


def vtg(fix: Fix) -> str:
    """Course and speed."""
    return f"GPVTG,225.97,T,,M,0.03,N,0.06,K,{'A' if fix.valid else 'N'}"


def gll(fix: Fix) -> str:
    """Position and time."""
    return f"GPGLL,{_position(fix)},{_clock(fix)},{'A,A' if fix.valid else 'V,N'}"


def epoch(fix: Fix, rates: dict[str, int], talker: str = "GP") -> bytes:
    """All sentences of one second, as the module sends them; `rates` says every how many seconds each comes."""
    bodies: list[str] = []
    for kind, rate in rates.items():
        if not rate or fix.second % rate:
            continue
        if kind == "GSV":
            bodies += gsv(fix)
        else:
            one = {"GGA": gga, "GSA": gsa, "RMC": rmc, "ZDA": zda, "VTG": vtg, "GLL": gll}[kind]
            bodies.append(one(fix))
    return b"".join(sentence(talker + body[2:]) for body in bodies)
