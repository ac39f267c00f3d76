"""The host's clock as a source of time: chronyd's answers, and the readings around a scan."""

from __future__ import annotations

import asyncio
import time

import pytest

from rpmu import host_time
from rpmu.acquire import AcquisitionInfo
from rpmu.host_time import HostTime, ask_chrony
from rpmu.timing.system import SystemTimeKeeper

INFO = AcquisitionInfo(1, 7, 50, 5, 3, 3, (25,), "1.0")
TRACKING = (
    "7F7F0101,PTP0,1,1795239000.1,0.000000010,0.00000001,0.00000002,1.5,0.001,0.01,0.000000001,0.000000200,1.0,Normal"
)


def fake_chronyc(tmp_path, text):
    """A command that prints `text` as chronyc would."""
    script = tmp_path / "chronyc"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return (str(script),)


def test_an_answer_is_read(tmp_path):
    tracking = asyncio.run(ask_chrony(fake_chronyc(tmp_path, f"echo '{TRACKING}'")))
    assert tracking.synchronised
    assert tracking.bound_ns == pytest.approx(210, abs=1)


@pytest.mark.parametrize("text", ["echo nonsense", "exit 1", "echo '506 Cannot talk to daemon'"])
def test_no_usable_answer_is_none_and_logged(tmp_path, caplog, text):
    assert asyncio.run(ask_chrony(fake_chronyc(tmp_path, text))) is None
    assert "no usable answer" in caplog.text


def test_no_chrony_is_none_and_says_what_to_do(tmp_path, caplog):
    assert asyncio.run(ask_chrony((str(tmp_path / "nothing"),))) is None
    assert "install chrony" in caplog.text


def test_a_silent_chronyc_is_given_up(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(host_time, "CHRONYC_TIMEOUT_S", 0.2)
    assert asyncio.run(ask_chrony(fake_chronyc(tmp_path, "exec sleep 30"))) is None
    assert "time-out" in caplog.text


def test_readings_give_a_map_that_follows_the_host(tmp_path, monkeypatch):
    monkeypatch.setattr(host_time, "LOOK_S", 0.01)
    monkeypatch.setattr(host_time, "CHRONYC", fake_chronyc(tmp_path, f"echo '{TRACKING}'"))
    begun_ns = time.time_ns()
    rate_hz = 60_000.0

    def newest_scan():
        return int((time.time_ns() - begun_ns) * rate_hz / 1e9)

    async def main():
        keeper = SystemTimeKeeper(INFO)
        clock = HostTime(keeper, newest_scan, rate_hz)
        monkeypatch.setattr(host_time, "ask_chrony", lambda: ask_chrony(host_time.CHRONYC))
        for _ in range(40):
            clock.step()
            await asyncio.sleep(0.02)
        await clock.stop()
        return keeper

    keeper = asyncio.run(main())
    assert keeper.status.counters.edges > 10
    assert keeper.map is not None
    assert keeper.map.utc_ns_at(30_000) == pytest.approx(begun_ns + 500_000_000, abs=5e6)
    assert keeper.map.sigma_ns < 1e7, "chronyd has answered"
