"""Captures: one of our own, byte for byte and value for value; two of real devices, where they are at hand."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from rpmu.c37118 import CommandFrame, ConfigFrame2, DataFrame, Decoder, ProtocolError
from rpmu.c37118.bulk import DataBlock
from tests.c37118 import golden
from tests.c37118.pcap import read_payloads

OURS = Path(__file__).parent.parent / "data/c37118"
SHARED = Path(__file__).parents[2].parent / "shared/data/c37118"  # not ours to commit: see its README
REAL = ["C37.118_1PMU_TCP.pcap", "C37.118_1PMU_UDP_minimal.pcap"]


def frames_of(path):
    """All frames of a capture in order; every direction of a TCP connection has its decoder, UDP shares one."""
    decoders, events = {}, []
    for conversation, is_tcp, payload in read_payloads(path):
        decoder = decoders.setdefault(conversation if is_tcp else "UDP", Decoder())
        events += decoder.feed(payload) if is_tcp else decoder.feed_datagram(payload)
    assert not [event for event in events if isinstance(event, ProtocolError)]
    assert sum(decoder.framer.junk_bytes + decoder.framer.pending for decoder in decoders.values()) == 0
    return events


def test_what_we_send_has_not_changed():
    sent = [frame.encode() for frames in golden.conversations() for frame in frames]
    assert [payload.hex() for _, _, payload in read_payloads(OURS / "session.pcap")] == [raw.hex() for raw in sent]


def test_our_session_says_what_it_said():
    wanted = json.loads((OURS / "session.json").read_text())
    frames = frames_of(OURS / "session.pcap")
    assert len(frames) == len(wanted)
    for frame, said in zip(frames, wanted, strict=True):
        same(golden.summary(frame), said, said["type"])


def same(seen, said, where):
    """Equal, but for the last digits that sine and cosine may give on another machine."""
    if isinstance(said, dict):
        assert seen.keys() == said.keys(), where
        for key, value in said.items():
            same(seen[key], value, f"{where} {key}")
    elif isinstance(said, list):
        assert len(seen) == len(said), where
        for number, value in enumerate(said):
            same(seen[number], value, f"{where} {number}")
    elif isinstance(said, float):
        assert seen == pytest.approx(said, rel=1e-12, abs=1e-12), where
    else:
        assert seen == said, where


@pytest.mark.parametrize("name", REAL)
def test_real_devices(name):
    if not (SHARED / name).exists():
        pytest.skip(f"{name} (Wireshark's sample captures) is not at hand in ../shared/data/c37118")
    frames = frames_of(SHARED / name)
    data = [frame for frame in frames if isinstance(frame, DataFrame)]
    configs = [frame for frame in frames if isinstance(frame, ConfigFrame2)]
    commands = [frame for frame in frames if isinstance(frame, CommandFrame)]
    assert (len(commands), len(configs), len(data)) == (3, 1, 252 if "TCP" in name else 1)
    raw = [payload for _, _, payload in read_payloads(SHARED / name)]
    assert all(frame.encode() in b"".join(raw) for frame in frames)
    block = DataBlock.decode(b"".join(frame.encode() for frame in data), configs[0])
    assert block.time_ns.tolist() == [frame.time_ns for frame in data]
    grid = [frame.stamp.grid_index(configs[0].data_rate, configs[0].time_base) for frame in data]
    numbers = [second * configs[0].data_rate + index for second, index in grid]
    assert numbers == list(range(numbers[0], numbers[0] + len(data)))  # no gap


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark (Debian package tshark)")
@pytest.mark.parametrize("name", REAL)
def test_real_devices_against_tshark(name):
    if not (SHARED / name).exists():
        pytest.skip(f"{name} (Wireshark's sample captures) is not at hand in ../shared/data/c37118")
    data = [frame for frame in frames_of(SHARED / name) if isinstance(frame, DataFrame)]
    fields = ["fracsec_raw", "frequency_deviation_from_nominal", "rate_change_frequency", "digital_status_word"]
    command = ["tshark", "-r", str(SHARED / name), "-Y", "synphasor.data.conf_frame", "-T", "fields"]
    command += [word for field in fields for word in ("-e", f"synphasor.{field}")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [row.split("\t") for row in done.stdout.splitlines()]
    seen = [cells for row in rows for cells in zip(*(cell.split(",") for cell in row if cell), strict=True)]
    assert len(seen) == len(data)
    for cells, frame in zip(seen, data, strict=True):
        (raw,) = frame.raw_pmus
        assert int(cells[0]) == frame.fracsec
        assert int(cells[1]) == raw.freq
        assert float(cells[2]) == pytest.approx(frame.pmus[0].rocof_hz_per_s, abs=1e-6)
        assert [int(word, 16) for word in cells[3:]] == list(raw.digitals)
