"""The units by systemd's own tools, and what the daemon tells the service manager."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rpmu.service import Heartbeat, Notifier
from rpmu.timing.states import LockState
from tests.e2e.rig import run_chain

UNITS = Path(__file__).parents[2] / "systemd"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze (Debian package systemd)")


@pytest.fixture
def manager(tmp_path):
    """A service manager's socket; returns its path and a function that reads what was said."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)

        def heard():
            try:
                return listener.recv(4096).decode().splitlines()
            except BlockingIOError:
                return []

        yield str(path), heard


@needs_systemd
def test_hardening_is_three_or_better():
    printed = subprocess.run(
        [ANALYZE, "security", "--offline=true", "--no-pager", str(UNITS / "rpmu.service")],
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    level = re.search(r"Overall exposure level for rpmu.service: ([\d.]+)", printed)
    if level is None:
        pytest.skip("this systemd-analyze cannot judge units offline (systemd 252 or newer can)")
    assert float(level[1]) <= 3.0


@pytest.mark.parametrize("unit", sorted(path.name for kind in ("service", "path") for path in UNITS.glob(f"*.{kind}")))
def test_units_have_no_unknown_or_misspelt_setting(unit, tmp_path):
    if ANALYZE is None:
        pytest.skip("needs systemd-analyze (Debian package systemd)")
    for path in (*UNITS.glob("*.service"), *UNITS.glob("*.path")):
        shutil.copy(path, tmp_path)
    said = subprocess.run(
        [ANALYZE, "verify", "--man=no", str(tmp_path / unit)], capture_output=True, text=True, timeout=60
    ).stderr
    lines = [line for line in said.splitlines() if "not executable" not in line]  # nothing is installed here
    assert not [line for line in lines if "Unknown" in line or "Failed to parse" in line or "Invalid" in line], lines


@pytest.mark.parametrize("file", ["50-rpmu-watchdog.conf", "50-rpmu-journal.conf"])
def test_drop_ins_are_read_by_systemd(file, tmp_path):
    """systemd's own reader, asked for the effective settings of a root with nothing but this file."""
    if ANALYZE is None:
        pytest.skip("needs systemd-analyze (Debian package systemd)")
    main = {"50-rpmu-watchdog.conf": "systemd/system.conf", "50-rpmu-journal.conf": "systemd/journald.conf"}[file]
    folder = tmp_path / "usr/lib" / f"{main}.d"
    folder.mkdir(parents=True)
    shutil.copy(UNITS / file, folder)
    words = [ANALYZE, "cat-config", f"--root={tmp_path}", main]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (UNITS / file).read_text().splitlines()[-1] in done.stdout


@pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft (Debian package nftables)")
def test_the_packet_filter_is_valid_and_closed_but_for_two_ports():
    """Loaded twice into a network of its own, as a reload does."""
    words = [
        "unshare",
        "--net",
        "sh",
        "-c",
        f"nft -f {UNITS}/nftables.conf; nft -f {UNITS}/nftables.conf; nft list ruleset",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if "Operation not permitted" in done.stderr:
        pytest.skip("needs root to make a network of its own")
    assert done.stderr == ""
    assert done.stdout.count("policy drop") == 2
    assert set(re.findall(r"(?:tcp|th) dport (\d+)", done.stdout)) == {"22", "4712"}
    assert all("saddr" in line for line in done.stdout.splitlines() if re.search("(tcp|th) dport", line))


def test_without_a_manager_nothing_is_said():
    Notifier({}).tell("READY=1")
    assert Notifier({}).watchdog_s == 0


def test_the_manager_hears(manager):
    path, heard = manager
    notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000"})
    notifier.tell("READY=1", "STATUS=up")
    assert heard() == ["READY=1", "STATUS=up"]
    assert notifier.watchdog_s == 30


def test_the_watchdog_is_fed_only_while_work_is_done(manager):
    path, heard = manager
    status = run_chain(7, source="nominal").status
    heart = Heartbeat(Notifier({"NOTIFY_SOCKET": path}))
    assert heart.beat(status)
    assert heard()[0] == "WATCHDOG=1"
    assert not heart.beat(status), "no new frame since"
    assert heard()[0].startswith("STATUS=locked")
    more = replace(status, ring=replace(status.ring, samples=status.ring.samples + 1))
    assert not heart.beat(more), "with a time, samples alone are not enough"
    waiting = replace(more, time=replace(more.time, state=LockState.ACQUIRING))
    waiting = replace(waiting, ring=replace(waiting.ring, samples=waiting.ring.samples + 1))
    assert heart.beat(waiting), "without one, they are"
    sent = replace(status, server=replace(status.server, frames_published=status.server.frames_published + 1))
    assert heart.beat(sent)
