"""CFG-1 and CFG-2: what a stream consists of, and the values that describe a PMU for every configuration frame.

    body  B B B B  TIME_BASE (8 flag bits, 24 bits)
          N N      NUM_PMU
      per PMU:
          S * 16   STN, ASCII, padded with blanks
          I I      IDCODE of the PMU
          F F      FORMAT
          P P A A D D   PHNMR, ANNMR, DGNMR
          c * 16   CHNAM, one per phasor and analog, 16 per digital word (from bit 0 upward)
          U U U U  PHUNIT each: type byte, 24-bit factor in 1e-5 V or A per bit
          u u u u  ANUNIT each: type byte, signed 24-bit factor
          n n v v  DIGUNIT each: normal state, valid inputs
          f f      FNOM: bit 0 set is 50 Hz, clear 60 Hz
          g g      CFGCNT
      end R R      DATA_RATE: frames per second, or negated seconds per frame

CFG-1 tells what the device could send, CFG-2 what it sends now. IEEE C37.118.2-2011, 6.4. Data frames carry no
counts: their layout follows from this frame alone and is compiled once per configuration (`layout`).
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, Self

from rpmu.c37118.channels import AnalogChannel, DigitalWord, PhasorChannel, PmuConfig
from rpmu.c37118.envelope import BODY_OFFSET, BytesLike, Head, close_envelope
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import Format, FrameType, TimeQuality
from rpmu.c37118.layout import Layout
from rpmu.c37118.reader import Reader
from rpmu.c37118.times import DEFAULT_TIME_BASE, Stamp
from rpmu.errors import InputError

MAX_TIME_BASE = 0xFFFFFF
NAME_SIZE = 16
PHASOR_UNITS = 100_000  # counts of PHUNIT's factor per V or A

_STREAM = struct.Struct(">IH")
_PMU = struct.Struct(">HHHHH")
_END = struct.Struct(">HH")
_RATE = struct.Struct(">h")
_WORD = struct.Struct(">I")
_DIGITAL = struct.Struct(">HH")


@dataclass(frozen=True)
class ConfigFrame(ABC):
    """What CFG-1, CFG-2 and CFG-3 have in common.

    Attributes:
        idcode: IDCODE of the stream, 1 to 65534.
        pmus: the PMUs in the stream, in the order of their blocks in the data frames.
        data_rate: DATA_RATE: frames per second, or negated seconds per frame; never 0.
        time_base: TIME_BASE, 1 to 2^24 - 1: counts of FRACSEC per second.
        soc: time of the frame itself, s since the epoch.
        fracsec: its fraction in 1/time_base.
        time_quality: its time quality byte.
        version: version in SYNC.
    """

    frame_type: ClassVar[FrameType]

    idcode: int
    pmus: tuple[PmuConfig, ...]
    data_rate: int
    time_base: int = DEFAULT_TIME_BASE
    soc: int = 0
    fracsec: int = 0
    time_quality: TimeQuality = field(default=TimeQuality(0))
    version: int = 2

    @property
    def time_ns(self) -> int:
        """Time of the frame, UTC ns since the epoch."""
        return Stamp(self.soc, self.fracsec).time_ns(self.time_base)

    @cached_property
    def layout(self) -> Layout:
        """The compiled layout of this stream's data frames."""
        return Layout(self)

    def same_stream_as(self, other: ConfigFrame) -> bool:
        """Whether data frames mean the same under both: everything but the time of the frame itself is equal."""
        mine = (self.idcode, self.time_base, self.data_rate, self.pmus)
        return mine == (other.idcode, other.time_base, other.data_rate, other.pmus)

    def encode(self) -> bytes:
        """The frame as bytes.

        Raises:
            InputError: something does not fit the frame; the sentence names it.
        """
        self._check()
        return self._frame(self._encode_body())

    def _frame(self, body: bytes) -> bytes:
        return close_envelope(
            self.frame_type, self.version, self.idcode, self.soc, self.fracsec, self.time_quality, body
        )

    @abstractmethod
    def _encode_body(self) -> bytes:
        """Everything between FRACSEC and CHK."""

    def _check(self) -> None:
        if not 1 <= self.time_base <= MAX_TIME_BASE:
            raise InputError(f"TIME_BASE is {self.time_base}, but must lie in 1 to {MAX_TIME_BASE}")
        if not self.fracsec < self.time_base:
            raise InputError(f"FRACSEC is {self.fracsec}, but must be below TIME_BASE, which is {self.time_base}")
        if self.data_rate == 0 or not -0x8000 <= self.data_rate <= 0x7FFF:
            raise InputError(f"DATA_RATE is {self.data_rate}, but must lie in -32768 to 32767 and not be 0")
        if not self.pmus:
            raise InputError("NUM_PMU is 0, but a configuration needs at least one PMU")
        for pmu in self.pmus:
            pmu.check()

    @classmethod
    @abstractmethod
    def parse(cls, head: Head, data: BytesLike) -> Self:
        """The body of a configuration frame whose envelope has been checked.

        Raises:
            ProtocolError: the first field that is wrong.
        """

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles carry the fields only: the compiled layout is made anew.
        return type(self), tuple(getattr(self, f.name) for f in fields(self))


