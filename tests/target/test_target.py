"""`make test-target`: the image's own root file system in qemu-system-arm, with Debian's kernel, fed by the twin.

One board lives through all of it, in this order: it is switched on with a person's setup file on its card, serves a
PDC, is administered and attacked over SSH, hangs, fills up, is updated, loses its power in the middle of two changes,
comes back, and is shut down. Each test begins with what the ones before have left.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from image.board.flash_emmc import read_table
from image.card import PARTITIONS
from rpmu.calibrate.certificate import add_to_history
from rpmu.calibrate.profile import load_profile
from rpmu.pdc import BlockingPdcClient
from rpmu.update.worker import INSTALLING, RETURNED
from tests.calibrate.test_in_the_daemon import certificate_of
from tests.target.board import IDCODE, MORE_ROOM, ROOT, Board, newer_package
from tests.target.hardware import HZ
from tests.target.wait import PATIENCE_S, until
from tests.update.rig import signed

if "RPMU_TARGET" not in os.environ:
    pytest.skip("boots the image in an emulated machine, 20 minutes: make test-target", allow_module_level=True)

PATIENTLY = ("--confirm-within", "7200", "--well-within", "3600")
PENDING = "/var/lib/rpmu/config/pending.json"
VERSION = re.compile(r"^installed +(\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    files = json.loads(Path(os.environ["RPMU_TARGET"]).read_text())
    if kept := os.environ.get(
        "RPMU_TARGET_GUEST"
    ):  # while writing these tests: one board for many runs of some of them
        board = Board.kept(Path(kept), files)
        yield board
        board.machine.leave()
    else:
        board = Board.made(tmp_path_factory.mktemp("board"), files)
        board.machine.start()
        yield board
        board.machine.cut_power()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """What is published: a good version, one that does not measure, and one that nobody knows who made."""
    folder = tmp_path_factory.mktemp("packages")
    words = [str(ROOT / ".venv/bin/python"), str(ROOT / "debian/build_deb.py"), str(folder)]
    present = Path(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())
    broken = {"daemon.py": 'raise RuntimeError("this version does not work")\n'}
    return {
        "good": newer_package(present, folder, "0.9.1"),
        "broken": newer_package(present, folder, "0.9.2", broken),
        "next": newer_package(present, folder, "0.9.3"),
    }


def publish(board, deb, name="publisher"):
    """Put a signature beside it."""
    signed(deb, board.folder / name)
    return str(deb)


def frames(board, count):
    """So many data frames, as a PDC outside gets them, and the configuration that they came with."""
    port = board.machine.pmu_port
    with BlockingPdcClient("127.0.0.1", port, idcode=IDCODE, stall_s=PATIENCE_S) as pdc:
        stream = pdc.configuration(timeout_s=PATIENCE_S)
        seen = []
        for frame in pdc.frames():
            seen.append(frame)
            if len(seen) == count:
                return stream, seen
    raise AssertionError("the stream ended")


def health(board, seconds):
    """How long the examination after an update may take."""
    content = f"[Service]\nEnvironment=RPMU_HEALTH_S={seconds}\n"
    board.machine.put("/run/systemd/system/rpmu-update@.service.d/zz.conf", content)
    board.machine.check("systemctl daemon-reload")


def awaits_confirmation(board):
    """Wait until a change is in force on trial."""
    until("the change to await its confirmation", lambda: board.machine.run(f"test -e {PENDING}").code == 0)


def calibrated(board):
    """Give the board a certificate, as somebody with all rights puts it there."""
    path, _ = add_to_history(board.folder / "history", certificate_of(load_profile("reference-a-120v")))
    board.machine.put(f"/etc/rpmu/calibration/{path.name}", path.read_text())


def root_is_read_only(board):
    """As it is outside of an update; the unit may still be at its last step."""
    until("the root to be read-only", lambda: board.machine.check("findmnt -no OPTIONS /").startswith("ro,"))


def no_unit_failed(board):
    look = "systemctl is-system-running"
    until("the start to end", lambda: board.machine.run(look).out.strip() in ("running", "degraded"))
    assert board.machine.check("systemctl --failed --no-legend --plain") == ""
    assert "ordering cycle" not in board.machine.check("journalctl --no-pager --boot _PID=1")
    assert board.machine.check("systemctl is-active multi-user.target rpmu.service ssh.service rpmu-firewall.service")


def test_multi_user_without_a_failed_unit(board):
    no_unit_failed(board)


def test_the_setup_file_is_applied(board):
    assert board.machine.check("hostname").strip() == "rpmu-test"
    show = board.rpmu("config", "show", "--plain")
    assert show.returncode == 0, show.stderr
    assert 'name = "CELLAR"' in show.stdout
    assert f"idcode = {IDCODE}" in show.stdout
    assert '"10.0.2.0/24"' in show.stdout
    assert "define pdc_v4 = { 10.0.2.0/24 }" in board.machine.check("cat /etc/rpmu/nftables.conf")


def test_the_data_fill_the_card(board):
    size = PARTITIONS[-1].size + MORE_ROOM
    look = "df --output=size -B1 /data | tail -1"
    until("the data partition to grow", lambda: int(board.machine.check(look)) > 0.9 * size)
    assert int(board.machine.check("cat /sys/block/vda/vda4/size")) * 512 == size
    assert "has grown to 384 MB" in board.machine.check("journalctl --no-pager -u rpmu-grow-data")


def test_a_pdc_outside_gets_what_the_outlet_does(board):
    board.locked()
    stream, seen = frames(board, 60)
    assert stream.pmus[0].name.strip() == "CELLAR"
    stamps = [frame.time_ns for frame in seen]
    assert {round((b - a) * 60 / 1e9) for a, b in pairwise(stamps)} == {1}, "without a gap"
    for frame in seen:
        assert frame.pmus[0].frequency_hz == pytest.approx(HZ, abs=0.005)
        assert abs(frame.pmus[0].phasors[0]) == pytest.approx(120.0, rel=0.005)
        assert frame.pmus[0].stat.in_sync


def test_only_two_ports_are_open(board):
    rules = board.machine.check("nft list ruleset")
    assert rules.count("policy drop") == 2
    assert set(re.findall(r"(?:tcp|th) dport (\d+)", rules)) == {"22", "4712"}


@pytest.mark.parametrize(
    "line", ["sh", "cat /etc/shadow", "config apply /etc/shadow", "status; id", "scp -t /tmp", "update recover", "id"]
)
def test_everything_else_is_refused(board, line):
    done = board.ssh("rpmu-admin@board", line)
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"is not permitted" in done.stderr or b"may not have" in done.stderr


def test_no_other_user_no_password_no_forwarding(board):
    for user in ("root", "rpmu", "debian"):
        assert board.ssh("-o", "BatchMode=yes", f"{user}@board", "id").returncode == 255
    stranger = board.ssh("rpmu-admin@board-with-a-strange-key", "status")
    assert stranger.returncode == 255
    assert b"Permission denied" in stranger.stderr
    forward = board.ssh("-W", "127.0.0.1:4712", "rpmu-admin@board")
    assert forward.returncode == 255
    assert b"prohibited" in forward.stderr or b"refused" in forward.stderr or b"failed" in forward.stderr
    assert "refused" in board.machine.check("journalctl --no-pager -t rpmu-admin")


def test_the_verbs_work(board):
    for words in (["status", "--json"], ["config", "schema"], ["config", "revisions"], ["update", "status"], ["logs"]):
        done = board.rpmu(*words)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    assert json.loads(board.rpmu("doctor", "--json").stdout)["findings"]


def test_apply_confirm_and_rollback(board):
    change = board.started("config", "set", *PATIENTLY, "station.name=ATTIC")
    awaits_confirmation(board)
    assert "awaits" in board.rpmu("config", "revisions").stdout
    confirmed = board.rpmu("config", "confirm")
    assert confirmed.returncode == 0, confirmed.stderr
    out, error = change.communicate(timeout=PATIENCE_S)
    assert change.returncode == 0, (out, error)
    board.locked()
    until("the new name, which is announced first", lambda: frames(board, 3)[0].pmus[0].name.strip() == "ATTIC")
    back = board.rpmu("config", "rollback")
    assert back.returncode == 0, back.stderr
    board.locked()
    until("the old name", lambda: frames(board, 3)[0].pmus[0].name.strip() == "CELLAR")


def test_a_change_that_nobody_confirms_is_undone(board):
    done = board.rpmu("config", "set", "--confirm-within", "5", "--well-within", "3600", "station.name=LOST")
    assert done.returncode == 1
    assert "undone" in done.stdout
    assert 'name = "CELLAR"' in board.rpmu("config", "show").stdout


def test_a_configuration_that_breaks_the_daemon_is_undone(board):
    done = board.rpmu("config", "set", *PATIENTLY, "gps.device=/dev/nowhere")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "undone" in done.stdout
    assert "/dev/pmu-gnss" in board.rpmu("config", "show", "--plain").stdout
    board.locked()
    frames(board, 5)


def test_a_daemon_that_hangs_is_started_again(board):
    count = "systemctl show -P NRestarts rpmu.service"
    before = int(board.machine.check(count))
    board.machine.check("kill -STOP $(systemctl show -P MainPID rpmu.service)")
    until("the watchdog", lambda: int(board.machine.check(count)) > before)
    board.locked()
    frames(board, 5)


def test_a_full_disk_stops_no_frame_and_changes_no_configuration(board, packages):
    board.machine.check("fallocate -l $(($(df --output=avail -B1M /data | tail -1) - 8))M /data/filler")
    # what the file system had set aside comes free as it is synchronised
    board.machine.run("for i in $(seq 3); do dd if=/dev/zero of=/data/rest.$i bs=1k; sync; done")
    assert board.machine.run("echo x > /data/more && cat /data/more").out.strip() != "x", "it is full"
    done = board.rpmu("config", "set", "--confirm-within", "0", "station.name=FULL")
    assert done.returncode == 4, done.stderr
    assert "the disk not full" in done.stderr
    done = board.rpmu("update", publish(board, packages["good"]))
    assert done.returncode, done.stdout
    assert "MB free" in done.stdout + done.stderr
    frames(board, 5)
    board.machine.check("rm -f /data/filler /data/rest.* /data/more; sync")
    assert 'name = "CELLAR"' in board.rpmu("config", "show").stdout


def test_the_log_stays_in_memory_and_small(board):
    # 900 lines that cannot be compressed, 30 MB in all: fewer than are let pass, and more than there is room for
    board.machine.check("head -c 30000000 /dev/urandom | base64 -w 44444 | head -n 900 > /tmp/long")
    board.machine.check("logger --size 45k --file /tmp/long; rm /tmp/long")
    board.machine.check("journalctl --sync")
    kilobytes = int(board.machine.check("du -sk /run/log/journal | cut -f1"))
    assert 8 * 1024 < kilobytes <= 17 * 1024, "no more than the limit, which was reached"
    assert board.machine.run("ls /var/log/journal").out.strip().endswith("No such file or directory")


def test_an_update_by_a_stranger_is_refused(board, packages):
    done = board.rpmu("update", publish(board, packages["good"], "stranger"))
    assert done.returncode == 1
    assert "not by a key" in done.stdout, done.stdout + done.stderr


def test_a_signed_update_is_installed_and_rolled_back(board, packages):
    before = VERSION.search(board.rpmu("update", "status").stdout)[1]
    done = board.rpmu("update", publish(board, packages["good"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0.9.1 is installed" in done.stdout
    assert VERSION.search(board.rpmu("update", "status").stdout)[1] == "0.9.1"
    board.locked()
    frames(board, 5)
    done = board.rpmu("update", "rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert VERSION.search(board.rpmu("update", "status").stdout)[1] == before
    assert board.machine.check("dpkg --audit") == ""
    root_is_read_only(board)


def test_an_update_that_does_not_measure_is_undone(board, packages):
    board.locked()
    health(board, 30)
    done = board.rpmu("update", publish(board, packages["broken"]))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "is installed again, because 0.9.2 failed: the daemon does not answer" in done.stdout
    board.locked()
    frames(board, 5)


def test_a_power_cut_in_the_middle_of_two_changes(board, packages):
    """A configuration that awaits its confirmation, and dpkg at work: both are undone at the next start.

    What was confirmed before stays, and so do the board's identity and its calibration.
    """
    health(board, 300)
    calibrated(board)
    kept = ("station.name=KEPT", "calibration.certificate=/etc/rpmu/calibration", "calibration.serial=TWIN-7")
    done = board.rpmu("config", "set", "--confirm-within", "0", *kept)
    assert done.returncode == 0, done.stdout + done.stderr
    until("the certificate to be in use", lambda: (board.status() or {}).get("calibrated"))
    origin = board.locked()["calibration"]
    identity = board.machine.check("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub")
    version = board.machine.check("rpmu --version")
    change = board.started("config", "set", *PATIENTLY, "station.name=UNSURE")
    awaits_confirmation(board)
    update = board.started("update", publish(board, packages["next"]))
    look = "cat /var/lib/rpmu-update/state.json"
    at_work = f"grep -q {INSTALLING} /var/lib/rpmu-update/state.json && pgrep -x dpkg"
    until("dpkg to work", lambda: board.machine.run(at_work).code == 0, pause_s=1.0)
    board.machine.cut_power()
    for process in (change, update):
        process.communicate(timeout=PATIENCE_S)
    board.machine.start()
    no_unit_failed(board)
    assert board.machine.check("rpmu --version") == version
    assert json.loads(board.machine.check(look))["phase"] == RETURNED
    root_is_read_only(board)
    assert board.machine.check("dpkg --audit; ls /var/lib/rpmu-update/recover 2>/dev/null || true") == ""
    assert board.machine.check("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub") == identity
    assert 'name = "KEPT"' in board.rpmu("config", "show", "--plain").stdout
    assert board.locked()["calibration"] == origin
    assert frames(board, 5)[0].pmus[0].name.strip() == "KEPT"


def test_it_shuts_down_cleanly(board):
    board.machine.run("systemctl poweroff --no-block")
    board.machine.await_power_off()
    disk = board.folder / "card.img"
    _, parts = read_table(disk)
    for number in (2, 4):
        part = parts[number - 1]
        words = ["dd", "status=none", f"if={disk}", f"of={board.folder}/p{number}", "bs=1M"]
        words += [f"skip={part.start >> 20}", f"count={part.size >> 20}", "conv=sparse"]
        subprocess.run(words, check=True)
        done = subprocess.run(["e2fsck", "-fn", f"{board.folder}/p{number}"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
