"""NMEA 0183 from any receiver: a stream of bytes in, checked sentences out.

The splitter finds sentences among binary, joined, cut and commented bytes and notes the scan number at which each
began. Checksum and validity are checked here and not by pynmea2, because its two versions in Debian disagree: 1.15
knows neither the mode of an RMC nor its navigation status, 1.19 calls every u-blox invalid (they always send status
V, "not provided", which says nothing of the fix), and one gives naive times where the other gives aware ones. pynmea2
names the fields; their raw text is read here, which also lets 23:59:60 through. Nothing is dropped silently: every
sentence counts, as good or by the reason why not.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from functools import lru_cache, reduce
from operator import xor
from typing import Any

import pynmea2

from rpmu.timing.axis import AxisMove
from rpmu.values import value

LONGEST_SENTENCE = 300  # NMEA allows 82; $PMTKCHN of a real receiver has 200
ROLLOVER_S = 1024 * 7 * 86_400
UNIX_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
MODES_WITHOUT_FIX = frozenset("NEMS")  # not valid, estimated, manual, simulator: none of them vouches for a PPS
FIX_QUALITIES = frozenset({1, 2, 3, 4, 5, 9})  # GGA: autonomous, differential, PPS, RTK, float RTK, SBAS
_SENTENCE = re.compile(rb"([A-Z][0-9A-Z]{2,9}(?:,[ -)+-~]*)?)\*([0-9A-Fa-f]{2}) *")
_BINARY = re.compile(rb"[^ -~]")
_CLOCK = re.compile(r"(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?")
_DECIMAL = re.compile(r"\d{1,6}(\.\d{0,9})?")


@value
class NmeaTime:
    """A UTC instant of a sentence.

    Attributes:
        second: Unix count; for 23:59:60 that of the following 00:00:00, as POSIX counts.
        fraction_ns: ns into the second.
        leap_second: it is 23:59:60.
        rollovers: week rollovers (1024 weeks each) that were taken off the receiver's date.
    """

    second: int
    fraction_ns: int = 0
    leap_second: bool = False
    rollovers: int = 0


@value
class Sentence:
    """One sentence with a right checksum.

    Attributes:
        kind: "RMC", "GGA", "GSA", "ZDA", another standard three letters, or the whole address of a proprietary one.
        talker: "GP", "GN", ...; "P" for proprietary sentences.
        scan: newest scan number when its first byte had been read.
        fields: everything between the commas after the address.
        time: UTC, if the sentence has date and time (RMC, ZDA).
        valid: whether the receiver vouches for its fix; None if this kind of sentence does not say.
        fix: 0 none, 1 autonomous or of unknown kind, 2 differential, as GGA or RMC say; None if it does not say.
        dimensions: 1 none, 2 or 3 (GSA); None otherwise.
        satellites: used (GGA); None otherwise.
        hdop: horizontal dilution of precision (GGA, GSA); None otherwise.
        tdop: time dilution of precision (PUBX,00); None otherwise.
        leaps_known: whether the receiver has its leap seconds from the sky (PUBX,04); None otherwise.
    """

    kind: str
    talker: str
    scan: int
    fields: tuple[str, ...]
    time: NmeaTime | None = None
    valid: bool | None = None
    fix: int | None = None
    dimensions: int | None = None
    satellites: int | None = None
    hdop: float | None = None
    tdop: float | None = None
    leaps_known: bool | None = None


class SentenceSplitter:
    """Finds the sentences among the bytes of a serial port, and checks their checksums.

    Attributes:
        bad: discarded ones by reason: "checksum", "no checksum", "cut", "too long", "binary".
    """

    def __init__(self) -> None:
        self.bad: Counter[str] = Counter()
        self._line: bytes | None = None  # the sentence under way, without its $
        self._scan = 0

    def feed(self, data: bytes, at_scan: int) -> list[tuple[str, int]]:
        """Take bytes in pieces of any size.

        Args:
            data: what was read.
            at_scan: newest scan number at the time of reading.

        Returns:
            The text of each sentence that became complete, from its address to before the asterisk, and the scan at
            which its first byte came.
        """
        found: list[tuple[str, int]] = []
        for line in data.splitlines(keepends=True):
            text = line.rstrip(b"\r\n")
            under_way, *begun = text.split(b"$")
            self._go_on(under_way)
            for sentence in begun:
                self._finish(found, joined=True)
                self._line, self._scan = b"", at_scan
                self._go_on(sentence)
            if len(text) < len(line):
                self._finish(found)
        return found

    def move(self, move: AxisMove) -> None:
        """The scans of a new run count."""
        self._scan = move.nearest(self._scan)

    def _reject(self, reason: str) -> None:
        self.bad[reason] += 1
        self._line = None

    def _go_on(self, text: bytes) -> None:
        """More of the sentence under way, if there is one."""
        if self._line is not None:
            self._line += text
            if len(self._line) > LONGEST_SENTENCE:
                self._reject("too long")

    def _finish(self, found: list[tuple[str, int]], joined: bool = False) -> None:
        """End of the sentence under way, if there is one: check it."""
        if self._line is None:
            return
        body, wrong = _checked(self._line)
        self._line = None
        if body:
            found.append((body, self._scan))
        else:
            self._reject("cut" if joined and wrong == "no checksum" else wrong)


# The clock and the dialogue with the receiver read the same sentences, one just after the other.
@lru_cache(maxsize=4)
def _checked(line: bytes) -> tuple[str, str]:
    """What lies between $ and line end: the text before the asterisk, or "" and what is wrong with it."""
    match = _SENTENCE.fullmatch(line)
    if match is None:
        return "", "binary" if _BINARY.search(line) else "cut" if b"*" in line else "no checksum"
    if reduce(xor, match[1]) != int(match[2], 16):
        return "", "checksum"
    return match[1].decode("ascii"), ""


class NmeaStream:
    """Reads the sentences of a serial port.

    Attributes:
        good: sentences by kind.
        bad: discarded ones by reason: those of `SentenceSplitter`, and "fields".
    """

    def __init__(self, not_before: int = 0) -> None:
        """See `TimingSettings.not_before` for the date that decides on week rollovers."""
        self.good: Counter[str] = Counter()
        self._splitter = SentenceSplitter()
        self.bad = self._splitter.bad
        self.move = self._splitter.move
        self._not_before = not_before

    def feed(self, data: bytes, at_scan: int) -> list[Sentence]:
        """Take bytes in pieces of any size.

        Args:
            data: what was read.
            at_scan: newest scan number at the time of reading.

        Returns:
            The sentences that became complete, in order.
        """
        sentences = []
        for body, scan in self._splitter.feed(data, at_scan):
            try:
                sentence = parse(body, scan, self._not_before)
            except ValueError:
                self.bad["fields"] += 1
                continue
            self.good[sentence.kind] += 1
            sentences.append(sentence)
        return sentences


def parse(body: str, scan: int, not_before: int = 0) -> Sentence:
    """Read the text of one sentence, from its address to before the asterisk.

    Args:
        body: e.g. "GPZDA,202640.000,13,04,2015,,".
        scan: newest scan number when it began.
        not_before: dates before this Unix count are taken for week rollovers.

    Returns:
        The sentence; kinds that say nothing of time or fix come back with the bare fields.

    Raises:
        ValueError: if a field of a known kind is malformed, or there are too few of them.
    """
    address, *fields = body.split(",")
    if address.startswith("P"):
        return Sentence(address, "P", scan, tuple(fields), **(_pubx(fields) if address == "PUBX" else {}))
    talker, kind = address[:-3], address[-3:]
    reader = _READERS.get(kind)
    found = reader(_Fields(address, fields), not_before) if reader and len(talker) == 2 else {}
    return Sentence(kind, talker, scan, tuple(fields), **found)


class _Fields:
    """The raw fields of a sentence by the names that pynmea2 gives them; empty ones and missing ones alike are ""."""

    def __init__(self, address: str, fields: list[str]) -> None:
        """Raises ValueError if pynmea2 knows no such sentence."""
        self._places, self._fields = _places(address), fields

    def __getitem__(self, name: str) -> str:
        place = self._places[name]
        return self._fields[place] if place < len(self._fields) else ""

    def behind(self, name: str) -> str:
        """The field after a named one."""
        place = self._places[name] + 1
        return self._fields[place] if place < len(self._fields) else ""


@lru_cache(maxsize=32)
def _places(address: str) -> dict[str, int]:
    """Where the fields are that pynmea2 names in such a sentence: the same for every one, and dear to ask for.

    Raises:
        ValueError: it knows no such sentence.
    """
    try:
        message = pynmea2.parse(f"${address},", check=False)
    except pynmea2.ParseError as error:
        raise ValueError(str(error)) from None
    return {field[1]: place for place, field in enumerate(message.fields)}


def _rmc(raw: _Fields, not_before: int) -> dict[str, Any]:
    if raw["status"] not in ("A", "V"):
        raise ValueError(f"status is {raw['status']!r}, not A or V")
    mode = raw.behind("mag_var_dir")  # pynmea2 1.15 has no name for it
    valid = raw["status"] == "A" and mode not in MODES_WITHOUT_FIX
    clock, day = raw["timestamp"], raw["datestamp"]
    time = None
    if clock and day:
        time = _time(clock, _midnight(day), not_before)
    elif valid:
        raise ValueError("valid, but without time or date")
    return {"time": time, "valid": valid, "fix": (2 if mode in ("D", "F", "R", "P") else 1) if valid else 0}


def _zda(raw: _Fields, not_before: int) -> dict[str, Any]:
    clock, day, month, year = raw["timestamp"], raw["day"], raw["month"], raw["year"]
    if not (clock and day and month and year):
        return {}
    return {"time": _time(clock, _midnight(day, month, year), not_before)}


def _gga(raw: _Fields, _not_before: int) -> dict[str, Any]:
    found: dict[str, Any] = {"satellites": _integer(raw["num_sats"]), "hdop": _decimal(raw["horizontal_dil"])}
    quality = _integer(raw["gps_qual"])
    if quality is not None:  # a GPSDO leaves it empty: then GGA says nothing of the fix
        found["valid"] = quality in FIX_QUALITIES
        found["fix"] = (1 if quality == 1 else 2) if found["valid"] else 0
    return found


def _gsa(raw: _Fields, _not_before: int) -> dict[str, Any]:
    return {"dimensions": _integer(raw["mode_fix_type"]), "hdop": _decimal(raw["hdop"])}


_READERS = {"RMC": _rmc, "GGA": _gga, "GSA": _gsa, "ZDA": _zda}


def _pubx(fields: list[str]) -> dict[str, Any]:
    """u-blox' own: 00 has the dilution of precision in time, 04 marks leap seconds of the firmware with a D."""
    if fields[:1] == ["00"] and len(fields) > 16:
        return {"tdop": _decimal(fields[16])}
    if fields[:1] == ["04"] and len(fields) > 5 and fields[5]:
        _numbers(fields[5].removesuffix("D"), 2)
        return {"leaps_known": not fields[5].endswith("D")}
    return {}


