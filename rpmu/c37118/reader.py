"""A cursor over one frame's body that names the field, and its offset, when the bytes run out."""

from __future__ import annotations

import struct
from typing import Any

from rpmu.c37118.envelope import CHK, BytesLike
from rpmu.c37118.errors import ProtocolError


class Reader:
    """Takes fields one after the other from the body of a frame; CHK at its end is never taken."""

    def __init__(self, data: BytesLike, offset: int) -> None:
        self.data = bytes(data)
        self.offset = offset
        self.end = len(data) - CHK.size

    def need(self, size: int, field: str) -> None:
        """Check that `size` bytes are left.

        Raises:
            ProtocolError: fewer are.
        """
        left = self.end - self.offset
        if size > left:
            raise ProtocolError(field, self.offset, f"cut off ({left} bytes left)", f"{size} bytes long")

    def take(self, layout: struct.Struct, field: str) -> tuple[Any, ...]:
        """Unpack the next fields."""
        return layout.unpack(self.take_bytes(layout.size, field))

    def take_bytes(self, size: int, field: str) -> bytes:
        """The next `size` bytes."""
        self.need(size, field)
        at = self.offset
        self.offset += size
        return self.data[at : self.offset]

    def name16(self, field: str) -> str:
        """A 16-byte name: ASCII by the standard, other bytes kept as Latin-1; without blanks and NULs at the end."""
        return self.take_bytes(16, field).rstrip(b" \0").decode("latin-1")

    def name(self, field: str) -> str:
        """A name of CFG-3: length byte and UTF-8."""
        size = self.take_bytes(1, field + " length")[0]
        return text(self.take_bytes(size, field))

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            ProtocolError: something is.
        """
        if self.offset != self.end:
            raise ProtocolError(
                "FRAMESIZE", 2, self.end + CHK.size, f"{self.offset + CHK.size}, as the fields are long"
            )


def text(raw: bytes) -> str:
    """Text of a peer: UTF-8, or, if it is not that, Latin-1, which every byte is."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
