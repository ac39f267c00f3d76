"""The small fields of a frame as named values: STAT, time quality, FORMAT, command codes.

STAT and the time quality byte are `int` subclasses: they are the very number on the wire, so they cost nothing to
pack and keep every bit they came with, and their properties give the bits their names (IEEE C37.118.2-2011, tables 3,
4 and 7). Build them with keywords: `Stat.of(in_sync=False)`, `TimeQuality.of(code=4)`.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

from rpmu.errors import InputError


class FrameType(IntEnum):
    """Bits 7-4 of the second SYNC byte (four bits: the reserved one belongs to the type from version 3 on)."""

    DATA = 0
    HEADER = 1
    CONFIG_1 = 2
    CONFIG_2 = 3
    COMMAND = 4
    CONFIG_3 = 5


class Format(IntFlag):
    """FORMAT word of a PMU: which numbers its data frames are made of. Unset bits mean 16-bit integers, rectangular."""

    INTEGER = 0
    POLAR = 1
    FLOAT_PHASORS = 2
    FLOAT_ANALOGS = 4
    FLOAT_FREQUENCY = 8
    FLOAT = 14
    FLOAT_POLAR = 15


class Command(IntEnum):
    """CMD codes of the standard; 0x0100 to 0x0FFF are free for users, the rest is reserved."""

    DATA_OFF = 1
    DATA_ON = 2
    SEND_HEADER = 3
    SEND_CONFIG_1 = 4
    SEND_CONFIG_2 = 5
    SEND_CONFIG_3 = 6
    EXTENDED = 8


class PhasorComponent(IntEnum):
    """Bits 2-0 of the type byte in PHSCALE (CFG-3)."""

    ZERO_SEQUENCE = 0
    POSITIVE_SEQUENCE = 1
    NEGATIVE_SEQUENCE = 2
    RESERVED_3 = 3
    PHASE_A = 4
    PHASE_B = 5
    PHASE_C = 6
    RESERVED_7 = 7


class AnalogKind(IntEnum):
    """Type byte of ANUNIT; 5 to 64 are reserved, 65 to 255 are the user's."""

    POINT_ON_WAVE = 0
    RMS = 1
    PEAK = 2


class DataError(IntEnum):
    """STAT bits 15-14."""

    GOOD = 0
    PMU_ERROR = 1  # no information about the data
    TEST_OR_ABSENT = 2  # PMU in test mode, or values are missing
    DO_NOT_USE = 3  # PMU error, do not use the values


class TriggerReason(IntEnum):
    """STAT bits 3-0; 8 to 15 are the user's."""

    MANUAL = 0
    MAGNITUDE_LOW = 1
    MAGNITUDE_HIGH = 2
    PHASE_ANGLE_DIFFERENCE = 3
    FREQUENCY = 4
    ROCOF = 5
    RESERVED = 6
    DIGITAL = 7


def _bits(name: str, value: int, width: int, shift: int) -> int:
    """`value` moved to its place in a word, after a check that it fits its field."""
    if not 0 <= value < 1 << width:
        raise InputError(f"{name} is {value}, but must lie in 0 to {(1 << width) - 1}")
    return int(value) << shift


