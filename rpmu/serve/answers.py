"""The frames a server gives on request, encoded once, and small changes to encoded frames.

One description of the stream makes CFG-1, CFG-2, CFG-3 and the header. Sending one of them again needs only another
time stamp, and announcing a change needs only a bit in STAT, so both are done on the bytes: a copy and a CRC.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rpmu.c37118 import Command, ConfigFrame, ConfigFrame1, ConfigFrame2, ConfigFrame3, HeaderFrame

TIME = slice(6, 14)  # SOC, time quality and FRACSEC of every frame
BODY_OFFSET = 14
CRC = struct.Struct(">H")
SIZE = struct.Struct(">H")
SIZE_OFFSET = 2
STAT_CONFIG_CHANGE = 0x04  # bit 10, as it stands in the first byte of STAT


@dataclass(frozen=True)
class Answers:
    """Frames by the command that asks for them.

    Attributes:
        idcode: IDCODE that commands must carry.
        by_command: for each command code the frames that answer it (several only for a CFG-3 in fragments).
        stat_offsets: offset of the first byte of each STAT in a data frame; empty if the layout is not known.
        transparent: never touch the bytes (a splitter's answers keep their source's time).
    """

    idcode: int
    by_command: dict[int, tuple[bytes, ...]]
    stat_offsets: tuple[int, ...] = ()
    transparent: bool = False

    @classmethod
    def of(cls, config: ConfigFrame, header: str, sync_version: int, capability: ConfigFrame | None = None) -> Answers:
        """Encode everything that follows from one configuration.

        Args:
            config: what is sent now.
            header: text of the header frame.
            sync_version: version in SYNC; version 1 has no CFG-3.
            capability: what the device could send, for CFG-1; None if that is the same.

        Raises:
            InputError: the configuration does not fit the frames.
        """
        head = HeaderFrame(config.idcode, header, soc=config.soc, fracsec=config.fracsec)
        frames: dict[int, tuple[bytes, ...]] = {
            Command.SEND_HEADER: (head.encode(),),
            Command.SEND_CONFIG_1: (ConfigFrame1.of(capability or config).encode(),),
            Command.SEND_CONFIG_2: (ConfigFrame2.of(config).encode(),),
        }
        if sync_version >= 2:
            frames[Command.SEND_CONFIG_3] = tuple(ConfigFrame3.of(config).encode_fragments())
        versioned = {code: tuple(with_version(one, sync_version) for one in some) for code, some in frames.items()}
        return cls(config.idcode, versioned, stat_offsets(config))

    def at(self, command: int, time: bytes | None) -> tuple[bytes, ...] | None:
        """The frames for a command, with the eight bytes `time` as their stamp; None if there are none."""
        frames = self.by_command.get(command)
        if frames is None or time is None or self.transparent:
            return frames
        return tuple(with_time(frame, time) for frame in frames)


def stat_offsets(config: ConfigFrame) -> tuple[int, ...]:
    """Where each PMU's block, which begins with STAT, lies in a data frame."""
    sizes = block_sizes(config)
    return tuple(accumulate(sizes[:-1], initial=BODY_OFFSET))


def block_sizes(config: ConfigFrame) -> tuple[int, ...]:
    """Bytes of each PMU in a data frame."""
    return tuple(struct.calcsize(">" + part.codes) for part in config.layout.pmus)


def closed(frame: bytearray) -> bytes:
    """The frame with its last two bytes replaced by its CRC."""
    CRC.pack_into(frame, len(frame) - 2, crc_hqx(memoryview(frame)[:-2], 0xFFFF))
    return bytes(frame)


def with_time(frame: bytes, time: bytes) -> bytes:
    """The frame with other SOC, time quality and FRACSEC (the eight bytes as they stand in a frame)."""
    changed = bytearray(frame)
    changed[TIME] = time
    return closed(changed)


def with_more_text(header: bytes, text: str) -> bytes:
    """A header frame with more text at its end."""
    changed = bytearray(header[: -CRC.size] + text.encode("utf-8", "replace") + bytes(CRC.size))
    SIZE.pack_into(changed, SIZE_OFFSET, len(changed))
    return closed(changed)


def with_version(frame: bytes, version: int) -> bytes:
    """The frame with another version in SYNC."""
    if frame[1] & 15 == version:
        return frame
    changed = bytearray(frame)
    changed[1] = changed[1] & 0xF0 | version
    return closed(changed)


def as_version_1(frame: bytes, offsets: Sequence[int]) -> bytes:
    """A data frame as of 2005: version 1, and STAT bits 9 to 6, which had no meaning yet, clear.

    Readers of that time take anything else there for an error: pyPMU drops the frame.
    """
    changed = bytearray(frame)
    changed[1] = changed[1] & 0xF0 | 1
    for offset in offsets:
        if offset < len(changed) - 3:
            changed[offset] &= 0xFC
            changed[offset + 1] &= 0x3F
    return frame if changed == frame else closed(changed)


def with_change_announced(frame: bytes, offsets: Sequence[int]) -> bytes:
    """A data frame with STAT bit 10 set in every PMU."""
    changed = bytearray(frame)
    for offset in offsets:
        if offset < len(changed) - 2:
            changed[offset] |= STAT_CONFIG_CHANGE
    return closed(changed)
