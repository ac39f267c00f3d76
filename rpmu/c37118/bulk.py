"""Many data frames of one configuration at once, as numpy arrays: for recordings, replay and concentrators.

All data frames of a configuration have the same length, so a buffer of them is one structured array. Nothing is copied
until values are asked for; conversions are those of `layout`, on whole columns. The CRC of all frames is one table
look-up per byte position: CRC is linear, so the CRC of a frame is the XOR of what each of its bytes contributes at its
distance from the end, and one table per position (512 bytes each) holds that.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpmu.c37118.channels import PmuConfig
from rpmu.c37118.config import ConfigFrame
from rpmu.c37118.envelope import CHK, CRC_START, MAX_FRACSEC, SYNC_BYTE, BytesLike
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import Format
from rpmu.c37118.layout import ANGLE_UNIT_RAD, FREQUENCY_UNITS_PER_HZ, MISSING, ROCOF_UNITS_PER_HZ_PER_S
from rpmu.c37118.times import NS_PER_S
from rpmu.errors import InputError

_CHUNK = 2048  # frames per pass of the CRC: the columns of one chunk stay in the first-level cache


@dataclass(frozen=True)
class PmuArrays:
    """What one PMU reports in n data frames, in engineering units; missing values are NaN.

    Attributes:
        phasors: complex128 [n, PHNMR], RMS and synchrophasor angle.
        frequency_hz: float64 [n].
        rocof_hz_per_s: float64 [n].
        analogs: float64 [n, ANNMR].
        digitals: uint16 [n, DGNMR].
        stat: uint16 [n].
    """

    phasors: NDArray[np.complex128]
    frequency_hz: NDArray[np.float64]
    rocof_hz_per_s: NDArray[np.float64]
    analogs: NDArray[np.float64]
    digitals: NDArray[np.uint16]
    stat: NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class DataBlock:
    """n data frames of one configuration.

    Attributes:
        config: their configuration.
        records: structured array [n], the frames as they are on the wire, big-endian (`record_dtype`).
        dropped: frames left out by `decode` because they were bad.
    """

    config: ConfigFrame
    records: NDArray[np.void]
    dropped: int = 0

    @classmethod
    def decode(cls, data: BytesLike, config: ConfigFrame, *, skip_bad: bool = False) -> DataBlock:
        """Take a buffer of whole data frames, one behind the other; envelope, CHK and FRACSEC of each are checked.

        Args:
            data: the frames.
            config: the configuration of all of them.
            skip_bad: leave bad frames out and count them in `dropped`, instead of refusing the whole.

        Raises:
            ProtocolError: `data` is no whole number of frames, or (without `skip_bad`) a frame is bad; `offset` is
                that of the frame.
        """
        size = config.layout.frame_size
        if len(data) % size:
            raise ProtocolError("buffer", 0, f"{len(data)} bytes", f"a multiple of the FRAMESIZE, which is {size}")
        records = np.frombuffer(data, record_dtype(config))
        bad = np.flatnonzero(~_good(records, config))
        if bad.size and not skip_bad:
            raise ProtocolError(
                "data frame",
                int(bad[0]) * size,
                f"bad (number {bad[0]} of {len(records)})",
                "a data frame of the configuration with a right CHK",
            )
        return cls(config, np.delete(records, bad) if bad.size else records, int(bad.size))

    @classmethod
    def build(
        cls,
        config: ConfigFrame,
        soc: ArrayLike,
        fracsec: ArrayLike,
        pmus: Sequence[PmuArrays],
        time_quality: ArrayLike = 0,
    ) -> DataBlock:
        """Frames from engineering values; what an integer format cannot hold becomes missing.

        Args:
            config: the configuration.
            soc: [n] SOC of each frame.
            fracsec: [n] FRACSEC of each frame.
            pmus: the values of each PMU.
            time_quality: [n], or one for all.

        Raises:
            InputError: the shapes do not fit each other or the configuration, or a FRACSEC is not below TIME_BASE.
        """
        soc, fracsec = np.asarray(soc, np.int64), np.asarray(fracsec, np.int64)
        if len(pmus) != len(config.pmus):
            raise InputError(f"{len(pmus)} PMUs given, but the configuration has {len(config.pmus)}")
        if fracsec.size and not 0 <= fracsec.min() <= fracsec.max() < config.time_base:
            raise InputError(f"FRACSEC must lie in 0 to {config.time_base - 1}, below TIME_BASE")
        records = np.zeros(len(soc), record_dtype(config))
        records["sync"] = SYNC_BYTE << 8 | config.version
        records["size"] = config.layout.frame_size
        records["idcode"] = config.idcode
        records["soc"] = soc
        records["fracsec"] = np.asarray(time_quality, np.int64) << 24 | fracsec
        for number, (pmu, arrays) in enumerate(zip(config.pmus, pmus, strict=True)):
            try:
                with np.errstate(over="raise"):
                    _write(records, f"{number}", pmu, arrays)
            except (ValueError, ArithmeticError) as error:
                raise InputError(f"PMU {pmu.name!r}: an array does not fit {len(soc)} frames: {error}") from error
        records["chk"] = crc_of_rows(_rows(records)[:, : -CHK.size])
        return cls(config, records)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def soc(self) -> NDArray[np.int64]:
        """SOC of each frame, int64 [n]."""
        return self.records["soc"].astype(np.int64)

    @property
    def fracsec(self) -> NDArray[np.int64]:
        """FRACSEC of each frame, int64 [n]."""
        return self.records["fracsec"].astype(np.int64) & MAX_FRACSEC

    @property
    def time_quality(self) -> NDArray[np.uint8]:
        """Time quality byte of each frame, uint8 [n]."""
        return (self.records["fracsec"] >> 24).astype(np.uint8)

    @property
    def time_ns(self) -> NDArray[np.int64]:
        """Time of each frame, UTC ns since the epoch, int64 [n]."""
        base = self.config.time_base
        return self.soc * NS_PER_S + (2 * NS_PER_S * self.fracsec + base) // (2 * base)

    @property
    def pmus(self) -> tuple[PmuArrays, ...]:
        """Engineering values of every PMU; converted anew at each call."""
        return tuple(_read(self.records, f"{number}", pmu) for number, pmu in enumerate(self.config.pmus))

    def encode(self) -> bytes:
        """The frames as bytes, one behind the other."""
        return self.records.tobytes()


def record_dtype(config: ConfigFrame) -> np.dtype[np.void]:
    """The layout of a configuration's data frames as a structured type; fields of PMU k end in k."""
    fields: list[Any] = [("sync", ">u2"), ("size", ">u2"), ("idcode", ">u2"), ("soc", ">u4"), ("fracsec", ">u4")]
    for number, pmu in enumerate(config.pmus):
        floats = [
            bool(pmu.format & bit) for bit in (Format.FLOAT_PHASORS, Format.FLOAT_FREQUENCY, Format.FLOAT_ANALOGS)
        ]
        phasor, frequency, analog = (">f4" if is_float else ">i2" for is_float in floats)
        fields += [
            (f"stat{number}", ">u2"),
            (f"phasors{number}", phasor, (len(pmu.phasors), 2)),
            (f"frequency{number}", frequency, (2,)),
            (f"analogs{number}", analog, (len(pmu.analogs),)),
            (f"digitals{number}", ">u2", (len(pmu.digitals),)),
        ]
    return np.dtype([*fields, ("chk", ">u2")])


