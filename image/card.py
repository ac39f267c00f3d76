"""The card: boot loader at its raw offsets, partition table, file systems; all written into one sparse file.

sector 0      partition table (MBR; its signature names the root to the kernel)
128 KiB       MLO, where the chip's ROM looks for it (it also looks at 0, 256 and 384 KiB)
384 KiB       u-boot.img, where MLO looks for it (sector 0x300 of its configuration)
4 MiB         p1 FAT: rpmu-setup.txt, U-Boot's environment
              p2 root, p3 room for a second root, p4 data
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from image.errors import ImageError
from image.run import run

MIB = 1 << 20
SECTOR = 512
MLO_OFFSET = 128 << 10
UBOOT_OFFSET = 384 << 10
SIGNATURE = "52504d55"  # RPMU; a copy on the eMMC gets one of its own
LABELS = {1: "RPMU", 2: "rpmu-root", 4: "rpmu-data"}


@dataclass(frozen=True)
class Partition:
    """One entry of the table.

    Attributes:
        number: from 1.
        start: in bytes.
        size: in bytes.
        kind: the type byte, in hexadecimal digits.
        active: whether U-Boot looks for a system in it.
    """

    number: int
    start: int
    size: int
    kind: str
    active: bool = False


PARTITIONS = (
    Partition(1, 4 * MIB, 64 * MIB, "c"),
    Partition(2, 68 * MIB, 640 * MIB, "83", active=True),
    Partition(3, 708 * MIB, 640 * MIB, "83"),
    Partition(4, 1348 * MIB, 256 * MIB, "83"),
)
CARD_SIZE = PARTITIONS[-1].start + PARTITIONS[-1].size


def ext4(tree: Path | None, label: str, size: int, epoch_s: int, target: Path) -> None:
    """Make a file system in a file.

    Args:
        tree: its content; None for none.
        label: its name, from which its UUID and its hash seed are made.
        size: in bytes.
        epoch_s: time stamp of its making.
        target: the file.
    """
    with target.open("wb") as file:
        file.truncate(size)
    name = uuid.uuid5(uuid.NAMESPACE_OID, label)
    extra = f"hash_seed={uuid.uuid5(uuid.NAMESPACE_OID, label + ' hash seed')},root_owner=0:0"
    words = ["mkfs.ext4", "-q", "-F", "-L", label, "-U", str(name), "-m", "0", "-E", extra]
    content: list[str | Path] = [] if tree is None else ["-d", tree]
    run([*words, *content, target], environment={"E2FSPROGS_FAKE_TIME": str(epoch_s)})


def fat(files: Mapping[str, bytes], epoch_s: int, target: Path) -> None:
    """Make a FAT file system in a file, with files in its outermost folder."""
    with target.open("wb") as file:
        file.truncate(PARTITIONS[0].size)
    run(["mkfs.vfat", "-F", "32", "-n", LABELS[1], "-i", SIGNATURE, "--invariant", target])
    for name, content in files.items():
        loose = target.with_name(name)
        loose.write_bytes(content)
        os.utime(loose, (epoch_s, epoch_s))
        run(["mcopy", "-m", "-i", target, loose, f"::{name}"])
        loose.unlink()


def assemble(mlo: Path, uboot: Path, contents: Mapping[int, Path], target: Path) -> None:
    """Put the parts into one file.

    Args:
        mlo: first stage of the boot loader.
        uboot: second stage.
        contents: file systems, by number of their partition.
        target: the file.

    Raises:
        ImageError: a part does not fit.
    """
    _fits("MLO", mlo, UBOOT_OFFSET - MLO_OFFSET)
    _fits("u-boot.img", uboot, PARTITIONS[0].start - UBOOT_OFFSET)
    with target.open("wb") as file:
        file.truncate(CARD_SIZE)
    lines = ["label: dos", f"label-id: 0x{SIGNATURE}", "unit: sectors"]
    for part in PARTITIONS:
        place = f"start={part.start // SECTOR}, size={part.size // SECTOR}, type={part.kind}"
        lines.append(place + (", bootable" if part.active else ""))
    run(["sfdisk", "--quiet", "--no-tell-kernel", target], stdin="\n".join(lines).encode())
    places = {part.number: part for part in PARTITIONS}
    for number, path in contents.items():
        _fits(f"partition {number}", path, places[number].size)
    parts = [(MLO_OFFSET, mlo), (UBOOT_OFFSET, uboot), *((places[n].start, path) for n, path in contents.items())]
    for offset, path in parts:
        run(["dd", f"if={path}", f"of={target}", "bs=128K", f"seek={offset // (128 << 10)}", "conv=notrunc,sparse"])


def _fits(name: str, path: Path, room: int) -> None:
    if path.stat().st_size > room:
        raise ImageError(f"{name} has {path.stat().st_size} bytes, but there is room for {room} only")
