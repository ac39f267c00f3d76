"""Whatever arrives, in whatever order: no exception escapes, and nothing that is not time is taken for it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rpmu.acquire.blocks import PpsEvent, SampleBlock
from rpmu.timing import TimeKeeper
from rpmu.timing.nmea import NmeaStream
from tests.timing.simulator import INFO, NO_CODES, START, World, dishonest, run, sentences, with_checksum

LOGS = [path.read_bytes() for path in sorted((Path(__file__).parent.parent / "data" / "nmea").glob("*.log"))]
BODIES = sorted({body for log in LOGS for body in re.findall(rb"\$([A-Z][^*$\r\n]{10,})\*", log)})[::7]

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


QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # a world of 40 s is too slow to make a failure smaller

cuts = st.tuples(st.sampled_from(["flip", "delete", "double", "insert"]), st.integers(0, 2**31), st.integers(1, 90))


def broken(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    """What a bad line or a lost byte makes of a stream."""
    stream = bytearray(data)
    for kind, where, size in changes:
        at = where % (len(stream) + 1)
        if kind == "flip" and at < len(stream):
            stream[at] ^= 1 << size % 8
        elif kind == "delete":
            del stream[at : at + size]
        elif kind == "double":
            stream[at:at] = stream[at : at + size]
        elif kind == "insert":
            stream[at:at] = bytes((where * i + size) % 256 for i in range(size))
    return bytes(stream)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(LOGS), st.integers(0, 20_000), st.lists(cuts, max_size=12), st.integers(1, 200))
def test_real_logs_broken_anyhow_are_read_or_counted(log, start, changes, piece):
    """Every dollar sign begins a sentence that is good, or bad for a reason, or the next one's beginning."""
    data = broken(log[start : start + 3000], changes) + b"\n"
    stream = NmeaStream()
    found = [s for i in range(0, len(data), piece) for s in stream.feed(data[i : i + piece], i)]
    assert len(found) == sum(stream.good.values())
    assert sum(stream.good.values()) + sum(stream.bad.values()) == data.count(b"$")


texts = st.text("0123456789.,-ADENV", max_size=12)
# A sentence with a right checksum whose fields lie: a real one with some fields replaced.
lies = st.builds(
    lambda body, changed: b",".join(
        changed.get(i, field.decode("latin-1")).encode() for i, field in enumerate(body.split(b","))
    ),
    st.sampled_from(BODIES),
    st.dictionaries(st.integers(1, 12), texts, max_size=3),
)


@settings(max_examples=40, deadline=None, phases=QUICK, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 39), lies), max_size=25),
    st.lists(st.tuples(st.integers(0, 39), st.integers(-4000, 4000)), max_size=15),
    st.booleans(),
)
def test_well_formed_lies_never_make_a_frame_claim_too_much(said, wrong, silent):
    """Beside the true sentences, or in their place; some seconds name another second."""
    extra = {}
    for second, body in said:
        extra.setdefault(second, []).append(with_checksum(body.decode("latin-1")))
    errors = dict(wrong)

    def liar(k, utc, data):
        return b"".join(extra[k]) + (b"" if silent else data) if k in extra else data

    record = run(World(seconds=40, sentences=liar, nmea_error_s=lambda k: errors.get(k, 0)))
    assert dishonest(record).size == 0


def spoiled(event: PpsEvent, kind: str, a: int, b: int) -> PpsEvent:
    """What noise, a broken wire or a bad firmware makes of an edge."""
    codes = event.samples.astype(np.int64)
    at = a % codes.size
    if kind == "flip":
        codes[at] ^= 1 << b % 12
    elif kind == "burst":
        codes[at : at + 1 + b % 8] = np.random.default_rng(b).integers(0, 4096, codes[at : at + 1 + b % 8].size)
    elif kind == "stuck":
        codes[at:] = codes[at]
    elif kind == "scaled":
        codes = codes * (b % 200) // 100
    elif kind == "shifted":  # samples lost: what follows moves up
        codes = np.concatenate([codes[:at], codes[at + 1 + b % 5 :], codes[-1 - b % 5 :]])[: codes.size]
    elif kind == "short":
        codes = codes[: max(at, 1)]
    elif kind == "reversed":
        codes = codes[::-1]
    elif kind == "moved":  # its place in the ring is wrong
        return replace(event, first_scan=event.first_scan + (b % 9 - 4) * 60)
    elif kind == "crossing":
        return replace(event, crossing=b % 60 - 5)
    return replace(event, samples=np.clip(codes, 0, 4095).astype(np.uint16))


KINDS = ["flip", "burst", "stuck", "scaled", "shifted", "short", "reversed", "moved", "crossing"]
spoils = st.dictionaries(
    st.integers(0, 39), st.tuples(st.sampled_from(KINDS), st.integers(0, 47), st.integers(0, 2**16)), max_size=8
)


@settings(max_examples=60, deadline=None, phases=QUICK, derandomize=True)
@given(spoils, st.sampled_from([58.8, 0.0, 16.667]))
def test_spoiled_edges_never_make_a_frame_claim_too_much(spoil, ppm):
    """Up to one edge in five is not what it was, before and after lock."""
    world = World(
        seconds=40,
        ppm=lambda _: ppm,
        mangle=lambda k, event: spoiled(event, *spoil[k]) if k in spoil else event,
    )
    assert dishonest(run(world)).size == 0
