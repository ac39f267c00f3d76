"""Leap seconds at the concentrator and the client: nothing late, nothing twice, nothing missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rpmu.c37118 import TimeQuality
from rpmu.pdc.leap import DELETE, OCCURRED, PENDING, LeapSeconds
from tests.pdc.scripted import take
from tests.pdc.test_concentrator import Pmus, concentrating, source
from tests.serve.rig import make_frame, run

MIDNIGHT = 1_483_228_800  # 2017-01-01, after the last inserted second
RATE = 10
ADDED = ((-2, PENDING), (-1, PENDING), (0, PENDING), (0, OCCURRED), (1, OCCURRED))  # SOC from midnight, leap bits
TWICE_59 = ((-2, PENDING), (-1, PENDING), (-1, PENDING), (0, OCCURRED), (1, OCCURRED))
UNSAID = ((-2, 0), (-1, 0), (0, 0), (0, 0), (1, 0))
DELETED = ((-3, PENDING | DELETE), (-2, PENDING | DELETE), (0, OCCURRED | DELETE), (1, OCCURRED | DELETE))


def stamps(seconds):
    return [(MIDNIGHT + soc, index / RATE, bits) for soc, bits in seconds for index in range(RATE)]


def scale(leaps, stream, seconds):
    """Seconds on the scale, from midnight, of each second's frames."""
    found = [leaps.second(stream, *stamp) - MIDNIGHT for stamp in stamps(seconds)]
    assert all(len(set(found[i : i + RATE])) == 1 for i in range(0, len(found), RATE))
    return found[::RATE]


@pytest.mark.parametrize("seconds", [ADDED, TWICE_59])
def test_an_inserted_second_has_a_number_of_its_own(seconds):
    leaps = LeapSeconds()
    assert scale(leaps, 0, seconds) == [-2, -1, 0, 1, 2]
    expected = [(-1, 0), (0, PENDING), (0, OCCURRED), (1, OCCURRED)]
    assert [leaps.utc(MIDNIGHT + n) for n in (-1, 0, 1, 2)] == [(MIDNIGHT + soc, bits) for soc, bits in expected]
    assert leaps.utc(MIDNIGHT + 86_400) == (MIDNIGHT + 86_399, OCCURRED)
    assert leaps.utc(MIDNIGHT + 86_401) == (MIDNIGHT + 86_400, 0)


def test_a_deleted_second_has_none():
    leaps = LeapSeconds()
    assert scale(leaps, 0, DELETED) == [-3, -2, -1, 0]
    assert leaps.utc(MIDNIGHT - 2) == (MIDNIGHT - 2, 0)
    assert leaps.utc(MIDNIGHT - 1) == (MIDNIGHT, OCCURRED | DELETE)
    assert leaps.utc(MIDNIGHT + 86_398) == (MIDNIGHT + 86_399, OCCURRED | DELETE)
    assert leaps.utc(MIDNIGHT + 86_399) == (MIDNIGHT + 86_400, 0)


def test_two_leap_seconds_add_up_to_none():
    leaps = LeapSeconds()
    scale(leaps, 0, ADDED)
    later = tuple((soc + 90 * 86_400, bits) for soc, bits in DELETED)
    assert [n - 90 * 86_400 for n in scale(leaps, 0, later)] == [-2, -1, 0, 1]
    assert leaps.utc(MIDNIGHT + 90 * 86_400 + 1)[0] == MIDNIGHT + 90 * 86_400 + 1


def test_a_stream_that_says_nothing_follows_the_others():
    leaps = LeapSeconds(3)
    found = [
        [leaps.second(n, *both[n]) - MIDNIGHT for n in range(3)]
        for both in zip(*map(stamps, (ADDED, TWICE_59, UNSAID)), strict=True)
    ]
    assert all(len(set(row)) == 1 for row in found)
    assert [row[0] for row in found[::RATE]] == [-2, -1, 0, 1, 2]


def test_one_of_three_with_a_wrong_list_moves_nobody():
    leaps = LeapSeconds(3)
    plain = stamps(tuple((soc, 0) for soc in (-2, -1, 0, 1, 2)))
    for wrong, right in zip(stamps(ADDED), plain, strict=True):
        assert [leaps.second(n, *right) for n in (0, 1)] == [right[0]] * 2
        leaps.second(2, *wrong)
    assert leaps.utc(MIDNIGHT + 5) == (MIDNIGHT + 5, 0)


def test_who_comes_in_the_middle_of_it_has_the_same_number():
    leaps = LeapSeconds(2)
    for stamp in stamps(ADDED[:3]):
        leaps.second(0, *stamp)
    assert leaps.second(1, MIDNIGHT, 0.2, OCCURRED) == MIDNIGHT + 1


@pytest.mark.parametrize("seconds", [ADDED, DELETED])
def test_the_concentrator_goes_through_it(seconds):
    """Two PMUs, one of them always later: every instant complete, stamps and bits as the sources have them."""

    async def scenario():
        pair = (source(1, RATE), source(2, RATE))
        async with Pmus(*pair) as pmus, concentrating(pmus, rate=RATE) as (concentrator, pdc):
            sent, frames = [], []
            for number, (soc, part, bits) in enumerate(stamps(seconds)):
                quality = TimeQuality(bits)
                for config, server in zip(pair, pmus.servers, strict=True):
                    frame = make_frame(config, number)
                    index = round(part * RATE)
                    server.publish(replace(frame, soc=soc, fracsec=index * 100_000, time_quality=quality))
                sent.append((soc, index, bits))
                frames += await take(pdc, 1)
            assert [(f.soc, f.fracsec // 100_000, int(f.time_quality) & 0x70) for f in frames] == sent
            assert [[pmu.phasors[0] for pmu in f.pmus] for f in frames] == [[n, n] for n in range(len(sent))]
            statistics = concentrator.statistics
            assert (statistics.slots, statistics.complete_slots) == (len(sent), len(sent))
            for one in statistics.sources:
                assert (one.alignment.late, one.alignment.duplicate, one.alignment.missing) == (0, 0, 0)
                assert (one.client.repeated_frames, one.client.missing_frames) == (0, 0)
            assert (pdc.statistics.repeated_frames, pdc.statistics.missing_frames) == (0, 0)

    run(scenario())
