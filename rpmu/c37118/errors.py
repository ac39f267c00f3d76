"""What decoding raises: one exception that says which field, where, what was found and what is allowed.

Encoding something impossible is our own fault and raises `rpmu.errors.InputError`; bytes that are not what the
standard allows are the peer's and raise `ProtocolError`. Nothing else leaves this package, whatever the bytes.
"""

from __future__ import annotations

from rpmu.errors import PeerError


class ProtocolError(PeerError):
    """Bytes that are no C37.118.2 frame, or none that fits the configuration.

    Attributes:
        field: name of the field in the standard's words, such as "FRAMESIZE" or "PMU 2 FNOM".
        offset: offset of the field in the frame, bytes.
        got: what was found.
        allowed: what would have been right.
    """

    def __init__(self, field: str, offset: int, got: object, allowed: str) -> None:
        super().__init__(field, offset, got, allowed)
        self.field = field
        self.offset = offset
        self.got = got
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.field} at offset {self.offset} is {self.got}, but must be {self.allowed}"
