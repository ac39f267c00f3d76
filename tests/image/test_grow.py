"""rpmu-grow-data, on files in place of the card and its data partition; `make test-target` has it on a mounted one."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from image import card
from image.board import grow
from image.board.flash_emmc import SECTOR, FlashError, Part, read_table

PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
TOOLS = {"sfdisk": "fdisk", "mkfs.ext4": "e2fsprogs", "resize2fs": "e2fsprogs", "dumpe2fs": "e2fsprogs"}
ABSENT = sorted({package for tool, package in TOOLS.items() if shutil.which(tool, path=PATH) is None})
MIB = 1 << 20
CARD = 96 * MIB + 300_000  # not a whole number of MiB
START = 54 * MIB
SMALL = (
    card.Partition(1, 4 * MIB, 34 * MIB, "c"),
    card.Partition(2, 38 * MIB, 8 * MIB, "83", active=True),
    card.Partition(3, 46 * MIB, 8 * MIB, "83"),
    card.Partition(4, START, 8 * MIB, "83"),
)
pytestmark = pytest.mark.skipif(bool(ABSENT), reason=f"needs the packages {' '.join(ABSENT)}")


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A card with more room than the image has."""
    monkeypatch.setattr(card, "PARTITIONS", SMALL)
    monkeypatch.setattr(card, "CARD_SIZE", 62 * MIB)
    (tmp_path / "loader").write_bytes(b"L" * 1000)
    path = tmp_path / "sdx"
    card.assemble(tmp_path / "loader", tmp_path / "loader", {}, path)
    with path.open("r+b") as file:
        file.truncate(CARD)
    return path


@pytest.fixture
def partition(tmp_path, disk):
    """Its data partition, as a file of the size that the kernel knows of."""
    path = tmp_path / "sdx4"
    card.ext4(None, "rpmu-data", 8 * MIB, 0, path)
    return path


@pytest.fixture
def kernel(tmp_path, disk, partition, monkeypatch):
    """/sys/block, and a partx that does what the kernel does then; every other program is the real one."""
    size = tmp_path / "block" / disk.name / partition.name / "size"
    size.parent.mkdir(parents=True)
    size.write_text(f"{8 * MIB // SECTOR}\n")
    really, said = subprocess.run, []

    def run(words, **options):
        said.append(words[0])
        if words[0] != "partx":
            return really(words, **options)
        assert words[1:] == ["--update", "--nr", "4", disk]
        part = read_table(disk)[1][3]
        size.write_text(f"{part.size // SECTOR}\n")
        with partition.open("r+b") as file:
            file.truncate(part.size)
        return None

    monkeypatch.setattr(grow.subprocess, "run", run)
    monkeypatch.setenv("PATH", PATH)
    return tmp_path / "block", said


def file_system_bytes(path):
    lines = subprocess.check_output(["/usr/sbin/dumpe2fs", "-h", path], text=True, stderr=subprocess.DEVNULL)
    fields = dict(line.split(":", 1) for line in lines.splitlines() if ":" in line)
    return int(fields["Block count"]) * int(fields["Block size"])


def test_only_the_last_size_in_the_table_changes(disk):
    before = disk.read_bytes()
    grow.table(disk)
    after = disk.read_bytes()
    assert read_table(disk)[1][3] == Part(START, 42 * MIB)
    changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert set(changed) <= set(range(446 + 3 * 16 + 12, 446 + 4 * 16))
    grow.table(disk)
    assert disk.read_bytes() == after


@pytest.mark.parametrize("done", [(), ("table",), ("table", "kernel")])
def test_it_grows_wherever_it_was_interrupted(disk, partition, kernel, done):
    sys_block, said = kernel
    if "table" in done:
        grow.table(disk)
    if "kernel" in done:
        grow.kernel(disk, partition, sys_block)
    assert grow.data(disk, partition, sys_block) == "the data partition has grown to 42 MB"
    assert file_system_bytes(partition) == 42 * MIB
    said.clear()
    assert grow.data(disk, partition, sys_block) == "the data partition has 42 MB, all there is"
    assert said == []


def test_a_card_without_more_room_stays_as_it_is(disk, partition, kernel):
    with disk.open("r+b") as file:
        file.truncate(62 * MIB + 1000)
    before = disk.read_bytes()
    assert "all there is" in grow.data(disk, partition, kernel[0])
    assert disk.read_bytes() == before


def test_another_disk_is_left_alone(tmp_path):
    (tmp_path / "other").write_bytes(bytes(MIB))
    with pytest.raises(FlashError, match="no partition table"):
        grow.data(tmp_path / "other", tmp_path / "other4", tmp_path)
