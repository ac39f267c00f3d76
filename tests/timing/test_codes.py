"""The codes against the tables of the standard, and the settings against nonsense."""

from __future__ import annotations

import math

import pytest

from rpmu.errors import InputError
from rpmu.timing import LockState, ReportTime, TimeCodes, TimingSettings, status_word
from rpmu.timing.codes import message_time_quality, pmu_time_quality, unlocked_time
from rpmu.timing.nmea import parse
from rpmu.timing.receiver_state import ReceiverState
from rpmu.timing.states import Evidence, LockMachine
from rpmu.timing.status import STATUS_BIT_NAMES, TimeFacts


@pytest.mark.parametrize(
    ("bound_ns", "code"),
    [(0.5, 1), (1, 1), (5, 2), (99, 3), (1_000, 4), (1_001, 5), (5e4, 6), (1e6, 7), (2e6, 8), (1e8, 9), (1e9, 0xA),
     (9e9, 0xB), (1e11, 0xF), (math.inf, 0xF), (math.nan, 0xF)],
)  # fmt: skip
def test_msg_tq(bound_ns, code):
    assert message_time_quality(False, bound_ns) == code
    assert message_time_quality(True, bound_ns) == 0


@pytest.mark.parametrize(
    ("bound_ns", "code"),
    [(0, 1), (99.9, 1), (100, 2), (999, 2), (5e3, 3), (5e4, 4), (5e5, 5), (5e6, 6), (1e7, 7), (math.inf, 7),
     (math.nan, 7)],
)  # fmt: skip
def test_pmu_tq(bound_ns, code):
    assert pmu_time_quality(bound_ns) == code


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(0, 0), (9.9, 0), (10, 1), (99, 1), (100, 2), (999, 2), (1000, 3), (math.inf, 3), (math.nan, 3)],
)
def test_unlocked_time(seconds, code):
    assert unlocked_time(seconds) == code


def test_bits_in_place():
    codes = TimeCodes(msg_tq=5, pmu_tq=3, unlocked_time=2, in_sync=False)
    assert codes.stat_bits == 0b0010_0000_1110_0000
    assert ReportTime(1, 0x30, codes).time_quality == 0x35
    assert TimeCodes(0, 1, 0, True).stat_bits == 1 << 6
    assert "within 10 us" in codes.words
    assert "not in sync" in codes.words


def test_status_word_has_a_name_per_bit():
    assert status_word(TimeFacts(gps_fix=True, pps_present=False, locked=True)) == 0b101
    all_set = status_word(
        TimeFacts(gps_fix=True, pps_present=True, locked=True),
        calibrated=True,
        input_clipped=True,
        ring_gap=True,
        pru_fault=True,
    )
    assert all_set == 0x7F
    assert len(STATUS_BIT_NAMES) == 16
    assert all(len(name) <= 16 for name in STATUS_BIT_NAMES)
    assert sum(map(bool, STATUS_BIT_NAMES)) == 8


def test_receiver_without_height_has_a_worse_pps():
    receiver = ReceiverState()
    assert receiver.pps_sigma_ns(10.0) == 10.0
    receiver.take(parse("GPGSA,A,3,01,02,03,04,,,,,,,,,4.0,2.5,3.0", 0), 0.0)
    assert receiver.pps_sigma_ns(10.0) == 25.0
    receiver.take(parse("GPGSA,A,2,01,02,03,,,,,,,,,,4.0,2.5,3.0", 0), 0.0)
    assert receiver.pps_sigma_ns(10.0) == 30.0


GOOD = {
    "edges": 9, "running": True, "accepted": 9, "seconds_since_edge": 0.5, "bound_ns": 90.0, "doubt": "",
    "no_voucher": "", "seconds_since_step": math.inf,
}  # fmt: skip


@pytest.mark.parametrize(
    ("was_locked", "change", "state"),
    [
        (False, {}, LockState.LOCKED),
        (False, {"edges": 0, "running": False}, LockState.COLD),
        (False, {"running": False}, LockState.ACQUIRING),
        (False, {"accepted": 3}, LockState.ACQUIRING),
        (True, {"accepted": 3}, LockState.LOCKED),
        (False, {"doubt": "x"}, LockState.ACQUIRING),
        (True, {"doubt": "x"}, LockState.UNLOCKED),
        (False, {"no_voucher": "x"}, LockState.ACQUIRING),
        (True, {"no_voucher": "x"}, LockState.HOLDOVER),
        (True, {"no_voucher": "x", "bound_ns": 1e6}, LockState.UNLOCKED),
        (True, {"seconds_since_edge": 2.9}, LockState.LOCKED),
        (True, {"seconds_since_edge": 3.1}, LockState.HOLDOVER),
        (True, {"seconds_since_step": 1.0}, LockState.HOLDOVER),
        (True, {"bound_ns": 1e6}, LockState.UNLOCKED),
        (False, {"bound_ns": 1e6}, LockState.ACQUIRING),
    ],
)
def test_states(was_locked, change, state):
    machine = LockMachine(TimingSettings())
    if was_locked:
        machine.look(Evidence(**GOOD))
    machine.look(Evidence(**(GOOD | change)))
    assert machine.state is state
    assert machine.reason


@pytest.mark.parametrize("values", [{"pps_tau_s": 0}, {"gate_sigma": -1}, {"dispute_s": -1}, {"name_epochs": 0}])
def test_settings_refuse_nonsense(values):
    with pytest.raises(InputError, match=next(iter(values))):
        TimingSettings(**values)
