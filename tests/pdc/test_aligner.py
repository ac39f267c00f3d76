"""The aligner without a socket: late, missing, duplicate and implausible frames, order, wait time, memory."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.errors import InputError
from rpmu.pdc.aligner import Aligner

MS = 1_000_000


def aligner_of(n_sources, wait_ms=100, max_slots=50):
    aligner = Aligner(n_sources, wait_ms * MS, max_slots)
    for source in range(n_sources):
        aligner.set_present(source, True)
    return aligner


def leaving(slots):
    return [(slot.ordinal, slot.bodies) for slot in slots]


def test_a_complete_slot_leaves_at_once():
    aligner = aligner_of(2)
    assert aligner.add(0, 10, "a", 0) == []
    assert leaving(aligner.add(1, 10, "b", 1)) == [(10, ("a", "b"))]
    assert len(aligner) == 0


def test_an_incomplete_slot_leaves_after_the_wait_time_with_the_missing_one_counted():
    aligner = aligner_of(2)
    aligner.add(0, 10, "a", 0)
    assert aligner.next_deadline_ns() == 100 * MS
    assert aligner.expire(100 * MS - 1) == []
    assert leaving(aligner.expire(100 * MS)) == [(10, ("a", None))]
    assert aligner.counts[1].missing == 1


def test_a_late_frame_is_dropped_and_counted():
    aligner = aligner_of(2)
    aligner.add(0, 10, "a", 0)
    aligner.expire(100 * MS)
    assert aligner.add(1, 10, "b", 101 * MS) == []
    assert aligner.counts[1].late == 1
    assert len(aligner) == 0


def test_of_a_duplicate_the_first_counts():
    aligner = aligner_of(2)
    aligner.add(0, 10, "a", 0)
    aligner.add(0, 10, "again", 1)
    assert leaving(aligner.add(1, 10, "b", 2)) == [(10, ("a", "b"))]
    assert aligner.counts[0].duplicate == 1


def test_slots_leave_in_order_even_if_a_later_one_is_complete_first():
    aligner = aligner_of(2)
    aligner.add(0, 10, "a", 0)
    aligner.add(0, 11, "c", 1)
    assert aligner.add(1, 11, "d", 2) == []
    assert leaving(aligner.add(1, 10, "b", 3)) == [(10, ("a", "b")), (11, ("c", "d"))]


def test_an_instant_at_which_nobody_delivered_leaves_empty():
    aligner = aligner_of(2)
    for source in (0, 1):
        aligner.add(source, 10, "x", 0)
    aligner.add(0, 12, "a", 50 * MS)
    aligner.add(1, 12, "b", 51 * MS)
    assert leaving(aligner.expire(150 * MS)) == [(11, (None, None)), (12, ("a", "b"))]


def test_nobody_waits_for_a_source_that_is_not_present():
    aligner = aligner_of(3)
    aligner.add(0, 10, "a", 0)
    aligner.add(1, 10, "b", 0)
    aligner.set_present(2, False)
    assert leaving(aligner.expire(1)) == [(10, ("a", "b", None))]
    aligner.add(0, 11, "a", 2)
    assert leaving(aligner.add(1, 11, "b", 2)) == [(11, ("a", "b", None))]
    aligner.add(2, 12, "c", 3)  # it is back: from now on it is waited for
    aligner.add(0, 12, "a", 3)
    assert leaving(aligner.add(1, 12, "b", 3)) == [(12, ("a", "b", "c"))]
    assert aligner.add(0, 13, "a", 4) == []
    assert aligner.add(1, 13, "b", 4) == []


def test_at_the_start_the_first_frame_does_not_make_older_ones_late():
    aligner = aligner_of(2)
    aligner.add(0, 12, "a2", 0)
    aligner.add(1, 10, "b0", 0)
    aligner.add(0, 10, "a0", 0)
    assert aligner.counts[1].late == 0


def test_one_wrong_clock_does_not_drag_the_others_along():
    aligner = aligner_of(3)
    for source in range(3):
        aligner.add(source, 10, "x", 0)
    assert aligner.add(2, 1_000_000, "wrong", 1) == []
    assert aligner.counts[2].implausible == 1
    aligner.add(0, 11, "a", 2)
    aligner.add(1, 11, "b", 2)
    assert leaving(aligner.expire(200 * MS)) == [(11, ("a", "b", None))]


@pytest.mark.parametrize("jump", [1_000_000, -1_000_000])
def test_if_most_sources_jump_the_aligner_follows(jump):
    aligner = aligner_of(3)
    base = 2_000_000
    for source in range(3):
        aligner.add(source, base, "x", 0)
    assert aligner.add(0, base + jump, "a", 1) == []
    aligner.add(1, base + jump, "b", 2)
    aligner.add(2, base + jump, "c", 3)
    ready = leaving(aligner.expire(200 * MS))
    assert ready[-1][0] == base + jump
    assert ready[-1][1][1:] == ("b", "c")


def test_memory_is_bounded_and_what_must_go_early_is_counted():
    aligner = aligner_of(2, wait_ms=10**6, max_slots=20)
    ready = []
    for ordinal in range(100):
        ready += aligner.add(0, ordinal, "a", ordinal)
        assert len(aligner) <= 20
    assert [slot.ordinal for slot in ready] == list(range(80))
    assert aligner.overflowed_slots == 80


def test_flush_gives_what_there_is():
    aligner = aligner_of(2)
    aligner.add(0, 10, "a", 0)
    aligner.add(0, 12, "c", 0)
    assert leaving(aligner.flush()) == [(10, ("a", None)), (12, ("c", None))]


@pytest.mark.parametrize("wrong", [(0, 1, 1), (1, -1, 1), (1, 1, 0)])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(InputError, match="cannot align"):
        Aligner(*wrong)


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(0, 10_000), st.integers(1, 40))
def test_whatever_the_network_does_nothing_is_lost_uncounted_and_the_output_is_gapless(n_sources, seed, max_slots):
    """Frames are delayed, dropped and doubled at random; every one of them must end in exactly one counter."""
    chance = random.Random(seed)
    aligner = aligner_of(n_sources, wait_ms=chance.choice([0, 5, 50, 500]), max_slots=max_slots)
    events = []
    for source in range(n_sources):
        for ordinal in range(100):
            for _ in range(chance.choice([0, 1, 1, 1, 1, 1, 2])):
                events.append((ordinal * 20 * MS + chance.randrange(100 * MS), source, ordinal))
    ready = []
    for now_ns, source, ordinal in sorted(events):
        ready += aligner.add(source, ordinal, (source, ordinal), now_ns)
        assert len(aligner) <= max_slots
    ready += aligner.flush()
    ordinals = [slot.ordinal for slot in ready]
    assert ordinals == sorted(set(ordinals))
    for slot in ready:
        assert all(body in (None, (source, slot.ordinal)) for source, body in enumerate(slot.bodies))
    for source, counts in enumerate(aligner.counts):
        sent = sum(1 for event in events if event[1] == source)
        assert counts.aligned + counts.late + counts.duplicate + counts.implausible == sent
        assert counts.aligned == sum(slot.bodies[source] is not None for slot in ready)
    assert replace(aligner.counts[0]) == aligner.counts[0]
