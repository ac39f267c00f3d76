"""The checks of the board, on a fake file system that is broken in one place at a time."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rpmu.acquire.link import shipped_image
from rpmu.config import default
from rpmu.doctor import Level, Subject, board, examine, exit_code, host
from rpmu.errors import HardwareError

PRUSS = "proc/device-tree/ocp/pruss@0"
CORE = "sys/class/remoteproc/remoteproc1"
UIO = "sys/class/uio/uio0/maps/map0"
FILES = {
    "proc/device-tree/model": "TI AM335x BeagleBone Black\0",
    "proc/sys/kernel/osrelease": "6.12.107+deb13-armmp\n",
    f"{PRUSS}/compatible": "ti,am3356-pruss\0",
    "sys/module/pruss/refcnt": "1",
    "sys/module/irq_pruss_intc/refcnt": "1",
    "sys/module/pru_rproc/refcnt": "1",
    "sys/class/remoteproc/remoteproc0/name": "wkup_m3\n",
    f"{CORE}/name": "4a334000.pru\n",
    f"{CORE}/state": "offline\n",
    f"{CORE}/firmware": "am335x-pru0-fw\n",
    f"{UIO}/addr": "0x4a310000\n",
    f"{UIO}/size": "0x00003000\n",
    "dev/pmu-gnss": "",
    "sys/class/watchdog/watchdog0/state": "active\n",
    "sys/class/watchdog/watchdog0/timeout": "30\n",
    "sys/class/net/eth0/operstate": "up\n",
    "sys/class/net/lo/operstate": "unknown\n",
}


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def healthy(tmp_path):
    """A board on which everything is as it should be, before the daemon was ever started."""
    write(tmp_path, FILES)
    return Subject(tmp_path, default(), tmp_path / "rpmu.toml")


def test_a_healthy_board(healthy):
    checks = [check(healthy) for check in (
        board.hardware, board.kernel, board.device_tree, board.pru_modules, board.firmware, board.shared_memory,
        board.adc_driver, board.receiver_port, board.watchdog,
    )]  # fmt: skip
    assert [finding for finding in checks if finding.level is not Level.OK] == []
    assert board.fix_pin(healthy) is None, "a pin nobody wired is not examined"
    assert board.pru_core(healthy).level is Level.WARN, "it is offline until the daemon starts it"
    write(healthy.root, {f"{CORE}/state": "running\n", f"{CORE}/firmware": "rpmu-sampler.elf\n"})
    assert board.pru_core(healthy).level is Level.OK


@pytest.mark.parametrize(
    ("check", "files", "gone", "level", "evidence"),
    [
        (board.kernel, {"proc/sys/kernel/osrelease": "5.10.168-ti-r72"}, [], Level.WARN, "5.10.168"),
        (board.device_tree, {}, [PRUSS], Level.FAIL, "no pruss node"),
        (board.device_tree, {f"{PRUSS}/status": "disabled\0"}, [], Level.FAIL, "disabled"),
        (board.pru_modules, {}, ["sys/module/pru_rproc"], Level.FAIL, "pru_rproc"),
        (board.pru_core, {f"{CORE}/state": "crashed\n"}, [], Level.FAIL, "crashed"),
        (board.pru_core, {f"{CORE}/state": "running\n"}, [], Level.FAIL, "am335x-pru0-fw"),
        (board.pru_core, {}, [CORE, UIO], Level.FAIL, "4a334000.pru"),
        (board.firmware, {"lib/firmware/rpmu-sampler.elf": "other"}, [], Level.FAIL, "another version"),
        (board.shared_memory, {f"{UIO}/addr": "0x4a320000\n"}, [], Level.WARN, "/dev/mem"),
        (board.adc_driver, {"sys/module/ti_am335x_tscadc/refcnt": "1"}, [], Level.FAIL, "ti_am335x_tscadc"),
        (board.receiver_port, {"dev/ttyO4": ""}, ["dev/pmu-gnss"], Level.FAIL, "ttyO4"),
        (board.watchdog, {"sys/class/watchdog/watchdog0/state": "inactive\n"}, [], Level.WARN, "nobody feeds it"),
        (board.watchdog, {}, ["sys/class/watchdog"], Level.WARN, "none"),
    ],
)
def test_one_thing_broken_is_found(healthy, check, files, gone, level, evidence):
    for name in gone:
        path = healthy.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write(healthy.root, files)
    finding = check(healthy)
    assert finding.level is level
    assert evidence in finding.evidence
    assert finding.next_step


def test_uio_is_a_way_too(healthy):
    for name in ("sys/module/pruss", CORE):
        shutil.rmtree(healthy.root / name)
    write(healthy.root, {"sys/module/uio_pruss/refcnt": "1", f"{UIO}/addr": "0x4a300000", f"{UIO}/size": "0x80000"})
    for check in (board.pru_modules, board.pru_core, board.shared_memory):
        assert check(healthy).level is Level.OK


def test_the_installed_firmware_is_compared_with_the_shipped_one(healthy):
    target = healthy.root / "lib/firmware/rpmu-sampler.elf"
    target.parent.mkdir(parents=True)
    shutil.copy(shipped_image("elf"), target)
    assert board.firmware(healthy).evidence.endswith("installed")


def test_a_shipped_image_that_was_damaged_is_told(healthy, tmp_path, monkeypatch):
    folder = tmp_path / "images"
    shutil.copytree(board.IMAGE_FOLDER, folder)
    monkeypatch.setattr(board, "IMAGE_FOLDER", folder)
    assert board.firmware(healthy).level is Level.OK
    (folder / "sampler.elf").write_bytes(b"half of it")
    assert (board.firmware(healthy).level, board.firmware(healthy).next_step) == (Level.FAIL, "reinstall rpmu")


def test_the_network_needs_an_interface_beside_the_loopback(healthy):
    assert (host.network(healthy).level, host.network(healthy).evidence) == (Level.OK, "up: eth0")
    write(healthy.root, {"sys/class/net/eth0/operstate": "down\n"})
    assert (host.network(healthy).level, host.network(healthy).evidence) == (Level.WARN, "no interface is up (eth0)")
    shutil.rmtree(healthy.root / "sys/class/net/eth0")
    assert host.network(healthy).evidence == "no interface is up (there is none)"


def test_a_pc_is_told_of_the_twin(tmp_path):
    subject = Subject(tmp_path, default(), tmp_path / "rpmu.toml")
    findings = examine(subject)
    assert exit_code(subject, findings) == 4
    by_name = {finding.name: finding for finding in findings}
    assert "rpmu twin" in by_name["board"].next_step
    assert {"packages", "emulator", "disk", "port", "daemon"} <= set(by_name)
    assert not {"kernel", "device tree", "PRU modules", "watchdog"} & set(by_name), "a PC has no board to be examined"


def test_a_board_fails_by_one(healthy):
    findings = examine(healthy)
    assert {f.name for f in findings if f.level is Level.FAIL} == {"daemon", "calibration"}
    assert exit_code(healthy, findings) == 1


def test_without_certificate_the_daemon_must_be_told_to_start(healthy):
    assert "allow_uncalibrated" in host.certificate(healthy).evidence
    told = replace(healthy.config, calibration=replace(healthy.config.calibration, allow_uncalibrated=True))
    assert host.certificate(replace(healthy, config=told)).level is Level.OK


SECOND = round(1 / board.FIX_INTERVAL_S)


@pytest.mark.parametrize(
    ("levels", "no_fix"),
    [
        ([False] * 3 * SECOND, False),
        ([False] * SECOND + [True] * 4 + [False] * SECOND, False),
        (([False] * SECOND + [True] * SECOND) * 2, True),
        ([True] * 10 + [False] * SECOND + [True] * SECOND, True),
    ],
    ids=["quiet", "the short pulse of a fix", "blinking", "blinking, met while high"],
)
def test_fix_pin(healthy, levels, no_fix):
    subject = replace(healthy, fix_pin="P9_12", read_pin=lambda name, count, interval_s: levels)
    assert (board.fix_pin(subject).level is Level.WARN) == no_fix


def test_a_pin_that_cannot_be_read_is_a_warning(healthy):
    def refuses(name, count, interval_s):
        raise HardwareError(f"no {name}")

    assert "no P9_12" in board.fix_pin(replace(healthy, fix_pin="P9_12", read_pin=refuses)).evidence


def test_nothing_outside_the_root_is_read(healthy, monkeypatch):
    read = Path.read_text

    def guarded(path, *args, **kwargs):
        assert not str(path).startswith(("/proc", "/sys/class")), path
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", guarded)
    examine(healthy)


def test_a_card_without_its_data_partition_is_told(healthy):
    assert host.disk(healthy).level is not Level.FAIL
    write(healthy.root, {host.DATA_LOST: "the data partition /dev/mmcblk0p4 cannot be mounted\n"})
    finding = host.disk(healthy)
    assert finding.level is Level.FAIL
    assert finding.evidence.startswith(
        "the data partition /dev/mmcblk0p4 cannot be mounted; configuration and settings"
    )
    assert "data-lost" in (Path(__file__).parents[2] / "image/initramfs-init").read_text()
