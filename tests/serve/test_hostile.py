"""Hostile and broken peers, one by one, each with a healthy client beside it that must see every frame."""

import asyncio
import random
import socket
import struct

import pytest

from rpmu.c37118 import CommandFrame, HeaderFrame
from rpmu.serve import Limits
from tests.serve.rig import IDCODE, run, until
from tests.serve.watched import under_attack

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with time 0: close() sends RST


def command(code, idcode=IDCODE):
    return CommandFrame(idcode, code).encode()


def test_wrong_idcode():
    async def scenario():
        async with under_attack() as attack:
            pdc = await attack.connect()
            for code in (1, 2, 3, 4, 5, 6):
                pdc.send(code, idcode=IDCODE + 1)
            await until(lambda: attack.statistics.commands_foreign_idcode == 6)
            assert attack.statistics.streaming == 1
            await pdc.close()

    run(scenario())


def test_bad_crc_never_counts_as_a_command():
    async def scenario():
        async with under_attack() as attack:
            pdc = await attack.connect()
            ok = attack.statistics.commands_ok
            for position in range(18):
                raw = bytearray(command(2))
                raw[position] ^= 0x40
                pdc.writer.write(bytes(raw))
            await until(lambda: attack.statistics.frames_bad > 0)
            await attack.go_on()
            assert attack.statistics.commands_ok == ok
            assert attack.statistics.streaming == 1
            await pdc.close()

    run(scenario())


def test_truncated_command_then_end():
    async def scenario():
        async with under_attack() as attack:
            for length in range(1, 18):
                pdc = await attack.connect()
                pdc.writer.write(command(2)[:length])
                await pdc.close()
            await attack.go_on()
            assert attack.statistics.streaming == 1

    run(scenario())


def test_oversize_frame_is_not_collected():
    async def scenario():
        async with under_attack(limits=Limits(max_command_bytes=1024, max_junk_bytes=4096)) as attack:
            pdc = await attack.connect()
            pdc.writer.write(b"\xaa\x42\xff\xff" + bytes(65_531))
            await until(lambda: attack.statistics.dropped_junk == 1)
            await pdc.close()

    run(scenario())


def test_largest_extended_frame_is_taken_whole():
    async def scenario():
        async with under_attack() as attack:
            pdc = await attack.connect()
            pdc.send(8, extended=bytes(65_516))
            await until(lambda: attack.statistics.commands_unknown == 1)
            await pdc.ask(3)
            await pdc.close()

    run(scenario())


async def flood(pdc, junk):
    while True:
        pdc.writer.write(junk)
        await pdc.writer.drain()
        await asyncio.sleep(0)


async def ask_without_reading(sock):
    while True:
        sock.sendall(command(5) * 100)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "junk",
    [random.Random(0).randbytes(65_536), b"\xaa" * 65_536, b"\xaa\x42\xff\xff" * 16_384, b"\xaa\x42\x00\x12" * 16_384],
    ids=["random", "sync bytes", "long frames", "short frames"],
)
def test_garbage_flood_is_cut_off(junk):
    async def scenario():
        async with under_attack() as attack:
            pdc = await attack.connect()
            with pytest.raises(ConnectionError):
                await flood(pdc, junk)
            assert attack.statistics.dropped_junk == 1
            await pdc.close()

    run(scenario())


def test_byte_by_byte():
    async def scenario():
        async with under_attack() as attack:
            pdc = await attack.connect()
            for byte in command(5) + command(2):
                pdc.writer.write(bytes([byte]))
                await pdc.writer.drain()
                await asyncio.sleep(0.001)
            await pdc.read_to(attack.producer.number + 10)
            assert pdc.missing() == []
            await pdc.close()

    run(scenario())


def test_many_commands_in_one_segment():
    async def scenario():
        async with under_attack() as attack:
            pdc = await attack.connect()
            pdc.writer.write((command(3) + command(5)) * 60)
            await pdc.read_until(lambda _: len(pdc.frames) == 120)
            await pdc.close()

    run(scenario())


def test_command_flood_is_limited_and_counted():
    async def scenario():
        async with under_attack(limits=Limits(command_burst=50, commands_per_s=1)) as attack:
            pdc = await attack.connect()
            pdc.writer.write(command(5) * 500)
            await pdc.read_until(lambda _: len(pdc.frames) == 50)
            await until(lambda: attack.statistics.commands_limited >= 400)
            await pdc.close()

    run(scenario())


