"""Another configuration while a PDC streams: announced, taken up on a full second, and the time stays locked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from rpmu import rooms
from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.c37118 import DataFrame
from rpmu.config import Channel, Config
from rpmu.daemon import Daemon
from rpmu.daemon_status import DaemonStatus
from rpmu.errors import HardwareError, InputError
from rpmu.pdc import PdcClient
from rpmu.twin.pacing import MAX_SPEED, Pacer
from rpmu.twin.pruss import AdcErrors
from rpmu.twin.pty_port import PtyPort
from rpmu.twin.world import Twin, TwinSettings
from tests.e2e.rig import START_NS, configuration

NOTICE_S = 3
RELOAD_S = 9.0  # by then it is locked
STEP_NS = 17_000_000


@dataclass
class Run:
    """What a run with changes left behind.

    Attributes:
        frames: as the PDC got them.
        statuses: of the daemon at every step from the first change on.
        errors: of the changes that were refused.
    """

    frames: list[DataFrame] = field(default_factory=list)
    statuses: list[DaemonStatus] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    @property
    def times(self):
        return np.array([frame.time_ns for frame in self.frames])

    def of(self, value):
        return [value(frame) for frame in self.frames]


def changed(config: Config, **sections) -> Config:
    """The configuration with other settings: section={"key": value}."""
    return replace(config, **{name: replace(getattr(config, name), **settings) for name, settings in sections.items()})


def start_config(**sections) -> Config:
    return changed(configuration(), **({"server": {"notice_s": NOTICE_S}} | sections))


async def _stream(config, changes, seconds, twin_settings):
    line = PtyPort()
    twin = Twin(TwinSettings(START_NS, pps_pin=14, **twin_settings), line)
    pacer = Pacer(twin, MAX_SPEED)
    run, due = Run(), dict(changes)

    def open_gps(of: Config) -> SerialGpsPort:
        return SerialGpsPort(line.device if of.gps.device != "/dev/none" else "/dev/none", of.gps.baud_rate)

    daemon = Daemon(config, rooms.calibration(config), twin.link(), open_gps(config), pacer.pace, open_gps=open_gps)
    await daemon.start()

    async def collect(client):
        async for frame in client.frames():
            run.frames.append(frame)

    async def reload(new):
        try:
            await daemon.reload(new, rooms.calibration(new))
        except (InputError, HardwareError) as error:
            run.errors.append(error)

    async with PdcClient(*daemon.server.addresses[0][:2], config.station.idcode) as client:
        await client.configuration()
        tasks = [asyncio.create_task(collect(client))]
        while twin.elapsed_s < seconds:
            for at in [at for at in due if twin.elapsed_s >= at]:
                await reload(due.pop(at))
            await daemon.step()
            if len(due) < len(changes):
                run.statuses.append(daemon.status)
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
    await daemon.stop()
    pacer.close()
    twin.close()
    return run


def stream(config: Config, changes: dict[float, Config], seconds: float, **twin_settings) -> Run:
    """Run the chain with a PDC, and change the configuration at the given seconds."""
    return asyncio.run(_stream(config, changes, seconds, twin_settings))


def assert_nothing_lost(run: Run):
    assert all(status.time.locked for status in run.statuses)
    assert run.statuses[-1].time.counters.resyncs == run.statuses[0].time.counters.resyncs == 0
    assert run.statuses[-1].pru_restarts == 0
    samples = [status.ring.samples for status in run.statuses]
    assert samples == sorted(samples), "the acquisition was not started again"
    assert run.statuses[-1].drops == 0
    assert run.errors == []


def test_rate_name_class_and_access_list_change_under_a_connected_pdc():
    old = start_config()
    new = changed(
        old,
        station={"name": "CELLAR", "reporting_rate_per_s": 30, "performance_class": "P"},
        server={"access": ("127.0.0.0/8",), "header": "Hello"},
    )
    run = stream(old, {RELOAD_S: new}, 16)
    assert_nothing_lost(run)
    names = run.of(lambda frame: frame.config.pmus[0].name.strip())
    change = names.index("CELLAR")
    assert names == ["RPMU"] * change + ["CELLAR"] * (len(names) - change)
    assert run.of(lambda frame: frame.config.data_rate) == [60] * change + [30] * (len(names) - change)
    assert run.frames[change].stamp.fracsec == 0
    assert np.diff(run.times[: change + 1]).max() < STEP_NS, "nothing is missing, nor between the old and the new"
    assert np.diff(run.times[change:]).max() < 2 * STEP_NS
    announced = run.of(lambda frame: frame.pmus[0].stat.config_change)
    first = announced.index(True)
    assert announced == [False] * first + [True] * (change - first) + [False] * (len(announced) - change)
    assert NOTICE_S * 60 <= change - first <= (NOTICE_S + 1) * 60
    assert run.frames[-1].config.pmus[0].cfgcnt == run.frames[0].config.pmus[0].cfgcnt + 1
    left_s = [status.stream.change_in_s for status in run.statuses if status.stream.change_in_s is not None]
    assert left_s == sorted(left_s, reverse=True)
    assert left_s[0] == pytest.approx(NOTICE_S, abs=1)
    assert run.statuses[-1].stream.change_in_s is None
    assert run.statuses[-1].stream.name == "CELLAR"
    assert run.frames[-1].pmus[0].frequency_hz == pytest.approx(60, abs=1e-3)


def test_without_notice_there_is_no_hole_either():
    old = start_config(server={"notice_s": 0})
    run = stream(old, {RELOAD_S: changed(old, station={"reporting_rate_per_s": 10})}, 14)
    assert_nothing_lost(run)
    steps = np.diff(run.times)
    change = int(np.argmax(steps > STEP_NS))
    assert change > 100, "sixty a second at first"
    assert run.frames[change].stamp.fracsec == 0
    assert np.ptp(steps[change:] - 100_000_000) < 2, "ten a second from then on"
    assert len(steps) - change > 20
    assert not any(run.of(lambda frame: frame.pmus[0].stat.config_change))
    assert run.statuses[-1].stream.cfgcnt == 1


def test_rare_reports_give_way_to_frequent_ones_on_time():
    old = start_config(station={"reporting_rate_per_s": -6})
    run = stream(old, {13.0: changed(old, station={"reporting_rate_per_s": 30})}, 20)
    assert run.errors == []
    assert all(status.time.locked for status in run.statuses)
    steps = np.diff(run.times)
    change = int(np.argmax(steps < 1e9))
    assert run.frames[change].stamp.fracsec == 0
    assert run.times[change] / 1e9 - START_NS / 1e9 == pytest.approx(13 + NOTICE_S, abs=2), "not with the next rare one"
    assert np.abs(steps[change:] - 33_333_333).max() < 1000, "to the microsecond of TIME_BASE"
    assert run.frames[-1].config.data_rate in (30, -6)


def test_a_change_that_is_taken_back_while_announced_never_holds():
    old = start_config()
    new = changed(old, station={"name": "CELLAR"})
    run = stream(old, {RELOAD_S: new, RELOAD_S + 1.5: old}, 15)
    assert_nothing_lost(run)
    assert set(run.of(lambda frame: frame.config.pmus[0].name.strip())) == {"RPMU"}
    assert 60 < sum(run.of(lambda frame: frame.pmus[0].stat.config_change)) < 130
    assert run.frames[-1].config.pmus[0].cfgcnt == 0


def test_two_changes_count_up_twice():
    old = start_config(server={"notice_s": 1})
    changes = {RELOAD_S: changed(old, station={"name": "ONE"}), RELOAD_S + 4: changed(old, station={"name": "TWO"})}
    run = stream(old, changes, 17)
    assert_nothing_lost(run)
    seen = list(dict.fromkeys(run.of(lambda frame: (frame.config.pmus[0].name.strip(), frame.config.pmus[0].cfgcnt))))
    assert seen == [("RPMU", 0), ("ONE", 1), ("TWO", 2)]


def test_another_calibration_holds_without_announcement_or_gap():
    old = start_config(calibration={"profile": "reference-a-120v"})
    run = stream(old, {RELOAD_S: changed(old, calibration={"profile": "reference-a-230v"})}, 14)
    assert_nothing_lost(run)
    volts = np.abs(run.of(lambda frame: frame.pmus[0].phasors[0]))
    assert volts[0] == pytest.approx(120, rel=0.01)
    assert volts[-1] > 1.5 * volts[0]
    assert np.diff(run.times).max() < STEP_NS
    assert not any(run.of(lambda frame: frame.pmus[0].stat.config_change))
    assert run.frames[-1].config.pmus[0].cfgcnt == 0


def test_the_receivers_port_is_opened_anew_and_the_time_stays():
    old = start_config()
    run = stream(old, {RELOAD_S: changed(old, gps={"baud_rate": 115200})}, 14)
    assert_nothing_lost(run)
    assert np.diff(run.times).max() < STEP_NS
    heard = [sum(status.time.counters.nmea_good.values()) for status in run.statuses]
    assert heard[-1] > heard[0] + 3


def test_a_list_of_leap_seconds_that_was_renewed_is_read_with_the_configuration(tmp_path):
    lists = {"old": START_NS // 10**9 - 86_400, "new": START_NS // 10**9 + 10**7}
    for name, expires in lists.items():
        (tmp_path / name).write_text(f"#@ {expires + 2_208_988_800}\n3692217600 37\n")
    old, new = (start_config(time={"leap_second_file": str(tmp_path / name)}) for name in lists)
    run = stream(old, {RELOAD_S: new}, RELOAD_S + 2)
    assert_nothing_lost(run)
    said = [status.time.leap for status in run.statuses]
    assert said[0] == "unknown: the leap-second file has expired"
    assert said[-1] == "none"
    assert run.frames[-1].config.pmus[0].cfgcnt == 0
    assert np.diff(run.times).max() < STEP_NS


REFUSED = [
    ({"server": {"listen": ("192.0.2.1:4712",)}}, "cannot listen on 192.0.2.1:4712"),
    ({"server": {"tls_certificate": "/none", "tls_key": "/none"}}, "cannot load the TLS files"),
    ({"gps": {"device": "/dev/none"}}, "cannot open /dev/none"),
    ({"time": {"leap_second_file": "/none"}}, "leap_second_file"),
    ({"gps": {"baud_rate": 115200}, "server": {"listen": ("192.0.2.1:4712",)}}, "cannot listen"),
]


def test_what_cannot_be_done_is_refused_and_the_present_one_goes_on():
    old = start_config()
    bad = changed(old, station={"name": "BAD"})
    run = stream(old, {RELOAD_S + at: changed(bad, **sections) for at, (sections, _) in enumerate(REFUSED)}, 15)
    assert len(run.errors) == len(REFUSED)
    for error, (_, complaint) in zip(run.errors, REFUSED, strict=True):
        assert complaint in str(error)
    run.errors.clear()
    assert_nothing_lost(run)
    assert np.diff(run.times).max() < STEP_NS
    assert set(run.of(lambda frame: frame.config.pmus[0].name.strip())) == {"RPMU"}
    assert run.statuses[-1].server.streaming == 1
    heard = [sum(status.time.counters.nmea_good.values()) for status in run.statuses]
    assert heard[-1] > heard[0]


def test_a_pdc_that_a_new_access_list_excludes_is_dropped_and_counted():
    old = start_config()
    run = stream(old, {RELOAD_S: changed(old, server={"access": ("192.0.2.0/24",)})}, 11)
    assert run.statuses[-1].server.dropped_access == 1
    assert run.statuses[-1].server.streaming == 0
    assert all(status.time.locked for status in run.statuses)


def phases(config: Config, *ains: int) -> Config:
    """The configuration with voltages of so many phases, from these inputs."""
    channels = tuple(Channel(f"V{p}", "voltage", p, ain) for p, ain in zip("ABC", ains, strict=False))
    return replace(changed(config, station={"phases": len(ains)}), channel=channels)


def test_other_channels_and_inputs_come_and_go_and_the_pdc_sees_the_time_locked_throughout():
    """One phase, three, one again, another input for it, and the ADC's clock halved."""
    one = phases(start_config(server={"notice_s": 2}), 0)
    changes = {
        RELOAD_S: phases(one, 0, 2, 3),
        RELOAD_S + 7: one,
        RELOAD_S + 14: phases(one, 2),
        RELOAD_S + 18: changed(one, sampling={"adc_clkdiv": 15}),
    }
    run = stream(one, changes, RELOAD_S + 23, phases=3, mains_ain=(0, 2, 3))
    assert run.errors == []
    assert all(status.time.locked for status in run.statuses)
    last = run.statuses[-1]
    assert (last.pru_restarts, last.drops, last.time.counters.carried, last.time.counters.resyncs) == (0, 0, 4, 0)
    assert last.time.counters.rejected == last.time.counters.missing == 0
    assert all(run.of(lambda frame: frame.pmus[0].stat.in_sync))
    assert np.diff(run.times).max() < STEP_NS, "no instant is left out"
    assert np.diff(run.times).min() > 0
    assert last.server.connections_closed == 0

    invalid = np.array(run.of(lambda frame: frame.pmus[0].stat.data_error != 0))
    assert last.invalid_reports == invalid.sum(), "what could not be measured is counted"
    starts = np.flatnonzero(np.diff(invalid.astype(int), prepend=0) == 1)
    assert len(starts) == len(changes)
    assert np.all([invalid[start : start + 24].sum() == invalid[start : start + 60].sum() for start in starts])
    assert invalid.sum() < 4 * 20, "windows of 0.18 s, pauses of 0.06 to 0.1 s"

    counts = np.array(run.of(lambda frame: frame.config.pmus[0].cfgcnt))
    assert (np.diff(counts) > 0).nonzero()[0].tolist() == [starts[i] - 1 for i in (0, 1, 3)], "an input is no matter"
    assert counts[-1] == 3, "the window of a report, which CFG-3 states, is another one with the slower scans"
    for start in starts[[0, 1, 3]]:
        assert run.frames[start].stamp.fracsec == 0, "it begins on a full second"
        assert counts[start] == counts[start - 1] + 1
        assert run.frames[start - 1].pmus[0].stat.config_change
        assert not run.frames[start].pmus[0].stat.config_change
    good = [frame.pmus[0] for frame, bad in zip(run.frames, invalid, strict=True) if not bad]
    assert {len(pmu.phasors) for pmu in good} == {1, 4}
    assert all(abs(abs(phasor) - 120) < 0.05 for pmu in good for phasor in pmu.phasors)
    assert max(abs(pmu.frequency_hz - 60) for pmu in good) < 2e-3


