"""The committed firmware images are what their hashes say, what the source gives, and what the loaders accept."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from rpmu.acquire.link import IMAGE_FOLDER, shipped_image

ROOT = Path(__file__).resolve().parents[2]
IRAM_ADDRESS = 0x20000000
IRAM_BYTES = 8192
DATA_BYTES = 0x3000
PT_LOAD, EXECUTABLE = 1, 1


def load_segments(elf: bytes) -> list[tuple[int, int, bytes]]:
    """(flags, address, content) of every PT_LOAD, as the kernel's remoteproc loader sees them."""
    offset, size, count = (struct.unpack_from(fmt, elf, at)[0] for fmt, at in (("<I", 28), ("<H", 42), ("<H", 44)))
    segments = []
    for index in range(count):
        kind, start, address, _, length, _, flags, _ = struct.unpack_from("<8I", elf, offset + index * size)
        if kind == PT_LOAD:
            segments.append((flags, address, elf[start : start + length]))
    return segments


def test_hashes_are_those_of_the_committed_images():
    lines = (IMAGE_FOLDER / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((IMAGE_FOLDER / name).read_bytes()).hexdigest() == digest


def test_elf_loads_the_raw_image_and_nothing_else_but_the_empty_resource_table():
    elf, raw = shipped_image("elf").read_bytes(), shipped_image("bin").read_bytes()
    assert elf[:6] == b"\x7fELF\x01\x01"
    assert struct.unpack_from("<I", elf, 24)[0] == IRAM_ADDRESS  # entry: PC 0
    code = [(address, content) for flags, address, content in load_segments(elf) if flags & EXECUTABLE]
    data = [(address, content) for flags, address, content in load_segments(elf) if not flags & EXECUTABLE]
    assert code == [(IRAM_ADDRESS, raw)]
    assert len(raw) <= IRAM_BYTES
    ((address, table),) = data
    assert address + len(table) <= DATA_BYTES
    assert table == struct.pack("<4I", 1, 0, 0, 0)


def test_source_gives_the_committed_images(tmp_path: Path):
    where = subprocess.run(
        [ROOT / "scripts/build-pru-toolchain", "--where"], capture_output=True, text=True, check=True
    )
    if not Path(where.stdout.strip(), "pru-elf-ld").exists():
        pytest.skip("the PRU assembler is not built: make firmware builds it from Debian's binutils-source")
    shutil.copytree(ROOT / "pru", tmp_path / "pru", ignore=shutil.ignore_patterns("build"))
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    subprocess.run(["make", "-C", tmp_path / "pru", "build"], check=True, capture_output=True)
    for image_format in ("elf", "bin"):
        built = (tmp_path / "pru" / "build" / f"sampler.{image_format}").read_bytes()
        assert built == shipped_image(image_format).read_bytes()
