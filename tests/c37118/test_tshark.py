"""Wireshark's dissector as oracle: what it reads in our frames is what we put there.

tshark knows every frame type up to CFG-3 (whole, not in fragments). All frames go through one run, one UDP
conversation per stream; values are compared with those of our own decoder.
"""

import re
import shutil
import subprocess
from cmath import phase
from dataclasses import replace
from math import degrees, isinf
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from rpmu.c37118 import (
    AnalogChannel,
    AnalogKind,
    Command,
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
    PmuConfig,
    PmuData,
    Stat,
    TimeQuality,
    decode,
)
from tests.c37118.cases import BITS, CASES, ONE_PHASOR, config_of
from tests.c37118.pcap import write_pcap

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="needs tshark (Debian package tshark)")

CONFIGS = (ConfigFrame2, ConfigFrame3)
STREAMS = [(config, Format(fmt)) for config in CONFIGS for fmt in range(16)]
STREAM_IDS = [f"{config.__name__}-{int(fmt):x}" for config, fmt in STREAMS]
KNOWN_CASES = [case for case in CASES if case[0] != "empty header"]  # tshark takes 16 bytes for no frame
STAT = Stat.of(in_sync=False, by_arrival=True, modified=True, pmu_tq=5, unlocked_time=2, trigger=True, trigger_reason=4)
DATA = PmuData((230 - 11j, -4.5 + 2j), 49.95, -0.31, (1002.0,), (0xA5C3, 1), STAT)
CONFIG_FIELDS = {
    "synphasor.conf.dfreq_format": lambda pmu: pmu.format >> 3 & 1,
    "synphasor.conf.analog_format": lambda pmu: pmu.format >> 2 & 1,
    "synphasor.conf.phasor_format": lambda pmu: pmu.format >> 1 & 1,
    "synphasor.conf.phasor_notation": lambda pmu: pmu.format & 1,
    "synphasor.idcode_data_source": lambda pmu: pmu.idcode,
    "synphasor.num_phasors": lambda pmu: len(pmu.phasors),
    "synphasor.num_analog_values": lambda pmu: len(pmu.analogs),
    "synphasor.num_digital_status_words": lambda pmu: len(pmu.digitals),
    "synphasor.conf.fnom": lambda pmu: pmu.nominal_hz == 50,
    "synphasor.conf.cfgcnt": lambda pmu: pmu.cfgcnt,
}
STAT_FIELDS = {
    "synphasor.data.status": lambda stat: stat.data_error,
    "synphasor.data.sync": lambda stat: not stat.in_sync,
    "synphasor.data.sorting": lambda stat: stat.by_arrival,
    "synphasor.data.trigger": lambda stat: stat.trigger,
    "synphasor.data.CFGchange": lambda stat: stat.config_change,
    "synphasor.data.data_modified": lambda stat: stat.modified,
    "synphasor.data.pmu_tq": lambda stat: stat.pmu_tq,
    "synphasor.data.t_unlock": lambda stat: stat.unlocked_time,
    "synphasor.data.trigger_reason": lambda stat: stat.trigger_reason,
}


def config_frame(frame_class, fmt):
    is_3 = frame_class is ConfigFrame3
    angle_rad = 0.125 if is_3 and not fmt & Format.FLOAT_PHASORS else 0.0
    pmu = PmuConfig(
        "HOME",
        700 + fmt,
        fmt,
        (PhasorChannel("VA", False, 0.01, angle_rad), PhasorChannel("IA", True, 0.002)),
        (AnalogChannel("TEMP", AnalogKind.POINT_ON_WAVE if is_3 else AnalogKind.RMS, 2.0, 12.0 * is_3),),
        (DigitalWord(BITS, 1, 0xFF), DigitalWord(BITS, 0x8000, 0xFFFE)),
        nominal_hz=50,
        cfgcnt=3,
    )
    return frame_class(1000 + fmt, (pmu,), 50, 1_000_000, 1_700_000_000, 5, TimeQuality.of(3, leap_pending=True))


def stream(frame_class, fmt):
    config = config_frame(frame_class, fmt)
    return config, DataFrame.at(config, 1_700_000_000, 7, [DATA], TimeQuality.of(4, leap_occurred=True))


