"""rpmu-flash-emmc, on files in place of the card and the eMMC."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from image import card
from image.board import flash_emmc, grow
from image.board.flash_emmc import FlashError, Lights, Part, check_target, copy, read_table

PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
TOOLS = {
    "sfdisk": "fdisk",
    "mkfs.ext4": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
}
ABSENT = sorted({package for tool, package in TOOLS.items() if shutil.which(tool, path=PATH) is None})
MIB = 1 << 20
needs_tools = pytest.mark.skipif(bool(ABSENT), reason=f"needs the packages {' '.join(ABSENT)}")
SMALL = (  # the card's layout, with less room in the partitions
    card.Partition(1, 4 * MIB, 34 * MIB, "c"),
    card.Partition(2, 38 * MIB, 8 * MIB, "83", active=True),
    card.Partition(3, 46 * MIB, 8 * MIB, "83"),
    card.Partition(4, 54 * MIB, 8 * MIB, "83"),
)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A small card."""
    monkeypatch.setattr(card, "PARTITIONS", SMALL)
    monkeypatch.setattr(card, "CARD_SIZE", 62 * MIB)
    monkeypatch.setattr(flash_emmc, "LEAST_DATA_BYTES", 8 * MIB)
    extlinux = tmp_path / "tree/boot/extlinux"
    extlinux.mkdir(parents=True)
    (extlinux / "extlinux.conf").write_text(f"append root=PARTUUID={card.SIGNATURE}-02 ro\n")
    loader = tmp_path / "loader"
    loader.write_bytes(b"L" * 50_000)
    contents = {number: tmp_path / f"p{number}" for number in (1, 2, 4)}
    card.fat({"rpmu-setup.txt": b"idcode = 17\r\n"}, 0, contents[1])
    card.ext4(tmp_path / "tree", "rpmu-root", 8 * MIB, 0, contents[2])
    card.ext4(None, "rpmu-data", 8 * MIB, 0, contents[4])
    card.assemble(loader, loader, contents, tmp_path / "card")
    return tmp_path / "card"


@pytest.fixture
def target(tmp_path, source):
    """An eMMC that was flashed before."""
    path = tmp_path / "emmc"
    content = bytearray(b"old!" * (16 * MIB))
    content[:512] = source.read_bytes()[:512]
    path.write_bytes(content)
    return path


def output(*words):
    return subprocess.run(words, capture_output=True, check=True, text=True, env={"PATH": PATH}).stdout


@needs_tools
def test_the_copy_starts_from_its_own_root_with_new_data(source, target):
    ticks = []
    copy(source, target, "0badcafe", lambda: ticks.append(None))
    assert len(ticks) > 60
    old, new = source.read_bytes(), target.read_bytes()
    signature, parts = read_table(target)
    assert signature == "0badcafe"
    assert parts == [*read_table(source)[1][:3], Part(54 * MIB, 10 * MIB)], "the data have all the rest"
    assert new[446 : 446 + 60] == old[446 : 446 + 60]
    assert new[512 : 38 * MIB] == old[512 : 38 * MIB]  # boot loader at its raw offsets, and the FAT
    assert new[46 * MIB : 47 * MIB].strip(b"\0") == b""
    extlinux = output("debugfs", "-R", "cat /boot/extlinux/extlinux.conf", f"{target}?offset={38 * MIB}")
    assert extlinux == "append root=PARTUUID=0badcafe-02 ro\n"
    for start in (38, 54):
        output("e2fsck", "-fn", f"{target}?offset={start * MIB}")
    assert b"rpmu-data" in new[54 * MIB : 54 * MIB + 2048]
    assert len(new) == 64 * MIB


@needs_tools
def test_a_card_that_has_grown_fits_on_a_smaller_emmc(source, target):
    with source.open("r+b") as file:
        file.truncate(500 * MIB)
    grow.table(source)
    assert read_table(source)[1][3].size == 446 * MIB
    copy(source, target, "0badcafe", lambda: None)
    assert read_table(target)[1][3].size == 10 * MIB
    output("e2fsck", "-fn", f"{target}?offset={54 * MIB}")


