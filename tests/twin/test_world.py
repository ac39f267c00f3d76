"""The committed firmware on the whole twin: what comes out of the ring is what went into the outlet."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from itertools import pairwise

import numpy as np
import pynmea2
import pytest

from rpmu.acquire import RingReader, SamplerSettings, sampler
from rpmu.calibrate import load_profile
from rpmu.errors import InputError
from rpmu.twin import nmea
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.faults import Fault, parse_faults
from rpmu.twin.gps import GpsSettings
from rpmu.twin.pacing import MAX_SPEED, Pacer, next_whole_second_ns, parse_speed
from rpmu.twin.pruss import Pruss
from rpmu.twin.world import Twin, TwinSettings
from tests.twin.rig import START_NS, edge_scan, phasor, run_twin


class Memory:
    """A serial line that keeps everything."""

    host_baud_rate = None

    def __init__(self):
        self.sent, self.to_send = b"", b""

    def write(self, data):
        self.sent += data

    def read(self):
        data, self.to_send = self.to_send, b""
        return data

    def close(self):
        pass


def twin(source="nominal", faults="", line=None, **settings):
    settings.setdefault("crystal", CrystalSettings(ppm=58.8))
    return Twin(TwinSettings(START_NS, source, faults=tuple(parse_faults(faults)), **settings), line)


@pytest.mark.parametrize(
    ("source", "hz"), [("nominal,frequency_hz=60.05,voltage_v=118,angle_deg=77", 60.05), ("nominal,phases=3", 60.0)]
)
def test_phasor_of_the_outlet_comes_out_of_the_ring(source, hz):
    """Front end, ADC, decimator, PPS edge and crystal undone: TVE below 0.01 % against the truth."""
    board = twin(source)
    run = run_twin(board, 5.2)
    assert run.statistics.lost_samples == 0
    assert len(run.events) == 5
    for channel in range(board.source.phases):
        truth = board.truth(START_NS + 3 * 10**9).phasors[0, channel]
        measured = phasor(run, board, channel, 2, hz)
        assert abs(measured - truth) / abs(truth) < 1e-4


def test_lead_of_a_current_transformer_is_in_the_chain():
    """Variant B is 10 us ahead of its low-pass: left out, that would be 0.4 % TVE."""
    board = twin(profile=load_profile("reference-b-120v"))
    assert abs(phasor(run_twin(board, 4.2), board, 0, 2, 60.0) - 120) / 120 < 2e-4


def test_pins_see_one_continuous_voltage(monkeypatch):
    """Segments join without a gap or a jump, from the settled front end before the first cycle on."""
    rows = []
    monkeypatch.setattr(Pruss, "set_waveform", lambda _, ain, start, step, volts: rows.append((start, step, volts)))
    twin().advance(0.45)
    for (start, step, volts), (following, *_) in pairwise(rows):
        assert following == start + step * len(volts)
    assert rows[0][0] < 0
    volts = np.concatenate([row[2] for row in rows])
    steepest = 2 * np.pi * 60 * 5e-6 * 0.64
    assert np.abs(np.diff(volts)).max() < 1.05 * steepest + 6e-4


def test_crystal_error_is_seen_in_the_scans():
    run = run_twin(twin(crystal=CrystalSettings(ppm=-40.0)), 4.2)
    edges = [edge_scan(event, 0.99) for event in run.events]
    assert np.diff(edges) / 60_000 - 1 == pytest.approx(-40e-6, abs=1e-6)


def digest(seed, **settings):
    board = twin("grid", seed=seed, **settings)
    run = run_twin(board, 1.5)
    return hashlib.sha256(b"".join(block.codes.tobytes() for block in run.blocks)).hexdigest()


def test_same_seed_same_run():
    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_the_step_of_advance_does_not_matter():
    """Samples do not depend on how often the host looks."""
    codes = []
    for poll_s in (0.02, 0.0137):
        run = run_twin(twin("grid"), 1.0, poll_s)
        codes.append(np.concatenate([block.codes for block in run.blocks])[:8000])
        first = run.blocks[0].first_scan
        codes[-1] = (first, codes[-1])
    (first_a, a), (first_b, b) = codes
    shift = (first_b - first_a) // 5
    assert (first_b - first_a) % 5 == 0
    np.testing.assert_array_equal(a[shift : shift + 4000], b[:4000])


def test_missing_late_and_double_pulses():
    run = run_twin(twin(faults="pps_missing@3+1,pps_late@5=200,pps_double@6=0.25", crystal=CrystalSettings()), 7.6)
    seconds = np.array([edge_scan(event, 0.99) for event in run.events]) / 60_000
    seconds -= seconds[0] - 1
    np.testing.assert_allclose(seconds, [1, 2, 4, 5.0002, 6, 6.25, 7], atol=1e-6)


def test_stalled_reader_loses_what_the_ring_cannot_hold_and_no_more():
    run = run_twin(twin(faults="reader_stalled@1+0.3"), 2.0)
    assert run.statistics.lost_samples == 0
    run = run_twin(twin(faults="reader_stalled@1+1.5"), 4.0)
    assert run.statistics.lost_samples > 0
    assert run.statistics.gaps == 1


def test_faults_of_the_adc_are_seen_and_survived():
    run = run_twin(twin(faults="adc_overrun@1.21,tag_slip@1.73=1,adc_stall@2.31"), 3.2)
    s = run.statistics
    assert (s.overruns, s.tag_slips > 0, s.stalls) == (1, True, 1)
    assert run.blocks[-1].epoch == 3
    assert s.lost_samples > 0


def test_clipping_input_meets_the_rails():
    board = twin(faults="clipping@1+0.5=2")
    run = run_twin(board, 2.0)
    assert board.chain.clipped > 10_000
    codes = np.concatenate([block.codes for block in run.blocks]) * run.info.counts_per_code
    assert codes.max() == pytest.approx(board.settings.profile.amplifier_high_v / 1.8 * 4096, abs=3)
    assert twin().chain.clipped == 0


def test_crystal_steps_when_told():
    run = run_twin(twin(faults="crystal_step@3=20", crystal=CrystalSettings()), 6.2)
    edges = np.array([edge_scan(event, 0.99) for event in run.events])
    assert np.diff(edges) / 60_000 - 1 == pytest.approx([0, 0, 20e-6, 20e-6, 20e-6], abs=1e-6)


def lines_by_second(sent):
    return [pynmea2.parse(line.decode()) for line in sent.splitlines() if line.startswith(b"$GPRMC")]


def test_sentences_name_the_second_of_the_last_pulse():
    line = Memory()
    board = twin(line=line, faults="nmea_second@2+1=3,gps_loss@3+1,gps_silent@4+1")
    board.advance(6.0)
    sent = [(m.datetime.timestamp() - START_NS / 1e9, m.is_valid) for m in lines_by_second(line.sent)]
    assert sent == [(0, True), (1, True), (5, True), (3, False), (5, True)]


def test_host_commands_reach_the_receiver():
    line = Memory()
    board = twin(line=line)
    line.to_send = b"$PMTK605*31\r\n"
    board.advance(1.0)
    assert b"$PMTK705,AXN" in line.sent


def test_cold_receiver_gives_no_pulse():
    board = twin(gps=GpsSettings(cold_start_s=3.0))
    assert len(run_twin(board, 5.2).events) == 3  # seconds 3, 4 and 5


def test_pps_on_a_pin_as_well():
    board = twin(pps_pin=14)
    board.advance(1.05)
    assert board.pruss.cycle > 2.09e8  # the pin is exercised by the acquisition's tests; here it must not upset the run


def test_fault_planned_while_running():
    board = twin()
    board.advance(1.0)
    board.inject(Fault("clipping", 1.5, 1.0, 2.0))
    board.advance(1.0)
    assert board.chain.clipped > 0


def test_inputs_without_a_source_rest_at_their_bias():
    board = twin(mains_ain=(0, 2))
    settings = SamplerSettings.for_inputs((0, 2), 1)
    pacer = Pacer(board, MAX_SPEED)

    async def main():
        info = await sampler.bring_up(board.link(), settings, pacer.pace)
        reader = RingReader(board.link().window(), info)
        await pacer.pace(0.2)
        return info, reader.poll()

    info, blocks = asyncio.run(main())
    pacer.close()
    volts = blocks[-1].codes[:, 1] * info.counts_per_code * board.settings.profile.volts_per_count
    assert volts == pytest.approx(board.settings.profile.bias_v, abs=2e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"start_ns": -5}, "between the years 1970 and 2200"),
        ({"start_ns": 9 * 10**18}, "between the years 1970 and 2200"),
        ({"nominal_hz": 55}, "must be 50 or 60"),
        ({"pps_ain": 2}, "AIN2 cannot be both"),
    ],
)
def test_settings_that_make_no_board(settings, message):
    with pytest.raises(InputError, match=message):
        TwinSettings(**({"start_ns": START_NS} | settings))


def test_pulses_of_any_length_do_not_upset_the_simulation():
    """A host may ask for pulses of 998 ms; with every other fault of the pulse on top the edges still rise in time."""
    line = Memory()
    board = twin(line=line, faults="pps_double@1+9=0.5,pps_late@3+3=300000")
    line.to_send = nmea.sentence("PMTK285,4,998")
    board.advance(8.0)


def test_more_phases_than_inputs():
    with pytest.raises(InputError, match="3 phases, but only 1 mains inputs"):
        twin("nominal,phases=3", mains_ain=(0,))


def test_real_time_keeps_absolute_deadlines():
    board = Twin(TwinSettings(START_NS))
    pacer = Pacer(board, 4.0)

    async def main():
        begin = time.monotonic()
        for _ in range(20):
            await pacer.pace(0.02)
        return time.monotonic() - begin

    took = asyncio.run(main())
    pacer.close()
    assert board.elapsed_s == pytest.approx(0.4)
    assert took >= 0.4 / 4.0 - 0.001
    assert pacer.worst_lag_s >= pacer.lag_s >= 0


def test_cancelled_pace_leaves_a_whole_simulation():
    """A daemon that is told to stop cancels its wait; the step that runs is finished, then the thread ends."""
    board = twin()
    pacer = Pacer(board, MAX_SPEED)

    async def main():
        waiting = asyncio.create_task(pacer.pace(2.0))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    pacer.close()
    assert board.elapsed_s == pytest.approx(2.0)


def test_speed_words():
    assert parse_speed("max") == MAX_SPEED
    assert parse_speed("2.5") == 2.5
    for bad in ("0", "-1", "fast", "nan", "inf"):
        with pytest.raises(InputError, match="positive number"):
            parse_speed(bad)


def test_default_start_is_the_next_whole_second():
    assert next_whole_second_ns() % 10**9 == 0
    assert math.isclose(next_whole_second_ns() / 1e9, time.time(), abs_tol=1.1)
