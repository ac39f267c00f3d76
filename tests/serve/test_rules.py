"""The rules without a socket: queues, allowances, admission, half-open frames, pacing, the grid, addresses, faults."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpmu.c37118 import Stamp
from rpmu.errors import InputError
from rpmu.serve import Address, Limits, ServerStatistics, parse_address
from rpmu.serve.faults import Faults
from rpmu.serve.grid import Grid
from rpmu.serve.limits import Admission, HalfOpenFrames, QueueRule, TokenBucket
from rpmu.serve.pacing import Pacer
from rpmu.serve.settings import AccessList
from rpmu.serve.statistics import Event
from tests.serve.rig import make_config, make_frame

NS = 1_000_000_000
RATES = st.sampled_from([1, 5, 10, 25, 30, 50, 60, 100, 120, 240, -1, -2, -10, -60])


def test_a_queue_is_bounded_in_bytes():
    rule = QueueRule(1000, 10.0, 0.0)
    assert rule.verdict(0, 5000, 0.0) is None  # one frame of any size
    assert rule.verdict(900, 100, 0.0) is None
    assert rule.verdict(901, 100, 0.0) == "dropped_slow"


def test_a_queue_is_bounded_in_time_even_if_it_drains_a_little():
    rule = QueueRule(1000, 10.0, 0.0)
    assert rule.verdict(500, 10, 9.9) is None
    assert rule.verdict(1, 10, 10.1) == "dropped_stalled"
    assert rule.verdict(0, 10, 10.2) is None
    assert rule.verdict(500, 10, 20.1) is None


def test_tokens_come_back_at_their_rate():
    bucket = TokenBucket(3, 2.0, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_admission_counts_addresses_apart():
    admission = Admission(AccessList(), Limits(max_clients=3, max_clients_per_address=2))
    assert [admission.enter("a") for _ in range(3)] == [None, None, "refused_address_limit"]
    assert admission.enter("b") is None
    assert admission.enter("c") == "refused_limit"
    admission.leave("a")
    assert admission.enter("c") is None


def test_half_open_frames_oldest_first():
    frames = HalfOpenFrames(2, 10.0)
    for at, client in enumerate("abc"):
        frames.note(client, pending=True, finished_one=False, now_s=float(at))
    assert list(frames.overdue(3.0)) == ["a"]
    frames.note("b", pending=True, finished_one=False, now_s=9.0)  # more of the same frame is no new frame
    assert list(frames.overdue(11.5)) == ["b"]
    frames.note("c", pending=True, finished_one=True, now_s=12.0)
    assert list(frames.overdue(13.0)) == []
    frames.note("c", pending=False, finished_one=True, now_s=13.0)
    assert len(frames) == 0


def test_every_event_has_a_counter():
    fields = set(ServerStatistics.__dataclass_fields__) - {"clients", "streaming"}
    assert fields == set(get_args(Event))


@given(RATES, st.integers(0, 4_000_000_000 * NS))
def test_grid_instants_and_numbers_are_inverse(rate, time_ns):
    grid = Grid(rate)
    ordinal = grid.at_or_after(time_ns)
    assert grid.time_ns(ordinal - 1) < time_ns
    assert grid.time_ns(ordinal) >= time_ns - 1  # rounded down to a ns
    assert grid.ordinal(*grid.instant(ordinal)) == ordinal


@given(RATES, st.integers(0, 10**10), st.sampled_from([1_000, 1_000_000, 16_777_215, 600, 48_000]))
def test_a_stamp_on_the_grid_is_found_again(rate, ordinal, time_base):
    grid = Grid(rate)
    second, index = grid.instant(ordinal)
    stamp = Stamp.at(second, index, rate, time_base)
    assert grid.exact(stamp, time_base) == grid.nearest(stamp, time_base) == ordinal


@pytest.mark.parametrize(("offset", "found"), [(0, True), (1, True), (2, False), (-2, False), (10_000, False)])
def test_a_stamp_off_the_grid_is_noticed(offset, found):
    assert (Grid(50).exact(Stamp(1_700_000_000, 500_000 + offset), 1_000_000) is not None) == found


@pytest.mark.parametrize(
    ("rate", "slower", "factor"),
    [
        (50, 50, 1),
        (50, 25, 2),
        (50, 10, 5),
        (60, 50, None),
        (25, 50, None),
        (50, 1, 50),
        (50, -1, 50),
        (10, -2, 20),
        (-1, -10, 10),
        (-2, -5, None),
        (-10, -1, None),
    ],
)
def test_decimation(rate, slower, factor):
    assert Grid(rate).decimation_to(Grid(slower)) == factor


@given(RATES, st.lists(st.integers(0, 30_000_000), min_size=50, max_size=200))
def test_pacing_never_drifts_whatever_the_work_costs(rate, costs_ns):
    grid, now_ns = Grid(rate), 1_700_000_000 * NS + 123_456_789
    pacer, sent = Pacer(grid, now_ns, max_lag_ns=60 * NS), []
    for cost_ns in costs_ns:
        now_ns += max(0, pacer.wait_ns(now_ns))
        sent.append((pacer.advance(), now_ns))
        now_ns += cost_ns
    numbers = [ordinal for ordinal, _ in sent]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(at_ns >= grid.time_ns(ordinal) for ordinal, at_ns in sent)
    # late only by work that had to be done, never by more
    assert all(at_ns <= grid.time_ns(ordinal) + sum(costs_ns[:n]) for n, (ordinal, at_ns) in enumerate(sent))


def test_after_a_long_stop_pacing_goes_on_with_the_present():
    grid = Grid(50)
    pacer = Pacer(grid, 0)
    pacer.advance()
    assert pacer.wait_ns(10 * NS) == 0
    assert pacer.ordinal == 500
    assert pacer.skipped == 499


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:4712", ("127.0.0.1", 4712)),
        ("pmu.example", ("pmu.example", 4712)),
        ("[::1]:80", ("::1", 80)),
        ("[2001:db8::1]", ("2001:db8::1", 4712)),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address
    assert parse_address(str(Address(*address))) == address


@pytest.mark.parametrize("text", ["", ":4712", "host:", "host:x", "host:70000", "::1:80", "[::1", "[]:80", "[::1]80"])
def test_wrong_addresses(text):
    with pytest.raises(InputError, match="address"):
        parse_address(text)


def test_faults_are_repeatable_and_counted():
    config = make_config()
    frames = [make_frame(config, number).encode() for number in range(1000)]

    def outcome(seed):
        faults = Faults(("drop=0.1", "duplicate=0.1", "bad-crc=0.1", "late=0.1:0.2"), seed, 50)
        return [tuple(faults.apply(number, frame)) for number, frame in enumerate(frames)], faults.counts

    first, counts = outcome(1)
    assert (first, counts) == outcome(1)
    assert first != outcome(2)[0]
    assert all(50 < counts[kind] < 150 for kind in ("drop", "duplicate", "bad-crc", "late"))
    late = [number for number, out in enumerate(first) if frames[number - 10] in out and number >= 10]
    assert late


@pytest.mark.parametrize("spec", ["drop", "drop=2", "drop=x", "late=0.1", "drop=0.1:2", "explode=1", "stall=5"])
def test_wrong_faults(spec):
    with pytest.raises(InputError, match=f"fault '{spec}'"):
        Faults((spec,))
