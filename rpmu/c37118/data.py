"""Data frames: one report of every PMU in the stream.

    body, per PMU in the order of the configuration:
          S S      STAT
          P * 4/8  PHASORS: int16 pairs or float32 pairs, rectangular or polar
          F F (F F)   FREQ: int16 mHz off nominal, or float32 Hz
          D D (D D)   DFREQ: int16 in 0.01 Hz/s, or float32 Hz/s
          A * 2/4  ANALOG each
          d d      DIGITAL each

IEEE C37.118.2-2011, 6.3. A frame keeps the numbers of the wire in one flat tuple (`values`); `pmus` converts them to
engineering units when asked, `raw_pmus` only sorts them. So a frame that is only passed on costs nothing more, and
what was received is sent on bit by bit.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import error as struct_error

from rpmu.c37118.config import ConfigFrame
from rpmu.c37118.envelope import BODY_OFFSET, CHK, CRC_START, HEAD, MAX_FRAME_SIZE, BytesLike, Head, check_head
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import TimeQuality
from rpmu.c37118.layout import Layout, PmuData, PmuRaw, Values
from rpmu.c37118.times import Stamp, on_grid
from rpmu.errors import InputError

_LOCKED = TimeQuality(0)
_SYNC = 0xAA00


@dataclass(frozen=True, slots=True)
class DataFrame:
    """One data frame of a stream.

    Attributes:
        config: the configuration it belongs to; its IDCODE is the frame's.
        soc: SOC, s since the epoch.
        fracsec: FRACSEC in 1/config.time_base.
        values: all numbers of all PMUs as on the wire, in its order (float32 numbers are rounded when encoded).
        time_quality: time quality of the frame.
        version: version in SYNC.
    """

    config: ConfigFrame = field(repr=False)
    soc: int
    fracsec: int
    values: Values
    time_quality: TimeQuality = _LOCKED
    version: int = 2

    @classmethod
    def at(
        cls,
        config: ConfigFrame,
        second: int,
        index: int,
        pmus: Iterable[PmuData],
        time_quality: TimeQuality = _LOCKED,
    ) -> DataFrame:
        """The frame of report number `index` in UTC second `second`, on the grid of the configuration's DATA_RATE.

        Raises:
            InputError: no such report, or `pmus` does not fit the configuration.
        """
        soc, fracsec = on_grid(second, index, config.data_rate, config.time_base)
        return cls.build(config, soc, fracsec, pmus, time_quality)

    @classmethod
    def build(
        cls,
        config: ConfigFrame,
        soc: int,
        fracsec: int,
        pmus: Iterable[PmuData],
        time_quality: TimeQuality = _LOCKED,
    ) -> DataFrame:
        """A frame from engineering values at any time. Values that an integer format cannot hold become missing.

        Raises:
            InputError: the number of PMUs or of their channels is not the configuration's.
        """
        parts = config.layout.pmus
        blocks = tuple(pmus)
        if len(blocks) != len(parts):
            raise InputError(f"{len(blocks)} PMUs given, but the configuration has {len(parts)}")
        if len(parts) == 1:
            values = parts[0].write(blocks[0])
        else:
            values = tuple(number for part, block in zip(parts, blocks, strict=True) for number in part.write(block))
        return cls(config, soc, fracsec, values, time_quality, config.version)

    @property
    def idcode(self) -> int:
        """IDCODE of the stream."""
        return self.config.idcode

    @property
    def time_ns(self) -> int:
        """Time of the measurement, UTC ns since the epoch."""
        return self.stamp.time_ns(self.config.time_base)

    @property
    def stamp(self) -> Stamp:
        """SOC and FRACSEC as one value."""
        return Stamp(self.soc, self.fracsec)

    @property
    def pmus(self) -> tuple[PmuData, ...]:
        """Engineering values of every PMU; converted anew at each call."""
        values = self.values
        return tuple([part.read(values) for part in self.config.layout.pmus])

    @property
    def raw_pmus(self) -> tuple[PmuRaw, ...]:
        """The numbers on the wire of every PMU."""
        return tuple(part.raw(self.values) for part in self.config.layout.pmus)

    def encode(self) -> bytes:
        """The frame as bytes.

        Raises:
            InputError: something does not fit the frame.
        """
        config, layout = self.config, self.config.layout
        word = self.time_quality << 24 | self.fracsec
        try:
            frame = HEAD.pack(
                _SYNC | self.version, layout.frame_size, config.idcode, self.soc, word
            ) + layout.body.pack(*self.values)
        except (struct_error, OverflowError) as error:
            raise self._unfit(layout) from error
        if not (0 < self.version <= 2 and 0 <= self.fracsec < config.time_base and 0 < config.idcode < 0xFFFF):
            raise self._unfit(layout)
        return frame + CHK.pack(crc_hqx(frame, CRC_START))

    def _unfit(self, layout: Layout) -> InputError:
        """Why this frame cannot be sent, found out slowly."""
        try:
            check_head(self.version, self.config.idcode, self.soc, self.fracsec, self.time_quality)
        except InputError as error:
            return error
        if self.fracsec >= self.config.time_base:
            return InputError(f"FRACSEC is {self.fracsec}, but must be below TIME_BASE, {self.config.time_base}")
        if layout.frame_size > MAX_FRAME_SIZE:
            return InputError(f"data frame would be {layout.frame_size} bytes, but must be at most {MAX_FRAME_SIZE}")
        return InputError(
            f"data frame values {self.values} do not fit the configuration's layout {layout.body.format!r}: "
            "build the frame from its configuration with DataFrame.build"
        )


def parse_data(head: Head, data: BytesLike, config: ConfigFrame | None) -> DataFrame:
    """The body of a data frame whose envelope has been checked.

    Raises:
        ProtocolError: the frame is not one of `config`.
    """
    if config is None:
        raise ProtocolError("SYNC", 0, "that of a data frame", f"preceded by the configuration of IDCODE {head.idcode}")
    layout = config.layout
    if len(data) != layout.frame_size:
        raise ProtocolError("FRAMESIZE", 2, len(data), f"{layout.frame_size}, as the configuration says")
    if head.idcode != config.idcode:
        raise ProtocolError("IDCODE", 4, head.idcode, f"{config.idcode}, the configuration's")
    if head.fracsec >= config.time_base:
        raise ProtocolError("FRACSEC", 11, head.fracsec, f"below TIME_BASE, which is {config.time_base}")
    values = layout.body.unpack_from(data, BODY_OFFSET)
    return DataFrame(config, head.soc, head.fracsec, values, head.time_quality, head.kind & 15)
