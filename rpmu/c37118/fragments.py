"""Joins the fragments of a CFG-3.

Two forms are in use. In the one every fragment is a frame with its own CHK and the payloads follow each other. In the
other, one long frame was cut: the first piece keeps its head, every further piece gets a copy of the head and
CONT_IDX in front, and the only CHK ends the last piece, over the whole as it was before the cut. A fragment with a
wrong CHK is therefore not yet an error; the whole is checked.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass, field

from rpmu.c37118.config3 import LAST_FRAGMENT, ConfigFrame3
from rpmu.c37118.envelope import BODY_OFFSET, CHK, CONT_IDX, CRC_START, FRAGMENT_OFFSET, Head, bad_chk, read_head
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.reader import Reader

MAX_JOINED_SIZE = 1 << 20  # far above any real configuration: 1 MiB are some 500 PMUs with long names
MAX_STREAMS = 4  # configurations in fragments that may be on their way at once


@dataclass
class _Pieces:
    """The fragments of one configuration so far."""

    frames: list[bytes] = field(default_factory=list)
    size: int = 0
    sealed: bool = True

    def joined(self) -> bytes:
        """Payload of all fragments, with a CHK (or two bytes in its place) at the end.

        Raises:
            ProtocolError: the one CHK at the end is wrong.
        """
        if self.sealed:
            return b"".join(frame[FRAGMENT_OFFSET : -CHK.size] for frame in self.frames) + bytes(CHK.size)
        whole = self.frames[0] + b"".join(frame[FRAGMENT_OFFSET:] for frame in self.frames[1:])
        if crc_hqx(whole, CRC_START):
            raise bad_chk(whole)
        return whole[FRAGMENT_OFFSET:]


class FragmentJoiner:
    """Collects fragments by IDCODE, in bounded memory, until the last one of a configuration is there."""

    def __init__(self) -> None:
        self._streams: dict[int, _Pieces] = {}

    def add(self, head: Head, frame: bytes) -> ConfigFrame3 | None:
        """Take one fragment (CONT_IDX not 0); return the configuration when it was the last.

        Raises:
            ProtocolError: it does not continue what was there (which is then forgotten), or the whole is wrong.
        """
        cont_idx = CONT_IDX.unpack_from(frame, BODY_OFFSET)[0]
        pieces = self._streams.pop(head.idcode, _Pieces()) if cont_idx != 1 else _Pieces()
        expected = len(pieces.frames) + 1
        if cont_idx != expected and not (cont_idx == LAST_FRAGMENT and expected > 1):
            raise ProtocolError("CONT_IDX", BODY_OFFSET, cont_idx, f"{expected}" + " or 65535" * (expected > 1))
        pieces.frames.append(frame)
        pieces.size += len(frame)
        pieces.sealed = pieces.sealed and crc_hqx(frame, CRC_START) == 0
        if pieces.size > MAX_JOINED_SIZE:
            raise ProtocolError("CFG-3 fragments", BODY_OFFSET, f"{pieces.size} bytes", f"at most {MAX_JOINED_SIZE}")
        if cont_idx == LAST_FRAGMENT:
            return ConfigFrame3.parse_payload(read_head(pieces.frames[0]), Reader(pieces.joined(), 0))
        self._keep(head.idcode, pieces)
        return None

    def _keep(self, idcode: int, pieces: _Pieces) -> None:
        self._streams.pop(idcode, None)
        if len(self._streams) >= MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        self._streams[idcode] = pieces

    def clear(self) -> None:
        """Forget all incomplete configurations."""
        self._streams.clear()
