"""The card's bytes: partition table, boot loader and file systems where ROM, U-Boot and kernel look for them.

Read without the tools that wrote them: from small stand-ins, and from the real image where one has been built.
"""

from __future__ import annotations

import shutil
import struct
import subprocess

import pytest

from image import card
from image.cache import default_folder
from image.errors import ImageError

TOOLS = {"sfdisk": "fdisk", "mkfs.ext4": "e2fsprogs", "mkfs.vfat": "dosfstools", "mcopy": "mtools"}
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
ABSENT = sorted(package for tool, package in TOOLS.items() if shutil.which(tool, path=PATH) is None)
pytestmark = pytest.mark.skipif(bool(ABSENT), reason=f"needs the packages {' '.join(ABSENT)}")

MIB = 1 << 20
EPOCH_S = 1769817600


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A card of small parts."""
    folder = tmp_path_factory.mktemp("card")
    tree = folder / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/hostname").write_text("rpmu\n")
    mlo, uboot = folder / "MLO", folder / "u-boot.img"
    mlo.write_bytes(b"CHSETTINGS".ljust(109_000, b"M"))
    uboot.write_bytes(b"U-Boot".ljust(1_460_000, b"U"))
    contents = {1: folder / "p1", 2: folder / "p2", 4: folder / "p4"}
    card.fat({"rpmu-setup.txt": b"# settings\r\n"}, EPOCH_S, contents[1])
    card.ext4(tree, "rpmu-root", 8 * MIB, EPOCH_S, contents[2])
    card.ext4(None, "rpmu-data", 8 * MIB, EPOCH_S, contents[4])
    target = folder / "card.img"
    card.assemble(mlo, uboot, contents, target)
    return target


@pytest.fixture(scope="module")
def real():
    """The newest image in the cache."""
    images = sorted(default_folder().glob("image-*/rpmu.img"), key=lambda path: path.stat().st_mtime)
    if not images:
        pytest.skip("no image has been built here (make image)")
    return images[-1]


@pytest.fixture(params=["stand_in", "real"])
def image(request):
    return request.getfixturevalue(request.param)


def at(path, offset, size):
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def entries(path):
    """(active, type, first sector, sectors) of the four entries."""
    table = at(path, 446, 64)
    unpacked = (struct.unpack("<B3xB3xII", table[n : n + 16]) for n in range(0, 64, 16))
    return [(active, kind, start, size) for active, kind, start, size in unpacked]


def test_the_partition_table(image):
    assert at(image, 510, 2) == b"\x55\xaa"
    assert struct.unpack("<I", at(image, 440, 4))[0] == 0x52504D55
    assert entries(image) == [
        (0x00, 0x0C, 8192, 64 * 2048),  # FAT32, from 4 MiB
        (0x80, 0x83, 68 * 2048, 640 * 2048),  # the root, where U-Boot looks for extlinux.conf
        (0x00, 0x83, 708 * 2048, 640 * 2048),  # reserved
        (0x00, 0x83, 1348 * 2048, 256 * 2048),  # data
    ]
    assert image.stat().st_size == (1348 + 256) * MIB


def test_the_boot_loader_is_where_the_rom_and_its_first_stage_look(image):
    header = at(image, 256 * 512, 512)
    assert b"CHSETTINGS" in header
    assert at(image, 768 * 512, 4) in (b"U-Bo", b"\xd0\x0d\xfe\xed")  # the real one is a flattened device tree (FIT)
    before_first_partition = at(image, 0, 8192 * 512)
    assert before_first_partition[512 : 256 * 512].strip(b"\0") == b""
    assert before_first_partition[-2 * MIB :].strip(b"\0") == b""


def test_the_file_systems_are_where_the_table_says(image):
    fat = at(image, 8192 * 512, 512)
    assert fat[82:90] == b"FAT32   "
    for start, label in ((68, b"rpmu-root"), (1348, b"rpmu-data")):
        superblock = at(image, start * MIB + 1024, 1024)
        assert superblock[56:58] == b"\x53\xef"
        assert superblock[120:136].rstrip(b"\0") == label
    assert at(image, 708 * MIB, MIB).strip(b"\0") == b""  # nothing in the reserve


def test_the_file_for_a_person_is_on_the_first_partition(image):
    words = ["mtype", "-i", f"{image}@@4M", "::rpmu-setup.txt"]
    assert subprocess.run(words, capture_output=True, check=True).stdout.startswith(b"#")


def test_the_kernel_is_told_the_signature_of_the_table(real):
    words = ["debugfs", "-R", "cat /boot/extlinux/extlinux.conf", f"{real}?offset={68 * MIB}"]
    text = subprocess.run(words, capture_output=True, check=True, text=True, env={"PATH": PATH}).stdout
    assert "root=PARTUUID=52504d55-02 ro" in text
    assert "console=ttyO0,115200n8" in text


def test_what_does_not_fit_is_refused(tmp_path):
    big, small = tmp_path / "big", tmp_path / "small"
    big.write_bytes(b"M" * (256 << 10 | 1))
    small.write_bytes(b"S")
    with pytest.raises(ImageError, match="MLO has 262145 bytes, but there is room for 262144 only"):
        card.assemble(big, small, {}, tmp_path / "image")


def test_the_same_parts_give_the_same_data_partition(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for target in (first, second):
        card.ext4(None, "rpmu-data", 8 * MIB, EPOCH_S, target)
    assert first.read_bytes() == second.read_bytes()
