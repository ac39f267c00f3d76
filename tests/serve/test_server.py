"""What a PDC sees of the server, and what the server counts."""

import asyncio
import os
import socket

import pytest

from rpmu.c37118 import ConfigFrame1, ConfigFrame2, DataFrame, HeaderFrame
from rpmu.errors import HardwareError, InputError
from rpmu.serve import AccessList, Address, Endpoint, Limits, PmuServer, ServerSettings
from tests.serve.rig import (
    FIRST_SOC,
    IDCODE,
    RATE,
    Pdc,
    Producer,
    listening,
    make_config,
    make_frame,
    run,
    running,
    until,
)


def test_answers_each_request_with_its_own_frame_type():
    async def scenario():
        async with running() as server:
            pdc = await Pdc.connect(server)
            header, cfg2, cfg1 = await pdc.ask(3), await pdc.ask(5), await pdc.ask(4)
            assert isinstance(header, HeaderFrame)
            assert header.text == "test PMU"
            assert type(cfg2) is ConfigFrame2
            assert type(cfg1) is ConfigFrame1
            assert cfg1.pmus == cfg2.pmus == make_config().pmus
            await pdc.close()

    run(scenario())


def test_data_begin_and_end_on_command_and_have_no_gap():
    async def scenario():
        config = make_config()
        async with running(config) as server, Producer(server, config) as producer:
            pdc = await (await Pdc.connect(server)).start()
            await pdc.read_to(producer.number + 2 * RATE)
            assert pdc.missing() == []
            pdc.send(1)
            await until(lambda: server.statistics.streaming == 0)
            sent = server.statistics.frames_sent
            await asyncio.sleep(0.05)
            assert server.statistics.frames_sent == sent
            assert server.statistics.clients == 1
            await pdc.close()

    run(scenario())


def test_the_configuration_is_stamped_with_the_time_of_the_data():
    async def scenario():
        config = make_config()
        async with running(config) as server:
            pdc = await Pdc.connect(server)
            server.publish(make_frame(config, 5 * RATE + 25))
            cfg2 = await pdc.ask(5)
            assert (cfg2.soc, cfg2.fracsec) == (FIRST_SOC + 5, 500_000)
            await pdc.close()

    run(scenario())


def test_foreign_idcode_is_not_answered():
    async def scenario():
        async with running() as server:
            pdc = await Pdc.connect(server)
            pdc.send(5, idcode=IDCODE + 1)
            pdc.send(2, idcode=IDCODE + 1)
            assert isinstance(await pdc.ask(3), HeaderFrame)  # the first answer is that to our own IDCODE
            assert server.statistics.commands_foreign_idcode == 2
            assert server.statistics.streaming == 0
            await pdc.close()

    run(scenario())


@pytest.mark.parametrize("code", [0, 7, 8, 9, 0x0100, 0x0FFF, 0xFFFF])
def test_unknown_commands_are_ignored_and_counted(code):
    async def scenario():
        async with running() as server:
            pdc = await Pdc.connect(server)
            pdc.send(code)
            assert isinstance(await pdc.ask(3), HeaderFrame)
            assert server.statistics.commands_unknown == 1
            assert server.statistics.commands_ok == 1
            await pdc.close()

    run(scenario())


def test_many_commands_in_one_segment_are_all_answered():
    async def scenario():
        async with running() as server:
            pdc = await Pdc.connect(server)
            for _ in range(50):
                pdc.send(3)
                pdc.send(5)
            await pdc.read_until(lambda frame: len(pdc.frames) == 100)
            await pdc.close()

    run(scenario())


@pytest.mark.parametrize("taken", [0, 1, 17])
def test_what_the_socket_does_not_take_at_once_comes_later(monkeypatch, taken):
    """And what is published meanwhile comes behind it."""
    write = os.write

    def take_a_part(descriptor, data):
        if not taken:
            raise BlockingIOError
        return write(descriptor, data[:taken])

    async def scenario():
        config = make_config()
        frames = [make_frame(config, number) for number in range(5)]
        async with running(config) as server:
            pdc = await (await Pdc.connect(server)).start()
            await until(lambda: server.statistics.streaming == 1)
            with monkeypatch.context() as patch:
                patch.setattr("rpmu.serve.tcp.os.write", take_a_part)
                for frame in frames:
                    server.publish(frame)
            events = []
            await pdc.read_until(lambda event: events.append(event) or len(events) == len(frames))
            assert (events, pdc.errors) == (frames, [])
            await pdc.close()

    run(scenario())


