"""`rpmu-flash-emmc`: make the board's eMMC a card of its own, from the card it runs from.

    the table of the eMMC is cleared first and written last: a copy that was interrupted does not start at all
    boot loader, FAT and root are copied block by block (FAT is not mounted, the root is read-only) and read back
    the table gets a signature of its own, and extlinux.conf names it to the kernel
    the data partition is made anew, as large as there is room: rpmu-setup.txt, which is copied, is applied at the first
    start

The four LEDs run to and fro meanwhile; all four on is done, all four flashing is failed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

EMMC = "mmcblk1"  # the board's device tree numbers them: 0 is the card, 1 the eMMC
CHUNK = 1 << 20
SECTOR = 512
SIGNATURE_AT = 440
ENTRIES_AT = 446
EXTLINUX = "/boot/extlinux/extlinux.conf"
FAT, ROOT, RESERVE, DATA = range(4)
ALIGN_BYTES = 1 << 20
MOST_BYTES = 0xFFFFFFFF * SECTOR // ALIGN_BYTES * ALIGN_BYTES  # that an entry of the table can name
LEAST_DATA_BYTES = 64 << 20
LEDS = ("heartbeat", "mmc0", "usr2", "usr3")


class FlashError(Exception):
    """The copy cannot be made, or is not good; the message says why and what to do."""


@dataclass(frozen=True)
class Part:
    """One partition.

    Attributes:
        start: in bytes.
        size: in bytes.
    """

    start: int
    size: int


def read_table(disk: Path) -> tuple[str, list[Part]]:
    """Signature and partitions of a card.

    Raises:
        FlashError: it is not laid out as ours.
    """
    with disk.open("rb") as file:
        sector = file.read(SECTOR)
    if len(sector) < SECTOR or sector[510:] != b"\x55\xaa":
        raise FlashError(f"{disk} has no partition table; start from a card with the image of rpmu")
    signature = f"{struct.unpack_from('<I', sector, SIGNATURE_AT)[0]:08x}"
    entries = (struct.unpack_from("<B3xB3xII", sector, ENTRIES_AT + 16 * number) for number in range(4))
    parts = [Part(start * SECTOR, size * SECTOR) for _, _, start, size in entries]
    if not all(part.size for part in parts):
        raise FlashError(f"{disk} has not the four partitions of the image of rpmu; start from such a card")
    return signature, parts


def check_target(target: Path, source: Path, sys_block: Path, mounts: str) -> None:
    """Refuse every target but the eMMC of a board that runs from its card.

    Args:
        target: device to overwrite.
        source: device that the board runs from.
        sys_block: /sys/block.
        mounts: content of /proc/self/mounts.

    Raises:
        FlashError: with the reason.
    """
    if target.name != EMMC:
        raise FlashError(f"{target} is not the board's eMMC, which is /dev/{EMMC}; nothing else is overwritten")
    if source.name == target.name:
        raise FlashError("this board runs from its eMMC already; start it from the card (hold S2 at power-up)")
    kind = sys_block / target.name / "device/type"
    if not kind.is_file() or kind.read_text().strip() != "MMC":
        raise FlashError(f"{target} is not there or is not an eMMC; this needs a BeagleBone Black")
    used = [line.split()[1] for line in mounts.splitlines() if line.startswith(str(target))]
    if used:
        raise FlashError(f"{target} is in use at {', '.join(used)}; unmount it first")


def copy(source: Path, target: Path, signature: str, tick: Callable[[], None]) -> None:
    """Make the copy.

    Args:
        source: card, a device or an image file.
        target: device, or a file of its size.
        signature: of the copy's table, eight hexadecimal digits.
        tick: called again and again.

    Raises:
        FlashError: the target is too small, or does not hold what was written.
    """
    old, parts = read_table(source)
    data = last_part(target, parts[DATA].start)
    if data.size < LEAST_DATA_BYTES:
        needed = parts[DATA].start + LEAST_DATA_BYTES
        raise FlashError(f"{target} has {_size(target) >> 20} MB, but the image needs {needed >> 20} MB")
    _write(target, 0, bytes(SECTOR))
    spans = [Part(SECTOR, parts[FAT].start - SECTOR), parts[FAT], parts[ROOT]]
    for span in spans:
        _copy_span(source, target, span, tick)
    for span in spans:
        _compare_span(source, target, span, tick)
    for part in (parts[RESERVE], data):
        _write(target, part.start, bytes(min(CHUNK, part.size)))  # what was there is no file system any more
    _make_data(target, data)
    _name_root(target, parts[ROOT], old, signature)
    with source.open("rb") as file:
        table = bytearray(file.read(SECTOR))
    struct.pack_into("<I", table, SIGNATURE_AT, int(signature, 16))
    put_size(table, data)
    _write(target, 0, bytes(table))


def last_part(disk: Path, start: int) -> Part:
    """The partition that begins at `start` and takes all that a disk has from there."""
    return Part(start, min((_size(disk) - start) // ALIGN_BYTES * ALIGN_BYTES, MOST_BYTES))


def put_size(table: bytearray, data: Part) -> None:
    """Write the data partition's size into the table's sector."""
    struct.pack_into("<I", table, ENTRIES_AT + 16 * DATA + 12, data.size // SECTOR)


def _size(path: Path) -> int:
    with path.open("rb") as file:
        return file.seek(0, os.SEEK_END)


def _write(target: Path, offset: int, content: bytes) -> None:
    with target.open("r+b") as file:
        file.seek(offset)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _chunks(file_path: Path, span: Part) -> Iterator[bytes]:
    with file_path.open("rb") as file:
        file.seek(span.start)
        left = span.size
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise FlashError(f"{file_path} ends in the middle of the image")
            left -= len(chunk)
            yield chunk


def _copy_span(source: Path, target: Path, span: Part, tick: Callable[[], None]) -> None:
    with target.open("r+b") as file:
        file.seek(span.start)
        for chunk in _chunks(source, span):
            file.write(chunk)
            tick()
        file.flush()
        os.fsync(file.fileno())
        # so that reading back reads the memory chips, not the kernel's copy
        os.posix_fadvise(file.fileno(), span.start, span.size, os.POSIX_FADV_DONTNEED)


def _compare_span(source: Path, target: Path, span: Part, tick: Callable[[], None]) -> None:
    place = span.start
    for ours, theirs in zip(_chunks(source, span), _chunks(target, span), strict=True):
        if ours != theirs:
            raise FlashError(f"{target} does not hold what was written at {place}; it may be worn out")
        place += len(ours)
        tick()


def _run(*words: str | Path) -> None:
    # debugfs and mkfs are in /usr/sbin
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise FlashError(f"{words[0]} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")


def _make_data(target: Path, part: Part) -> None:
    options = f"offset={part.start},root_owner=0:0"
    _run("mkfs.ext4", "-q", "-F", "-L", "rpmu-data", "-m", "0", "-E", options, target, f"{part.size >> 10}k")


def _name_root(target: Path, root: Part, old: str, new: str) -> None:
    """Write the new signature into the copy's extlinux.conf, without mounting it."""
    place = f"{target}?offset={root.start}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "extlinux.conf"
        _run("debugfs", "-R", f"dump {EXTLINUX} {file}", place)
        text = file.read_text() if file.is_file() else ""
        if f"PARTUUID={old}-" not in text:
            raise FlashError(f"{EXTLINUX} of the card does not name its root as PARTUUID={old}-02")
        file.write_text(text.replace(f"PARTUUID={old}-", f"PARTUUID={new}-"))
        _run("debugfs", "-w", "-R", f"rm {EXTLINUX}", place)
        _run("debugfs", "-w", "-R", f"write {file} {EXTLINUX}", place)
        file.unlink()
        _run("debugfs", "-R", f"dump {EXTLINUX} {file}", place)
        if not file.is_file() or f"PARTUUID={new}-" not in file.read_text():
            raise FlashError(f"{EXTLINUX} could not be written on {target}")


