"""A stream of bytes to frames: cuts, decodes, learns the configurations and says when one is missing.

Feed it whatever the socket gives; it opens nothing and never raises. What it yields, in the order of the stream:

* the frame classes of this package;
* `ConfigNeeded` for a data frame that cannot be read, because its stream's configuration is unknown or no longer fits:
  ask for it (the client decides how often: there is one such event per frame, and it carries the frame);
* `ProtocolError`, not raised but yielded, for what is no frame at all.

CFG-2 and CFG-3 are learned, the newest counts; CFG-1 is a capability and describes no data frame.
"""

from __future__ import annotations

from dataclasses import dataclass

from rpmu.c37118.codec import Frame, parse
from rpmu.c37118.config import ConfigFrame, ConfigFrame1
from rpmu.c37118.envelope import MAX_FRAME_SIZE, BytesLike, is_fragment, open_envelope, read_head
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import FrameType
from rpmu.c37118.fragments import FragmentJoiner
from rpmu.c37118.framer import Framer


@dataclass(frozen=True, slots=True)
class ConfigNeeded:
    """A data frame that could not be read for want of a configuration that fits.

    Attributes:
        idcode: stream to ask.
        reason: what does not fit.
        frame: the data frame, undecoded.
    """

    idcode: int
    reason: ProtocolError
    frame: bytes


Event = Frame | ConfigNeeded | ProtocolError


class Decoder:
    """Bytes in any pieces in, frames and errors out.

    Attributes:
        configs: the newest configuration of every stream, by IDCODE; put one in to start with a known one.
        framer: the layer below, with the counters of junk and bad frames.
    """

    def __init__(self, *, max_frame_size: int = MAX_FRAME_SIZE, max_streams: int = 256) -> None:
        self.configs: dict[int, ConfigFrame] = {}
        self.framer = Framer(max_frame_size)
        self._max_streams = max_streams
        self._fragments = FragmentJoiner()

    def feed(self, data: BytesLike) -> list[Event]:
        """Take the next bytes of a stream."""
        return self._events(self.framer.feed(data))

    def feed_datagram(self, data: BytesLike) -> list[Event]:
        """Take one datagram: whole frames, usually one; no frame goes on in the next."""
        return self._events(self.framer.feed_datagram(data))

    def decode(self, frame: bytes) -> Event | None:
        """Take one whole frame (from a recording, or from a `Framer` of your own); None for a CFG-3 not yet whole."""
        try:
            open_envelope(frame)
        except ProtocolError as error:
            if error.field != "CHK" or not is_fragment(frame):
                return error
        return self._decode(frame)

    def reset(self) -> None:
        """Start anew after a lost connection; what was learned stays."""
        self.framer.reset()
        self._fragments.clear()

    def _events(self, found: list[bytes | ProtocolError]) -> list[Event]:
        events = [item if isinstance(item, ProtocolError) else self._decode(item) for item in found]
        return [event for event in events if event is not None]

    def _decode(self, raw: bytes) -> Event | None:
        """One frame whose envelope has been checked."""
        try:
            head = read_head(raw)
        except ProtocolError as error:
            return error
        is_data = head.kind >> 4 == FrameType.DATA
        try:
            if is_fragment(raw):
                frame: Frame | None = self._fragments.add(head, raw)
            else:
                frame = parse(head, raw, self.configs.get(head.idcode) if is_data else None)
        except ProtocolError as error:
            return ConfigNeeded(head.idcode, error, raw) if is_data else error
        if isinstance(frame, ConfigFrame) and not isinstance(frame, ConfigFrame1):
            self._learn(frame)
        return frame

    def _learn(self, config: ConfigFrame) -> None:
        self.configs.pop(config.idcode, None)
        while len(self.configs) >= self._max_streams:
            del self.configs[next(iter(self.configs))]
        self.configs[config.idcode] = config