def small_receiver(attack):
    """A connection whose kernel takes little, so that a reader that does not read is noticed soon."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(attack.address)
    return sock


@pytest.mark.slow
def test_clients_that_never_read_are_dropped():
    async def scenario():
        limits = Limits(max_queue_bytes=65_536)
        async with under_attack(limits=limits) as attack:
            attack.producer.interval_s = 0
            deaf = [small_receiver(attack) for _ in range(5)]
            for sock in deaf:
                sock.sendall(command(2))
            await until(lambda: attack.statistics.dropped_slow == 5)
            assert 5 * 60_000 < attack.statistics.bytes_discarded <= 5 * 65_536
            attack.producer.interval_s = 0.002
            for sock in deaf:
                sock.close()

    run(scenario())


def test_a_client_that_stands_still_is_dropped_for_time():
    async def scenario():
        async with under_attack(limits=Limits(max_stall_s=0.3, max_queue_bytes=1 << 24)) as attack:
            sock = small_receiver(attack)
            sock.sendall(command(2))
            attack.producer.interval_s = 0
            await until(lambda: attack.statistics.dropped_stalled == 1)
            attack.producer.interval_s = 0.002
            sock.close()

    run(scenario())


def test_requests_whose_answers_are_not_read():
    async def scenario():
        async with under_attack(limits=Limits(command_burst=1_000_000, max_queue_bytes=65_536)) as attack:
            sock = small_receiver(attack)
            sock.settimeout(5)
            with pytest.raises(OSError):
                await ask_without_reading(sock)
            assert attack.statistics.dropped_slow == 1
            assert attack.statistics.bytes_discarded <= 65_536
            sock.close()

    run(scenario())


def test_two_hundred_reconnects():
    async def scenario():
        async with under_attack() as attack:
            for _ in range(200):
                pdc = await attack.connect()
                pdc.send(2)
                await pdc.close()
            await until(lambda: attack.statistics.connections_closed == 200)

    run(scenario())


@pytest.mark.slow
def test_fifty_idle_and_two_hundred_active_clients():
    async def crowd(attack):
        idle = [await attack.connect() for _ in range(50)]
        active = [await (await attack.connect()).start() for _ in range(200)]
        goal = attack.producer.number + 50
        await asyncio.gather(*(pdc.read_to(goal) for pdc in active))
        assert [pdc.missing() for pdc in active] == [[]] * 200
        assert attack.statistics.clients == 251
        assert attack.statistics.streaming == 201
        for pdc in (*idle, *active):
            await pdc.close()

    async def scenario():
        async with under_attack() as attack:
            attack.producer.interval_s = 0.02
            await crowd(attack)

    run(scenario())


def test_half_open_frame_is_given_up_after_its_time():
    async def scenario():
        async with under_attack(limits=Limits(max_half_open_s=0.2)) as attack:
            pdc = await attack.connect()
            pdc.writer.write(b"\xaa\x42\x02\x00" + bytes(10))
            await until(lambda: attack.statistics.dropped_half_open == 1)
            await pdc.close()

    run(scenario())


def test_too_many_half_open_frames_cost_the_oldest():
    async def scenario():
        async with under_attack(limits=Limits(max_half_open_frames=3)) as attack:
            clients = []
            for _ in range(5):
                pdc = await attack.connect()
                pdc.writer.write(b"\xaa\x42\x02\x00")
                clients.append(pdc)
                await asyncio.sleep(0.05)
            await until(lambda: attack.statistics.dropped_half_open == 2)
            assert await clients[0].reader.read() == b""
            for pdc in clients:
                await pdc.close()

    run(scenario())


@pytest.mark.parametrize("sent", [b"", command(2), command(2) + command(5)[:7]], ids=["idle", "streaming", "mid-frame"])
def test_reset(sent):
    async def scenario():
        async with under_attack() as attack:
            for _ in range(20):
                sock = socket.create_connection(attack.address)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.sendall(sent)
                await asyncio.sleep(0.002)
                sock.close()
            await until(lambda: attack.statistics.clients == 1)

    run(scenario())


def test_http_and_tls_at_the_wrong_door():
    async def scenario():
        async with under_attack() as attack:
            for hello in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)):
                pdc = await attack.connect()
                pdc.writer.write(hello)
                await asyncio.sleep(0.01)
                assert isinstance(await pdc.ask(3), HeaderFrame)
                await pdc.close()

    run(scenario())