@needs_tools
def test_a_copy_that_is_interrupted_does_not_start(source, target):
    count = iter(range(10))

    def tick():
        if next(count) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(source, target, "0badcafe", tick)
    with pytest.raises(FlashError, match="has no partition table"):
        read_table(target)


@needs_tools
def test_a_target_that_does_not_keep_what_it_is_given_is_found_out(source, target, monkeypatch):
    write = flash_emmc._copy_span

    def forgetful(from_, to, span, tick):
        write(from_, to, span, tick)
        with to.open("r+b") as file:
            file.seek(5 * MIB)
            file.write(b"?")

    monkeypatch.setattr(flash_emmc, "_copy_span", forgetful)
    with pytest.raises(FlashError, match="does not hold what was written at 5242880; it may be worn out"):
        copy(source, target, "0badcafe", lambda: None)
    with pytest.raises(FlashError, match="has no partition table"):
        read_table(target)


@needs_tools
def test_a_small_target_is_left_alone(source, tmp_path):
    target = tmp_path / "small"
    target.write_bytes(b"old!" * 1024)
    with pytest.raises(FlashError, match="has 0 MB, but the image needs 62 MB"):
        copy(source, target, "0badcafe", lambda: None)
    assert target.read_bytes() == b"old!" * 1024


@pytest.mark.parametrize(
    ("target", "source", "kind", "mounts", "said"),
    [
        ("sda", "mmcblk0", "MMC", "", "/dev/sda is not the board's eMMC"),
        ("mmcblk0", "mmcblk0", "SD", "", "/dev/mmcblk0 is not the board's eMMC"),
        ("mmcblk1", "mmcblk1", "MMC", "", "runs from its eMMC already"),
        ("mmcblk1", "mmcblk0", None, "", "is not there or is not an eMMC"),
        ("mmcblk1", "mmcblk0", "SD", "", "is not there or is not an eMMC"),
        ("mmcblk1", "mmcblk0", "MMC", "/dev/mmcblk1p2 /mnt ext4 rw 0 0\n", "is in use at /mnt"),
        ("mmcblk1", "mmcblk0", "MMC", "/dev/mmcblk0p2 / ext4 ro 0 0\n", None),
    ],
)
def test_only_the_emmc_of_a_board_that_runs_from_its_card(tmp_path, target, source, kind, mounts, said):
    device = tmp_path / target / "device"
    device.mkdir(parents=True)
    if kind:
        (device / "type").write_text(f"{kind}\n")
    words = (flash_emmc.Path("/dev") / target, flash_emmc.Path("/dev") / source, tmp_path, mounts)
    if said is None:
        check_target(*words)
        return
    with pytest.raises(FlashError, match=said):
        check_target(*words)


def test_a_source_that_is_no_card_of_ours_is_refused(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "other").write_bytes(bytes(510) + b"\x55\xaa")
    with pytest.raises(FlashError, match="has no partition table"):
        read_table(tmp_path / "empty")
    with pytest.raises(FlashError, match="has not the four partitions"):
        read_table(tmp_path / "other")


def test_the_lights(tmp_path):
    for name in flash_emmc.LEDS:
        (tmp_path / f"beaglebone:green:{name}").mkdir()

    def lit():
        return "".join((tmp_path / f"beaglebone:green:{name}/brightness").read_text() for name in flash_emmc.LEDS)

    lights = Lights(tmp_path)
    seen = []
    for _ in range(28):
        lights.step()
        if not seen or lit() != seen[-1]:
            seen.append(lit())
    assert seen == ["1000", "0100", "0010", "0001", "0010", "0100", "1000"]
    lights.finish(good=True)
    assert lit() == "1111"
    lights.finish(good=False)
    assert (tmp_path / "beaglebone:green:usr3/trigger").read_text() == "timer"


def test_a_machine_without_lights_works_in_the_dark(tmp_path):
    lights = Lights(tmp_path)
    lights.step()
    lights.finish(good=True)
    assert list(tmp_path.iterdir()) == []
