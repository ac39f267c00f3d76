"""Recordings: the frames of a stream exactly as they came, and an index beside them.

`NAME.c37118` is nothing but frames, one after the other, so any C37.118.2 parser reads it and a replay sends identical
bytes. `NAME.c37118.index` has one fixed record per frame, little-endian, and can be made again from the frames except
for the arrival times:

    offset 0  A A A A A A A A  arrival, UTC ns since the epoch, int64
           8  O O O O O O O O  offset of the frame in the other file, uint64
          16  L L L L          length of the frame, uint32
          20  Y Y              SYNC word of the frame, uint16
          22  0 0              reserved

The frame is written before its record. After a crash the last record may be torn or its frame missing: the reader
drops such a tail and says how many bytes it was.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from rpmu.errors import InputError

SUFFIX = ".c37118"
INDEX_SUFFIX = ".index"
RECORD = struct.Struct("<qQIHH")


class IndexEntry(NamedTuple):
    """One record of the index.

    Attributes:
        arrival_ns: when the frame arrived, UTC ns since the epoch.
        offset: where it begins in the file of frames, bytes.
        length: its length, bytes.
        sync: its SYNC word.
    """

    arrival_ns: int
    offset: int
    length: int
    sync: int


class RecordedFrame(NamedTuple):
    """A frame and when it arrived (UTC ns since the epoch)."""

    arrival_ns: int
    data: bytes


def index_path(path: Path) -> Path:
    """The index that belongs to a file of frames."""
    return path.with_name(path.name + INDEX_SUFFIX)


class Recorder:
    """Writes a recording; use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Create the two files.

        Raises:
            InputError: they exist already, or cannot be written.
        """
        try:
            self._frames: BinaryIO = path.open("xb")
            self._index: BinaryIO = index_path(path).open("xb")
        except FileExistsError as error:
            raise InputError(f"{error.filename} exists already; a recording is never overwritten") from None
        except OSError as error:
            raise InputError(f"cannot write the recording {path}: {error.strerror}") from None
        self.frames = 0
        self.bytes = 0

    def add(self, data: bytes, arrival_ns: int) -> None:
        """Append one frame as it came."""
        self._frames.write(data)
        self._index.write(RECORD.pack(arrival_ns, self.bytes, len(data), int.from_bytes(data[:2], "big"), 0))
        self.frames += 1
        self.bytes += len(data)

    def flush(self) -> None:
        """Hand what was added to the operating system, frames first."""
        self._frames.flush()
        self._index.flush()

    def close(self) -> None:
        """Flush and close both files."""
        self._frames.close()
        self._index.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Recording:
    """Reads a recording.

    Attributes:
        entries: the index, without a torn tail.
        torn_bytes: bytes of frames at the end for which there is no complete record.
    """

    def __init__(self, path: Path) -> None:
        """Read the index and check it against the frames.

        Raises:
            InputError: a file is missing, or the index does not belong to the frames.
        """
        try:
            size = path.stat().st_size
            raw = index_path(path).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the recording {path}: {error.filename}: {error.strerror}") from None
        self.path = path
        self.entries = list(_entries(raw, size))
        covered = self.entries[-1].offset + self.entries[-1].length if self.entries else 0
        self.torn_bytes = size - covered
        _check_contiguous(path, self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[RecordedFrame]:
        """The frames in the order of their arrival."""
        with self.path.open("rb") as frames:
            for entry in self.entries:
                yield RecordedFrame(entry.arrival_ns, frames.read(entry.length))


def _entries(raw: bytes, size: int) -> Iterator[IndexEntry]:
    whole = len(raw) - len(raw) % RECORD.size
    for arrival_ns, offset, length, sync, _ in RECORD.iter_unpack(raw[:whole]):
        if offset + length > size:
            return
        yield IndexEntry(arrival_ns, offset, length, sync)


def _check_contiguous(path: Path, entries: list[IndexEntry]) -> None:
    expected = 0
    for number, entry in enumerate(entries):
        if entry.offset != expected or entry.length < 16:
            raise InputError(
                f"record {number} of {index_path(path)} points to {entry.length} bytes at {entry.offset}, "
                f"but a frame of at least 16 bytes is expected at {expected}; the index is not of these frames"
            )
        expected += entry.length
