"""From a checked frame of a PDC to what has to be done about it, without a socket.

Only command frames with the stream's own IDCODE are orders; unknown codes are ignored without an answer (IEEE
C37.118.2-2011, 6.6). One extended frame means something here: `DATA_RATE=30` (ASCII, filled up to an even length with
blanks or zeros) chooses the reporting rate, where the settings allow that rate.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from rpmu.c37118 import Command, CommandFrame, Framer, FrameType, ProtocolError, decode
from rpmu.serve.limits import TokenBucket
from rpmu.serve.settings import Limits
from rpmu.serve.statistics import Event
from rpmu.serve.stream import Stream

log = logging.getLogger(__name__)

RATE_REQUEST = re.compile(rb"DATA_RATE=([0-9]{1,5})[ \0]*")


@dataclass(frozen=True)
class Order:
    """What one frame asks for.

    Attributes:
        event: how it is counted.
        data: True to begin sending data, False to stop, None to leave it.
        answer: frames to send back.
        rate: reporting rate that was chosen (frames/s).
    """

    event: Event
    data: bool | None = None
    answer: tuple[bytes, ...] = ()
    rate: int | None = None


class CommandReader:
    """The bytes of one client: frames, the client's allowance of commands, and its account of junk."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._framer = Framer(limits.max_command_bytes)
        self._junk_before = 0
        self.allowance = TokenBucket(limits.command_burst, limits.commands_per_s, now_s)

    @property
    def pending(self) -> bool:
        """A frame is unfinished."""
        return self._framer.pending > 0

    @property
    def junk_bytes(self) -> int:
        """Junk since the last good frame."""
        return self._framer.junk_bytes - self._junk_before

    def feed(self, data: bytes) -> list[bytes | ProtocolError]:
        """Whole frames with a right CRC, and errors, in their order."""
        found = self._framer.feed(data)
        if any(isinstance(item, bytes) for item in found):
            self._junk_before = self._framer.junk_bytes
        return found


def read_order(
    frame: bytes, stream: Stream, allowance: TokenBucket, now_s: float, selectable_rates: tuple[int, ...]
) -> Order:
    """Find out what a frame asks for.

    Args:
        frame: from SYNC to CHK, CRC checked.
        stream: whose IDCODE and answers count.
        allowance: pays for every command that is meant for us.
        now_s: time of the allowance.
        selectable_rates: reporting rates that a PDC may choose.
    """
    if frame[1] >> 4 != FrameType.COMMAND:
        return Order("frames_unexpected")
    try:
        command = decode(frame)
    except ProtocolError:
        return Order("frames_bad")
    if not isinstance(command, CommandFrame) or command.idcode != stream.answers.idcode:
        return Order("commands_foreign_idcode")
    if not allowance.take(now_s):
        return Order("commands_limited")
    if command.command in (Command.DATA_ON, Command.DATA_OFF):
        return Order("commands_ok", data=command.command == Command.DATA_ON)
    if command.command == Command.EXTENDED:
        return _read_extended(command, selectable_rates)
    answer = stream.answer(command.command)
    return Order("commands_unknown") if answer is None else Order("commands_ok", answer=answer)


def _read_extended(command: CommandFrame, selectable_rates: tuple[int, ...]) -> Order:
    request = RATE_REQUEST.fullmatch(command.extended)
    if request is None:
        return Order("commands_unknown")
    rate = int(request[1])
    if rate in selectable_rates:
        log.info("reporting rate %d frames/s chosen by a PDC", rate)
        return Order("commands_ok", rate=rate)
    allowed = ", ".join(map(str, selectable_rates)) or "none is configured"
    log.warning("reporting rate %d frames/s asked for by a PDC: refused; selectable: %s", rate, allowed)
    return Order("commands_refused")


def rate_request(rate: int) -> bytes:
    """The extended frame's content that chooses a reporting rate."""
    text = f"DATA_RATE={rate}".encode("ascii")
    return text + b" " * (len(text) % 2)