def test_one_encoding_serves_all_clients():
    async def scenario():
        config = make_config()
        async with running(config) as server:
            clients = [await (await Pdc.connect(server)).start() for _ in range(5)]
            await until(lambda: server.statistics.streaming == 5)
            frame, calls = make_frame(config, 0), []

            class Counting:
                def encode(self):
                    calls.append(1)
                    return frame.encode()

            server.publish(Counting())
            for pdc in clients:
                await pdc.read_until(lambda event: isinstance(event, DataFrame))
                await pdc.close()
            assert len(calls) == 1
            assert server.statistics.frames_sent == 5

    run(scenario())


def test_port_in_use_is_one_sentence_with_the_address():
    async def scenario():
        async with running() as server:
            port = server.addresses[0][1]
            second = PmuServer(
                make_config(), settings=ServerSettings(endpoints=(Endpoint("tcp", Address("127.0.0.1", port)),))
            )
            with pytest.raises(
                HardwareError, match=rf"cannot listen on 127\.0\.0\.1:{port}: another program"
            ) as caught:
                await second.start()
            assert caught.value.exit_code == 4

    run(scenario())


def test_ipv6():
    async def scenario():
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        config = make_config()
        async with running(config, listening(host="::1")) as server, Producer(server, config):
            pdc = await (await Pdc.connect(server)).start()
            await pdc.read_to(20)
            assert pdc.missing() == []
            await pdc.close()

    run(scenario())


@pytest.mark.parametrize(
    ("settings", "counter"),
    [
        ({"access": AccessList.parse("192.0.2.0/24", "2001:db8::/32")}, "refused_access"),
        ({"limits": Limits(max_clients=1)}, "refused_limit"),
        ({"limits": Limits(max_clients_per_address=1)}, "refused_address_limit"),
    ],
)
def test_who_may_not_connect_is_closed_without_a_byte_and_counted(settings, counter):
    async def scenario():
        async with running(settings=listening(**settings)) as server:
            clients = [await Pdc.connect(server), await Pdc.connect(server)]
            await until(lambda: getattr(server.statistics, counter) == (2 if counter == "refused_access" else 1))
            refused = clients[-1]
            with pytest.raises((EOFError, ConnectionError)):
                await refused.ask(3)
            assert refused.frames == []
            for pdc in clients:
                await pdc.close()

    run(scenario())


def test_a_place_is_free_again_after_a_client_has_gone():
    async def scenario():
        async with running(settings=listening(limits=Limits(max_clients=1))) as server:
            for _ in range(3):
                pdc = await Pdc.connect(server)
                await pdc.ask(3)
                await pdc.close()
                await until(lambda: server.statistics.clients == 0)
            assert server.statistics.connections_accepted == server.statistics.connections_closed == 3

    run(scenario())


def test_access_list_knows_ipv4_in_ipv6():
    allowed = AccessList.parse("192.0.2.0/24")
    assert allowed.allows("192.0.2.7")
    assert allowed.allows("::ffff:192.0.2.7")
    assert not allowed.allows("192.0.3.7")
    assert not allowed.allows("2001:db8::1")
    assert AccessList().allows("203.0.113.1")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: AccessList.parse("localhost"), "neither an address nor a network"),
        (lambda: ServerSettings(sync_version=3), "sync_version is 3"),
        (lambda: Endpoint("spontaneous"), "must be tcp, udp or tcp"),
        (lambda: Endpoint("tcp+udp", data_port=0), "data_port is 0"),
        (lambda: Limits(max_clients=0), "max_clients is 0"),
        (lambda: Limits(max_queue_bytes=100), "max_queue_bytes is 100"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
