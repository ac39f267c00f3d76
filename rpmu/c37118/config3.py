"""CFG-3: names of any length in UTF-8, scale words, position, class, window and delay, in fragments if need be.

    body  X X        CONT_IDX: 0 the only frame; 1, 2 ... the first ones of several, 0xFFFF the last
          B B B B    TIME_BASE
          N N        NUM_PMU
      per PMU:
          l n ...    STN: length byte, UTF-8
          I I        IDCODE of the PMU
          G * 16     G_PMU_ID
          F F P P A A D D   FORMAT, PHNMR, ANNMR, DGNMR
          l c ...    CHNAM: one per phasor and analog, 16 per digital word
          M M T U    PHSCALE: modification flags, type, user byte,
          S S S S       magnitude scale, V or A per bit,
          J J J J       angle adjustment in rad, which is subtracted
          a a a a b b b b   ANSCALE each: factor, offset
          n n v v    DIGSCALE each: normal state, valid inputs
          y y y y x x x x z z z z   PMU_LAT, PMU_LON in degrees, PMU_ELEV in m; infinity: not given
          C          SVC_CLASS: "M" or "P"
          w w w w    WINDOW in us
          d d d d    GRP_DLY in us
          f f g g    FNOM, CFGCNT
      end R R        DATA_RATE

IEEE C37.118.2-2011, 6.4 and annex. Fragments: we send each with its own CHK, as the clause on the envelope wants it of
every frame. Some peers instead cut one long frame with one CHK at its very end; both are joined again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from typing import Any

from rpmu.c37118.channels import AnalogChannel, DigitalWord, PhasorChannel, PmuConfig
from rpmu.c37118.config import (
    ConfigFrame,
    encode_counts,
    encode_digital_unit,
    encode_end,
    read_data_rate,
    read_nominal_hz,
    read_stream_head,
)
from rpmu.c37118.envelope import BODY_OFFSET, CONT_IDX, MAX_FRAME_SIZE, MIN_FRAME_SIZE, BytesLike, Head
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import Format, FrameType, PhasorComponent
from rpmu.c37118.reader import Reader
from rpmu.errors import InputError

LAST_FRAGMENT = 0xFFFF
FRAGMENT_OVERHEAD = MIN_FRAME_SIZE + CONT_IDX.size
MIN_FRAGMENT_SIZE = 64
MAX_NAME_SIZE = 255

_CURRENT = 0x08  # in the type byte of PHSCALE
_STREAM = struct.Struct(">IH")
_RATE = struct.Struct(">h")
_IDENTITY = struct.Struct(">H16s4H")
_PHASOR = struct.Struct(">HBBff")
_ANALOG = struct.Struct(">ff")
_DIGITAL = struct.Struct(">HH")
_PLACE = struct.Struct(">fffcii")


@dataclass(frozen=True)
class ConfigFrame3(ConfigFrame):
    """CFG-3: what the device sends now, with all that CFG-2 cannot say. Version 2 only."""

    frame_type = FrameType.CONFIG_3

    @classmethod
    def of(cls, config: ConfigFrame) -> ConfigFrame3:
        """Any configuration as CFG-3."""
        return cls(**{f.name: getattr(config, f.name) for f in fields(ConfigFrame)} | {"version": 2})

    def encode_fragments(self, max_frame_size: int = MAX_FRAME_SIZE) -> list[bytes]:
        """The whole as one frame if that is short enough, else as several, each with its own CHK.

        Raises:
            InputError: something does not fit, or `max_frame_size` is not in 64 to 65535.
        """
        if not MIN_FRAGMENT_SIZE <= max_frame_size <= MAX_FRAME_SIZE:
            raise InputError(f"max_frame_size is {max_frame_size}, but must lie in {MIN_FRAGMENT_SIZE} to 65535")
        self._check()
        body = self._encode_body()
        if len(body) <= max_frame_size - MIN_FRAME_SIZE:
            return [self._frame(body)]
        payload = body[CONT_IDX.size :]
        size = max_frame_size - FRAGMENT_OVERHEAD
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
        if len(pieces) > LAST_FRAGMENT:
            raise InputError(f"CFG-3 would need {len(pieces)} fragments, but must need at most {LAST_FRAGMENT}")
        numbers = [*range(1, len(pieces)), LAST_FRAGMENT]
        return [self._frame(CONT_IDX.pack(number) + piece) for number, piece in zip(numbers, pieces, strict=True)]

    def _encode_body(self) -> bytes:
        if self.version != 2:
            raise InputError(f"version is {self.version}, but CFG-3 exists in version 2 only")
        parts = [CONT_IDX.pack(0), _STREAM.pack(self.time_base, len(self.pmus))]
        parts.extend(_encode_pmu(pmu) for pmu in self.pmus)
        parts.append(_RATE.pack(self.data_rate))
        return b"".join(parts)

    @classmethod
    def parse(cls, head: Head, data: BytesLike) -> ConfigFrame3:
        """See `ConfigFrame.parse`; a fragment alone is refused."""
        reader = Reader(data, BODY_OFFSET)
        cont_idx = reader.take(CONT_IDX, "CONT_IDX")[0]
        if cont_idx != 0:
            raise ProtocolError("CONT_IDX", BODY_OFFSET, cont_idx, "0 (fragments are joined by a Decoder)")
        return cls.parse_payload(head, reader)

    @classmethod
    def parse_payload(cls, head: Head, reader: Reader) -> ConfigFrame3:
        """What stands between CONT_IDX and CHK, or in all fragments together.

        Raises:
            ProtocolError: the first field that is wrong.
        """
        time_base, count = read_stream_head(reader, head)
        pmus = tuple(_parse_pmu(reader, f"PMU {n + 1} ") for n in range(count))
        rate = read_data_rate(reader)
        return cls(head.idcode, pmus, rate, time_base, head.soc, head.fracsec, head.time_quality, head.version)


def _encode_pmu(pmu: PmuConfig) -> bytes:
    where = f"PMU {pmu.name!r}: "
    try:
        parts = [
            _encode_name(pmu.name),
            struct.pack(">H", pmu.idcode),
            _sized(pmu.global_id, where),
            encode_counts(pmu),
            *map(_encode_name, pmu.channel_names()),
            *map(_encode_phasor, pmu.phasors),
            *(_ANALOG.pack(channel.scale, channel.offset) for channel in pmu.analogs),
            *map(encode_digital_unit, pmu.digitals),
            _encode_place(pmu),
            encode_end(pmu),
        ]
    except (struct.error, OverflowError) as error:
        raise InputError(f"{where}a scale, the position or a delay does not fit CFG-3: {error}") from error
    return b"".join(parts)


def _encode_name(name: str) -> bytes:
    raw = name.encode("utf-8", "replace")
    if len(raw) > MAX_NAME_SIZE:
        raise InputError(f"name {name!r} is {len(raw)} bytes of UTF-8, but CFG-3 takes {MAX_NAME_SIZE}")
    return bytes((len(raw),)) + raw


def _sized(global_id: bytes, where: str) -> bytes:
    if len(global_id) != 16:
        raise InputError(f"{where}global_id has {len(global_id)} bytes, but must have 16")
    return global_id


def _encode_phasor(channel: PhasorChannel) -> bytes:
    kind = channel.is_current * _CURRENT | channel.component
    return _PHASOR.pack(channel.modifications, kind, channel.user, channel.scale, channel.angle_rad)


def _encode_place(pmu: PmuConfig) -> bytes:
    if pmu.service_class not in ("M", "P"):
        raise InputError(f"PMU {pmu.name!r}: service_class is {pmu.service_class!r}, but must be 'M' or 'P'")
    place = (pmu.latitude_deg, pmu.longitude_deg, pmu.elevation_m)
    return _PLACE.pack(*place, pmu.service_class.encode(), pmu.window_us, pmu.group_delay_us)


def _parse_pmu(reader: Reader, pmu: str) -> PmuConfig:
    name = reader.name(pmu + "STN")
    idcode, global_id, fmt, *counts = reader.take(_IDENTITY, pmu + "IDCODE to DGNMR")
    phasors, analogs, digitals = counts
    at_least = 13 * phasors + 9 * analogs + 20 * digitals  # every name has a length byte
    reader.need(at_least, pmu + "channels")
    names = [reader.name(pmu + "CHNAM") for _ in range(phasors + analogs + 16 * digitals)]
    bits = names[phasors + analogs :]
    return PmuConfig(
        name,
        idcode,
        Format(fmt & 15),
        tuple(_parse_phasor(reader, pmu, channel) for channel in names[:phasors]),
        tuple(_parse_analog(reader, pmu, channel) for channel in names[phasors : phasors + analogs]),
        tuple(
            DigitalWord(tuple(bits[16 * n : 16 * n + 16]), *reader.take(_DIGITAL, pmu + "DIGSCALE"))
            for n in range(digitals)
        ),
        **_parse_place(reader, pmu),
        global_id=global_id,
    )


def _parse_phasor(reader: Reader, pmu: str, name: str) -> PhasorChannel:
    modifications, kind, user, scale, angle_rad = reader.take(_PHASOR, pmu + "PHSCALE")
    return PhasorChannel(name, bool(kind & _CURRENT), scale, angle_rad, PhasorComponent(kind & 7), modifications, user)


def _parse_analog(reader: Reader, pmu: str, name: str) -> AnalogChannel:
    scale, offset = reader.take(_ANALOG, pmu + "ANSCALE")
    return AnalogChannel(name, scale=scale, offset=offset)


def _parse_place(reader: Reader, pmu: str) -> dict[str, Any]:
    at = reader.offset
    latitude, longitude, elevation, service, window, delay = reader.take(_PLACE, pmu + "PMU_LAT to GRP_DLY")
    if service not in (b"M", b"P"):
        raise ProtocolError(pmu + "SVC_CLASS", at + 12, repr(service), "b'M' or b'P'")
    nominal_hz, cfgcnt = read_nominal_hz(reader, pmu)
    return {
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "elevation_m": elevation,
        "service_class": service.decode(),
        "window_us": window,
        "group_delay_us": delay,
        "nominal_hz": nominal_hz,
        "cfgcnt": cfgcnt,
    }
