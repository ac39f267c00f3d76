"""What every frame shares: SYNC, FRAMESIZE, IDCODE, SOC, FRACSEC with time quality, and CHK.

    offset 0  S s      SYNC: 0xAA, then type (bits 7-4) and version (bits 3-0)
           2  L L      FRAMESIZE, the whole frame with CHK
           4  I I      IDCODE of the stream
           6  T T T T  SOC
          10  Q F F F  time quality byte, 24-bit FRACSEC
          14  ...      body
        last  C C      CHK

CHK is CRC-CCITT (polynomial 0x1021, start 0xFFFF, nothing reflected, no final XOR); over a frame with its CHK the same
CRC is 0, which is how it is checked. IEEE C37.118.2-2011, 6.2.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from typing import NamedTuple

from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import FrameType, TimeQuality
from rpmu.errors import InputError

SYNC_BYTE = 0xAA
HEAD = struct.Struct(">HHHII")  # SYNC, FRAMESIZE, IDCODE, SOC, time quality and FRACSEC
CHK = struct.Struct(">H")
BODY_OFFSET = HEAD.size
MIN_FRAME_SIZE = HEAD.size + CHK.size
MAX_FRAME_SIZE = 0xFFFF
MAX_BODY_SIZE = MAX_FRAME_SIZE - MIN_FRAME_SIZE
MAX_FRACSEC = 0xFFFFFF
CRC_START = 0xFFFF

CONT_IDX = struct.Struct(">H")  # follows the head in CFG-3 only: 0, or the number of a fragment
FRAGMENT_OFFSET = BODY_OFFSET + CONT_IDX.size
_CONFIG_3_KIND = FrameType.CONFIG_3 << 4 | 2

BytesLike = bytes | bytearray | memoryview


class Head(NamedTuple):
    """The decoded envelope; `kind` is the second SYNC byte: type and version together."""

    kind: int
    idcode: int
    soc: int
    fracsec: int
    time_quality: TimeQuality

    @property
    def version(self) -> int:
        """Version number in SYNC: 1 is 2005, 2 is 2011."""
        return self.kind & 15


def open_envelope(data: BytesLike) -> Head:
    """Check one whole frame's SYNC, FRAMESIZE, CHK and IDCODE.

    Raises:
        ProtocolError: one of them is wrong.
    """
    size = len(data)
    if size < MIN_FRAME_SIZE:
        raise ProtocolError("FRAMESIZE", 2, f"{size} bytes", f"at least {MIN_FRAME_SIZE}")
    sync, framesize = HEAD.unpack_from(data)[:2]
    if sync >> 8 != SYNC_BYTE:
        raise ProtocolError("SYNC", 0, f"0x{sync:04x}", "0xAA and the frame type")
    if framesize != size:
        raise ProtocolError("FRAMESIZE", 2, framesize, f"{size}, the bytes there are")
    if crc_hqx(data, CRC_START):
        raise bad_chk(data)
    return read_head(data)


def read_head(data: BytesLike) -> Head:
    """The fields of an envelope whose SYNC, FRAMESIZE and CHK are known to be right.

    Raises:
        ProtocolError: IDCODE is a reserved one.
    """
    sync, _, idcode, soc, word = HEAD.unpack_from(data)
    if not 0 < idcode < 0xFFFF:
        raise ProtocolError("IDCODE", 4, idcode, "1 to 65534")
    return Head(sync & 0xFF, idcode, soc, word & MAX_FRACSEC, TimeQuality(word >> 24))


def is_fragment(frame: bytes) -> bool:
    """Whether a frame (its CHK aside) is one of several that make up a CFG-3."""
    if frame[1] != _CONFIG_3_KIND or len(frame) < FRAGMENT_OFFSET + CHK.size:
        return False
    return CONT_IDX.unpack_from(frame, BODY_OFFSET) != (0,)


def bad_chk(data: BytesLike) -> ProtocolError:
    """The error for a frame whose CHK is not that of its bytes."""
    at = len(data) - CHK.size
    right = crc_hqx(bytes(data[:at]), CRC_START)
    return ProtocolError("CHK", at, f"0x{CHK.unpack_from(data, at)[0]:04x}", f"0x{right:04x}, the CRC of the frame")


def close_envelope(
    frame_type: FrameType, version: int, idcode: int, soc: int, fracsec: int, time_quality: int, body: bytes
) -> bytes:
    """The whole frame around a body.

    Raises:
        InputError: a field does not fit, or the frame would be longer than 65535 bytes.
    """
    if len(body) > MAX_BODY_SIZE:
        raise InputError(
            f"frame body is {len(body)} bytes, but must be at most {MAX_BODY_SIZE}: "
            "use fewer channels, or for a CFG-3 encode_fragments"
        )
    check_head(version, idcode, soc, fracsec, time_quality)
    head = HEAD.pack(
        SYNC_BYTE << 8 | frame_type << 4 | version,
        MIN_FRAME_SIZE + len(body),
        idcode,
        soc,
        time_quality << 24 | fracsec,
    )
    frame = head + body
    return frame + CHK.pack(crc_hqx(frame, CRC_START))


def check_head(version: int, idcode: int, soc: int, fracsec: int, time_quality: int) -> None:
    """Refuse to send an envelope that the standard does not know.

    Raises:
        InputError: the first field that is out of range.
    """
    for name, value, low, high in (
        ("version", version, 1, 2),
        ("IDCODE", idcode, 1, 0xFFFE),
        ("SOC", soc, 0, 0xFFFFFFFF),
        ("FRACSEC", fracsec, 0, MAX_FRACSEC),
        ("time quality", time_quality, 0, 0xFF),
    ):
        if not low <= value <= high:
            raise InputError(f"{name} is {value}, but must lie in {low} to {high}")