def single_frames():
    """The hand-made cases, each with the configuration it needs before it."""
    return [[config_of(value).encode(), raw] if config_of(value) else [raw] for _, value, raw in KNOWN_CASES]


def packet(element):
    """Every field of one packet, by name in order, and what the dissector said of it."""
    fields = [(f.get("name"), f) for f in element.iter("field") if f.get("name", "").startswith("synphasor")]
    top = next(proto for proto in element.iter("proto") if proto.get("name") == "synphasor")
    return SimpleNamespace(
        title=top.get("showname"),
        show={name: [f.get("show") for n, f in fields if n == name] for name, _ in fields},
        named={name: [f.get("showname") or f.get("show") for n, f in fields if n == name] for name, _ in fields},
        value={name: [f.get("value") for n, f in fields if n == name] for name, _ in fields},
    )


@pytest.fixture(scope="module")
def dissected(tmp_path_factory):
    """All packets in order: two per stream of STREAMS, then those of `single_frames`."""
    path = tmp_path_factory.mktemp("tshark") / "frames.pcap"
    streams = [[frame.encode() for frame in stream(*key)] for key in STREAMS]
    write_pcap(path, streams + single_frames())
    command = [TSHARK, "-r", str(path), "-T", "pdml", "-o", "udp.check_checksum:FALSE"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    packets = [packet(element) for element in ElementTree.fromstring(done.stdout).iter("packet")]
    assert len(packets) == 2 * len(STREAMS) + sum(map(len, single_frames()))
    return packets


def number(text):
    return int(text, 16) if text.startswith("0x") else int(text)


def check_envelope(seen, frame, raw):
    assert "[correct]" in seen.title
    assert seen.show["synphasor.checksum.status"] == ["1"]
    for name, wanted in (
        ("sync", raw[0] << 8 | raw[1]),
        ("frtype", raw[1] >> 4),
        ("version", frame.version),
        ("frsize", len(raw)),
        ("idcode_stream_source", frame.idcode),
        ("fracsec_raw", frame.fracsec),
        ("timeqal.lsdir", frame.time_quality.leap_delete),
        ("timeqal.lsocc", frame.time_quality.leap_occurred),
        ("timeqal.lspend", frame.time_quality.leap_pending),
        ("timeqal.timequalindic", frame.time_quality.code),
    ):
        assert number(seen.show[f"synphasor.{name}"][0]) == wanted, name
    assert int(seen.value["synphasor.soc"][0], 16) == frame.soc


def test_every_kind_of_frame_is_correct(dissected):
    singles = [(value, raw) for _, value, raw in KNOWN_CASES]
    frames = [(frame, frame.encode()) for key in STREAMS for frame in stream(*key)]
    for value, raw in singles:
        frames += [(config_of(value), config_of(value).encode())] if config_of(value) else []
        frames.append((value, raw))
    for seen, (frame, raw) in zip(dissected, frames, strict=True):
        check_envelope(seen, frame, raw)


@pytest.mark.parametrize("number_of_stream", range(len(STREAMS)), ids=STREAM_IDS)
def test_configuration_values(dissected, number_of_stream):
    frame_class, fmt = STREAMS[number_of_stream]
    seen, config = dissected[2 * number_of_stream], decode(config_frame(frame_class, fmt).encode())
    assert number(seen.show["synphasor.conf.timebase"][0]) == config.time_base
    assert number(seen.show["synphasor.conf.numpmu"][0]) == len(config.pmus)
    assert number(seen.show["synphasor.rate_of_transmission"][0]) == config.data_rate
    (pmu,) = config.pmus
    for name, wanted in CONFIG_FIELDS.items():
        assert number(seen.show[name][0]) == wanted(pmu), name
    names = seen.show["synphasor.conf.chnam" if frame_class is ConfigFrame3 else "synphasor.channel_name"]
    assert [name.rstrip() for name in names] == list(pmu.channel_names())
    assert list(map(number, seen.show["synphasor.status_word_mask.normal_state"])) == [w.normal for w in pmu.digitals]
    assert list(map(number, seen.show["synphasor.status_word_mask.valid_bits"])) == [w.valid for w in pmu.digitals]
    if frame_class is ConfigFrame2:
        factors = [number(text) for text in seen.show["synphasor.conversion_factor"]]
        assert factors == [round(c.scale * 1e5) | c.is_current << 24 for c in pmu.phasors]
        assert seen.named["synphasor.factor_for_analog_value"] == [
            "Factor for analog value #1: rms of analog input, value: 2"
        ]


def near(text, value, digits):
    """A printed number, and the value it was printed from."""
    return float(text) == pytest.approx(value, abs=0.6 * 10**-digits + 1e-6 * abs(value))


def check_phasor(text, z, raw_pair, is_float):
    magnitude, angle = re.search(r"([-\d.]+)[VA] ∠\s*([-\d.]+)°", text).groups()
    real, imag = re.search(r"([-\d.]+)\s*\+j\s*([-\d.]+)[VA]", text).groups()
    assert near(magnitude, abs(z), 3)
    assert near(angle, degrees(phase(z)), 3)
    assert near(real, z.real, 3)
    assert near(imag, z.imag, 3)
    unscaled = re.search(r"unscaled:\s*(-?\d+),\s*(-?\d+)", text)
    assert (unscaled is None) == is_float
    if unscaled:
        assert tuple(map(int, unscaled.groups())) == raw_pair


@pytest.mark.parametrize("number_of_stream", range(len(STREAMS)), ids=STREAM_IDS)
def test_data_values(dissected, number_of_stream):
    frame_class, fmt = STREAMS[number_of_stream]
    seen, (config, frame) = dissected[2 * number_of_stream + 1], stream(frame_class, fmt)
    frame = decode(frame.encode(), decode(config.encode()))
    (pmu,), (raw,) = frame.pmus, frame.raw_pmus
    assert number(seen.show["synphasor.data.conf_frame"][0]) == 2 * number_of_stream + 1
    for name, wanted in STAT_FIELDS.items():
        assert number(seen.show[name][0]) == wanted(STAT), name
    for text, z, pair in zip(seen.named["synphasor.phasor"], pmu.phasors, raw.phasors, strict=True):
        check_phasor(text, z, pair, bool(fmt & Format.FLOAT_PHASORS))
    if fmt & Format.FLOAT_FREQUENCY:
        assert near(seen.show["synphasor.actual_frequency_value"][0], pmu.frequency_hz, 4)
    else:
        text = seen.named["synphasor.frequency_deviation_from_nominal"][0]
        assert number(seen.show["synphasor.frequency_deviation_from_nominal"][0]) == raw.freq
        assert near(re.search(r"actual frequency: ([\d.]+)Hz", text)[1], pmu.frequency_hz, 3)
    assert near(seen.show["synphasor.rate_change_frequency"][0], pmu.rocof_hz_per_s, 3)
    # Integer analogs of a CFG-2 stream are printed raw, next to their factor.
    analog = re.search(r'"TEMP\s*",\s*([-\d.]+)', seen.named["synphasor.analog_value"][0])[1]
    scaled = fmt & Format.FLOAT_ANALOGS or frame_class is ConfigFrame3
    assert near(analog, pmu.analogs[0] if scaled else raw.analogs[0], 3)
    assert list(map(number, seen.show["synphasor.digital_status_word"])) == list(pmu.digitals)


def single(dissected, name):
    """The packet of a hand-made case."""
    at = 2 * len(STREAMS)
    for (case, _, _), frames in zip(KNOWN_CASES, single_frames(), strict=True):
        at += len(frames)
        if case == name:
            return dissected[at - 1]
    raise AssertionError(name)


def test_cfg_3_values(dissected):
    seen = single(dissected, "CFG-3")
    config = next(value for name, value, _ in CASES if name == "CFG-3")
    (pmu,) = config.pmus
    (channel,) = pmu.phasors
    show = seen.show
    assert number(show["synphasor.conf.contindx"][0]) == 0
    assert number(show["synphasor.station_name_len"][0]) == len(pmu.name.encode())
    assert show["synphasor.gpmuid"][0].replace(":", "") == pmu.global_id.hex()
    flags = {0x8000: "type_not_def", 0x0040: "filtered", 0x0080: "mag_calibration", 0x0400: "pseudo_phasor"}
    for bit, name in flags.items():
        assert number(show[f"synphasor.conf.phasor_mod.{name}"][0]) == bool(channel.modifications & bit), name
    assert number(show["synphasor.conf.phasor_type"][0]) == channel.is_current
    assert number(show["synphasor.conf.phasor_component"][0]) == channel.component
    assert int(seen.value["synphasor.conf.phasor_user_flags"][0], 16) == channel.user
    for name, value in (
        ("phasor_scale_factor", channel.scale),
        ("phasor_angle_offset", channel.angle_rad),
        ("analog_scale_factor", pmu.analogs[0].scale),
        ("analog_offset", pmu.analogs[0].offset),
        ("pmu_latitude", pmu.latitude_deg),
        ("pmu_longitude", pmu.longitude_deg),
        ("pmu_elevation", pmu.elevation_m),
        ("window", pmu.window_us),
        ("grp_dly", pmu.group_delay_us & 0xFFFFFFFF),  # tshark prints it unsigned
    ):
        assert float(show[f"synphasor.conf.{name}"][0]) == value, name
    assert show["synphasor.conf.svc_class"] == ["Protection"]


def test_unspecified_place_and_service_m(dissected):
    index = STREAM_IDS.index("ConfigFrame3-0")
    seen, (pmu,) = dissected[2 * index], config_frame(*STREAMS[index]).pmus
    assert isinf(pmu.latitude_deg)
    for name in ("latitude", "longitude", "elevation"):
        assert "Unspecified" in seen.named[f"synphasor.conf.pmu_{name}"][0]
    assert seen.show["synphasor.conf.svc_class"] == ["Monitoring"]


def test_header_text_and_commands(dissected):
    assert bytes.fromhex(single(dissected, "header").value["synphasor.data"][0]) == b"RPMU, A 1"
    assert number(single(dissected, "command").show["synphasor.command"][0]) == Command.DATA_OFF
    extended = single(dissected, "extended frame")
    assert number(extended.show["synphasor.command"][0]) == Command.EXTENDED
    assert bytes.fromhex(extended.value["synphasor.extended_frame_data"][0]) == b"rate"


def test_several_pmus_and_seconds_per_frame(dissected):
    config = single(dissected, "CFG-2 of a PDC, version 1")
    assert config.show["synphasor.idcode_data_source"] == ["300", "7"]
    factors = config.named["synphasor.factor_for_analog_value"]  # tshark keeps but 8 bits in the value itself
    assert [text.split("value: ")[1] for text in factors] == ["-2", "1"]
    data = single(dissected, "data of a PDC, integers and floats, version 1")
    assert len(data.show["synphasor.data.status"]) == 2
    assert [number(text) for text in data.show["synphasor.data.pmu_tq"]] == [0, 7]
    slow = single(dissected, "CFG-1 with time and a period of ten seconds")
    assert number(slow.show["synphasor.rate_of_transmission"][0]) == -10


def test_fragments_have_good_checksums(tmp_path):
    config = ConfigFrame3(9, (replace(ONE_PHASOR, name="N" * 200),) * 20, 50)
    fragments = config.encode_fragments(1000)
    write_pcap(tmp_path / "fragments.pcap", [[fragment] for fragment in fragments])
    command = [TSHARK, "-r", str(tmp_path / "fragments.pcap"), "-T", "fields", "-e", "synphasor.checksum.status"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["1"] * len(fragments)
    assert Decoder().feed(b"".join(fragments)) == [config]


def test_the_oracle_can_say_no(tmp_path):
    """A CHK off by one, and frames of another type, are seen as such."""
    raw = CommandFrame(7, Command.DATA_ON).encode()
    frames = [
        raw[:-1] + bytes((raw[-1] ^ 1,)),
        HeaderFrame(7, "x").encode(),
        ConfigFrame1.of(config_frame(ConfigFrame2, Format.POLAR)).encode(),
    ]
    write_pcap(tmp_path / "frames.pcap", [[frame] for frame in frames])
    wanted = ["-e", "synphasor.checksum.status", "-e", "synphasor.frtype"]
    command = [TSHARK, "-r", str(tmp_path / "frames.pcap"), "-T", "fields", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        ["0", "0x0004"],
        ["1", "0x0001"],
        ["1", "0x0002"],
    ]
