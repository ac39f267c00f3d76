"""STAT, time quality and stamps: bits by name, integer time."""

import pytest

from rpmu.c37118 import DataError, Stamp, Stat, TimeQuality, TriggerReason
from rpmu.errors import InputError

STAT_BITS = [
    (0x4000, "data_error", DataError.PMU_ERROR),
    (0x8000, "data_error", DataError.TEST_OR_ABSENT),
    (0xC000, "data_error", DataError.DO_NOT_USE),
    (0x2000, "in_sync", False),
    (0x1000, "by_arrival", True),
    (0x0800, "trigger", True),
    (0x0400, "config_change", True),
    (0x0200, "modified", True),
    (0x0040, "pmu_tq", 1),
    (0x01C0, "pmu_tq", 7),
    (0x0010, "unlocked_time", 1),
    (0x0030, "unlocked_time", 3),
    (0x0001, "trigger_reason", TriggerReason.MAGNITUDE_LOW),
    (0x0005, "trigger_reason", TriggerReason.ROCOF),
    (0x000F, "trigger_reason", 15),
]
STAT_FIELDS = list(dict.fromkeys(name for _, name, _ in STAT_BITS))


@pytest.mark.parametrize(("word", "name", "value"), STAT_BITS)
def test_stat_bits_both_ways(word, name, value):
    assert getattr(Stat(word), name) == value
    assert Stat.of(**{name: value}) == word
    for other in STAT_FIELDS:
        if other != name:
            assert getattr(Stat(word), other) == getattr(Stat(0), other)


def test_every_stat_word_survives():
    for word in range(0x10000):
        stat = Stat(word)
        assert Stat.of(**{name: getattr(stat, name) for name in STAT_FIELDS}) == word


def test_every_time_quality_byte_survives():
    for byte in range(0x80):
        quality = TimeQuality(byte)
        flags = {name: getattr(quality, name) for name in ("leap_pending", "leap_occurred", "leap_delete")}
        assert TimeQuality.of(quality.code, **flags) == byte
        assert quality.locked == (byte & 15 == 0)


@pytest.mark.parametrize(
    ("code", "bound_s"),
    [(0, 0.0), (1, 1e-9), (4, 1e-6), (9, 0.1), (10, 1.0), (11, 10.0), (12, float("inf")), (15, float("inf"))],
)
def test_time_quality_codes(code, bound_s):
    assert TimeQuality(code).error_bound_s == bound_s


def test_time_quality_bits():
    assert TimeQuality(0x40).leap_delete
    assert TimeQuality(0x20).leap_occurred
    assert TimeQuality(0x10).leap_pending
    assert repr(TimeQuality(0x1F)) == "TimeQuality(0x1f)"
    assert repr(Stat(0x2000)) == "Stat(0x2000)"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Stat.of(pmu_tq=8), "pmu_tq is 8, but must lie in 0 to 7"),
        (lambda: Stat.of(trigger_reason=-1), "trigger_reason is -1"),
        (lambda: Stat.of(unlocked_time=4), "unlocked_time is 4"),
        (lambda: TimeQuality.of(16), "code is 16"),
        (lambda: Stamp.at(0, 60, 60), "frame index is 60, but must lie in 0 to 59"),
        (lambda: Stamp.at(0, 1, -10), "frame index is 1, but must lie in 0 to 0"),
    ],
)
def test_what_does_not_fit_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_stamps_of_30_frames_are_those_of_real_relays():
    assert [Stamp.at(5, index, 30).fracsec for index in (0, 1, 2, 3, 29)] == [0, 33333, 66667, 100000, 966667]


@pytest.mark.parametrize("rate", [1, 10, 25, 30, 50, 60, 100, 120, 7, 240, 32767])
@pytest.mark.parametrize("time_base", [1_000_000, 0xFFFFFF, 65535, 100_000])
def test_index_is_found_again_in_the_stamp(rate, time_base):
    for index in {0, 1, rate // 2, rate - 1} & set(range(rate)):
        stamp = Stamp.at(1_700_000_000, index, rate, time_base)
        assert stamp.fracsec < time_base
        assert stamp.grid_index(rate, time_base) == (1_700_000_000, index)
        assert Stamp.from_ns(stamp.time_ns(time_base), time_base) == stamp


def test_a_stamp_may_round_into_the_next_second():
    assert Stamp.at(7, 59, 60, time_base=10) == (8, 0)
    assert Stamp.from_ns(1_999_999_999, 1000) == (2, 0)
    assert Stamp(7, 999_999).grid_index(60, 1_000_000) == (8, 0)


def test_seconds_per_frame():
    assert Stamp.at(120, 0, -10) == (120, 0)
    assert Stamp(119, 999_999).grid_index(-10, 1_000_000) == (120, 0)
    assert Stamp(126, 0).grid_index(-10, 1_000_000) == (130, 0)


def test_time_ns_is_the_nearest():
    assert Stamp(1, 1).time_ns(3) == 1_333_333_333
    assert Stamp(1, 2).time_ns(3) == 1_666_666_667
    assert Stamp(4_294_967_295, 16_777_214).time_ns(16_777_215) == 4_294_967_295_999_999_940