def test_the_converters_supply_and_mid_scale_are_known_after_a_new_run_as_before():
    """1.2 % of the supply, and of the mid-scale, would be seen for a second, were they not carried over too."""
    one = phases(start_config(server={"notice_s": 0}, sampling={"reference_ain": 5}), 2)
    changes = {RELOAD_S: phases(one, 0, 2, 3), RELOAD_S + 4: one}
    adc = AdcErrors(noise_lsb_rms=0.5, gain=1.012)
    run = stream(one, changes, RELOAD_S + 6, phases=3, mains_ain=(0, 2, 3), reference_ain=5, adc=adc)
    assert run.statuses[-1].time.counters.carried == 2
    good = [frame.pmus[0] for frame in run.frames if not frame.pmus[0].stat.data_error]
    settled = good[120:]  # the first reports after the start know neither
    assert {len(pmu.phasors) for pmu in settled} == {1, 4}
    volts = [abs(pmu.phasors[0 if len(pmu.phasors) == 1 else 1]) for pmu in settled]
    assert np.abs(np.array(volts) / 120 - 1).max() < 6e-4
    one_phase = [pmu for pmu in settled if len(pmu.phasors) == 1]
    assert max(abs(pmu.frequency_hz - 60) for pmu in one_phase) < 2e-3


