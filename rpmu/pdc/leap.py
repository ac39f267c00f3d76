"""Leap seconds in streams: a scale of seconds on which none is repeated and none is missing.

SOC counts as POSIX does, so an inserted second (23:59:60) bears the number M of the 00:00:00 that follows, and the time
quality byte tells the two apart: pending in the one, occurred in the other. A PMU may repeat 23:59:59 instead,
and one may repeat a second without a word; a stamp that goes back by more than half a second within its own second
shows both. A deleted second is a number that does not come. One leap second counts for all streams that are put
together, from the moment at which one of them carries it out and most of them had announced it: a single PMU with a
wrong list must not move the others.
"""

from __future__ import annotations

from dataclasses import dataclass

DELETE, OCCURRED, PENDING = 0x40, 0x20, 0x10
BITS = DELETE | OCCURRED | PENDING
DAY_S = 86_400
FRESH_S = 10  # a stream that is farther behind has no say


@dataclass
class _Stream:
    """What one stream said last.

    Attributes:
        soc: its second.
        part: of it, 0 to 1.
        bits: its leap bits.
        again: it has gone back within that second.
    """

    soc: int
    part: float
    bits: int
    again: bool = False


class LeapSeconds:
    """The scale of the streams that are put together.

    Args:
        n_streams: how many there are.
    """

    def __init__(self, n_streams: int = 1) -> None:
        self._streams: list[_Stream | None] = [None] * n_streams
        self._steps: list[tuple[int, int]] = []  # midnight, +1 or -1; in order

    def second(self, stream: int, soc: int, part: float, time_quality: int) -> int:
        """The second on the scale that a stamp means; equal to SOC until the first leap second.

        Args:
            stream: number of the stream.
            soc: of the frame.
            part: FRACSEC as a part of the second, 0 to 1.
            time_quality: the byte of the frame.
        """
        bits, before = time_quality & BITS, self._streams[stream]
        same = before is not None and before.soc == soc
        again = same and before is not None and (before.again or before.part - part > 0.5)
        now = self._streams[stream] = _Stream(soc, part, bits, again)
        self._learn(now, before)
        scale = soc
        for midnight, step in self._steps:
            if step > 0:
                scale += self._is_after(now, midnight)
            elif soc >= midnight:
                scale -= 1
        return scale

    def utc(self, second: int) -> tuple[int, int]:
        """SOC, and what the leap bits must be, of a second of the scale; bits 0 where no leap second is near."""
        shift, bits = 0, 0
        for midnight, step in self._steps:
            first = midnight + shift  # an inserted second itself, or the one after a deleted one
            if step < 0:
                first -= 1
            if second < first:
                break
            if step > 0 and second == first:
                return midnight, PENDING
            shift += step
            recent = second - first < DAY_S + (step > 0)
            bits = (OCCURRED | (DELETE if step < 0 else 0)) if recent else 0
        return second - shift, bits

    @staticmethod
    def _is_after(now: _Stream, midnight: int) -> bool:
        """Whether an inserted second is over, or is going on under the number of the second before it."""
        if now.soc == midnight - 1:
            return now.again
        if now.soc == midnight:
            return bool(now.bits & OCCURRED) or (now.again and not now.bits & PENDING)
        return now.soc > midnight

    def _learn(self, now: _Stream, before: _Stream | None) -> None:
        """Take note of a leap second that this frame carries out."""
        inserts = now.bits & PENDING and not now.bits & DELETE
        if inserts and now.soc % DAY_S == 0:
            self._note(now.soc, 1, PENDING)
        elif inserts and now.again and now.soc % DAY_S == DAY_S - 1:
            self._note(now.soc + 1, 1, PENDING)
        elif now.bits & DELETE and now.soc % DAY_S == 0 and before is not None and before.soc == now.soc - 2:
            self._note(now.soc, -1, DELETE)

    def _note(self, midnight: int, step: int, announced: int) -> None:
        known = [stream for stream in self._streams if stream is not None and abs(stream.soc - midnight) <= FRESH_S]
        agree = sum(1 for stream in known if stream.bits & announced)
        if 2 * agree > len(known) and all(midnight != other for other, _ in self._steps):
            self._steps = sorted([*self._steps, (midnight, step)])