class Lights:
    """The board's four LEDs; a machine without them stays dark.

    Args:
        folder: /sys/class/leds.
    """

    def __init__(self, folder: Path) -> None:
        leds = [folder / f"beaglebone:green:{name}" for name in LEDS]
        self._leds = [led for led in leds if led.is_dir()]
        self._ticks = 0

    def step(self) -> None:
        """One more piece of work: a light that runs to and fro."""
        order = (0, 1, 2, 3, 2, 1)
        lit = order[self._ticks // 4 % len(order)]
        if self._ticks % 4 == 0:
            for number, led in enumerate(self._leds):
                self._set(led, "none", number == lit)
        self._ticks += 1

    def finish(self, good: bool) -> None:
        """All on, or all flashing."""
        for led in self._leds:
            self._set(led, "none" if good else "timer", True)

    @staticmethod
    def _set(led: Path, trigger: str, lit: bool) -> None:
        (led / "trigger").write_text(trigger)
        if trigger == "none":
            (led / "brightness").write_text("1" if lit else "0")


def main() -> int:
    """Copy the running card to the eMMC; returns the exit code."""
    parser = argparse.ArgumentParser(prog="rpmu-flash-emmc", description="copy the running card to the board's eMMC")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("target", type=Path, nargs="?", default=Path("/dev") / EMMC, help=f"default: /dev/{EMMC}")
    args = parser.parse_args()
    lights = Lights(Path("/sys/class/leds"))
    try:
        source = Path(Path("/run/rpmu-image/disk").read_text().strip())
        check_target(args.target, source, Path("/sys/block"), Path("/proc/self/mounts").read_text())
        if not args.yes and input(f"Everything on {args.target} will be lost. Type yes to go on: ") != "yes":
            print("nothing was done")
            return 1
        copy(source, args.target, secrets.token_hex(4), lights.step)
    except (FlashError, OSError) as error:
        lights.finish(good=False)
        print(f"rpmu-flash-emmc: {error}", file=sys.stderr)
        return 4
    lights.finish(good=True)
    print(f"{args.target} is ready: switch the board off, take the card out, and switch it on again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
