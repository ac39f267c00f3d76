"""Leap seconds: SOC and bits second by second, the scale that runs through them, and the files they come from."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpmu.errors import InputError
from rpmu.timing import LockState
from rpmu.timing.leap import DAY_S, LeapSchedule, LeapSecond, parse_leap_file
from tests.timing.simulator import START, Runner, World

M = 1_483_228_800  # 2017-01-01 00:00:00 UTC, after the leap second of 2016
DIRECTION, OCCURRED, PENDING = 0x40, 0x20, 0x10


def seconds(step, span, origin=M - 1000):
    schedule = LeapSchedule((LeapSecond(M, step),), origin=origin)
    return {offset: schedule.state(M + offset) for offset in span}


def test_insertion_second_by_second():
    states = seconds(1, range(-100, 90_000))
    # The continuous second M is 23:59:60; it bears the number of the 00:00:00 after it.
    assert [states[k].soc - M for k in (-2, -1, 0, 1, 2)] == [-2, -1, 0, 0, 1]
    pending = [k for k, state in states.items() if state.bits & PENDING]
    occurred = [k for k, state in states.items() if state.bits & OCCURRED]
    assert pending == list(range(-59, 1))  # 59 s before, through 23:59:60 itself
    assert occurred == list(range(1, 86_401))
    assert not any(state.bits & DIRECTION for state in states.values())


def test_deletion_second_by_second():
    states = seconds(-1, range(-100, 90_000))
    assert [states[k].soc - M for k in (-3, -2, -1, 0)] == [-3, -2, 0, 1]  # 23:59:59 does not occur
    pending = [k for k, state in states.items() if state.bits & PENDING]
    occurred = [k for k, state in states.items() if state.bits & OCCURRED]
    assert pending == list(range(-61, -1))
    assert occurred == list(range(-1, 86_399))
    flagged = {*pending, *occurred}
    assert all(bool(state.bits & DIRECTION) == (k in flagged) for k, state in states.items())


def test_pending_is_set_at_most_60_s_and_at_least_1_s_before():
    for step, leap_begins in ((1, 0), (-1, -1)):
        first = min(k for k, state in seconds(step, range(-100, 10)).items() if state.pending)
        assert 1 <= leap_begins - first <= 60


def test_a_leap_second_before_the_start_is_in_the_scale_already():
    states = seconds(1, range(10, 20), origin=M + 5)
    assert all(state.soc == M + k and state.occurred for k, state in states.items())


def test_words():
    states = seconds(-1, (-1000, -10, 10))
    assert [state.word for state in states.values()] == ["none", "pending, delete", "occurred, delete"]


def test_an_expired_file_says_so():
    schedule = LeapSchedule(origin=M, expires=M + 100)
    assert schedule.word(M + 50) == "none"
    assert "expired" in schedule.word(M + 101)


@given(st.lists(st.sampled_from([1, -1]), max_size=4), st.integers(-5, 5))
def test_continuous_and_soc_are_inverse(steps, second):
    leaps = tuple(LeapSecond(M + i * 86_400, step) for i, step in enumerate(steps))
    schedule = LeapSchedule(leaps, origin=M - 1000)
    for i in range(len(steps) + 1):
        continuous = M + i * 86_400 + second + sum(steps[:i])
        state = schedule.state(continuous)
        is_60 = any(leap.step > 0 and leap.midnight == state.soc for leap in leaps) and state.pending
        assert schedule.continuous(state.soc, is_60) == continuous


def test_soc_never_runs_backwards():
    schedule = LeapSchedule((LeapSecond(M, 1), LeapSecond(M + 86_400, -1)), origin=M - 1000)
    socs = [schedule.state(M + k).soc for k in range(-500, 90_000)]
    steps = [b - a for a, b in itertools.pairwise(socs)]
    assert set(steps) == {0, 1, 2}
    assert steps.count(0) == steps.count(2) == 1


NTP_LIST = """\
#	made by hand in the format of leap-seconds.list
#$	3945196800
#@	3960057600
2272060800	10	# 1 Jan 1972
2287785600	11	# 1 Jul 1972
3692217600	12	# 1 Jan 2017, all between left out
4102444800	11	# made up
"""
TZDATA = """\
# made by hand in the format of tzdata's leapseconds
Leap	1972	Jun	30	23:59:60	+	S
Leap	2016	Dec	31	23:59:60	+	S
Leap	2029	Dec	31	23:59:59	-	S
#expires 1798416000 (2026-12-28 00:00:00 UTC)
"""


def test_files_of_both_formats():
    ntp = parse_leap_file(NTP_LIST)
    assert ntp.leaps[0] == LeapSecond(78_796_800, 1)
    assert ntp.leaps[1].midnight == M
    assert ntp.leaps[2].step == -1
    assert ntp.expires == 3_960_057_600 - 2_208_988_800
    tzdata = parse_leap_file(TZDATA)
    assert [leap.step for leap in tzdata.leaps] == [1, 1, -1]
    assert tzdata.leaps[1].midnight == M
    assert tzdata.expires == 1_798_416_000


@pytest.mark.parametrize("path", ["/usr/share/zoneinfo/leap-seconds.list", "/usr/share/zoneinfo/leapseconds"])
def test_files_of_this_system(path):
    if not Path(path).exists():
        pytest.skip(f"{path} is not there (Debian: apt-get install tzdata)")
    schedule = parse_leap_file(Path(path).read_text())
    assert len(schedule.leaps) >= 27
    assert any(leap.midnight == M for leap in schedule.leaps)


@pytest.mark.parametrize(
    "text", ["", "hello world\n", "# only comments\n", "2272060800\n", "Leap 2016 Foo 31 23:59:60 + S\n"]
)
def test_other_files_are_refused_in_one_sentence(text):
    with pytest.raises(InputError, match="leap-second file"):
        parse_leap_file(text)


def test_no_leap_second_at_odd_times():
    with pytest.raises(InputError, match="midnight"):
        LeapSecond(M + 1, 1)
    with pytest.raises(InputError):
        LeapSecond(M, 2)


HALF_YEAR = 182 * DAY_S
NEXT = M + HALF_YEAR - HALF_YEAR % DAY_S


def of(*midnights, expires=0, step=1):
    return LeapSchedule(tuple(LeapSecond(midnight, step) for midnight in midnights), expires=expires)


def test_a_newer_list_speaks_of_the_time_to_come_and_never_of_what_was_counted():
    schedule = of(M, expires=M + 100)
    schedule.origin = M - 1000
    before = schedule.state(M + 10)
    schedule.learn(of(M - 365 * DAY_S, NEXT, expires=NEXT + HALF_YEAR), M + 10)
    assert schedule.state(M + 10) == before
    assert [leap.midnight for leap in schedule.leaps] == [M, NEXT], "no leap second of the past comes into the scale"
    assert schedule.speaks_for(NEXT + DAY_S)
    schedule.learn(of(M, expires=NEXT + HALF_YEAR), M + 20)
    assert [leap.midnight for leap in schedule.leaps] == [M], "one that was taken back does not come"
    schedule.learn(of(NEXT, expires=NEXT + HALF_YEAR), M + 30)
    assert schedule.leaps[0].midnight == M, "one that a list forgets has passed all the same"


def test_what_another_source_said_beyond_the_lists_expiry_still_holds():
    schedule = of(NEXT)
    schedule.learn(of(M, expires=M + 10 * DAY_S), M + DAY_S)
    assert [leap.midnight for leap in schedule.leaps] == [NEXT]
    schedule.learn(of(M, expires=NEXT + DAY_S), M + DAY_S)
    assert schedule.leaps == ()


def test_a_list_of_nothing_changes_nothing_and_before_the_time_is_known_all_is_taken():
    schedule = of(M, expires=M + 100)
    schedule.learn(LeapSchedule(), M + 10)
    assert (schedule.leaps, schedule.expires) == (of(M).leaps, M + 100)
    schedule.learn(of(M, NEXT, expires=NEXT + 1), 0)
    assert (schedule.leaps, schedule.expires) == (of(M, NEXT).leaps, NEXT + 1)


def test_a_list_that_comes_while_the_clock_runs_is_gone_by():
    """The file had expired when the daemon started; its successor brings a leap second twenty seconds on."""
    midnight = (START // DAY_S + 1) * DAY_S
    start = midnight - 40

    def utc(k):
        return (start + k, 0) if k < 40 else (midnight, 1) if k == 40 else (start + k - 1, 0)

    def sentences_and_news(k, _utc, data):
        if k == 20:
            runner.keeper.learn_leaps(of(midnight, expires=midnight + 100 * DAY_S))
        return data

    world = World(60, start=start, leap_utc=utc, sentences=sentences_and_news)
    runner = Runner(world, None, LeapSchedule((), expires=start - DAY_S))
    record = runner.run(4)
    assert not record.soc_error[record.t > 12].any()
    assert all(state is LockState.LOCKED for state, t in zip(record.state, record.t, strict=True) if t > 12)
