"""The status: over its socket, as JSON, and in words."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys

import pytest

from rpmu.errors import HardwareError
from rpmu.serve import status_socket
from rpmu.serve.status_socket import StatusSocket, read_status
from rpmu.status import as_lines, as_object, plain
from tests.e2e.rig import run_chain


def test_it_goes_over_the_socket(tmp_path):
    path = tmp_path / "status.sock"

    async def main():
        asked = iter(range(10))
        server = StatusSocket(path, lambda: {"asked": next(asked)})
        assert await server.start() == ""
        first = await asyncio.to_thread(read_status, path)
        second = await asyncio.to_thread(read_status, path)
        assert "another daemon answers" in await StatusSocket(path, dict).start(), "a living daemon keeps its socket"
        assert "no socket at" in await StatusSocket(path.parent / "nowhere/x.sock", dict).start()
        await server.stop()
        return first, second

    assert asyncio.run(main()) == ({"asked": 0}, {"asked": 1})
    assert not path.exists()


def test_a_dead_socket_is_replaced(tmp_path):
    path = tmp_path / "status.sock"
    path.touch()

    async def main():
        server = StatusSocket(path, lambda: {"a": 1})
        started = await server.start()
        answer = await asyncio.to_thread(read_status, path)
        await server.stop()
        return started, answer

    assert asyncio.run(main()) == ("", {"a": 1})


def test_nobody_there_is_one_sentence(tmp_path):
    with pytest.raises(HardwareError, match=r"no daemon answers at .*rpmu twin"):
        read_status(tmp_path / "none.sock")
    done = subprocess.run(
        [sys.executable, "-m", "rpmu", "status", "--socket", str(tmp_path / "none.sock")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1


def test_the_object_is_json_and_the_lines_are_readable():
    status = run_chain(7, source="nominal").status
    whole = as_object(status)
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert whole["time"]["state"] == "locked"
    assert whole["drops"] == 0
    lines = as_lines(whole)
    assert lines[0].startswith("time        locked")
    assert any("satellites" in line for line in lines)
    assert "stream      RPMU (IDCODE 1), class M, 60 reports/s, configuration change 0" in lines
    assert not any("None" in line or "nan" in line for line in lines)


def test_a_refused_configuration_and_an_announced_change_are_shown():
    whole = as_object(run_chain(7, source="nominal").status)
    whole["stream"] |= {"change_in_s": 12.0, "reporting_rate_per_s": -10}
    whole["configuration"] = {"file": "/etc/rpmu/rpmu.toml", "sha256": "", "loads": 1, "refused": "line 3: no"}
    lines = as_lines(whole)
    assert any("a report in 10 s, configuration change 0, the next one in 12 s" in line for line in lines)
    assert "config      /etc/rpmu/rpmu.toml; the last one was REFUSED: line 3: no" in lines


def test_what_json_lacks_is_null():
    assert plain({"a": float("inf"), "b": [float("nan"), 1.5], 3: ("x",)}) == {"a": None, "b": [None, 1.5], "3": ["x"]}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A board's run-time folder and a user's own."""
    board, own = tmp_path / "run" / "status.sock", tmp_path / "user"
    own.mkdir()
    monkeypatch.setattr(status_socket, "BOARD_SOCKET", board)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(own))
    return board, own / f"rpmu-{os.getuid()}.sock"


def test_on_a_pc_it_is_the_users_own(places):
    assert status_socket.socket_to_read() == status_socket.default_socket() == places[1]


def test_on_a_board_a_plain_user_asks_the_service(places, monkeypatch):
    board, own = places
    board.parent.mkdir()
    board.touch()
    assert status_socket.socket_to_read() == status_socket.default_socket() == board, "who may write there"
    monkeypatch.setattr(os, "access", lambda *_: False)  # the folder is the service's alone
    assert status_socket.socket_to_read() == board
    assert status_socket.default_socket() == own, "where a twin of his own puts it"
    own.touch()
    assert status_socket.socket_to_read() == own, "and where he finds that"


def test_who_may_not_ask_is_told_how_he_may(tmp_path, monkeypatch):
    class Refusing(socket.socket):
        def connect(self, _address):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(status_socket.socket, "socket", Refusing)
    with pytest.raises(HardwareError, match=r"you may not ask the daemon at .*: use sudo, or .*adduser"):
        read_status(tmp_path / "status.sock")
