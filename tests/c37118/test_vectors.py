"""Frames made by others, decoded to the values they say and encoded to the same bytes."""

import json
from pathlib import Path

import pytest

from rpmu.c37118 import (
    AnalogChannel,
    AnalogKind,
    Command,
    CommandFrame,
    ConfigFrame,
    ConfigFrame2,
    DataFrame,
    Format,
    HeaderFrame,
    PhasorChannel,
    TimeQuality,
    decode,
)

VECTORS = {v["name"]: v for v in json.loads((Path(__file__).parent.parent / "data/c37118/vectors.json").read_text())}
CONFIG_OF = {"data": "cfg", "data_multi": "cfg_multi", "blue_data": "blue_cfg2"}


def load(name: str):
    return decode(bytes.fromhex(VECTORS[name]["hex"]), load(CONFIG_OF[name]) if name in CONFIG_OF else None)


@pytest.mark.parametrize("name", VECTORS)
def test_decodes_and_encodes_to_the_same_bytes(name):
    vector, frame = VECTORS[name], load(name)
    assert frame.encode().hex() == vector["hex"]
    assert (frame.idcode, frame.soc, frame.fracsec) == (vector["idcode"], vector["soc"], vector["fracsec"])
    assert frame.time_quality == vector["time_quality_byte"]
    assert frame.version == 1


def test_annex_d_configuration():
    config = load("cfg")
    assert isinstance(config, ConfigFrame2)
    assert (config.time_base, config.data_rate, len(config.pmus)) == (1_000_000, 30, 1)
    pmu = config.pmus[0]
    assert (pmu.name, pmu.idcode, pmu.nominal_hz, pmu.cfgcnt) == ("Station A", 7734, 60, 22)
    assert pmu.format == Format.FLOAT_ANALOGS
    assert pmu.phasors[1] == PhasorChannel("VB", is_current=False, scale=9.15527)
    assert pmu.phasors[3] == PhasorChannel("I1", is_current=True, scale=0.45776)
    assert pmu.analogs == tuple(AnalogChannel(f"ANALOG{n + 1}", AnalogKind(n)) for n in range(3))
    assert pmu.digitals[0].names[0] == "BREAKER 1 STATUS"
    assert (pmu.digitals[0].normal, pmu.digitals[0].valid) == (0, 0xFFFF)
    assert config.time_quality == TimeQuality.of(6, leap_pending=True, leap_delete=True)


def test_annex_d_data():
    frame, said = load("data"), VECTORS["data"]["decoded"]
    assert isinstance(frame, DataFrame)
    (pmu,) = frame.pmus
    assert [[z.real, z.imag] for z in pmu.phasors] == pytest.approx([pytest.approx(p) for p in said["phasors"]])
    assert (pmu.frequency_hz, pmu.rocof_hz_per_s) == (said["freq"], said["rocof"])
    assert list(pmu.analogs) == said["analog"]
    assert list(pmu.digitals) == said["digital"]
    assert frame.time_ns == 1149580800_016_817_000


def test_two_pmus_have_the_same_block_twice():
    frame = load("data_multi")
    assert frame.pmus[0] == frame.pmus[1] == load("data").pmus[0]
    assert frame.raw_pmus[1].phasors[0] == (14635, 0)


def test_blue_pmu_counts_time_in_2_to_the_24_minus_1():
    frame = load("blue_data")
    assert frame.config.time_base == 16777215
    assert frame.time_ns == 1217606730_120_000_012  # 2013266 / 16777215 s
    assert frame.pmus[0].frequency_hz == 50.0
    assert frame.pmus[0].phasors[0] == pytest.approx(123.2796 - 100044.27j)
    assert frame.pmus[0].stat.trigger


def test_header_and_commands():
    assert load("hf") == HeaderFrame(7734, "Hello I'm Header Frame.", 1149591600, 770000, TimeQuality.of(15), version=1)
    assert load("cf").command is Command.DATA_ON
    assert load("blue_command_on") == CommandFrame(241, Command.DATA_ON, version=1)


def test_configurations_are_the_base_class():
    assert isinstance(load("cfg"), ConfigFrame)
