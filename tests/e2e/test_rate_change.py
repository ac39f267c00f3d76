"""A PDC chooses another reporting rate while it streams: announced, taken up on a full second, nothing lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from rpmu import rooms
from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.daemon import Daemon
from rpmu.pdc import PdcClient
from rpmu.twin.faults import parse_faults
from rpmu.twin.pacing import MAX_SPEED, Pacer
from rpmu.twin.pty_port import PtyPort
from rpmu.twin.world import Twin, TwinSettings
from tests.e2e.rig import START_NS, configuration

NOTICE_S = 3


async def stream_with_request(rate, seconds, allowed, faults="", notice_s=NOTICE_S):
    """Run the chain, ask for a rate at 8 s, and return the frames and the daemon's last status."""
    config = configuration()
    config = replace(config, server=replace(config.server, selectable_rates_per_s=allowed, notice_s=notice_s))
    line = PtyPort()
    twin = Twin(TwinSettings(start_ns=START_NS, faults=tuple(parse_faults(faults)) if faults else ()), line)
    pacer = Pacer(twin, MAX_SPEED)
    daemon = Daemon(config, rooms.calibration(config), twin.link(), SerialGpsPort(line.device), pacer.pace)
    await daemon.start()
    frames, asked = [], False
    async with PdcClient(*daemon.server.addresses[0][:2], config.station.idcode) as client:
        await client.configuration()

        async def collect():
            async for frame in client.frames():
                frames.append(frame)

        collector = asyncio.create_task(collect())
        while twin.elapsed_s < seconds:
            await daemon.step()
            if not asked and twin.elapsed_s > 8:
                client.request_rate(rate)
                asked = True
        await asyncio.sleep(0.3)
        collector.cancel()
    status = daemon.status
    await daemon.stop()
    pacer.close()
    twin.close()
    return frames, status


@pytest.mark.slow
def test_it_is_announced_and_taken_up_without_a_gap():
    frames, status = asyncio.run(stream_with_request(10, 18, (10, 30)))
    rates = [frame.config.data_rate for frame in frames]
    change = rates.index(10)
    assert rates == [60] * change + [10] * (len(rates) - change)
    assert len(rates) - change > 20
    assert frames[change].stamp.fracsec == 0, "it begins on a full second"
    times = np.array([frame.time_ns for frame in frames])
    assert np.diff(times[:change]).max() < 17e6
    assert np.diff(times[change:]).max() < 101e6
    assert times[change] - times[change - 1] < 17e6, "nothing is missing between the old and the new"
    announced = [frame.pmus[0].stat.config_change for frame in frames]
    assert sum(announced) == pytest.approx(60 * NOTICE_S, abs=60)
    assert not any(announced[change:])
    assert frames[-1].config.pmus[0].cfgcnt == frames[0].config.pmus[0].cfgcnt + 1
    assert status.time.locked
    assert status.pru_restarts == 0
    assert frames[-1].pmus[0].frequency_hz == pytest.approx(60, abs=1e-3)


def test_it_is_refused_unless_configured():
    frames, _ = asyncio.run(stream_with_request(10, 11, ()))
    assert {frame.config.data_rate for frame in frames} == {60}


def test_a_restart_of_the_pru_during_the_notice_does_not_bring_the_new_rate_early():
    frames, status = asyncio.run(
        stream_with_request(10, 22, (10,), "adc_stall@9=5", notice_s=10)
    )  # locked again before
    assert status.pru_restarts == 1
    times = [frame.stamp for frame in frames]
    assert times == sorted(set(times)), "no stamp twice, none out of order"
    rates = [frame.config.data_rate for frame in frames]
    change = rates.index(10)
    assert rates == [60] * change + [10] * (len(rates) - change)
    steps = np.diff([frame.time_ns for frame in frames[:change]])
    assert np.count_nonzero(steps > 17e6) == 1, "sixty a second until then, but for the hole of the restart"
    grid = {frame.stamp.fracsec for frame in frames[change:]}
    assert grid == {100_000 * index for index in range(10)}
