"""What the image lays over Debian's files: units that systemd understands, scripts that a shell does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import image
from image import tree
from image.board.apply import FIREWALL

HERE = Path(image.__file__).parent
FILES = HERE / "files"
UNITS = FILES / "usr/lib/systemd/system"
SCRIPTS = [HERE / "initramfs-init", FILES / "usr/sbin/rpmu-flash-emmc"]
OWN = Path(image.__file__).parents[1] / "systemd"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_shell(script):
    subprocess.run(["sh", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian package systemd)")
@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.service")))
def test_units_have_no_unknown_or_misspelt_setting(unit, tmp_path):
    for path in [*UNITS.glob("*.service"), *OWN.glob("*.service")]:
        shutil.copy(path, tmp_path)
    for path in UNITS.glob("*.d"):
        shutil.copytree(path, tmp_path / path.name)
    words = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit)]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stderr
    ours = [line for line in said.splitlines() if unit in line and "is not executable" not in line]
    assert ours == []


def test_units_that_are_switched_on_exist():
    ours = {path.name for folder in (UNITS, OWN) for path in folder.glob("*.service")}
    switched_on = {unit for unit in tree.ENABLED if unit.startswith("rpmu")}
    assert switched_on <= ours
    assert {path.name for path in UNITS.glob("rpmu-*.service")} <= switched_on


def test_settings_come_before_everything_that_reads_them():
    text = (UNITS / "rpmu-first-boot.service").read_text()
    (before,) = [line for line in text.splitlines() if line.startswith("Before=")]
    readers = {"rpmu-firewall.service", "systemd-networkd.service", "ssh.service", "chrony.service", "rpmu.service"}
    assert readers <= set(before.removeprefix("Before=").split())
    assert FIREWALL == "etc/rpmu/nftables.conf"
    assert "/etc/rpmu/nftables.conf" in (OWN / "rpmu-firewall.service").read_text()


def test_an_interrupted_update_is_undone_before_anything_of_the_package_runs():
    lines = (OWN / "rpmu-update-recover.service").read_text().splitlines()
    (before,) = [line for line in lines if line.startswith("Before=")]
    assert {"rpmu-first-boot.service", "rpmu-config.service", "rpmu.service"} <= set(before.partition("=")[2].split())
    assert "DefaultDependencies=no" in lines, "else it would wait for what waits for the first boot"


def test_dpkg_may_write_only_while_an_update_is_installed():
    for unit in ("rpmu-update@.service", "rpmu-update-recover.service"):
        assert (OWN / unit).is_file()
        text = (UNITS / f"{unit}.d/50-rpmu-image.conf").read_text()
        assert "ExecStartPre=+/usr/bin/nsenter --mount=/proc/1/ns/mnt /usr/bin/mount -o remount,rw /" in text
        assert "ExecStopPost=-+/usr/bin/nsenter --mount=/proc/1/ns/mnt /usr/bin/mount -o remount,ro /" in text


def test_what_is_mounted_is_made_by_the_initramfs():
    init = (HERE / "initramfs-init").read_text()
    lines = [line.split() for line in (FILES / "etc/fstab").read_text().splitlines() if not line.startswith("#")]
    assert all(len(words) == 6 for words in lines)
    bound = [words for words in lines if words[3] == "bind"]
    assert len(bound) == 3
    for source, target, *_ in bound:
        assert f"/root{source}" in init
        assert target.removeprefix("/") in Path(tree.__file__).read_text()


def test_the_receiver_has_one_name_and_no_port_that_is_none_can_take_it():
    rules = [line for line in (OWN / "70-rpmu.rules").read_text().splitlines() if "pmu-gnss" in line]
    assert [line.split(",")[1].strip() for line in rules] == ['KERNEL=="ttyO4"', 'KERNEL=="ttyS4"']
    assert 'ATTR{type}!="0"' in rules[1]
