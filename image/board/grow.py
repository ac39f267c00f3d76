"""Let the data partition fill the card or eMMC that the board runs from.

The image has a small one, so that it fits everywhere. It is the last partition, so it can grow in place, mounted: first
its entry in the partition table, which lies in a single sector and so is the old one or the new one whenever the power
goes, then what the kernel knows of it, then the file system, whose own journal keeps it whole. Each step is done at
every start if it is not done already, so one that was cut short is made good by the next.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

from .flash_emmc import ALIGN_BYTES, DATA, SECTOR, FlashError, last_part, put_size, read_table

SUPERBLOCK_AT, SUPERBLOCK_BYTES = 1024, 1024


def table(disk: Path) -> None:
    """Let the partition's entry name all the room there is.

    Raises:
        FlashError: the disk is not laid out as ours.
        OSError: it cannot be written.
    """
    _, parts = read_table(disk)
    grown = last_part(disk, parts[DATA].start)
    if grown.size <= parts[DATA].size:
        return
    with disk.open("rb") as file:
        sector = bytearray(file.read(SECTOR))
    put_size(sector, grown)
    descriptor = os.open(disk, os.O_WRONLY | os.O_SYNC | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, sector, 0)
    finally:
        os.close(descriptor)


def kernel(disk: Path, partition: Path, sys_block: Path) -> None:
    """Tell the kernel of the partition's size, if it knows of a smaller one.

    Args:
        disk: device.
        partition: the data's device.
        sys_block: /sys/block.

    Raises:
        FlashError: the disk is not laid out as ours.
        OSError: a device cannot be read.
        subprocess.CalledProcessError: the kernel refuses.
    """
    _, parts = read_table(disk)
    known = int((sys_block / disk.name / partition.name / "size").read_text()) * SECTOR
    if known < parts[DATA].size:
        subprocess.run(["partx", "--update", "--nr", str(DATA + 1), disk], check=True)


def fills(partition: Path, size: int) -> bool:
    """Whether the ext4 file system on a partition is as large as it can be.

    Args:
        partition: with the file system.
        size: of the partition, bytes.

    Raises:
        OSError: it cannot be read.
    """
    with partition.open("rb") as file:
        file.seek(SUPERBLOCK_AT)
        block = file.read(SUPERBLOCK_BYTES)
    blocks, log = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 24)[0]
    return bool(blocks << (10 + log) > size - ALIGN_BYTES)


def data(disk: Path, partition: Path, sys_block: Path = Path("/sys/block")) -> str:
    """Let the mounted data partition and its file system fill the disk.

    Args:
        disk: device that the board runs from.
        partition: the data's device.
        sys_block: /sys/block.

    Returns:
        What was done, for the log.

    Raises:
        FlashError: the disk is not laid out as ours.
        OSError: a device cannot be read or written.
        subprocess.CalledProcessError: a tool failed.
    """
    table(disk)
    kernel(disk, partition, sys_block)
    size = read_table(disk)[1][DATA].size
    if fills(partition, size):
        return f"the data partition has {size >> 20} MB, all there is"
    subprocess.run(["resize2fs", partition], check=True)
    return f"the data partition has grown to {size >> 20} MB"


def main() -> int:
    """Grow the running board's data partition; returns the exit code."""
    disk = Path((Path("/run/rpmu-image/disk")).read_text().strip())
    lost = Path("/run/rpmu-image/data-lost")
    if not disk.name or lost.exists():
        print("the data is on no partition of the card: nothing to grow")
        return 0
    separator = "p" if disk.name[-1].isdigit() else ""
    try:
        print(data(disk, disk.with_name(f"{disk.name}{separator}{DATA + 1}")))
    except (FlashError, OSError, subprocess.CalledProcessError) as error:
        print(f"the data partition keeps its size: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
