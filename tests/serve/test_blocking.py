"""The server without asyncio, and the simulator's numbers."""

import math
import time

import pytest

from rpmu.c37118 import DataFrame, Format, PmuData
from rpmu.errors import HardwareError, InputError
from rpmu.pdc import BlockingPdcClient
from rpmu.serve import BlockingPmuServer, Simulator, SimulatorSettings
from rpmu.serve.grid import Grid
from rpmu.serve.simulator import FORMATS, Signal, parse_format
from tests.pdc.scripted import assert_gapless
from tests.serve.rig import FIRST_SOC, IDCODE, TIMEOUT_S, make_config, make_frame


def test_publish_and_read_without_asyncio():
    config = make_config()
    with (
        BlockingPmuServer(config, "Hi!", "127.0.0.1:0") as pmu,
        BlockingPdcClient(*pmu.addresses[0], IDCODE) as pdc,
    ):
        assert pdc.configuration().pmus == config.pmus
        deadline = time.monotonic() + TIMEOUT_S
        while pmu.statistics.streaming == 0 and time.monotonic() < deadline:
            time.sleep(0.005)
        for number in range(50):
            pmu.publish(make_frame(config, number))
        assert_gapless([frame for _, frame in zip(range(50), pdc.frames(), strict=False)])


def test_instants_are_consecutive_and_never_early():
    config = make_config(rate=100)
    with BlockingPmuServer(config, "", "127.0.0.1:0") as pmu:
        instants = [(instant, time.time_ns()) for instant, _ in zip(pmu.instants(), range(20), strict=False)]
    grid = Grid(100)
    ordinals = [grid.ordinal(*instant) for instant, _ in instants]
    assert ordinals == list(range(ordinals[0], ordinals[0] + 20))
    assert all(at_ns >= grid.time_ns(ordinal) for ordinal, (_, at_ns) in zip(ordinals, instants, strict=True))


def test_a_mistake_has_its_traceback_where_it_was_made_and_a_taken_port_its_sentence():
    config = make_config()
    with BlockingPmuServer(config, "", "127.0.0.1:0") as pmu:
        with pytest.raises(InputError, match="phasors"):
            pmu.publish(DataFrame.at(config, FIRST_SOC, 0, [PmuData()]))
        with pytest.raises(HardwareError, match="another program"):
            BlockingPmuServer(config, "", f"127.0.0.1:{pmu.addresses[0][1]}").__enter__()


@pytest.mark.parametrize("wander", [False, True])
def test_frequency_rocof_and_angle_of_the_simulator_belong_together(wander):
    signal = Signal(SimulatorSettings(frequency_hz=59.7, wander=wander, seed=3), 0)
    step_s = 1e-3
    for time_s in (0.0, 1.234, 100.0, 3600.5):
        before, now, after = (signal.at(time_s + offset) for offset in (-step_s, 0.0, step_s))
        turn = math.remainder(after[2] - before[2], 2 * math.pi) / (2 * math.pi)
        assert now[0] == pytest.approx(60 + turn / (2 * step_s), abs=1e-5)
        assert now[1] == pytest.approx((after[0] - before[0]) / (2 * step_s), abs=1e-6)


@pytest.mark.parametrize("fmt", range(16))
def test_the_simulator_speaks_every_format(fmt):
    settings = SimulatorSettings(pmus=2, phasors=4, analogs=2, digitals=1, format=Format(fmt), nominal_hz=50)
    simulator = Simulator(settings)
    frame = simulator.frame(Grid(60).ordinal(FIRST_SOC, 30))
    assert len(frame.encode()) == simulator.config.layout.frame_size
    for pmu in frame.pmus:
        assert [abs(value) for value in pmu.phasors] == pytest.approx([120, 120, 120, 5], abs=0.02)
        assert pmu.frequency_hz == pytest.approx(50)


def test_the_same_seed_gives_the_same_stream():
    def frames(seed):
        simulator = Simulator(SimulatorSettings(wander=True, seed=seed))
        simulator._start_soc = FIRST_SOC
        return [simulator.frame(Grid(60).ordinal(FIRST_SOC, index)).encode() for index in range(60)]

    assert frames(1) == frames(1)
    assert frames(1) != frames(2)


def test_formats_by_name_and_number():
    assert all(parse_format(name) == fmt for name, fmt in FORMATS.items())
    assert (parse_format("int"), parse_format("float")) == (Format.POLAR, Format.FLOAT_POLAR), "polar unless asked for"
    assert parse_format("7") == Format(7)
    for wrong in ("16", "-1", "x", ""):
        with pytest.raises(InputError, match="format"):
            parse_format(wrong)


@pytest.mark.parametrize(("change", "sentence"), [({"pmus": 0}, "pmus is 0"), ({"phasors": -1}, "phasors is -1")])
def test_wrong_simulator_settings(change, sentence):
    with pytest.raises(InputError, match=sentence):
        SimulatorSettings(**change)
