"""`decode`: from one whole frame's bytes to its value, by one table over type and version.

The key is the second SYNC byte as it stands: four bits of type and four of version. A later version of the standard
with other frames is another set of rows, and no mask has to be undone for it.
"""

from __future__ import annotations

from collections.abc import Callable

from rpmu.c37118.command import CommandFrame, parse_command
from rpmu.c37118.config import ConfigFrame, ConfigFrame1, ConfigFrame2
from rpmu.c37118.config3 import ConfigFrame3
from rpmu.c37118.data import DataFrame, parse_data
from rpmu.c37118.envelope import BytesLike, Head, open_envelope
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import FrameType
from rpmu.c37118.header import HeaderFrame, parse_header

Frame = DataFrame | HeaderFrame | ConfigFrame | CommandFrame
Parser = Callable[[Head, BytesLike, ConfigFrame | None], Frame]

_OF_BOTH_VERSIONS: dict[FrameType, Parser] = {
    FrameType.DATA: parse_data,
    FrameType.HEADER: lambda head, data, _: parse_header(head, data),
    FrameType.CONFIG_1: lambda head, data, _: ConfigFrame1.parse(head, data),
    FrameType.CONFIG_2: lambda head, data, _: ConfigFrame2.parse(head, data),
    FrameType.COMMAND: lambda head, data, _: parse_command(head, data),
}
PARSERS: dict[int, Parser] = {
    frame_type << 4 | version: parser for version in (1, 2) for frame_type, parser in _OF_BOTH_VERSIONS.items()
} | {FrameType.CONFIG_3 << 4 | 2: lambda head, data, _: ConfigFrame3.parse(head, data)}


def decode(data: BytesLike, config: ConfigFrame | None = None) -> Frame:
    """Decode one whole frame.

    Args:
        data: the frame, from SYNC to CHK.
        config: the configuration of its stream; needed for data frames only.

    Raises:
        ProtocolError: these bytes are no frame, or no data frame of `config`.
    """
    return parse(open_envelope(data), data, config)


def parse(head: Head, data: BytesLike, config: ConfigFrame | None) -> Frame:
    """Decode a frame whose envelope has been checked already.

    Raises:
        ProtocolError: type and version are unknown, or the body is wrong.
    """
    parser = PARSERS.get(head.kind)
    if parser is None:
        known = ", ".join(f"{kind:02x}" for kind in sorted(PARSERS))
        raise ProtocolError("SYNC type and version", 1, f"{head.kind:02x}", f"one of {known}")
    return parser(head, data, config)
