"""For any frame: what is encoded decodes to the same; any bytes are refused by ProtocolError or understood."""

from fractions import Fraction
from math import isinf, isnan

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rpmu.c37118 import (
    AnalogChannel,
    CommandFrame,
    ConfigFrame1,
    ConfigFrame2,
    ConfigFrame3,
    DataFrame,
    Decoder,
    DigitalWord,
    Format,
    HeaderFrame,
    PhasorChannel,
    PhasorComponent,
    PmuConfig,
    ProtocolError,
    Stamp,
    Stat,
    TimeQuality,
    decode,
)
from rpmu.c37118.bulk import DataBlock

u16 = st.integers(0, 0xFFFF)
idcodes = st.integers(1, 0xFFFE)
float32 = st.floats(width=32, allow_nan=False)
finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
names16 = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=16)
names = st.text(st.characters(exclude_categories=("Cs",)), max_size=40).filter(lambda name: len(name.encode()) <= 255)
heads = {
    "soc": st.integers(0, 0xFFFFFFFF),
    "fracsec": st.integers(0, 999),
    "time_quality": st.integers(0, 255).map(TimeQuality),
}
versions = st.sampled_from([1, 2])
phasor_scales = st.integers(0, 0xFFFFFF).map(lambda factor: factor / 100_000)
analog_scales = st.integers(-0x800000, 0x7FFFFF).map(float)


def words(name):
    return st.builds(DigitalWord, st.tuples(*[name] * 16), u16, u16)


def few(strategy, most=3):
    return st.lists(strategy, max_size=most).map(tuple)


def phasors2():
    return st.builds(PhasorChannel, names16, st.booleans(), phasor_scales)


def phasors3():
    byte = st.integers(0, 255)
    return st.builds(
        PhasorChannel, names, st.booleans(), finite32, finite32, st.sampled_from(PhasorComponent), u16, byte
    )


formats = st.integers(0, 15).map(Format)
pmus2 = st.builds(
    PmuConfig,
    names16,
    u16,
    formats,
    few(phasors2()),
    few(st.builds(AnalogChannel, names16, st.integers(0, 255), analog_scales)),
    few(words(names16), 1),
    nominal_hz=st.sampled_from([50, 60]),
    cfgcnt=u16,
)
int32 = st.integers(-(1 << 31), (1 << 31) - 1)
pmus3 = st.builds(
    PmuConfig,
    names,
    u16,
    formats,
    few(phasors3()),
    few(st.builds(AnalogChannel, names, scale=finite32, offset=finite32)),
    few(words(names), 1),
    nominal_hz=st.sampled_from([50, 60]),
    cfgcnt=u16,
    global_id=st.binary(min_size=16, max_size=16),
    latitude_deg=float32,
    longitude_deg=float32,
    elevation_m=float32,
    service_class=st.sampled_from(["M", "P"]),
    window_us=int32,
    group_delay_us=int32,
)
rates = st.integers(-0x8000, 0x7FFF).filter(bool)
time_bases = st.integers(1000, 0xFFFFFF)


def configs(frame_class, pmus, version):
    some = st.lists(pmus, min_size=1, max_size=3).map(tuple)
    return st.builds(frame_class, idcodes, some, rates, time_bases, **heads, version=version)


configs2 = st.one_of(configs(ConfigFrame1, pmus2, versions), configs(ConfigFrame2, pmus2, versions))
configs3 = configs(ConfigFrame3, pmus3, st.just(2))
headers = st.builds(HeaderFrame, idcodes, st.text(st.characters(exclude_categories=("Cs",))), **heads, version=versions)
commands = st.builds(
    CommandFrame, idcodes, u16, st.binary(max_size=40).filter(lambda b: len(b) % 2 == 0), **heads, version=versions
)
frames = st.one_of(configs2, configs3, headers, commands)


@given(frames)
def test_round_trip(frame):
    assert decode(frame.encode()) == frame


@given(configs3, st.integers(64, 400), st.integers(1, 300))
def test_cfg_3_in_fragments_and_pieces(config, size, piece):
    stream = b"".join(config.encode_fragments(size))
    decoder = Decoder()
    events = [event for at in range(0, len(stream), piece) for event in decoder.feed(stream[at : at + piece])]
    assert events == [config]


