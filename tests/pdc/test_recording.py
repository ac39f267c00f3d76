"""Recording and replay: identical bytes, CSV, captures, torn files."""

import asyncio
import csv
import struct
from itertools import pairwise
from pathlib import Path

import pytest

from rpmu.c37118 import Decoder
from rpmu.errors import InputError
from rpmu.pdc import PdcClient
from rpmu.pdc.pcap import CaptureCounts, read_payloads
from rpmu.pdc.record import StreamRecorder, record
from rpmu.pdc.recording import Recorder, Recording, index_path
from rpmu.pdc.replay import Replay, find_idcode, read_frames
from tests.pdc.scripted import assert_gapless, take
from tests.serve.rig import IDCODE, RATE, Producer, listening, make_config, make_frame, number_of, run, running

DATA = Path(__file__).parents[1] / "data" / "c37118"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "c37118"


def write_recording(path, numbers=range(50), interval_ns=20_000_000):
    config = make_config()
    with Recorder(path) as recorder:
        recorder.add(config.encode(), 0)
        for number in numbers:
            recorder.add(make_frame(config, number).encode(), number * interval_ns)
    return config


async def replay_into(path, target, speed=float("inf")):
    """Replay a recording and record what arrives."""
    replay = Replay(path, IDCODE, listening(), speed)
    await replay.server.start()
    client = PdcClient(*replay.server.addresses[0], IDCODE)
    data_frames = sum(frame.data[1] >> 4 == 0 for frame in Recording(path))
    recorder = StreamRecorder(client, [target], frames=data_frames)
    _, _ = await asyncio.gather(replay.run(), record(client, recorder, asyncio.Event()))
    await replay.server.stop()


def test_record_then_replay_gives_identical_bytes(tmp_path):
    async def scenario():
        config = make_config()
        first, second = tmp_path / "first.c37118", tmp_path / "second.c37118"
        async with running(config) as server, Producer(server, config):
            client = PdcClient(*server.addresses[0], IDCODE)
            recorder = StreamRecorder(client, [first], frames=2 * RATE)
            await record(client, recorder, asyncio.Event())
        frames = Recording(first)
        assert frames.torn_bytes == 0
        assert sum(frame.data[1] >> 4 == 0 for frame in frames) == 2 * RATE
        await replay_into(first, second)
        wanted = [frame.data for frame in Recording(first) if frame.data[1] >> 4 == 0]
        assert [frame.data for frame in Recording(second) if frame.data[1] >> 4 == 0] == wanted

    run(scenario())


def test_a_recording_is_plain_frames_for_any_parser(tmp_path):
    path = tmp_path / "a.c37118"
    write_recording(path)
    events = Decoder().feed(path.read_bytes())
    assert_gapless(events[1:])
    assert len(events) == 51


def test_the_pace_is_the_original_one_or_scaled(tmp_path):
    """Judged by order only: a stream at a tenth of the pace is overtaken by one at ten times the pace."""

    async def scenario():
        path, done = tmp_path / "a.c37118", []
        write_recording(path, range(20))

        async def replay_at(speed):
            replay = Replay(path, IDCODE, listening(), speed)
            await replay.server.start()
            await replay.run(wait_for_client=False)
            await replay.server.stop()
            done.append(speed)
            assert replay.data_frames == 20

        await asyncio.gather(replay_at(0.5), replay_at(50))
        assert done == [50, 0.5]

    run(scenario())


