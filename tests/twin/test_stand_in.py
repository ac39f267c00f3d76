"""The twin as hardware in a folder: another process's daemon measures it, dies, comes back; all without scipy."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from rpmu import rooms
from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.acquire.link import shipped_image
from rpmu.acquire.uio import UioLink
from rpmu.config import default
from rpmu.daemon import Daemon
from rpmu.errors import InputError
from rpmu.quiet_loop import QuietLoop
from rpmu.timing.states import LockState
from rpmu.twin.pruss import Pruss
from rpmu.twin.pty_port import PtyPort
from rpmu.twin.world import Twin, TwinSettings

WITHOUT_SCIPY = """
import sys
sys.modules["scipy"] = None
from rpmu.cli.main import main
sys.exit(main())
"""


@pytest.fixture
def stand_in(tmp_path):
    """The folder, and a function that tells what the core went through so far."""
    words = ["twin", "--stand-in", str(tmp_path), "--source", "nominal,frequency_hz=60.1", "--speed", "0.5"]
    log = tmp_path / "log"
    with log.open("w") as file, subprocess.Popen([sys.executable, "-c", WITHOUT_SCIPY, *words], stdout=file) as process:
        while "a board's hardware in" not in log.read_text():
            assert process.poll() is None
            time.sleep(0.01)
        yield tmp_path, lambda: [line.split()[-1] for line in log.read_text().splitlines()[1:]]
        process.terminate()
        assert process.wait(60) == 0


async def patiently(seconds):
    """The pace of a daemon that shares a busy machine with its hardware: its limits of time are five times as long."""
    await asyncio.get_running_loop().wait(5 * seconds)


def daemon_on(folder, seen):
    config = default()
    config = replace(config, server=replace(config.server, listen=("127.0.0.1:0",)))
    config = replace(config, sampling=replace(config.sampling, poll_interval_s=0.02))
    gps = SerialGpsPort(str(folder / "dev/pmu-gnss"), config.gps.baud_rate)
    return Daemon(config, rooms.calibration(config), UioLink(root=folder), gps, patiently, seen.append)


async def until_locked(daemon):
    await daemon.start()
    while daemon.status.time.state is not LockState.LOCKED:
        await daemon.step()
    locked_at = daemon.status.reports
    while daemon.status.reports < locked_at + 60:
        await daemon.step()


@pytest.mark.slow
def test_a_daemon_measures_what_stands_in(stand_in):
    folder, core = stand_in
    dead = UioLink(root=folder)
    dead.load(shipped_image("bin"))
    dead.start()  # and that is the last that was heard of it
    while core() != ["started"]:
        time.sleep(0.01)
    for _ in range(2):  # one finds the core running, the other stopped
        seen = []
        daemon = daemon_on(folder, seen)

        async def run(daemon=daemon):
            await until_locked(daemon)
            await daemon.stop()

        with asyncio.Runner(loop_factory=QuietLoop) as runner:
            runner.run(asyncio.wait_for(run(), 240))
        assert seen[-1].frequency_hz == pytest.approx(60.1, abs=0.002)
        assert abs(seen[-1].phasors[0]) == pytest.approx(120.0, rel=0.002)
        while core()[-1] != "stopped":
            time.sleep(0.01)
    assert core().count("started") >= 3


def test_the_shared_ram_has_one_size():
    pruss = Pruss()
    with pytest.raises(InputError, match="12288 bytes, not 16"):
        pruss.share(memoryview(bytearray(16)).cast("I"))
    pruss.shared_ram[5] = 77
    memory = bytearray(12288)
    pruss.share(memoryview(memory).cast("I"))
    assert pruss.shared_ram[5] == 77
    pruss.shared_ram[6] = 0x01020304
    assert memory[24:28] == b"\x04\x03\x02\x01"


@pytest.mark.parametrize("has_speed", [True, False])
def test_in_slow_motion_the_lines_speed_does_no_harm(has_speed):
    line = PtyPort(has_speed=has_speed)
    port = SerialGpsPort(line.device, 4800)  # the receiver speaks at 9600
    twin = Twin(TwinSettings(start_ns=1_795_000_000 * 10**9), line)
    twin.advance(1.5)
    assert (b"RMC," in port.read()) is not has_speed
    port.close()
    twin.close()
