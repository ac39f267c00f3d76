"""Command frames: what a PDC asks of a PMU.

    body  C C      CMD
          x x ...  extended frame: any number of 16-bit words

IEEE C37.118.2-2011, 6.6. A receiver acts only on its own IDCODE and ignores codes it does not know; SOC and FRACSEC
are informative.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from rpmu.c37118.envelope import BODY_OFFSET, CHK, MAX_BODY_SIZE, BytesLike, Head, close_envelope
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import Command, FrameType, TimeQuality
from rpmu.errors import InputError

_CODE = struct.Struct(">H")
MAX_EXTENDED = (MAX_BODY_SIZE - _CODE.size) & ~1
_KNOWN = {int(command): command for command in Command}


@dataclass(frozen=True, slots=True)
class CommandFrame:
    """One command.

    Attributes:
        idcode: IDCODE of the stream that shall obey.
        command: CMD; a `Command` where the standard names it, any other 16-bit number else.
        extended: what follows CMD: an even number of bytes, up to 65516.
        soc: SOC.
        fracsec: FRACSEC, in the stream's TIME_BASE, which only its configuration tells.
        time_quality: time quality of the sender.
        version: version in SYNC.
    """

    idcode: int
    command: int
    extended: bytes = b""
    soc: int = 0
    fracsec: int = 0
    time_quality: TimeQuality = TimeQuality(0)  # noqa: RUF009 - an immutable int
    version: int = 2

    def encode(self) -> bytes:
        """The frame as bytes.

        Raises:
            InputError: something does not fit the frame.
        """
        if not 0 <= self.command <= 0xFFFF:
            raise InputError(f"CMD is {self.command}, but must lie in 0 to 65535")
        if len(self.extended) % 2 or len(self.extended) > MAX_EXTENDED:
            raise InputError(
                f"extended frame is {len(self.extended)} bytes, but must be an even number up to {MAX_EXTENDED}: "
                "fill up with a zero byte"
            )
        body = _CODE.pack(self.command) + self.extended
        return close_envelope(
            FrameType.COMMAND, self.version, self.idcode, self.soc, self.fracsec, self.time_quality, body
        )


def parse_command(head: Head, data: BytesLike) -> CommandFrame:
    """The body of a command frame whose envelope has been checked.

    Raises:
        ProtocolError: CMD is missing, or the extended frame is no whole number of words.
    """
    extended = bytes(data[BODY_OFFSET + _CODE.size : -CHK.size])
    if len(data) < BODY_OFFSET + _CODE.size + CHK.size or len(extended) % 2:
        raise ProtocolError("FRAMESIZE", 2, len(data), "18, or more by a whole number of 16-bit words")
    code = _CODE.unpack_from(data, BODY_OFFSET)[0]
    return CommandFrame(
        head.idcode, _KNOWN.get(code, code), extended, head.soc, head.fracsec, head.time_quality, head.version
    )
