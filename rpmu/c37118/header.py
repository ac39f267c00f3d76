"""Header frames: a text for people about the PMU.

    body  a a a ...  text, no terminator

IEEE C37.118.2-2011, 6.5. The text is ASCII by the standard; UTF-8 is sent and understood, and other bytes are taken
for Latin-1.
"""

from __future__ import annotations

from dataclasses import dataclass

from rpmu.c37118.envelope import BODY_OFFSET, CHK, BytesLike, Head, close_envelope
from rpmu.c37118.fields import FrameType, TimeQuality
from rpmu.c37118.reader import text


@dataclass(frozen=True, slots=True)
class HeaderFrame:
    """One header frame.

    Attributes:
        idcode: IDCODE of the stream.
        text: what it says.
        soc: SOC.
        fracsec: FRACSEC, in the stream's TIME_BASE, which only its configuration tells.
        time_quality: time quality of the frame.
        version: version in SYNC.
    """

    idcode: int
    text: str
    soc: int = 0
    fracsec: int = 0
    time_quality: TimeQuality = TimeQuality(0)  # noqa: RUF009 - an immutable int
    version: int = 2

    def encode(self) -> bytes:
        """The frame as bytes.

        Raises:
            InputError: something does not fit the frame.
        """
        return close_envelope(
            FrameType.HEADER,
            self.version,
            self.idcode,
            self.soc,
            self.fracsec,
            self.time_quality,
            self.text.encode("utf-8", "replace"),
        )


def parse_header(head: Head, data: BytesLike) -> HeaderFrame:
    """The body of a header frame whose envelope has been checked."""
    said = text(bytes(data[BODY_OFFSET : -CHK.size]))
    return HeaderFrame(head.idcode, said, head.soc, head.fracsec, head.time_quality, head.version)
