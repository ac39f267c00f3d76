"""Recordings of all that the daemon takes in, so that a stretch of a real PMU's life can be run again on any machine.

A file is one line of JSON (format, version, what the firmware was told and what it measured) and then records, little-
endian, of a 32-bit kind and: 0, a header of words (SAMPLES_WORDS) and samples that continue each other, as they lie
in the ring; 1, a PPS event, the slot of the shared memory as pru/layout.h lays it out; or 2, the scan number and
the length (32 bits each) and bytes from the GPS receiver. A replay puts them back where the firmware writes, so it
exercises the very ring reader that a board uses.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rpmu.acquire import layout
from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.settings import SamplerSettings
from rpmu.errors import InputError

FORMAT = "rpmu-recording"
VERSION = 3
KIND_SAMPLES = 0
KIND_EVENT = 1
KIND_NMEA = 2
NMEA_HEADER_BYTES = 8
MAX_NMEA_BYTES = 1 << 16
SAMPLES_WORDS = ("first_scan", "counter", "epoch", "bad_scans", "clipped_scans", "count")
SAMPLES_HEADER = np.dtype([(name, "<u4") for name in SAMPLES_WORDS])
MAX_SAMPLES = 1 << 16  # in one record: more than any ring holds
MASK = 0xFFFFFFFF
MAX_HEADER_BYTES = 4096


class Recorder:
    """Writes recordings, one for each START of the firmware.

    Args:
        path: file for the first one, which must not exist; later ones get -2, -3 … behind their names.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._starts = 0

    def begin(self, settings: SamplerSettings, info: AcquisitionInfo) -> None:
        """Begin a file.

        Args:
            settings: what the firmware was told.
            info: what `rpmu.acquire.sampler.start` returned.

        Raises:
            InputError: the file exists or cannot be written.
        """
        self.close()
        self._starts += 1
        path = self._path
        if self._starts > 1:
            path = path.with_name(f"{path.stem}-{self._starts}{path.suffix}")
        try:
            self._file = path.open("xb")
        except OSError as error:
            raise InputError(f"cannot write the recording {path}: {error.strerror}") from error
        self._events = 0
        told, measured = dataclasses.asdict(settings), dataclasses.asdict(info)
        header = {"format": FORMAT, "version": VERSION, "settings": told, "info": measured}
        self._file.write(json.dumps(header).encode() + b"\n")

    def write(self, items: Iterable[SampleBlock | PpsEvent]) -> None:
        """Append what a poll of the ring returned."""
        for item in items:
            if isinstance(item, SampleBlock):
                self._write_samples(item)
            else:
                self._write_event(item)

    def write_nmea(self, data: bytes, scan: int) -> None:
        """Append bytes from the receiver.

        Args:
            data: as they were read.
            scan: newest scan number at that time.
        """
        if data:
            self._append(KIND_NMEA, (scan & MASK).to_bytes(4, "little") + len(data).to_bytes(4, "little") + data)

    def close(self) -> None:
        """Finish the file; does nothing if there is none."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, kind: int, content: bytes) -> None:
        assert self._file is not None, "begin() comes first"
        self._file.write(kind.to_bytes(4, "little") + content)

    def _write_samples(self, block: SampleBlock) -> None:
        scans = (block.bad_scans, block.clipped_scans)
        words = (block.first_scan & MASK, block.counter & MASK, block.epoch, *scans, len(block.codes))
        header = np.array([words], SAMPLES_HEADER)
        self._append(KIND_SAMPLES, header.tobytes() + np.ascontiguousarray(block.codes, dtype="<u2").tobytes())

    def _write_event(self, event: PpsEvent) -> None:
        slot = np.zeros(1, layout.EVENT)
        slot["seq"] = self._events & MASK
        slot["source"] = layout.EVENT_SOURCE_PIN if event.source == "pin" else layout.EVENT_SOURCE_ADC
        slot["epoch"] = event.epoch
        slot["first_scan"] = event.first_scan & MASK
        slot["counter_before"] = event.counter_before & MASK
        slot["counter_after"] = event.counter_after & MASK
        slot["sample_count"] = len(event.samples)
        slot["crossing"] = event.crossing
        slot["data"][0, : len(event.samples)] = event.samples
        self._events += 1
        self._append(KIND_EVENT, slot.tobytes())


class Recording:
    """A recording, read from its file as it is needed.

    Args:
        path: the file.

    Raises:
        InputError: the file cannot be read or is no recording.

    Attributes:
        settings: what the firmware was told.
        info: what it measured.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                line = file.readline(MAX_HEADER_BYTES)
        except OSError as error:
            raise InputError(f"cannot read the recording {path}: {error.strerror}") from error
        self.settings, self.info = _parse_header(path, line)
        self._start = len(line)

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Kind and content of each record, in order. A last one cut short by a power failure is left out.

        Raises:
            InputError: what cannot be a record.
        """
        heads = {KIND_SAMPLES: SAMPLES_HEADER.itemsize, KIND_EVENT: layout.EVENT_BYTES, KIND_NMEA: NMEA_HEADER_BYTES}
        with self._path.open("rb") as file:
            file.seek(self._start)
            while len(word := file.read(4)) == 4:
                place = file.tell() - 4
                kind = int.from_bytes(word, "little")
                if kind not in heads:
                    raise InputError(f"{self._path} is damaged at byte {place}: record of unknown kind {kind}")
                head = file.read(heads[kind])
                if len(head) < heads[kind]:
                    return
                more = self._length(kind, head, place)
                content = file.read(more)
                if len(content) == more:
                    yield kind, head + content

    def _length(self, kind: int, head: bytes, place: int) -> int:
        """Bytes that follow the head of a record.

        Raises:
            InputError: no recording has so many.
        """
        if kind == KIND_EVENT:
            return 0
        number = int.from_bytes(head[-4:], "little")
        if kind == KIND_NMEA and number > MAX_NMEA_BYTES:
            raise InputError(f"{self._path} is damaged at byte {place}: {number} bytes from the receiver at once")
        if kind == KIND_SAMPLES and number > MAX_SAMPLES:
            raise InputError(f"{self._path} is damaged at byte {place}: {number} samples at once")
        return number if kind == KIND_NMEA else 2 * self.info.channels * number


def _parse_header(path: Path, line: bytes) -> tuple[SamplerSettings, AcquisitionInfo]:
    try:
        header: Any = json.loads(line)
        form, version = header["format"], header["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a recording of rpmu: its first line is not the JSON header") from error
    if (form, version) != (FORMAT, VERSION):
        raise InputError(f"{path} is '{form}' version {version}, but this rpmu reads '{FORMAT}' version {VERSION}")
    try:
        return SamplerSettings(**_tuples(header["settings"])), AcquisitionInfo(**_tuples(header["info"]))
    except (TypeError, KeyError, AttributeError, InputError) as error:
        raise InputError(f"{path} is damaged: its header does not describe an acquisition ({error})") from error


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