class Stat(int):
    """The STAT word of one PMU in one data frame.

    bits 15-14 data error, 13 not in sync, 12 sorted by arrival, 11 trigger, 10 configuration change, 9 data modified,
    8-6 PMU_TQ, 5-4 unlocked time, 3-0 trigger reason.
    """

    __slots__ = ()

    @classmethod
    def of(
        cls,
        *,
        data_error: DataError = DataError.GOOD,
        in_sync: bool = True,
        by_arrival: bool = False,
        trigger: bool = False,
        config_change: bool = False,
        modified: bool = False,
        pmu_tq: int = 0,
        unlocked_time: int = 0,
        trigger_reason: int = 0,
    ) -> Stat:
        """Put a STAT word together; every field is named as its property.

        Raises:
            InputError: a value does not fit its bits.
        """
        return cls(
            _bits("STAT data_error", data_error, 2, 14)
            | (not in_sync) << 13
            | bool(by_arrival) << 12
            | bool(trigger) << 11
            | bool(config_change) << 10
            | bool(modified) << 9
            | _bits("STAT pmu_tq", pmu_tq, 3, 6)
            | _bits("STAT unlocked_time", unlocked_time, 2, 4)
            | _bits("STAT trigger_reason", trigger_reason, 4, 0)
        )

    @property
    def data_error(self) -> DataError:
        """Good, or what is wrong with the PMU's values."""
        return DataError(self >> 14 & 3)

    @property
    def in_sync(self) -> bool:
        """The PMU is synchronised to UTC (bit 13 clear)."""
        return not self & 0x2000

    @property
    def by_arrival(self) -> bool:
        """Data sorted by arrival instead of by time stamp: the time in the frame is not the PMU's."""
        return bool(self & 0x1000)

    @property
    def trigger(self) -> bool:
        """The PMU's trigger fired; see `trigger_reason`."""
        return bool(self & 0x0800)

    @property
    def config_change(self) -> bool:
        """The configuration will change; set for a minute before it does."""
        return bool(self & 0x0400)

    @property
    def modified(self) -> bool:
        """Values were changed after measurement (filled in, filtered, resampled)."""
        return bool(self & 0x0200)

    @property
    def pmu_tq(self) -> int:
        """Time error bound: 0 not used, 1 <100 ns, 2 <1 us, 3 <10 us ... 6 <10 ms, 7 more or unknown."""
        return self >> 6 & 7

    @property
    def unlocked_time(self) -> int:
        """Without lock for: 0 less than 10 s, 1 10 to 100 s, 2 100 to 1000 s, 3 longer."""
        return self >> 4 & 3

    @property
    def trigger_reason(self) -> int:
        """Why `trigger` is set; a `TriggerReason`, or 8 to 15 for the user's own."""
        return self & 15

    def __repr__(self) -> str:
        return f"Stat(0x{int(self):04x})"


CLOCK_FAULT: Final = 15  # MSG_TQ: the time cannot be relied on


class TimeQuality(int):
    """The time quality byte of a frame (the high byte of its FRACSEC word).

    bit 7 reserved, 6 leap second is deleted (not added), 5 leap second occurred, 4 leap second pending, 3-0 MSG_TQ.
    """

    __slots__ = ()

    @classmethod
    def of(
        cls, code: int = 0, *, leap_pending: bool = False, leap_occurred: bool = False, leap_delete: bool = False
    ) -> TimeQuality:
        """Put a time quality byte together; `code` is MSG_TQ.

        Raises:
            InputError: `code` is not in 0 to 15.
        """
        flags = bool(leap_delete) << 6 | bool(leap_occurred) << 5 | bool(leap_pending) << 4
        return cls(flags | _bits("time quality code", code, 4, 0))

    @property
    def code(self) -> int:
        """MSG_TQ: 0 locked, 1 to 11 unlocked (see `error_bound_s`), 15 clock fault, 12 to 14 reserved."""
        return self & 15

    @property
    def locked(self) -> bool:
        """The clock is locked to a UTC-traceable source."""
        return self.code == 0

    @property
    def error_bound_s(self) -> float:
        """Greatest time error, s: 0 when locked, 1e-9 for code 1 ... 10 for code 11, infinite for the others."""
        code = self.code
        if code == 0:
            return 0.0
        return float(f"1e{code - 10}") if code <= 11 else float("inf")

    @property
    def leap_pending(self) -> bool:
        """A leap second comes within the next minute."""
        return bool(self & 0x10)

    @property
    def leap_occurred(self) -> bool:
        """A leap second was inserted or deleted within the last 24 hours."""
        return bool(self & 0x20)

    @property
    def leap_delete(self) -> bool:
        """The leap second is deleted (true) or added (false)."""
        return bool(self & 0x40)

    def __repr__(self) -> str:
        return f"TimeQuality(0x{int(self):02x})"
