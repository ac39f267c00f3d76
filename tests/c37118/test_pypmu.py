"""pyPMU as a second opinion, where it works: version 1, integer FREQ, no PMU_TQ, TIME_BASE 1 000 000.

Its release needs a name that Python 3.10 removed from `collections`; the fixture puts it back for the time of a test.
"""

import collections
import collections.abc
from cmath import rect

import pytest

from rpmu.c37118 import (
    AnalogChannel,
    AnalogKind,
    Command,
    CommandFrame,
    ConfigFrame2,
    DataFrame,
    DigitalWord,
    Format,
    HeaderFrame,
    PhasorChannel,
    PmuConfig,
    PmuData,
    decode,
)
from tests.c37118.cases import BITS

# Integer polar angles come out unscaled, float FREQ is refused: see the formats left out here.
WORKING = [Format(n) for n in (0, 2, 3, 4, 6, 7)]
SECOND = 1_700_000_000
ON_TIME_AND_GOOD = ("ok", True, "timestamp", False, False, False, 0, "<10", 0)


@pytest.fixture
def pypmu(monkeypatch):
    monkeypatch.setattr(collections, "Sequence", collections.abc.Sequence, raising=False)
    return pytest.importorskip("synchrophasor.frame", reason="needs synchrophasor==1.0.0a0 from PyPI")


def config_of(fmt):
    pmu = PmuConfig(
        "HOME",
        7,
        fmt,
        (PhasorChannel("VA", scale=0.01), PhasorChannel("IA", True, 0.002)),
        (AnalogChannel("A", AnalogKind.RMS),),
        (DigitalWord(BITS),),
        nominal_hz=50,
        cfgcnt=3,
    )
    return ConfigFrame2(7, (pmu,), 30, soc=SECOND, fracsec=1, version=1)


@pytest.mark.parametrize("fmt", WORKING)
def test_it_reads_our_configuration(pypmu, fmt):
    raw = config_of(fmt).encode()
    theirs = pypmu.CommonFrame.convert2frame(raw)
    assert theirs.convert2bytes() == raw
    assert theirs.get_channel_names()[0].strip() == "VA"
    assert theirs.get_ph_units() == [(1000, "v"), (200, "i")]
    assert (theirs.get_data_rate(), theirs.get_fnom(), theirs.get_cfg_count()) == (30, 50, 3)


@pytest.mark.parametrize("fmt", WORKING)
def test_it_reads_our_data(pypmu, fmt):
    config = config_of(fmt)
    frame = DataFrame.at(config, SECOND, 7, [PmuData((230 - 11j, 1 - 2j), 49.95, -0.31, (1002.0,), (5,))])
    theirs = pypmu.CommonFrame.convert2frame(frame.encode(), pypmu.CommonFrame.convert2frame(config.encode()))
    seen = theirs.get_measurements()
    assert seen["time"] == pytest.approx(frame.time_ns / 1e9, abs=1e-6)
    (pmu,) = seen["measurements"]
    assert [rect(*polar) for polar in pmu["phasors"]] == pytest.approx([230 - 11j, 1 - 2j], rel=1e-3)
    assert (pmu["frequency"], pmu["rocof"], pmu["analog"], pmu["digital"]) == (49.95, -31, [1002], [5])


@pytest.mark.parametrize("fmt", WORKING)
def test_we_read_its_data(pypmu, fmt):
    config = config_of(fmt)
    z = [230 - 11j, 1 - 2j]
    if fmt & Format.POLAR:
        phasors = [(abs(230 - 11j), -0.04779), (abs(1 - 2j), -1.10715)]
    elif fmt & Format.FLOAT_PHASORS:
        phasors = [(v.real, v.imag) for v in z]
    else:
        phasors = [(23_000, -1100), (500, -1000)]
    theirs = pypmu.CommonFrame.convert2frame(config.encode())
    analog = 7.5 if fmt & Format.FLOAT_ANALOGS else 7
    args = (7, ON_TIME_AND_GOOD, phasors, -50, -31, [analog], [3], theirs, SECOND, 233_333)
    frame = decode(pypmu.DataFrame(*args).convert2bytes(), config)
    (pmu,) = frame.pmus
    assert frame.stamp.grid_index(30, 1_000_000) == (SECOND, 7)
    assert pmu.phasors == pytest.approx(z, rel=1e-3)
    assert (pmu.frequency_hz, pmu.rocof_hz_per_s, pmu.analogs, pmu.digitals) == (49.95, -0.31, (analog,), (3,))


def test_we_read_its_configuration_header_and_commands(pypmu):
    units = ([(1000, "v"), (200, "i")], [(1, "rms")], [(0, 0xFFFF)])
    names = [*("VA", "IA", "A"), *BITS]
    fmt = (False, False, False, False)
    args = (7, 1_000_000, 1, "HOME", 7, fmt, 2, 1, 1, names, *units, 50, 3, 30, SECOND, 1)
    assert decode(pypmu.ConfigFrame2(*args).convert2bytes()) == config_of(Format.INTEGER)
    header = pypmu.HeaderFrame(7, "hello", SECOND, 5).convert2bytes()
    assert decode(header) == HeaderFrame(7, "hello", SECOND, 5, version=1)
    for name, command in (("stop", 1), ("start", 2), ("header", 3), ("cfg1", 4), ("cfg2", 5), ("cfg3", 6)):
        raw = pypmu.CommandFrame(7, name, None, SECOND, 5).convert2bytes()
        assert decode(raw) == CommandFrame(7, Command(command), soc=SECOND, fracsec=5, version=1)


def test_it_reads_our_header_and_commands(pypmu):
    header = pypmu.CommonFrame.convert2frame(HeaderFrame(7, "hello", version=1).encode())
    assert header.get_header() == "b'hello'"  # that is how it gives it
    raw = CommandFrame(7, Command.DATA_ON, version=1).encode()
    assert pypmu.CommonFrame.convert2frame(raw).get_command() == "start"
