"""The receiver's end of an asynchronous serial line: bytes leave one after the other, and speeds may differ.

A byte takes ten bits. Where the two ends do not agree about the length of a bit, what arrives is what a UART makes of
the levels it samples in the middle of *its* bits: other bytes, more of them or fewer, hardly ever a sentence.
"""

from __future__ import annotations

from collections import deque

from rpmu.twin.signals import NS_PER_S

BITS_PER_BYTE = 10  # start and stop bit


class Transmitter:
    """Queues bytes and hands them out when their last bit has passed.

    Args:
        start_ns: UTC from which it may send.
        baud_rate: speed of the line.
    """

    def __init__(self, start_ns: int, baud_rate: int) -> None:
        self.baud_rate = baud_rate
        self._queue: deque[tuple[int, bytes]] = deque()  # UTC ns of the first bit, what follows without a gap
        self._free_ns = start_ns

    @property
    def _byte_ns(self) -> float:
        return BITS_PER_BYTE * NS_PER_S / self.baud_rate

    def send(self, at_ns: int, data: bytes) -> None:
        """Queue bytes, to begin at `at_ns` or when the line is free."""
        begin_ns = max(at_ns, self._free_ns)
        self._queue.append((begin_ns, data))
        self._free_ns = begin_ns + round(len(data) * self._byte_ns)

    def clear(self, now_ns: int) -> None:
        """Forget what has not been sent."""
        self._queue.clear()
        self._free_ns = now_ns

    def sent(self, now_ns: int) -> bytes:
        """The bytes that have passed completely up to now, each handed out once."""
        result = b""
        while self._queue and self._queue[0][0] < now_ns:
            begin_ns, data = self._queue.popleft()
            count = min(len(data), int((now_ns - begin_ns) / self._byte_ns))
            result += data[:count]
            if count < len(data):
                self._queue.appendleft((begin_ns + round(count * self._byte_ns), data[count:]))
                break
        return result


def misread(data: bytes, sent_baud: int, heard_baud: int) -> bytes:
    """What a UART set to `heard_baud` makes of bytes sent without a gap at `sent_baud`; framing errors are ignored."""
    if sent_baud == heard_baud:
        return data
    levels = [level for byte in data for level in (0, *((byte >> i) & 1 for i in range(8)), 1)]
    per_bit, at, heard = sent_baud / heard_baud, 0.0, bytearray()

    def level(position: float) -> int:
        return levels[int(position)] if position < len(levels) else 1

    while True:
        while at < len(levels) and level(at):  # a start bit begins where the line falls
            at = int(at) + 1
        if at >= len(levels):
            return bytes(heard)
        heard.append(sum(level(at + (i + 1.5) * per_bit) << i for i in range(8)))
        at += (BITS_PER_BYTE - 0.5) * per_bit
