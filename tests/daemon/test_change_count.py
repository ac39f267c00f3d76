"""CFGCNT goes on across restarts: up by one where PDCs see another configuration, as it was where they do not."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from rpmu import rooms
from rpmu.change_count import ChangeCount, digest
from rpmu.cli import run
from rpmu.config import parse
from rpmu.daemon import Daemon
from rpmu.daemon_run import Pending

ONE = parse(b"")
OTHER = parse(b'[station]\nname = "ELSEWHERE"')
UNSEEN = parse(b"[server]\nmax_clients = 7")


def started(file, config=ONE):
    """A daemon of this configuration, as `rpmu run` makes it, and what it counts with."""
    changes = ChangeCount(file)
    link = type("NoLink", (), {})()
    return Daemon(config, rooms.calibration(config), link, None, asyncio.sleep, changes=changes), changes


def count_after(file, *configs):
    """CFGCNT of the last of several daemons, one after the other."""
    for config in configs:
        daemon, changes = started(file, config)
        changes.finish()
    return daemon.stream.pmus[0].cfgcnt


def test_it_begins_at_0_and_stays_where_nothing_changes(tmp_path):
    assert count_after(tmp_path / "c.json", ONE) == 0
    assert count_after(tmp_path / "c.json", ONE, UNSEEN, ONE) == 0


def test_a_change_while_the_daemon_was_down_is_seen(tmp_path):
    assert count_after(tmp_path / "c.json", ONE, OTHER) == 1
    assert count_after(tmp_path / "c.json", OTHER) == 1
    assert count_after(tmp_path / "c.json", ONE) == 2


def test_a_change_while_it_runs_is_kept(tmp_path):
    daemon, changes = started(tmp_path / "c.json")
    stream = rooms.stream(OTHER, rooms.calibration(OTHER))
    stream = replace(stream, pmus=(replace(stream.pmus[0], cfgcnt=1),))
    daemon._take_over(Pending(OTHER, rooms.calibration(OTHER), stream, 0, None))
    changes.finish()
    assert count_after(tmp_path / "c.json", OTHER) == 1
    assert count_after(tmp_path / "c.json", ONE) == 2


def test_it_turns_over(tmp_path):
    file = tmp_path / "c.json"
    count_after(file, ONE)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"cfgcnt": 65535}))
    assert count_after(file, ONE) == 65535
    assert count_after(file, OTHER) == 0


def test_clients_are_answered_with_it(tmp_path):
    count_after(tmp_path / "c.json", ONE, OTHER)
    daemon, changes = started(tmp_path / "c.json", OTHER)
    changes.finish()
    assert daemon.server.configuration.pmus[0].cfgcnt == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"sha256": "x", "cfgcnt": 65536}', '{"sha256": 1, "cfgcnt": true}']
)
def test_a_broken_file_costs_a_line_and_is_mended(tmp_path, caplog, content):
    file = tmp_path / "c.json"
    file.write_text(content)
    assert count_after(file, ONE) == 0
    assert "CFGCNT begins at 0" in caplog.text
    assert count_after(file, OTHER) == 1


def test_a_place_that_cannot_be_written_costs_a_line(tmp_path, caplog):
    assert count_after(tmp_path / "nowhere" / "c.json", ONE) == 0
    assert "after a restart CFGCNT may not go on" in caplog.text


def test_time_and_count_are_no_change():
    stream = rooms.stream(ONE, rooms.calibration(ONE))
    later = replace(stream, soc=stream.soc + 9, pmus=(replace(stream.pmus[0], cfgcnt=5),))
    assert digest(later) == digest(stream) != digest(rooms.stream(OTHER, rooms.calibration(OTHER)))


def test_the_service_managers_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert run._change_count() is None
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/elsewhere")
    changes = run._change_count()
    changes.resumed(rooms.stream(ONE, rooms.calibration(ONE)))
    changes.finish()
    assert (tmp_path / "cfgcnt.json").exists()
