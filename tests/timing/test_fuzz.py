"""Whatever arrives, in whatever order: no exception escapes, and nothing that is not time is taken for it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.acquire.blocks import PpsEvent, SampleBlock
from rpmu.timing import TimeKeeper
from tests.timing.simulator import INFO, NO_CODES, START, World, run, sentences

RISE = -np.expm1(-np.maximum(np.arange(48) - 15.4, 0) / 0.99)

scans = st.integers(0, 2**40) | st.integers(0, 600_000)
counters = st.integers(0, 2**50)
epochs = st.integers(0, 3)
samples = st.lists(st.integers(0, 4095), max_size=60) | st.integers(0, 4095).map(
    lambda top: list((top * RISE).astype(int))
)
events = st.builds(
    lambda source, epoch, scan, values, crossing, a, b: PpsEvent(
        source, epoch, scan, np.array(values, dtype=np.uint16), crossing, a, b
    ),
    st.sampled_from(["adc", "pin"]), epochs, scans, samples, st.integers(-5, 70), counters, counters,
)  # fmt: skip
blocks = st.builds(lambda scan, epoch, counter: SampleBlock(scan, NO_CODES, epoch, counter), scans, epochs, counters)
nmea = st.binary(max_size=80) | st.builds(
    sentences, st.integers(0, 2**32), st.booleans(), st.booleans(), talker=st.sampled_from(["GP", "GN"])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(events | blocks | st.tuples(nmea, scans), max_size=60))
def test_nothing_raises_and_noise_does_not_lock(items):
    keeper = TimeKeeper(INFO)
    for item in items:
        if isinstance(item, PpsEvent):
            keeper.feed_event(item)
        elif isinstance(item, SampleBlock):
            keeper.feed_block(item)
        else:
            keeper.feed_nmea(*item)
        assert keeper.status.reason
        assert keeper.report_time(START * 10**9).soc > 0
    assert not keeper.status.locked


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_edges_at_random_do_not_lock(seed):
    """Three pulses a second, each anywhere, beside good NMEA: lines through three of them are found now and then."""
    rng = np.random.default_rng(seed)
    record = run(
        World(seconds=40, pps=lambda _: False, extra_pps_s=lambda _: tuple(rng.uniform(0.01, 0.98, 3)), seed=seed)
    )
    assert not record.in_sync.any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_sentences_at_random_do_not_name_the_second(seed):
    rng = np.random.default_rng(seed)
    record = run(World(seconds=40, nmea_error_s=lambda _: int(rng.integers(-1000, 1000)), seed=seed))
    assert not record.in_sync.any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_noise_between_the_sentences_does_no_harm(seed):
    rng = np.random.default_rng(seed)

    def noisy(_k, _utc, data):
        broken = bytearray(data)
        broken[rng.integers(0, len(data))] ^= 1 << rng.integers(0, 8)
        return bytes(rng.integers(0, 256, 30, dtype=np.uint8)) + b"\r\n" + bytes(broken) + data

    record = run(World(seconds=40, sentences=noisy, seed=seed))
    assert record.in_sync[record.t > 15].all()
    assert np.abs(record.error_ns[record.t > 15]).max() < 1_000
