"""A recorded stretch of a PMU's life, run again through the whole daemon, measures the same."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from rpmu import rooms
from rpmu.acquire.recording import Recorder
from rpmu.acquire.replay import ReplayLink
from rpmu.cli.main import main
from rpmu.daemon import Daemon
from rpmu.twin.crystal import CrystalSettings
from tests.e2e.rig import configuration, run_chain

SECONDS = 12


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run on the twin: its measurements and its recording."""
    path = tmp_path_factory.mktemp("recording") / "outlet.rpmu"
    outcome = run_chain(SECONDS, recorder=Recorder(path), source="grid", crystal=CrystalSettings(ppm=-31.0))
    return path, [m for m in outcome.measurements if m.valid]


async def replayed(path):
    config = configuration()
    link = ReplayLink(path, speed=None)
    measurements = []
    daemon = Daemon(config, rooms.calibration(config), link, link.gps, link.pace, measurements.append)
    await daemon.start()
    try:
        while not link.finished:
            await daemon.step()
    finally:
        await daemon.stop()
    return [m for m in measurements if m.valid]


def test_a_replay_measures_what_was_measured(recorded):
    path, before = recorded
    after = {m.time_ns: m for m in asyncio.run(replayed(path))}
    both = [(m, after[m.time_ns]) for m in before if m.time_ns in after]
    assert len(both) >= len(before) - 60 > 200, "at most a second later or earlier locked"
    first, second = (np.array([pair[side].phasors for pair in both]) for side in (0, 1))
    # PPS edges may reach the clock one poll earlier or later than then, which moves times by nanoseconds.
    assert np.abs(second / first - 1).max() < 2e-5
    assert max(abs(a.frequency_hz - b.frequency_hz) for a, b in both) < 5e-5


def test_rpmu_run_replays_to_the_end(recorded, tmp_path, monkeypatch):
    path, _ = recorded
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    config = tmp_path / "rpmu.toml"
    config.write_text('[server]\nlisten = ["127.0.0.1:0"]\n')
    again = tmp_path / "again.rpmu"
    options = ["--config", str(config), "--replay", str(path), "--speed", "0", "--record", str(again)]
    assert main(["run", *options]) == 0
    assert again.stat().st_size > 0.9 * path.stat().st_size


def test_other_settings_than_recorded_are_named(recorded, tmp_path, capsys):
    path, _ = recorded
    config = tmp_path / "rpmu.toml"
    config.write_text("[sampling]\ndecimation = 10\n")
    assert main(["run", "--config", str(config), "--replay", str(path)]) == 3
    assert "was recorded with decimation 5, but the configuration says 10" in capsys.readouterr().err


def test_a_speed_that_is_none(tmp_path, capsys):
    assert main(["run", "--replay", str(tmp_path / "x"), "--speed", "-1"]) == 3
    assert "--speed is -1" in capsys.readouterr().err
