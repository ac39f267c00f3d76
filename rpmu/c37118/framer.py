"""Cuts a stream of bytes into frames, and finds the next frame again after junk.

A frame is believed when its SYNC is one, its FRAMESIZE plausible and its CHK right. Two rules keep a hostile or broken
peer from costing more than its bytes:

1. The buffer never holds more than one frame of `max_frame_size` beyond the bytes of one `feed`.
2. A failed CHK is searched for frames inside it only as long as the bytes received have paid for it: every byte buys
   `CRC_BYTES_PER_BYTE` bytes of CRC. After that a failed candidate is skipped whole, so work stays linear.

The FRAMESIZE of an incomplete candidate may be junk that would swallow good frames for a long time, so complete frames
behind it are looked for. In step (the last thing was a good frame) it takes two good frames in a row to give up the
candidate, because an honest one could carry a frame as its content; out of step, one.
"""

from __future__ import annotations

from binascii import crc_hqx

from rpmu.c37118.envelope import CRC_START, MAX_FRAME_SIZE, MIN_FRAME_SIZE, SYNC_BYTE, bad_chk, is_fragment
from rpmu.c37118.errors import ProtocolError

CRC_BYTES_PER_BYTE = 32
_MAX_CREDIT = CRC_BYTES_PER_BYTE * MAX_FRAME_SIZE
_PLAUSIBLE_VERSIONS = (1, 2, 3)  # 3 is C37.118.2-2024: cut out whole, refused later by name
_SIZE_KNOWN_AFTER = 4


class Framer:
    """A stream parser below `Decoder`: bytes in any pieces in, whole checked frames as bytes and errors out.

    Fragments of a CFG-3 come out whatever their CHK, because some peers send one CHK for all of them.

    Attributes:
        frames: good frames so far.
        bad_frames: candidates whose CHK was wrong.
        junk_bytes: bytes that belonged to no good frame.
    """

    def __init__(self, max_frame_size: int = MAX_FRAME_SIZE) -> None:
        self.max_frame_size = max_frame_size
        self.frames = 0
        self.bad_frames = 0
        self.junk_bytes = 0
        self._buffer = bytearray()
        self._at = 0  # everything before it is done with
        self._search_at = 0  # length of the buffer at which the next search behind an incomplete candidate can succeed
        self._credit = 0
        self._junk_reported = False
        self._in_step = False

    @property
    def pending(self) -> int:
        """Bytes waiting for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> list[bytes | ProtocolError]:
        """Take the next bytes of the stream; return the frames and errors that are now known, in order."""
        self._buffer += data
        self._credit = min(self._credit + CRC_BYTES_PER_BYTE * len(data), _MAX_CREDIT)
        found: list[bytes | ProtocolError] = []
        while self._step(found):
            pass
        if self._at:
            del self._buffer[: self._at]
            self._at = self._search_at = 0
        return found

    def feed_datagram(self, data: bytes | bytearray | memoryview) -> list[bytes | ProtocolError]:
        """The same for a datagram: whole frames only; what is left over at its end is junk."""
        self.reset()
        found = self.feed(data)
        left = self.pending
        if left:
            self._skip(left, found)
            self.reset()
        return found

    def reset(self) -> None:
        """Forget an incomplete frame (after a lost connection)."""
        self._buffer.clear()
        self._at = self._search_at = 0
        self._junk_reported = self._in_step = False

    def _step(self, found: list[bytes | ProtocolError]) -> bool:
        """Take one frame or one run of junk off the buffer; false when more bytes are needed."""
        size = self._plausible_size(self._at)
        if size == 0:
            self._skip(self._distance_to_sync(self._at + 1), found)
            return True
        if size is None or self._at + size > len(self._buffer):
            return self._skip_to_good_frame(found)
        frame = bytes(self._buffer[self._at : self._at + size])
        if crc_hqx(frame, CRC_START) == 0:
            found.append(frame)
            self.frames += 1
            self._at += size
            self._in_step, self._junk_reported = True, False
        elif not self._junk_reported and is_fragment(frame):
            found.append(frame)  # may be of the form with one CHK at the end of the last: `FragmentJoiner` checks it
            self._at += size
        else:
            self._reject(frame, found)
        return True

    def _plausible_size(self, at: int) -> int | None:
        """FRAMESIZE of the candidate at `at`; 0 when no frame can start there, None when too few bytes are known."""
        head = self._buffer[at : at + _SIZE_KNOWN_AFTER]
        if head and head[0] != SYNC_BYTE:
            return 0
        if len(head) > 1 and head[1] & 15 not in _PLAUSIBLE_VERSIONS:
            return 0
        if len(head) < _SIZE_KNOWN_AFTER:
            return None
        size = head[2] << 8 | head[3]
        return size if MIN_FRAME_SIZE <= size <= self.max_frame_size else 0

    def _distance_to_sync(self, start: int) -> int:
        """Bytes from the current position to the next 0xAA at or after `start`, or to the end of the buffer."""
        at = self._buffer.find(SYNC_BYTE, start)
        return (at if at >= 0 else len(self._buffer)) - self._at

    def _skip(self, count: int, found: list[bytes | ProtocolError]) -> None:
        """Give up `count` bytes; the first junk after a good frame is reported, all of it counted."""
        if not self._junk_reported:
            start = bytes(self._buffer[self._at : self._at + 2]).hex()
            found.append(ProtocolError("SYNC", 0, f"0x{start}, where a frame should start", "0xAA and the frame type"))
            self._junk_reported = True
        self.junk_bytes += count
        self._at += count
        self._in_step = False

    def _reject(self, frame: bytes, found: list[bytes | ProtocolError]) -> None:
        """A candidate failed its CHK: look for frames inside it while that is paid for, else skip it whole."""
        self.bad_frames += 1
        self._credit -= len(frame)
        found.append(bad_chk(frame))
        self._junk_reported = True
        self._skip(self._distance_to_sync(self._at + 1) if self._credit > 0 else len(frame), found)

    def _skip_to_good_frame(self, found: list[bytes | ProtocolError]) -> bool:
        """The candidate is incomplete: is there a whole good frame (in step: two in a row) further on?"""
        length = len(self._buffer)
        if length < self._search_at:
            return False
        self._search_at = length + MIN_FRAME_SIZE  # no frame that starts in bytes still to come ends earlier
        at = self._buffer.find(SYNC_BYTE, self._at + 1)
        while at >= 0 and self._credit > 0:
            is_good, end = self._look_at(at)
            if is_good and self._in_step:
                is_good, end = self._look_at(end)
            if is_good:
                self._skip(at - self._at, found)
                return True
            if end > length:
                self._search_at = min(self._search_at, end)
            at = self._buffer.find(SYNC_BYTE, at + 1)
        return False

    def _look_at(self, at: int) -> tuple[bool, int]:
        """Whether a whole good frame starts at `at`; and where it ends, or could end if too few bytes are known."""
        size = self._plausible_size(at)
        end = at + (MIN_FRAME_SIZE if size is None else size)
        is_whole = end - at >= MIN_FRAME_SIZE and end <= len(self._buffer)
        self._credit -= end - at if is_whole else MIN_FRAME_SIZE
        return is_whole and crc_hqx(self._buffer[at:end], CRC_START) == 0, end
