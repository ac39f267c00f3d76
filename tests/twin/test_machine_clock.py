"""The twin by the clock of an emulated machine: it stands still with it, and does not catch up faster than it goes."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys

import pytest

from rpmu.cli.main import main
from rpmu.errors import HardwareError
from rpmu.twin.pacing import MOST_LAG_S, MachineClock, Pacer
from rpmu.twin.pty_port import PtyPort
from rpmu.twin.world import Twin, TwinSettings

START_NS = 1_795_000_000 * 10**9
SPEED = 0.5
STEP_S = 0.005


class StandsStillError(Exception):
    """The clock was asked again and again."""


class Clock:
    """Stands still until the test moves it."""

    def __init__(self):
        self.time_s = 0.0
        self.looks = 0

    def now_s(self):
        self.looks += 1
        if self.looks > 5:
            raise StandsStillError
        return self.time_s


@pytest.fixture
def rig():
    """A twin, its clock, and what lets it go on until it waits for the clock."""
    clock, twin = Clock(), Twin(TwinSettings(START_NS))
    pacer = Pacer(twin, SPEED, clock)

    def go_on():
        while True:
            clock.looks = 0
            try:
                asyncio.run(pacer.pace(STEP_S))
            except StandsStillError:
                return twin.elapsed_s

    yield pacer, clock, go_on
    pacer.close()


def test_it_goes_with_the_clock_and_stands_still_with_it(rig):
    _, clock, go_on = rig
    start_s = go_on()
    assert start_s == pytest.approx(STEP_S), "a step, and it waits"
    for step in range(1, 10):
        clock.time_s = step * 0.010
        assert go_on() - start_s == pytest.approx(SPEED * clock.time_s, abs=STEP_S)


def test_what_it_lags_behind_is_given_up(rig):
    pacer, clock, go_on = rig
    start_s = go_on()
    clock.time_s = 5.0
    assert 0 < go_on() - start_s <= SPEED * MOST_LAG_S + 2 * STEP_S
    assert pacer.worst_lag_s == pytest.approx(5.0 - STEP_S / SPEED - STEP_S / SPEED, abs=1e-6)
    before_s, clock.time_s = go_on(), 5.1
    assert go_on() - before_s > SPEED * MOST_LAG_S, "and goes on as before"


def test_the_clock_is_a_word_in_a_page_that_somebody_else_writes(tmp_path):
    page = tmp_path / "clock"
    clock = MachineClock(page)
    assert clock.now_s() == 0
    assert page.stat().st_size == 4096
    with page.open("r+b") as file:
        file.write(struct.pack("=I", 12_345))
    assert clock.now_s() == pytest.approx(12.345)


def test_a_clock_needs_a_place_and_hardware_to_drive(tmp_path, capsys):
    with pytest.raises(HardwareError, match="cannot make the clock's page"):
        MachineClock(tmp_path / "nowhere/clock")
    assert main(["twin", "--clock", str(tmp_path / "clock")]) == 3
    assert "--clock goes with --stand-in only" in capsys.readouterr().err


def test_it_ends_when_told_though_the_clock_stands_still(tmp_path):
    words = [sys.executable, "-m", "rpmu", "twin", "--stand-in", str(tmp_path), "--clock", str(tmp_path / "clock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert "a board's hardware in" in process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 0


def test_a_reader_that_is_not_in_step_is_not_waited_for(monkeypatch):
    """It may have taken what the twin would look for: the twin stood still for two seconds then."""
    line = PtyPort(in_step=False)
    monkeypatch.setattr(line, "_waiting", lambda: 0)
    monkeypatch.setattr("rpmu.twin.pty_port.time.sleep", lambda _: pytest.fail("it waited"))
    line.write(b"$GPRMC")
    line.close()