@dataclass(frozen=True)
class _ConfigFrame12(ConfigFrame):
    """CFG-1 and CFG-2 differ in nothing but their type."""

    def _encode_body(self) -> bytes:
        parts = [_STREAM.pack(self.time_base, len(self.pmus))]
        parts.extend(_encode_pmu(pmu) for pmu in self.pmus)
        parts.append(_RATE.pack(self.data_rate))
        return b"".join(parts)

    @classmethod
    def parse(cls, head: Head, data: BytesLike) -> Self:
        """See `ConfigFrame.parse`."""
        reader = Reader(data, BODY_OFFSET)
        time_base, count = read_stream_head(reader, head)
        pmus = tuple(_parse_pmu(reader, f"PMU {n + 1} ") for n in range(count))
        return cls(
            head.idcode,
            pmus,
            read_data_rate(reader),
            time_base,
            head.soc,
            head.fracsec,
            head.time_quality,
            head.version,
        )

    @classmethod
    def of(cls, config: ConfigFrame) -> Self:
        """Any configuration as this type: names cut to 16 characters, scales of floats (no meaning) 1."""
        values = {f.name: getattr(config, f.name) for f in fields(ConfigFrame)}
        return cls(**values | {"pmus": tuple(pmu.plain() for pmu in config.pmus)})


@dataclass(frozen=True)
class ConfigFrame1(_ConfigFrame12):
    """CFG-1: all that the device could send."""

    frame_type = FrameType.CONFIG_1


@dataclass(frozen=True)
class ConfigFrame2(_ConfigFrame12):
    """CFG-2: what the device sends now."""

    frame_type = FrameType.CONFIG_2


def read_stream_head(reader: Reader, head: Head) -> tuple[int, int]:
    """TIME_BASE and NUM_PMU at the start of a configuration.

    Raises:
        ProtocolError: TIME_BASE or NUM_PMU is 0, or FRACSEC not below TIME_BASE.
    """
    at = reader.offset
    flags_and_base, count = reader.take(_STREAM, "TIME_BASE and NUM_PMU")
    time_base = flags_and_base & MAX_TIME_BASE
    if time_base == 0:
        raise ProtocolError("TIME_BASE", at, 0, f"1 to {MAX_TIME_BASE}")
    if head.fracsec >= time_base:
        raise ProtocolError("FRACSEC", 11, head.fracsec, f"below TIME_BASE, which is {time_base}")
    if count == 0:
        raise ProtocolError("NUM_PMU", at + 4, 0, "at least 1")
    return time_base, count


def read_data_rate(reader: Reader) -> int:
    """DATA_RATE at the end of a configuration, and nothing behind it.

    Raises:
        ProtocolError: it is 0, or bytes are left before CHK.
    """
    at = reader.offset
    rate: int = reader.take(_RATE, "DATA_RATE")[0]
    if rate == 0:
        raise ProtocolError("DATA_RATE", at, 0, "a number of frames per second, or negated seconds per frame")
    reader.finish()
    return rate


def read_nominal_hz(reader: Reader, pmu: str) -> tuple[int, int]:
    """FNOM as hertz, and CFGCNT."""
    fnom, cfgcnt = reader.take(_END, pmu + "FNOM and CFGCNT")
    return 50 if fnom & 1 else 60, cfgcnt


def encode_end(pmu: PmuConfig) -> bytes:
    """FNOM and CFGCNT."""
    return _END.pack(pmu.nominal_hz == 50, pmu.cfgcnt)


def encode_digital_unit(word: DigitalWord) -> bytes:
    """DIGUNIT, or DIGSCALE, which is the same."""
    return _DIGITAL.pack(word.normal, word.valid)