async def refused(*_args):
    raise HardwareError("no answer")


@pytest.mark.parametrize(("name", "other"), [("start_over", refused), ("LONGEST_PAUSE_S", 0.0)])
def test_a_new_start_that_fails_or_may_have_taken_too_long_loads_the_firmware_again(name, other, monkeypatch):
    """Then it is as after any other failure: the time is found anew, and nobody is told a time meanwhile."""
    monkeypatch.setattr(f"rpmu.daemon_run.{name}", other)
    one = phases(start_config(server={"notice_s": 0}), 0)
    run = stream(one, {RELOAD_S: phases(one, 2)}, RELOAD_S + 10, phases=3, mains_ain=(0, 2, 3))
    assert run.errors == []
    steps = np.diff(run.times)
    assert np.count_nonzero(steps > STEP_NS) == 1
    assert steps.max() < 7e9
    assert run.statuses[-1].time.locked
    assert run.statuses[-1].time.counters.carried == 0


def test_a_second_pps_input_makes_another_clock_and_the_pdc_stays_connected():
    old = start_config(station={"name": "OLD"})
    new = changed(old, station={"name": "NEW"}, sampling={"pps_pin": 14})
    run = stream(old, {RELOAD_S: new}, 28)
    assert run.errors == []
    names = run.of(lambda frame: frame.config.pmus[0].name.strip())
    change = names.index("NEW")
    assert names == ["OLD"] * change + ["NEW"] * (len(names) - change)
    announced = run.of(lambda frame: frame.pmus[0].stat.config_change)
    assert all(announced[change - NOTICE_S * 60 + 60 : change])
    assert not any(announced[change:])
    steps = np.diff(run.times)
    assert np.flatnonzero(steps > STEP_NS).tolist() == [change - 1], "one hole, until the time is found again"
    assert steps[change - 1] < 12e9
    assert run.statuses[-1].time.locked
    assert run.statuses[-1].pru_restarts == 0, "nothing went wrong"
    assert run.statuses[-1].server.connections_closed == 0
    assert np.isfinite(run.statuses[-1].time.other_input_ns), "the other input is there"
