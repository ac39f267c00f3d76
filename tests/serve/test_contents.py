"""The stream's own encoder makes the codec's bytes, in every format, and refuses what the codec refuses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpmu.c37118 import (
    AnalogChannel,
    ConfigFrame2,
    DataError,
    DataFrame,
    DigitalWord,
    Format,
    PhasorChannel,
    PmuConfig,
    PmuData,
    Stat,
    TimeQuality,
)
from rpmu.errors import InputError
from rpmu.measurement import Measurement
from rpmu.serve.contents import Encoder
from rpmu.timing.status import ReportTime, TimeCodes

NS_PER_S = 1_000_000_000
SOC = 1_795_000_000
WORD = DigitalWord(("BIT",) * 16)
scales = st.sampled_from([0.01, 1.0, 0.02, 250.0])
phasor_channels = st.builds(PhasorChannel, st.just("V"), st.booleans(), scales)
analog_channels = st.builds(AnalogChannel, st.just("A"), scale=st.sampled_from([1.0, -3.0]))
rates = st.sampled_from([-10, -1, 1, 10, 30, 50, 60, 120])
numbers = st.floats() | st.floats(-200, 200)


def few(strategy):
    return st.lists(strategy, max_size=4).map(tuple)


pmus = st.builds(
    PmuConfig,
    st.just("PMU"),
    st.just(7),
    st.integers(0, 15).map(Format),
    few(phasor_channels),
    few(analog_channels),
    st.sampled_from([(), (WORD,)]),
    nominal_hz=st.sampled_from([50, 60]),
)
streams = st.builds(
    ConfigFrame2,
    st.integers(1, 0xFFFE),
    pmus.map(lambda pmu: (pmu,)),
    rates,
    st.sampled_from([20, 1000, 1_000_000, 0xFFFFFF]),
    version=st.sampled_from([1, 2]),
)
codes = st.builds(TimeCodes, st.integers(0, 15), st.integers(0, 7), st.integers(0, 3), st.booleans())
times = st.builds(ReportTime, st.integers(SOC - 5, SOC + 5), st.sampled_from([0, 0x10, 0x60]), codes)


@st.composite
def reports(draw):
    """A stream, a measurement of it, and which report of its second it is."""
    stream = draw(streams)
    counts = stream.layout.pmus[0].counts
    index = draw(st.integers(0, max(0, stream.data_rate - 1)))
    measurement = Measurement(
        time_ns=SOC * NS_PER_S + index * NS_PER_S // max(1, stream.data_rate),
        phasors=tuple(draw(st.tuples(numbers, numbers)) for _ in range(counts[0])),
        frequency_hz=draw(numbers),
        rocof_hz_per_s=draw(numbers),
        valid=draw(st.booleans()),
        time=draw(times),
        status_word=draw(st.integers(0, 0xFFFF)),
        analogs=tuple(draw(numbers) for _ in range(counts[1])),
        test_mode=draw(st.booleans()),
    )
    return stream, replace(measurement, phasors=tuple(complex(*pair) for pair in measurement.phasors)), index


def by_the_codec(stream, measurement, index):
    """The frame, or InputError itself."""
    time = measurement.time
    bad = not measurement.valid or measurement.test_mode
    stat = Stat.of(
        data_error=DataError.TEST_OR_ABSENT if bad else DataError.GOOD,
        in_sync=time.codes.in_sync,
        pmu_tq=time.codes.pmu_tq,
        unlocked_time=time.codes.unlocked_time,
    )
    digitals = (measurement.status_word,) * len(stream.pmus[0].digitals)
    try:
        pmu = PmuData(
            measurement.phasors,
            measurement.frequency_hz,
            measurement.rocof_hz_per_s,
            measurement.analogs,
            digitals,
            stat,
        )
        return DataFrame.at(stream, time.soc, index, [pmu], TimeQuality(time.leap_bits | time.codes.msg_tq)).encode()
    except InputError:
        return InputError


@given(reports())
def test_bytes_are_the_codecs(report):
    stream, measurement, index = report
    wanted = by_the_codec(stream, measurement, index)
    encoder = Encoder(stream)
    for _ in range(2):  # the second time the fraction of the second is known
        try:
            found = encoder.encode(measurement)
        except InputError:
            found = InputError
        assert found == wanted


@pytest.mark.parametrize(("rate", "time_base"), [(60, 20), (120, 1_000_000), (30, 1_000_000), (-10, 1000)])
def test_every_instant_of_the_grid(rate, time_base):
    stream = ConfigFrame2(7, (PmuConfig("PMU", 7, FLOATS, nominal_hz=60),), rate, time_base)
    encoder, time = Encoder(stream), ReportTime(SOC, 0, TimeCodes(0, 1, 0, True))
    for index in range(max(1, rate)):
        time_ns = SOC * NS_PER_S + index * NS_PER_S // max(1, rate)
        measurement = Measurement(time_ns, (), 60.0, 0.0, True, time, 0)
        assert encoder.encode(measurement) == by_the_codec(stream, measurement, index)


FLOATS = Format.POLAR | Format.FLOAT_PHASORS | Format.FLOAT_ANALOGS | Format.FLOAT_FREQUENCY
ANALOGS = (AnalogChannel("A"), AnalogChannel("B"))


@pytest.mark.parametrize("fmt", [Format(0), FLOATS])
@pytest.mark.parametrize(
    "wrong",
    [
        {"phasors": ()},
        {"phasors": (1j, 1j, 1j)},
        {"phasors": (1j, 1j), "analogs": ()},  # as many numbers, but of other kinds
        {"analogs": (1.0,)},
        {"status_word": 0x10000},
        {"time": ReportTime(-1, 0, TimeCodes(0, 1, 0, True))},
        {"time": ReportTime(1 << 32, 0, TimeCodes(0, 1, 0, True))},
    ],
)
def test_what_does_not_fit_is_refused(fmt, wrong):
    pmu = PmuConfig("PMU", 7, fmt, (PhasorChannel("V"),), ANALOGS, (WORD,), nominal_hz=60)
    encoder = Encoder(ConfigFrame2(7, (pmu,), 60))
    good = Measurement(
        SOC * NS_PER_S, (120 + 0j,), 60.0, 0.0, True, ReportTime(SOC, 0, TimeCodes(0, 1, 0, True)), 3, (1.0, 2.0)
    )
    assert len(encoder.encode(good)) == encoder.stream.layout.frame_size
    with pytest.raises(InputError):
        encoder.encode(replace(good, **wrong))


def test_a_stream_whose_frames_are_too_long_is_refused_at_once():
    pmu = PmuConfig("PMU", 7, FLOATS, (PhasorChannel("V"),) * 9000, nominal_hz=60)
    with pytest.raises(InputError, match="at most 65535"):
        Encoder(ConfigFrame2(7, (pmu,), 60))