@st.composite
def data_frames(draw):
    config = draw(st.one_of(configs2, configs3))
    body = draw(st.binary(min_size=config.layout.body.size, max_size=config.layout.body.size))
    values = config.layout.body.unpack(body)
    assume(not any(isinstance(value, float) and isnan(value) for value in values))
    fracsec = draw(st.integers(0, config.time_base - 1))
    return DataFrame(config, draw(heads["soc"]), fracsec, values, draw(heads["time_quality"]), draw(versions))


@given(data_frames())
def test_data_round_trip(frame):
    raw = frame.encode()
    assert decode(raw, frame.config) == frame
    assert DataBlock.decode(raw, frame.config).encode() == raw
    assert len(frame.pmus) == len(frame.raw_pmus) == len(frame.config.pmus)


@given(data_frames())
def test_integers_survive_engineering_units(frame):
    """Frequencies and status come back as the same numbers from engineering values; nothing is shifted by one."""
    for part, pmu, raw in zip(frame.config.layout.pmus, frame.pmus, frame.raw_pmus, strict=True):
        assume(not isinf(abs(sum(pmu.phasors))))
        written = part.write(pmu)
        freq_at = 1 + 2 * len(pmu.phasors)
        assert written[0] == raw.stat
        assert written[freq_at : freq_at + 2] == (raw.freq, raw.dfreq)
        assert written[len(written) - len(pmu.digitals) :] == raw.digitals


@given(st.binary(max_size=200))
def test_any_bytes(data):
    try:
        frame = decode(data)
    except ProtocolError:
        return
    assert decode(frame.encode()) == frame


@given(st.lists(st.one_of(frames.map(lambda frame: frame.encode()), st.binary(max_size=30)), max_size=6), st.data())
@settings(deadline=None)
def test_a_stream_with_junk_in_any_pieces_never_raises_and_loses_nothing(parts, data):
    stream = b"".join(parts)
    decoder = Decoder()
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, 200))
        decoder.feed(stream[at : at + size])
        at += size
    good = decoder.framer.frames
    decoder.feed(bytes(65_535))  # whatever waited for its rest is now known to be junk
    assert decoder.framer.frames >= good
    whole = Decoder()
    whole.feed(stream)
    whole.feed(bytes(65_535))
    assert whole.framer.frames == decoder.framer.frames
    assert whole.framer.frames <= sum(map(bool, parts))


@given(st.lists(headers, min_size=2, max_size=5), st.binary(max_size=50), st.integers(1, 100))
def test_after_any_junk_every_frame_is_found(frames_sent, junk, size):
    stream = junk + b"".join(frame.encode() for frame in frames_sent)
    decoder = Decoder()
    events = [event for at in range(0, len(stream), size) for event in decoder.feed(stream[at : at + size])]
    assert [event for event in events if isinstance(event, HeaderFrame)] == frames_sent


@given(st.integers(0, 0xFFFFFFFF), st.integers(1, 0x7FFF), time_bases, st.data())
def test_stamps(second, rate, time_base, data):
    index = data.draw(st.integers(0, rate - 1))
    stamp = Stamp.at(second, index, rate, time_base)
    assert 0 <= stamp.fracsec < time_base
    exact = Fraction(second * 10**9) + Fraction(index * 10**9, rate)
    assert abs(stamp.time_ns(time_base) - exact) <= Fraction(10**9, 2 * time_base) + 1
    if time_base >= 2 * rate:
        assert stamp.grid_index(rate, time_base) == (second, index)


@given(st.integers(0, (1 << 32) * 10**9 - 1), time_bases)
def test_stamps_from_ns(time_ns, time_base):
    stamp = Stamp.from_ns(time_ns, time_base)
    assert 0 <= stamp.fracsec < time_base
    assert abs(stamp.time_ns(time_base) - time_ns) * 2 * time_base <= 10**9 + 2 * time_base


@given(u16)
def test_stat_prints_what_it_is(word):
    assert int(repr(Stat(word))[5:-1], 16) == word