def encode_counts(pmu: PmuConfig) -> bytes:
    """FORMAT, PHNMR, ANNMR and DGNMR."""
    return struct.pack(">HHHH", pmu.format, len(pmu.phasors), len(pmu.analogs), len(pmu.digitals))


def _encode_name(name: str, what: str) -> bytes:
    try:
        raw = name.encode("latin-1")
    except UnicodeEncodeError:
        raise InputError(f"{what} {name!r} must be ASCII in CFG-1 and CFG-2; CFG-3 takes any name") from None
    if len(raw) > NAME_SIZE:
        raise InputError(f"{what} {name!r} has {len(raw)} characters, but CFG-1 and CFG-2 take {NAME_SIZE}; use CFG-3")
    return raw.ljust(NAME_SIZE)


def _encode_pmu(pmu: PmuConfig) -> bytes:
    parts = [_encode_name(pmu.name, "station name"), struct.pack(">H", pmu.idcode), encode_counts(pmu)]
    parts.extend(_encode_name(name, "channel name") for name in pmu.channel_names())
    parts.extend(_encode_phasor_unit(channel) for channel in pmu.phasors)
    parts.extend(_encode_analog_unit(channel) for channel in pmu.analogs)
    parts.extend(encode_digital_unit(word) for word in pmu.digitals)
    parts.append(encode_end(pmu))
    return b"".join(parts)


def _encode_phasor_unit(channel: PhasorChannel) -> bytes:
    counts = channel.scale * PHASOR_UNITS
    if not -0.5 <= counts < 0x1000000 - 0.5:
        raise InputError(f"phasor {channel.name!r}: scale is {channel.scale}, but PHUNIT takes 0 to 167.77215 per bit")
    return _WORD.pack(channel.is_current << 24 | round(counts))


def _encode_analog_unit(channel: AnalogChannel) -> bytes:
    if not (-0x800000 <= channel.scale <= 0x7FFFFF and channel.scale == int(channel.scale)):
        raise InputError(
            f"analog {channel.name!r}: scale is {channel.scale}, but ANUNIT takes whole numbers from -8388608 to "
            "8388607; CFG-3 takes any"
        )
    return _WORD.pack(channel.kind << 24 | int(channel.scale) & 0xFFFFFF)


def _parse_pmu(reader: Reader, pmu: str) -> PmuConfig:
    name = reader.name16(pmu + "STN")
    idcode, fmt, *counts = reader.take(_PMU, pmu + "IDCODE, FORMAT, PHNMR, ANNMR and DGNMR")
    phasors, analogs, digitals = counts
    reader.need(NAME_SIZE * (phasors + analogs + 16 * digitals) + 4 * sum(counts) + _END.size, pmu + "channels")
    names = [reader.name16(pmu + "CHNAM") for _ in range(phasors + analogs + 16 * digitals)]
    phasor_channels = tuple(_parse_phasor(reader, pmu, name) for name in names[:phasors])
    analog_channels = tuple(_parse_analog(reader, pmu, name) for name in names[phasors : phasors + analogs])
    bits = names[phasors + analogs :]
    words = tuple(
        DigitalWord(tuple(bits[16 * n : 16 * n + 16]), *reader.take(_DIGITAL, pmu + "DIGUNIT")) for n in range(digitals)
    )
    nominal_hz, cfgcnt = read_nominal_hz(reader, pmu)
    return PmuConfig(
        name, idcode, Format(fmt & 15), phasor_channels, analog_channels, words, nominal_hz=nominal_hz, cfgcnt=cfgcnt
    )


def _parse_phasor(reader: Reader, pmu: str, name: str) -> PhasorChannel:
    at = reader.offset
    word = reader.take(_WORD, pmu + "PHUNIT")[0]
    if word >> 24 > 1:
        raise ProtocolError(pmu + "PHUNIT type", at, word >> 24, "0 (voltage) or 1 (current)")
    return PhasorChannel(name, is_current=bool(word >> 24), scale=(word & 0xFFFFFF) / PHASOR_UNITS)


def _parse_analog(reader: Reader, pmu: str, name: str) -> AnalogChannel:
    word = reader.take(_WORD, pmu + "ANUNIT")[0]
    factor = (word & 0xFFFFFF ^ 0x800000) - 0x800000  # sign-extended
    return AnalogChannel(name, kind=word >> 24, scale=float(factor))
