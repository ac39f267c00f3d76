"""Other settings in a running server: who stays, who goes, and what happens when they cannot be had."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from rpmu.c37118 import decode
from rpmu.errors import HardwareError, InputError
from rpmu.serve import AccessList, Address, Endpoint, SpontaneousTarget, TlsSettings
from tests.serve.rig import Pdc, listening, make_config, make_frame, run, running, until


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def streaming(server):
    """A PDC that gets data from the server's first address."""
    pdc = await (await Pdc.connect(server)).start()
    await until(lambda: server.statistics.streaming >= 1)
    return pdc


def test_a_new_address_is_opened_and_the_client_of_the_old_one_stays():
    async def scenario():
        port = free_port()
        async with running() as server:
            pdc = await streaming(server)
            both = (*server.settings.endpoints, Endpoint("tcp", Address("127.0.0.1", port)))
            await server.adopt(replace(server.settings, endpoints=both), "header")
            assert port in [address[1] for address in server.addresses]
            server.publish(make_frame(make_config(), 0))
            await pdc.read_to(0)
            assert server.statistics.connections_closed == 0
            await pdc.close()

    run(scenario())


def test_the_client_of_an_address_that_goes_is_closed():
    async def scenario():
        port = free_port()
        async with running() as server:
            pdc = await streaming(server)
            moved = (Endpoint("tcp", Address("127.0.0.1", port)),)
            await server.adopt(replace(server.settings, endpoints=moved), "header")
            assert [address[1] for address in server.addresses] == [port]
            assert await pdc.reader.read() == b""
            await until(lambda: server.statistics.connections_closed == 1)

    run(scenario())


def test_what_cannot_be_opened_leaves_everything_as_it_was():
    async def scenario():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            async with running(settings=listening("tcp", "udp")) as server:
                pdc = await streaming(server)
                before = len(server.addresses)
                moved = replace(server.settings, endpoints=(Endpoint("tcp", Address("127.0.0.1", port)),))
                moved = replace(moved, access=AccessList.parse("192.0.2.0/24"))
                with pytest.raises(HardwareError, match="another program listens there"):
                    await server.adopt(moved, "header")
                assert len(server.addresses) == before, "open again"
                assert server.settings.access.allows("127.0.0.1")
                server.publish(make_frame(make_config(), 0))
                await pdc.read_to(0)
                newcomer = await streaming(server)
                await newcomer.close()
                await pdc.close()

    run(scenario())


def test_wrong_tls_files_are_found_while_all_is_open(tmp_path):
    async def scenario():
        async with running() as server:
            where = server.addresses
            wrong = replace(server.settings, tls=TlsSettings(tmp_path / "a", tmp_path / "b"))
            with pytest.raises(InputError, match="cannot load the TLS files"):
                await server.adopt(wrong, "header")
            assert server.addresses == where, "not even closed for a moment"

    run(scenario())


def test_who_is_not_allowed_any_more_is_dropped_and_counted_and_nobody_else():
    async def scenario():
        async with running() as server:
            pdc = await streaming(server)
            await server.adopt(replace(server.settings, access=AccessList.parse("127.0.0.1")), "header")
            assert server.statistics.streaming == 1
            await server.adopt(replace(server.settings, access=AccessList.parse("192.0.2.0/24")), "header")
            await until(lambda: server.statistics.clients == 0)
            assert server.statistics.dropped_access == 1
            refused = await Pdc.connect(server)
            await until(lambda: server.statistics.refused_access == 1)
            await refused.close()
            await pdc.close()

    run(scenario())


def test_udp_destinations_are_exchanged():
    async def scenario():
        with socket.socket(type=socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(30)
            target = SpontaneousTarget(Address("127.0.0.1", receiver.getsockname()[1]))
            config = make_config()
            async with running(config) as server:
                server.publish(make_frame(config, 0))
                await server.adopt(replace(server.settings, spontaneous=(target,)), "header")
                server.publish(make_frame(config, 1))
                assert decode(receiver.recv(65536)).pmus[0].name == "HOME"
                assert decode(receiver.recv(65536), config).stamp == make_frame(config, 1).stamp
                await server.adopt(replace(server.settings, spontaneous=()), "header")
                server.publish(make_frame(config, 2))
                receiver.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    receiver.recv(65536)

    run(scenario())


def test_the_header_follows_with_the_next_configuration():
    async def scenario():
        async with running() as server:
            await server.adopt(server.settings, "another text")
            server.reconfigure(make_config())
            pdc = await Pdc.connect(server)
            header = await pdc.ask(3)
            assert header.text == "another text"
            await pdc.close()

    run(scenario())
