"""The GNU simulator of the PRU as an oracle: run a program's words, get its memory back.

`scripts/build-oracle` builds it from Debian's gdb-source. It wants an ELF file, keeps code apart from data by address
(so the code lies at 0xF0000000, above every data address used), and HALT is a host system call with its number in R1:
behind the program's HALT a few words write the memory windows to standard output and exit.
"""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

from tests.pru import encode as pru
from tests.pru.random_programs import WINDOWS

CODE_BASE = 0xF0000000
SYS_EXIT, SYS_WRITE = 1, 5
EM_PRU = 144


def simulator() -> Path | None:
    """Where scripts/build-oracle puts it, or None if it was not built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "rpmu" / "oracle" / "pru-elf-run"
    return path if path.exists() else None


def _system_call(number: int, *arguments: int) -> list[int]:
    words = pru.ldi32("r1", number)
    for index, argument in enumerate(arguments):
        words += pru.ldi32(f"r{14 + index}", argument)
    return [*words, pru.halt()]


def _dump() -> list[int]:
    writes = [word for address, size in WINDOWS for word in _system_call(SYS_WRITE, 1, address, size)]
    return writes + _system_call(SYS_EXIT, 0)


def elf(words: list[int]) -> bytes:
    """An executable with one loaded section."""
    text = struct.pack(f"<{len(words)}I", *words)
    names = b"\0.text\0.shstrtab\0"
    text_at, names_at = 52, 52 + len(text)
    sections_at = (names_at + len(names) + 3) & ~3
    header = struct.pack(
        "<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, EM_PRU, 1, CODE_BASE, 0, sections_at, 0, 52, 0, 0, 40, 3, 2
    )
    sections = bytes(40)
    sections += struct.pack("<10I", 1, 1, 6, CODE_BASE, text_at, len(text), 0, 0, 4, 0)  # .text: PROGBITS, ALLOC + EXEC
    sections += struct.pack("<10I", 7, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)  # .shstrtab
    return (header + text + names).ljust(sections_at, b"\0") + sections


def run(path: Path, program: list[int], folder: Path) -> list[bytes]:
    """Memory windows after a program (which ends in HALT)."""
    without_halt = program[:-1]
    file = folder / "program.elf"
    file.write_bytes(elf(without_halt + _dump()))
    regions = [f"--memory-region=0x{base:X},0x{size:X}" for base, size in ((CODE_BASE, 0x40000), (0x80000000, 0x10000))]
    result = subprocess.run([str(path), *regions, str(file)], capture_output=True, timeout=60, check=False)
    expected = sum(size for _, size in WINDOWS)
    if result.returncode or len(result.stdout) != expected:
        raise RuntimeError(
            f"the simulator ended with {result.returncode}: {result.stderr.decode(errors='replace')[:300]}"
        )
    windows, start = [], 0
    for _, size in WINDOWS:
        windows.append(result.stdout[start : start + size])
        start += size
    return windows