def _numbers(text: str, *widths: int) -> list[int]:
    """Digits of fixed widths; anything else is an error ("2208-1" comes from a real receiver)."""
    if len(text) != sum(widths) or not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not {sum(widths)} digits")
    numbers, start = [], 0
    for width in widths:
        numbers.append(int(text[start : start + width]))
        start += width
    return numbers


def _integer(text: str) -> int | None:
    if not text:
        return None
    return _numbers(text, len(text))[0]


def _decimal(text: str) -> float | None:
    if not text:
        return None
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text!r} is not a positive decimal number")
    return float(text)


@lru_cache(maxsize=4)
def _midnight(*day: str) -> int:
    """Unix count at the beginning of a day, ("ddmmyy",) or ("dd", "mm", "yyyy"); most sentences name the same one."""
    if len(day) == 1:
        of_month, month, year = _numbers(day[0], 2, 2, 2)
        year += 1900 if year >= 80 else 2000
    else:
        (of_month,), (month,), (year,) = _numbers(day[0], 2), _numbers(day[1], 2), _numbers(day[2], 4)
    return (date(year, month, of_month).toordinal() - UNIX_EPOCH_ORDINAL) * 86_400  # `date` refuses impossible ones


def _time(clock: str, midnight: int, not_before: int) -> NmeaTime:
    """UTC from a sentence's clock and the beginning of its day."""
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise ValueError(f"{clock!r} is not hhmmss.sss")
    hour, minute, second = int(match[1]), int(match[2]), int(match[3])
    leap_second = second == 60 and minute == 59 and hour == 23
    if hour > 23 or minute > 59 or (second > 59 and not leap_second):
        raise ValueError(f"{clock!r} is no time of day")
    unix = midnight + hour * 3600 + minute * 60 + second
    rollovers = max(0, -((unix - not_before) // ROLLOVER_S))
    return NmeaTime(unix + rollovers * ROLLOVER_S, int((match[4] or "0").ljust(9, "0")), leap_second, rollovers)
