"""The stream parser: any pieces, junk, wrong sizes, missing configurations, fragments, bounded memory and work."""

import random
import time
from dataclasses import replace

import pytest

from rpmu.c37118 import (
    Command,
    CommandFrame,
    ConfigFrame1,
    ConfigFrame2,
    ConfigFrame3,
    ConfigNeeded,
    DataFrame,
    Decoder,
    Framer,
    HeaderFrame,
    PmuData,
    ProtocolError,
)
from rpmu.errors import InputError
from tests.c37118.cases import CASES, FULL, HOME, ONE_PHASOR, RICH, config_of, refit, seal


def report(index, config=HOME):
    return DataFrame.at(config, 1_700_000_000, index, [PmuData((120 + 0j,), 60.0, 0.0)])


REPORTS = [report(index) for index in range(40)]
RAW = [frame.encode() for frame in REPORTS]


LONG = ConfigFrame3(9, tuple(replace(RICH, idcode=n) for n in range(1, 40)), 50, soc=5)


def primed(**options):
    decoder = Decoder(**options)
    decoder.configs[7] = HOME
    return decoder


def test_a_session():
    decoder = Decoder()
    stream = [HeaderFrame(7, "hello"), ConfigFrame1(7, (FULL,), 50), HOME, REPORTS[0], CommandFrame(7, 2), REPORTS[1]]
    assert decoder.feed(b"".join(frame.encode() for frame in stream)) == stream
    assert decoder.configs == {7: HOME}
    assert decoder.framer.frames == 6
    assert decoder.framer.bad_frames == decoder.framer.junk_bytes == decoder.framer.pending == 0


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 33, 34, 35, 100, 1000])
def test_any_pieces(size):
    stream = HOME.encode() + b"".join(RAW)
    decoder = Decoder()
    events = [event for at in range(0, len(stream), size) for event in decoder.feed(stream[at : at + size])]
    assert events == [HOME, *REPORTS]


def test_a_frame_comes_out_with_its_last_byte():
    decoder = primed()
    assert decoder.feed(RAW[0][:-1]) == []
    assert decoder.framer.pending == 33
    assert decoder.feed(RAW[0][-1:]) == [REPORTS[0]]


def test_data_before_the_configuration_asks_for_it():
    decoder = Decoder()
    (event,) = decoder.feed(RAW[0])
    assert isinstance(event, ConfigNeeded)
    assert (event.idcode, event.frame) == (7, RAW[0])
    assert decoder.feed(HOME.encode() + RAW[1]) == [HOME, REPORTS[1]]


def test_a_capability_describes_no_data():
    decoder = Decoder()
    _, event = decoder.feed(ConfigFrame1.of(HOME).encode() + RAW[0])
    assert isinstance(event, ConfigNeeded)


def test_data_that_no_longer_fits_asks_for_the_configuration():
    changed = replace(HOME, pmus=(FULL,))
    data = PmuData((1 + 0j, 1 + 0j), 50.0, 0.0, (0.0, 0.0), (0,))
    new = DataFrame.at(changed, 1_700_000_001, 0, [data])
    decoder = primed()
    (event,) = decoder.feed(new.encode())
    assert isinstance(event, ConfigNeeded)
    assert event.reason.field == "FRAMESIZE"
    events = decoder.feed(changed.encode() + new.encode())
    assert events[0] == changed
    assert events[1].encode() == new.encode()


def test_the_time_base_may_be_what_no_longer_fits():
    slow = replace(HOME, time_base=1000)
    decoder = primed()
    decoder.configs[7] = slow
    (event,) = decoder.feed(RAW[1])
    assert isinstance(event, ConfigNeeded)
    assert event.reason.field == "FRACSEC"


def test_streams_are_told_apart_by_idcode():
    other = replace(HOME, idcode=8, pmus=(FULL,))
    decoder = Decoder()
    decoder.feed(HOME.encode() + other.encode())
    assert decoder.feed(RAW[0]) == [REPORTS[0]]


def test_streams_that_are_remembered_are_bounded():
    decoder = Decoder(max_streams=3)
    for idcode in range(1, 10):
        decoder.feed(replace(HOME, idcode=idcode).encode())
    assert list(decoder.configs) == [7, 8, 9]
    decoder.feed(replace(HOME, idcode=7).encode() + replace(HOME, idcode=1).encode())
    assert list(decoder.configs) == [9, 7, 1]


