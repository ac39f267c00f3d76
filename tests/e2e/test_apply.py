"""`rpmu config apply` on a running daemon, from a shell: the twin is a process of its own, told by SIGHUP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from contextlib import suppress

import pytest

from rpmu.pdc import PdcClient
from tests.e2e.board import FIRST, RPMU, Board


@pytest.fixture
def board(tmp_path):
    board = Board(tmp_path)
    try:
        board.until(lambda status: status["time"]["state"] == "locked")
        yield board
    finally:
        assert board.stop() == 0


class Watching:
    """A PDC that stays connected while a command runs; keeps the frames, and the daemon's states of time."""

    def __init__(self, board):
        self.board, self.frames, self.states = board, [], []

    def during(self, command):
        return asyncio.run(self._during(command))

    async def _during(self, command):
        async with PdcClient("127.0.0.1", self.board.port, 1) as client:
            await client.configuration()
            tasks = [asyncio.create_task(self._collect(client)), asyncio.create_task(self._look())]
            try:
                return await asyncio.to_thread(command)
            finally:
                for task in tasks:
                    task.cancel()

    async def _collect(self, client):
        async for frame in client.frames():
            self.frames.append(frame)

    async def _look(self):
        while True:
            with suppress(OSError):
                status = await asyncio.to_thread(lambda: self.board.status)
                self.states.append(status["time"]["state"])
            await asyncio.sleep(0.5)


SECOND = FIRST.replace("ONE", "TWO").replace("[server]", "reporting_rate_per_s = 30\n[server]")
SECOND += 'access = ["127.0.0.0/8"]\n'


@pytest.mark.slow
def test_changes_are_taken_examined_and_undone(board):
    take_a_good_one(board)
    undo_one_that_nobody_confirms(board)
    undo_one_with_swapped_inputs(board)
    undo_one_without_a_clock(board)
    undo_one_that_is_refused(board)
    revisions = subprocess.run(
        [*RPMU, "config", "revisions", "--store", str(board.store)], capture_output=True, text=True, timeout=60
    )
    assert "2 (in force)" in revisions.stdout


def take_a_good_one(board):
    """Announced, then in every frame, without a disturbance of the time or a loss."""
    watching = Watching(board)
    done = watching.during(lambda: board.apply(SECOND))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith('[station] name: "ONE" -> "TWO"; announced to PDCs (2 s of STAT bit 10')
    assert lines[-1] == "in force"
    assert "the daemon does as well as before" in lines
    seen = [frame.config.pmus[0].name.strip() for frame in watching.frames]
    change = seen.index("TWO")
    assert seen == ["ONE"] * change + ["TWO"] * (len(seen) - change)
    announced = [frame.pmus[0].stat.config_change for frame in watching.frames]
    assert 120 <= sum(announced) <= 180
    assert not any(announced[change:])
    assert [frame.config.pmus[0].cfgcnt for frame in watching.frames[change:]] == [1] * (len(seen) - change)
    assert set(watching.states) == {"locked"}
    status = board.status
    assert (status["time"]["counters"]["resyncs"], status["pru_restarts"], status["drops"]) == (0, 0, 0)
    assert status["configuration"]["loads"] == 1


def undo_one_that_nobody_confirms(board):
    """Nothing is wrong with it, but whoever sent it does not come back."""
    watching = Watching(board)
    done = watching.during(lambda: board.apply(SECOND.replace("TWO", "THREE"), "--confirm-within", "4"))
    assert done.returncode == 1
    assert "undone: it was not confirmed in time" in done.stdout
    board.until(lambda status: status["stream"]["name"] == "TWO" and status["stream"]["change_in_s"] is None)
    assert set(watching.states) == {"locked"}


def undo_one_with_swapped_inputs(board):
    """It takes the pulse for the mains and the mains for pulses.

    The sampling starts anew for it, and once more without it, and the clock is carried through both.
    """
    watching = Watching(board)
    swapped = SECOND + '[sampling]\npps_ain = 0\n[[channel]]\nname = "VA"\nain = 1\n'
    done = watching.during(lambda: board.apply(swapped, "--well-within", "6"))
    assert done.returncode == 1, done.stdout
    assert "the sampling starts anew" in done.stdout
    assert "the time is holdover, and was locked" in done.stdout
    assert "undone: the daemon did worse with it" in done.stdout
    board.until(lambda status: status["time"]["counters"]["carried"] == 2 and status["time"]["state"] == "locked")
    assert set(watching.states) <= {"locked", "holdover"}
    status = board.status
    assert (status["time"]["counters"]["resyncs"], status["pru_restarts"]) == (0, 0)


def undo_one_without_a_clock(board):
    """It is fine as a file, and breaks the flow: no clock is there to take the time from."""
    done = board.apply(SECOND + '[time]\nsource = "system"\n', "--well-within", "6")
    assert done.returncode == 1, done.stdout
    assert "undone: the daemon did worse with it" in done.stdout
    assert "the clock starts anew" in done.stdout
    assert (board.store / "current").read_text() == SECOND
    board.until(lambda status: status["time"]["state"] == "locked")


def undo_one_that_is_refused(board):
    """The daemon cannot listen where it says."""
    done = board.apply(SECOND.replace("127.0.0.1:0", "192.0.2.1:4712"))
    assert done.returncode == 1
    assert "cannot listen on 192.0.2.1:4712" in done.stdout
    assert board.status["configuration"]["refused"] == "", "the one before is in force again"
    assert board.status["time"]["state"] == "locked"


def test_a_signal_with_a_wrong_file_changes_nothing_and_says_why(board):
    (board.store / "current").write_text("[station]\nidcod = 3\n")
    os.kill(board.process.pid, signal.SIGHUP)
    board.until(lambda status: status["configuration"]["loads"] == 1)
    refused = board.status["configuration"]["refused"]
    assert f"{board.store / 'current'}:2: [station] idcod is not a known key: did you mean idcode?" in refused
    assert board.status["time"]["state"] == "locked"
    assert json.loads(json.dumps(board.status))["stream"]["name"] == "ONE"