@lru_cache(maxsize=8)
def _crc_tables(length: int) -> tuple[NDArray[np.uint16], int]:
    """uint16 [length, 256]: what each byte value adds to the CRC at each position; and the CRC of `length` zeros."""
    zero_tail = bytes(length)
    tables = np.empty((length, 256), np.uint16)
    for position in range(length):
        bits = [crc_hqx(bytes((1 << bit,)) + zero_tail[position + 1 :], 0) for bit in range(8)]
        row = np.zeros(1, np.uint16)
        for bit in bits:  # the values with the next higher bit set follow those without
            row = np.concatenate((row, row ^ np.uint16(bit)))
        tables[position] = row
    return tables, crc_hqx(zero_tail, CRC_START)


def crc_of_rows(rows: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """CHK of each row.

    Args:
        rows: uint8 [n, length].

    Returns:
        uint16 [n].
    """
    tables, start = _crc_tables(rows.shape[1])
    crc = np.full(len(rows), start, np.uint16)
    for first in range(0, len(rows), _CHUNK):
        part = crc[first : first + _CHUNK]
        for column, table in zip(np.ascontiguousarray(rows[first : first + _CHUNK].T), tables, strict=True):
            part ^= table[column]
    return crc


def _rows(records: NDArray[np.void]) -> NDArray[np.uint8]:
    """The same memory as bytes [n, FRAMESIZE]."""
    return records.view(np.uint8).reshape(len(records), records.dtype.itemsize)


def _good(records: NDArray[np.void], config: ConfigFrame) -> NDArray[np.bool_]:
    """Which records are data frames of `config`."""
    known = (SYNC_BYTE << 8 | 1, SYNC_BYTE << 8 | 2)
    good: NDArray[np.bool_] = crc_of_rows(_rows(records)[:, : -CHK.size]) == records["chk"]
    good &= (records["sync"] == known[0]) | (records["sync"] == known[1])
    good &= (records["size"] == records.dtype.itemsize) & (records["idcode"] == config.idcode)
    good &= (records["fracsec"] & MAX_FRACSEC) < config.time_base
    return good


def _read(records: NDArray[np.void], number: str, pmu: PmuConfig) -> PmuArrays:
    frequency = _floats(records["frequency" + number])
    if not pmu.format & Format.FLOAT_FREQUENCY:
        frequency[:, 0] += pmu.nominal_hz * FREQUENCY_UNITS_PER_HZ
        frequency /= (FREQUENCY_UNITS_PER_HZ, ROCOF_UNITS_PER_HZ_PER_S)
    analogs = _floats(records["analogs" + number])
    if not pmu.format & Format.FLOAT_ANALOGS:
        analogs *= [channel.scale for channel in pmu.analogs]
        analogs += [channel.offset for channel in pmu.analogs]
    return PmuArrays(
        _read_phasors(records["phasors" + number], pmu),
        frequency[:, 0],
        frequency[:, 1],
        analogs,
        records["digitals" + number].astype(np.uint16),
        records["stat" + number].astype(np.uint16),
    )


def _floats(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """As float64, with NaN for an integer's missing value."""
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        values = numbers.astype(np.float64)
    if numbers.dtype.kind == "i":
        values[numbers == MISSING] = np.nan
    return values


def _read_phasors(pairs: NDArray[Any], pmu: PmuConfig) -> NDArray[np.complex128]:
    is_float, is_polar = pmu.format & Format.FLOAT_PHASORS, pmu.format & Format.POLAR
    if is_float and not is_polar:
        return np.ascontiguousarray(_floats(pairs)).view(np.complex128)[:, :, 0]
    second = _floats(pairs[:, :, 1])
    if not is_polar:
        phasors = _floats(pairs[:, :, 0]) + 1j * second  # a NaN in one part spreads to both in the product
        return _scaled(phasors * np.array([channel.scale for channel in pmu.phasors], np.complex128), pmu, -1)
    if is_float:
        return _rect(_floats(pairs[:, :, 0]), second)
    magnitude = pairs[:, :, 0].astype(np.uint16).astype(np.float64) * [channel.scale for channel in pmu.phasors]
    return _rect(magnitude, second * ANGLE_UNIT_RAD - [channel.angle_rad for channel in pmu.phasors])


def _rect(magnitude: NDArray[np.float64], angle_rad: NDArray[np.float64]) -> NDArray[np.complex128]:
    phasors = np.empty(magnitude.shape, np.complex128)
    with np.errstate(invalid="ignore"):  # an infinite angle is NaN
        np.multiply(magnitude, np.cos(angle_rad), out=phasors.real)
        np.multiply(magnitude, np.sin(angle_rad), out=phasors.imag)
    return phasors


def _scaled(phasors: NDArray[np.complex128], pmu: PmuConfig, sign: int) -> NDArray[np.complex128]:
    """Phasors turned by the angle adjustment of CFG-3."""
    angles = np.array([channel.angle_rad for channel in pmu.phasors])
    return phasors * np.exp(sign * 1j * angles) if angles.any() else phasors


def _write(records: NDArray[np.void], number: str, pmu: PmuConfig, arrays: PmuArrays) -> None:
    records["stat" + number] = arrays.stat
    records["digitals" + number] = arrays.digitals
    _write_phasors(records["phasors" + number], pmu, np.asarray(arrays.phasors, np.complex128))
    frequency: NDArray[Any] = np.stack((arrays.frequency_hz, arrays.rocof_hz_per_s), axis=1)
    if not pmu.format & Format.FLOAT_FREQUENCY:
        counts = frequency * (FREQUENCY_UNITS_PER_HZ, ROCOF_UNITS_PER_HZ_PER_S)
        frequency = _int16(counts - (pmu.nominal_hz * FREQUENCY_UNITS_PER_HZ, 0))
    records["frequency" + number] = frequency
    analogs: NDArray[Any] = np.asarray(arrays.analogs, np.float64)
    if not pmu.format & Format.FLOAT_ANALOGS:
        with np.errstate(divide="ignore", invalid="ignore"):  # a scale of 0 can carry nothing: missing
            analogs = (analogs - [channel.offset for channel in pmu.analogs]) / [ch.scale for ch in pmu.analogs]
        analogs = _int16(analogs)
    records["analogs" + number] = analogs


def _write_phasors(pairs: NDArray[Any], pmu: PmuConfig, phasors: NDArray[np.complex128]) -> None:
    if phasors.shape != pairs.shape[:2]:
        raise ValueError(f"phasors have shape {phasors.shape} instead of {pairs.shape[:2]}")
    is_polar = pmu.format & Format.POLAR
    if not pmu.format & Format.FLOAT_PHASORS:
        _write_integer_phasors(pairs, pmu, _scaled(phasors, pmu, 1))
        return
    pairs[:, :, 0] = np.abs(phasors) if is_polar else phasors.real
    pairs[:, :, 1] = np.angle(phasors) if is_polar else phasors.imag


def _write_integer_phasors(pairs: NDArray[Any], pmu: PmuConfig, phasors: NDArray[np.complex128]) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = phasors / [channel.scale for channel in pmu.phasors]
    if pmu.format & Format.POLAR:
        magnitude, angle = np.abs(counts), np.angle(counts) / ANGLE_UNIT_RAD
        missing = ~(magnitude < 65535.5) | np.isnan(angle)
        first = np.where(missing, -MISSING, np.rint(np.where(missing, 0, magnitude))).astype(np.uint16).view(np.int16)
        second = _int16(np.where(missing, np.nan, angle))
    else:
        first, second = _int16(counts.real), _int16(counts.imag)
        missing = (first == MISSING) | (second == MISSING)
        first[missing] = second[missing] = MISSING
    pairs[:, :, 0], pairs[:, :, 1] = first, second


def _int16(values: NDArray[np.float64]) -> NDArray[np.int16]:
    """Nearest int16, or the mark of a missing value where there is none."""
    fits = (values >= -32767.5) & (values <= 32767.49)
    return np.where(fits, np.rint(np.where(fits, values, 0)), MISSING).astype(np.int16)