JUNK = [
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    pytest.param(b"\xaa", id="SYNC byte"),
    pytest.param(b"\xaa\xaa\xaa\xaa\xaa\xaa", id="SYNC bytes"),
    pytest.param(b"\xaa\x02\xff\xff", id="head of the longest frame"),
    pytest.param(b"\xaa\x02\x00\x0f\x00", id="FRAMESIZE 15"),
    pytest.param(b"\xaa\x31\x40\x00" * 3, id="heads of long frames"),
    pytest.param(RAW[0][:20], id="a cut frame"),
    pytest.param(RAW[0][20:], id="the end of a frame"),
    pytest.param(RAW[0][:-1] + b"\0", id="a wrong CHK"),
    pytest.param(bytes(70_000), id="zeros"),
]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_after_junk_at_the_start_every_frame_comes_at_once(junk, size):
    decoder = primed()
    errors = [event for at in range(0, len(junk), size) for event in decoder.feed(junk[at : at + size])]
    for raw, frame in zip(RAW[:5], REPORTS[:5], strict=True):
        events = [event for at in range(0, len(raw), size) for event in decoder.feed(raw[at : at + size])]
        errors += [event for event in events if isinstance(event, ProtocolError)]
        assert [event for event in events if not isinstance(event, ProtocolError)] == [frame]
    assert errors
    assert decoder.framer.junk_bytes == len(junk)
    assert decoder.framer.pending == 0


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_after_junk_in_the_middle_no_frame_is_lost(junk, size):
    decoder = primed()
    stream = b"".join(RAW[:3]) + junk + b"".join(RAW[3:])
    events = [event for at in range(0, len(stream), size) for event in decoder.feed(stream[at : at + size])]
    assert [event for event in events if isinstance(event, DataFrame)] == REPORTS
    assert decoder.framer.junk_bytes == len(junk)
    assert decoder.framer.pending == 0
    assert 1 <= sum(isinstance(event, ProtocolError) for event in events) <= 7


def test_a_false_head_in_step_delays_one_frame_only():
    decoder = primed()
    decoder.feed(RAW[0] + b"\xaa\x02\xff\xff")
    assert decoder.feed(RAW[1]) == []
    error, *frames = decoder.feed(RAW[2])
    assert frames == REPORTS[1:3]
    assert isinstance(error, ProtocolError)


def test_a_frame_may_carry_a_frame():
    carrier = CommandFrame(7, Command.EXTENDED, RAW[1])
    decoder = primed()
    decoder.feed(RAW[0])
    events = [event for byte in carrier.encode() for event in decoder.feed(bytes((byte,)))]
    assert events == [carrier]


def test_a_cut_frame_costs_only_itself():
    decoder = primed()
    events = decoder.feed(RAW[0] + RAW[1][:30] + RAW[2] + RAW[3])
    assert [event for event in events if isinstance(event, DataFrame)] == [REPORTS[0], *REPORTS[2:4]]


def test_a_new_version_is_cut_out_whole_and_refused_by_name():
    decoder = primed()
    foreign = refit(RAW[0], 1, b"\x83")
    first, error, second = decoder.feed(RAW[0] + foreign + RAW[1])
    assert (first, second) == (REPORTS[0], REPORTS[1])
    assert isinstance(error, ProtocolError)
    assert error.field == "SYNC type and version"
    assert decoder.framer.junk_bytes == 0


def test_a_bad_body_does_not_stop_the_stream():
    config = HOME.encode()
    decoder = Decoder()
    error, good = decoder.feed(refit(config, 14, bytes(4)) + config)
    assert isinstance(error, ProtocolError)
    assert good == HOME


def test_errors_are_few_but_junk_is_counted():
    framer = Framer()
    errors = [error for _ in range(1000) for error in framer.feed(b"junk" * 100)]
    assert len(errors) == 1
    assert "0x6a75" in str(errors[0])
    assert framer.junk_bytes == 400_000


def test_frames_longer_than_wanted_are_junk():
    framer = Framer(max_frame_size=100)
    long = HeaderFrame(7, "a" * 200).encode()
    found = framer.feed(long + RAW[0])
    assert found[-1] == RAW[0]
    assert framer.junk_bytes == len(long)