def test_csv(tmp_path):
    async def scenario():
        config = make_config(phasors=2)
        path = tmp_path / "a.csv"
        async with running(config) as server, Producer(server, config):
            client = PdcClient(*server.addresses[0], IDCODE)
            await record(client, StreamRecorder(client, [path], frames=20), asyncio.Event())
        with path.open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 20
        assert list(rows[0])[:5] == ["time_ns", "time_quality", "stat", "frequency_hz", "rocof_hz_per_s"]
        steps = {int(b["time_ns"]) - int(a["time_ns"]) for a, b in pairwise(rows)}
        assert steps == {20_000_000}
        number = (int(rows[0]["time_ns"]) // 1_000_000 - 1_700_000_000_000) // 20
        assert float(rows[0]["V1_magnitude_v"]) == number

    run(scenario())


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the optional package pyarrow")

    async def scenario():
        config = make_config()
        async with running(config) as server, Producer(server, config):
            client = PdcClient(*server.addresses[0], IDCODE)
            recorder = StreamRecorder(client, [tmp_path / "a.parquet"], frames=20)
            await record(client, recorder, asyncio.Event())

    run(scenario())
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.num_rows == 20
    assert table["frequency_hz"].to_pylist() == [50.0] * 20


@pytest.mark.parametrize("cut", [1, 33, 35])
def test_a_torn_tail_is_left_out_and_told(tmp_path, cut):
    path = tmp_path / "a.c37118"
    write_recording(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    recording = Recording(path)
    assert len(list(recording)) == len(recording) == (50 if cut < 34 else 49)
    assert recording.torn_bytes == (34 - cut if cut < 34 else 68 - cut)


def test_a_torn_index_is_left_out(tmp_path):
    path = tmp_path / "a.c37118"
    write_recording(path)
    index = index_path(path)
    index.write_bytes(index.read_bytes()[:-5])
    assert len(Recording(path)) == 50


def test_an_index_of_other_frames_is_refused(tmp_path):
    path = tmp_path / "a.c37118"
    write_recording(path)
    index = index_path(path)
    index.write_bytes(index.read_bytes()[24:])
    with pytest.raises(InputError, match="the index is not of these frames"):
        Recording(path)


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a.c37118"
    write_recording(path)
    with pytest.raises(InputError, match="never overwritten"):
        Recorder(path)


@pytest.mark.parametrize("name", ["a.txt", "a"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="must end in"):
        StreamRecorder(PdcClient("127.0.0.1", 1, 1), [tmp_path / name])


def ethernet(payload, protocol, sequence=0, flags=0x18, vlan=False):
    ports = struct.pack(">HH", 4712, 50_000)
    if protocol == 17:
        layer = ports + struct.pack(">HH", 8 + len(payload), 0) + payload
    else:
        layer = ports + struct.pack(">IIBBHHH", sequence & 0xFFFFFFFF, 0, 0x50, flags, 8192, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(layer), 0, 0, 64, protocol, 0, bytes(4), bytes(4)) + layer
    return bytes(12) + (b"\x81\x00\x00\x05" if vlan else b"") + b"\x08\x00" + ip + bytes(6)  # padding as Ethernet adds


def pcap(packets, order="<", nanoseconds=False):
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    for number, packet in enumerate(packets):
        out += struct.pack(order + "IIII", 1000 + number, 5, len(packet), len(packet)) + packet
    return out


def pcapng(packets, order="<"):
    def block(kind, body):
        length = 12 + len(body)
        return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)

    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack(order + "HHI", 1, 0, 0) + struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0))
    for number, packet in enumerate(packets):
        time_ns = (1000 + number) * 10**9 + 5000
        padded = packet + bytes(-len(packet) % 4)
        out += block(
            6, struct.pack(order + "IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(packet), len(packet)) + padded
        )
    return out


def session_frames():
    config = make_config()
    return [config.encode(), *(make_frame(config, number).encode() for number in range(10))]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("protocol", [6, 17])
def test_captures_of_all_kinds(tmp_path, order, write, protocol):
    frames = session_frames()
    packets, sequence = [], 0xFFFFFFF0  # the numbers wrap on the way
    for frame in frames:
        packets.append(ethernet(frame, protocol, sequence, vlan=len(packets) % 2 == 1))
        sequence += len(frame)
    path = tmp_path / "a.pcap"
    path.write_bytes(write(packets, order))
    found = list(read_frames(path))
    assert [frame.data for frame in found] == frames
    assert [frame.arrival_ns for frame in found] == [(1000 + n) * 10**9 + 5000 for n in range(11)]
    assert find_idcode(path) == IDCODE


def test_tcp_segments_out_of_order_repeated_and_lost(tmp_path):
    frames = session_frames()
    stream = b"".join(frames)
    pieces = [(at, stream[at : at + 50]) for at in range(0, len(stream), 50)]
    pieces[2], pieces[3] = pieces[3], pieces[2]
    pieces.insert(5, pieces[1])
    pieces.insert(7, (pieces[6][0] - 20, stream[pieces[6][0] - 20 : pieces[6][0] + 30]))
    path, counts = tmp_path / "a.pcap", CaptureCounts()
    path.write_bytes(pcap([ethernet(b"", 6, -1, flags=2), *(ethernet(data, 6, at) for at, data in pieces)]))
    assert b"".join(payload.data for payload in read_payloads(path, counts)) == stream
    assert counts.repeated_segments == 2
    assert counts.holes == 0


def test_a_hole_in_a_tcp_connection_is_skipped_and_counted(tmp_path):
    config = make_config()
    frames = [make_frame(config, number).encode() for number in range(200)]
    packets, sequence = [], 0
    for number, frame in enumerate(frames):
        if number != 50:
            packets.append(ethernet(frame, 6, sequence))
        sequence += len(frame)
    path, counts = tmp_path / "a.pcap", CaptureCounts()
    path.write_bytes(pcap(packets))
    stream = b"".join(payload.data for payload in read_payloads(path, counts))
    assert stream == b"".join(frames[:50] + frames[51:])
    assert counts.holes == 1


def test_what_is_not_ip_is_counted_and_a_cut_file_is_told(tmp_path):
    path, counts = tmp_path / "a.pcap", CaptureCounts()
    good = ethernet(session_frames()[0], 17)
    path.write_bytes(pcap([b"\x00" * 14, b"short", good[:30], good, good])[:-7])
    assert len(list(read_payloads(path, counts))) == 1
    assert counts.not_ip == 3
    assert counts.truncated


def test_a_file_that_is_no_capture_is_one_sentence(tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(b"hello")
    with pytest.raises(InputError, match="neither pcap nor pcapng"):
        find_idcode(path)
    with pytest.raises(InputError, match="cannot read the capture"):
        find_idcode(tmp_path / "none.pcap")


@pytest.mark.parametrize(
    ("path", "idcode", "count"),
    [
        (DATA / "session.pcap", 7, 1),
        (SHARED / "C37.118_1PMU_TCP.pcap", None, 252),
        (SHARED / "C37.118_1PMU_UDP_minimal.pcap", None, 1),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_captures_replay_to_a_client(path, idcode, count):
    if not path.exists():
        pytest.skip(f"{path.name} is not in the repository (its licence), only in ../shared")

    async def scenario(idcode):
        replay = Replay(path, idcode, listening(), float("inf"))
        await replay.server.start()
        async with PdcClient(*replay.server.addresses[0], idcode) as pdc:
            running_replay = asyncio.create_task(replay.run())
            frames = await take(pdc, count)
            await running_replay
            assert {frame.idcode for frame in frames} == {idcode}
        await replay.server.stop()

    run(scenario(find_idcode(path) if idcode is None else idcode))


def test_a_capture_with_several_streams_asks_which(tmp_path):
    with pytest.raises(InputError, match="several streams; choose one with --idcode: 7, "):
        find_idcode(DATA / "session.pcap")


def test_replay_of_a_capture_keeps_numbers(tmp_path):
    async def scenario():
        path = tmp_path / "a.pcap"
        path.write_bytes(pcap([ethernet(frame, 17) for frame in session_frames()]))
        replay = Replay(path, IDCODE, listening(), float("inf"))
        await replay.server.start()
        async with PdcClient(*replay.server.addresses[0], IDCODE) as pdc:
            running_replay = asyncio.create_task(replay.run())
            assert [number_of(frame) for frame in await take(pdc, 10)] == list(range(10))
            await running_replay
        await replay.server.stop()

    run(scenario())


@pytest.mark.parametrize("speed", [0, -1])
def test_a_wrong_speed_is_refused(tmp_path, speed):
    path = tmp_path / "a.c37118"
    write_recording(path)
    with pytest.raises(InputError, match="speed is"):
        Replay(path, IDCODE, listening(), speed)