def test_reset_forgets_half_a_frame():
    decoder = primed()
    decoder.feed(RAW[0][:20])
    decoder.reset()
    assert decoder.feed(RAW[1]) == [REPORTS[1]]
    assert decoder.framer.junk_bytes == 0


def test_reset_forgets_half_a_configuration():
    first, *rest = LONG.encode_fragments(len(LONG.encode()) // 2 + 100)
    decoder = Decoder()
    decoder.feed(first)
    decoder.reset()
    assert [type(event) for event in decoder.feed(b"".join(rest))] == [ProtocolError]


def test_datagrams_hold_whole_frames():
    decoder = primed()
    assert decoder.feed_datagram(RAW[0] + RAW[1]) == REPORTS[:2]
    (error,) = decoder.feed_datagram(RAW[0][:20])
    assert isinstance(error, ProtocolError)
    assert decoder.framer.junk_bytes == 20
    assert decoder.feed_datagram(RAW[2]) == [REPORTS[2]]
    assert decoder.feed_datagram(b"") == []


def test_one_frame_by_itself():
    decoder = Decoder()
    assert decoder.decode(HOME.encode()) == HOME
    assert decoder.decode(RAW[0]) == REPORTS[0]
    fragment = LONG.encode_fragments(1000)[0]
    assert decoder.decode(fragment) is None
    bad = (b"", b"\xaa", RAW[0][:-1], RAW[0] + b"\0", refit(RAW[0], 4, b"\0\0"), fragment[:-1], b"\0" + fragment[1:])
    for wrong in bad:
        assert isinstance(decoder.decode(wrong), ProtocolError)


# CFG-3 in fragments


def cut_with_one_chk(config, size):
    """The other form: one long frame is made, cut, and only its end has a CHK."""
    payload = config.encode()[16:-2]
    head = config.encode()[:2] + size.to_bytes(2, "big") + config.encode()[4:14]
    whole = seal(head + b"\0\1" + payload)
    rest = [whole[at : at + size - 16] for at in range(size, len(whole), size - 16)]
    numbers = [*range(2, len(rest) + 1), 0xFFFF]
    frames = [whole[:size]]
    for number, piece in zip(numbers, rest, strict=True):
        frames.append(head[:2] + (16 + len(piece)).to_bytes(2, "big") + head[4:] + number.to_bytes(2, "big") + piece)
    return frames


@pytest.mark.parametrize("cut", [LONG.__class__.encode_fragments, cut_with_one_chk])
@pytest.mark.parametrize("size", [64, 100, 1000, 4000])
@pytest.mark.parametrize("piece", [1, 50, 100_000])
def test_fragments_of_both_forms(cut, size, piece):
    fragments = cut(LONG, size)
    assert len(fragments) > 1
    stream = b"".join(fragments)
    decoder = Decoder()
    events = [event for at in range(0, len(stream), piece) for event in decoder.feed(stream[at : at + piece])]
    assert events == [LONG]
    assert decoder.configs == {9: LONG}
    assert decoder.framer.junk_bytes == 0


@pytest.mark.parametrize("cut", [LONG.__class__.encode_fragments, cut_with_one_chk])
def test_fragments_among_other_frames(cut):
    decoder = primed()
    events = []
    for number, fragment in enumerate(cut(LONG, 1000)):
        events += decoder.feed(RAW[number] + fragment)
    assert [event for event in events if isinstance(event, DataFrame)] == REPORTS[: number + 1]
    assert events[-1] == LONG


def test_short_configurations_are_not_cut():
    assert ConfigFrame3(9, (RICH,), 50).encode_fragments() == [ConfigFrame3(9, (RICH,), 50).encode()]
    fragments = LONG.encode_fragments(1000)
    assert [len(fragment) for fragment in fragments[:-1]] == [1000] * (len(fragments) - 1)
    assert [int.from_bytes(fragment[14:16], "big") for fragment in fragments] == [*range(1, len(fragments)), 0xFFFF]
    with pytest.raises(InputError, match="64 to 65535"):
        LONG.encode_fragments(63)


def test_the_time_of_a_cut_configuration_is_that_of_its_first_fragment():
    fragments = LONG.encode_fragments(1000)
    fragments[-1] = refit(fragments[-1], 6, (6).to_bytes(4, "big"))
    (config,) = Decoder().feed(b"".join(fragments))
    assert config.soc == LONG.soc


def test_a_configuration_above_65535_bytes():
    huge = ConfigFrame3(9, tuple(replace(RICH, idcode=n, name="N" * 255) for n in range(1, 300)), 50)
    with pytest.raises(InputError, match="at most 65519"):
        huge.encode()
    fragments = huge.encode_fragments()
    assert len(fragments) == 2
    assert Decoder().feed(b"".join(fragments)) == [huge]


@pytest.mark.parametrize(
    "order", [[1, 2, 3], [0, 2, 3], [0, 0, 2, 3], [0, 1, 1, 3], [0, 1, 2], [3], [0, 1, 2, 3, 3]], ids=str
)
def test_fragments_out_of_order_make_no_configuration(order):
    fragments = LONG.encode_fragments(len(LONG.encode()) // 4 + 40)
    assert len(fragments) == 4
    decoder = Decoder()
    events = decoder.feed(b"".join(fragments[number] for number in order))
    complete = order[:4] == [0, 1, 2, 3]
    assert (LONG in events) == complete
    assert all(event.field == "CONT_IDX" for event in events if isinstance(event, ProtocolError))
    assert decoder.feed(b"".join(fragments)) == [LONG]


def test_a_damaged_fragment_is_found():
    for cut in (LONG.__class__.encode_fragments, cut_with_one_chk):
        fragments = cut(LONG, 1000)
        damaged = bytearray(fragments[2])
        damaged[500] ^= 1
        fragments[2] = bytes(damaged)
        (error,) = Decoder().feed(b"".join(fragments))
        assert isinstance(error, ProtocolError)
        assert error.field == "CHK"


def test_fragments_are_bounded():
    decoder = Decoder()
    endless = ConfigFrame3(9, (RICH,), 50)
    events = []
    for number in range(1, 40):
        events += decoder.feed(endless._frame(number.to_bytes(2, "big") + bytes(65_000)))
    assert next(event.field for event in events) == "CFG-3 fragments"
    assert decoder._fragments._streams == {}
    for idcode in range(1, 100):
        decoder.feed(replace(endless, idcode=idcode)._frame(b"\0\1" + bytes(65_000)))
    assert len(decoder._fragments._streams) <= 4


# Bounds


def test_memory_is_bounded():
    framer = Framer()
    rng = random.Random(1)
    for _ in range(300):
        framer.feed(rng.choice([b"\xaa\x02\xff\xff", b"\xaa\x31\xff\xf0"]) + rng.randbytes(1000))
        assert framer.pending <= 65_535 + 1004


def test_work_is_linear_in_what_was_received():
    """Heads of the longest frame every four bytes: every one fails its CHK, over 65535 bytes, and hides the others."""
    framer = Framer()
    start = time.process_time()
    framer.feed(b"\xaa\x02\xff\xff" * 100_000)
    hostile_s = time.process_time() - start
    start = time.process_time()
    Framer().feed(RAW[0] * (400_000 // len(RAW[0])))
    honest_s = time.process_time() - start
    assert hostile_s < 50 * honest_s + 1  # without the bound: some thousand times as much
    assert framer.feed(bytes(65_535) + RAW[0])[-1] == RAW[0]


@pytest.mark.parametrize(("name", "value", "raw"), CASES, ids=[case[0] for case in CASES])
def test_random_damage_never_raises(name, value, raw):
    rng = random.Random(name)
    for _ in range(200):
        decoder = Decoder()
        config = config_of(value)
        if config:
            decoder.configs[config.idcode] = config
        damaged = bytearray(raw * 3)
        for _ in range(rng.randrange(1, 8)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        decoder.feed(damaged)
        for _ in range(5):
            cut = seal(bytes(damaged[: len(raw) - 2]))
            decoder.decode(cut)
        assert decoder.feed(bytes(65_535) + CommandFrame(1, Command.DATA_ON).encode())[-1].command is Command.DATA_ON


def test_config_frames_of_the_stream_win_over_older_ones():
    decoder = primed()
    newer = ConfigFrame3(7, (replace(ONE_PHASOR, name="NEW"),), 60)
    decoder.feed(newer.encode())
    (frame,) = decoder.feed(RAW[0])
    assert frame.config.pmus[0].name == "NEW"
    assert isinstance(decoder.feed(ConfigFrame2.of(HOME).encode())[0], ConfigFrame2)
    assert decoder.configs[7].pmus[0].name == "HOME"
