"""The other ways than plain TCP: UDP in its three forms, multicast, IPv6, and TLS."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess

import pytest

from rpmu.c37118 import CommandFrame, ConfigFrame2, ConfigFrame3
from rpmu.errors import HardwareError, InputError
from rpmu.pdc import NoAnswerError, PdcClient
from rpmu.serve import AccessList, Address, Endpoint, PmuServer, ServerSettings, SpontaneousTarget, TlsSettings
from rpmu.serve.udp import bind_udp, join_group
from tests.pdc.scripted import assert_gapless, take
from tests.serve.rig import IDCODE, TIMEOUT_S, Pdc, Producer, listening, make_config, run, running, until


def free_port(host="127.0.0.1"):
    with contextlib.closing(bind_udp(host, 0)) as sock:
        return sock.getsockname()[1]


def has_ipv6():
    try:
        bind_udp("::1", 0).close()
    except (HardwareError, InputError):
        return False
    return True


HOSTS = ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here"))]


@pytest.mark.parametrize("host", HOSTS)
def test_udp(host):
    async def scenario():
        config = make_config()
        async with running(config, listening("udp", host=host)) as server, Producer(server, config):
            async with PdcClient(host, server.addresses[0][1], IDCODE, "udp") as pdc:
                assert (await pdc.configuration()).pmus == config.pmus
                assert_gapless(await take(pdc, 50))
                assert server.statistics.clients == server.statistics.streaming == 1
            await until(lambda: server.statistics.clients == 0)

    run(scenario())


def test_udp_client_that_vanishes_is_forgotten():
    async def scenario():
        config = make_config()
        async with running(config, listening("udp")) as server, Producer(server, config):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
                gone.sendto(CommandFrame(IDCODE, 2).encode(), server.addresses[0])
                await until(lambda: server.statistics.streaming == 1)
            await until(lambda: server.statistics.dropped_unreachable == 1)
            assert server.statistics.clients == 0
            assert server.statistics.datagrams_refused >= 3

    run(scenario())


def test_a_udp_client_that_vanishes_costs_the_others_no_frame():
    """The error of a datagram to the one that is gone comes back at the next one, which is for somebody else."""

    async def scenario():
        config = make_config()
        async with (
            running(config, listening("udp")) as server,
            PdcClient(*server.addresses[0], IDCODE, "udp") as pdc,
        ):
            producer = Producer(server, config)
            await until(lambda: server.statistics.streaming == 1)
            for _ in range(5):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
                    gone.sendto(CommandFrame(IDCODE, 2).encode(), server.addresses[0])
                    await until(lambda: server.statistics.streaming == 2)
                producer.publish(10)  # without a break in which the error could be read
                await until(lambda: server.statistics.streaming == 1)
            assert_gapless(await take(pdc, 50))
            assert server.statistics.dropped_unreachable == 5

    run(scenario())


def test_udp_junk_and_foreign_commands_get_no_answer():
    async def scenario():
        async with running(settings=listening("udp")) as server:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                good = CommandFrame(IDCODE, 3).encode()
                for datagram in (b"", b"junk", good[:-1], CommandFrame(IDCODE + 1, 3).encode()):
                    sock.sendto(datagram, server.addresses[0])
                await until(lambda: server.statistics.commands_foreign_idcode == 1)
                with pytest.raises(BlockingIOError):
                    sock.recv(100)
                assert server.statistics.frames_bad == 2
                sock.sendto(good, server.addresses[0])
                await until(lambda: server.statistics.commands_ok == 1)

    run(scenario())


def test_udp_access_list():
    async def scenario():
        settings = listening("udp", access=AccessList.parse("192.0.2.1"))
        async with running(settings=settings) as server:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(CommandFrame(IDCODE, 2).encode(), server.addresses[0])
                await until(lambda: server.statistics.refused_access == 1)
                assert server.statistics.streaming == 0

    run(scenario())


@pytest.mark.parametrize("host", HOSTS)
def test_commands_by_tcp_data_by_udp(host):
    async def scenario():
        config, port = make_config(), free_port(host)
        settings = ServerSettings(endpoints=(Endpoint("tcp+udp", Address(host, 0), data_port=port),))
        async with running(config, settings) as server, Producer(server, config):
            tcp_port = server.addresses[0][1]
            async with PdcClient(host, tcp_port, IDCODE, "tcp+udp", data_port=port, local_host=host) as pdc:
                assert_gapless(await take(pdc, 50))
            await until(lambda: server.statistics.streaming == 0)

    run(scenario())


@pytest.mark.parametrize("host", HOSTS)
def test_spontaneous_unicast_sends_the_configuration_at_intervals(host):
    async def scenario():
        config, port = make_config(), free_port(host)
        target = SpontaneousTarget(Address(host, port), configuration_interval_s=1)
        settings = ServerSettings(endpoints=(), spontaneous=(target,))
        async with PdcClient(host, port, IDCODE, "spontaneous") as pdc:
            await until(lambda: pdc.connected)
            async with running(config, settings) as server, Producer(server, config):
                frames = await take(pdc, 150)
            assert_gapless(frames)
            assert pdc.statistics.configurations >= 3
            assert pdc.statistics.requests == 0

    run(scenario())


@pytest.mark.parametrize("count", [1, 2])
def test_spontaneous_multicast_reaches_every_member(count):
    group = "239.255.77.12"

    async def scenario():
        config, port = make_config(), free_port()
        target = SpontaneousTarget(Address(group, port), multicast_interface="127.0.0.1")
        members = [PdcClient(group, port, IDCODE, "spontaneous", multicast_interface="127.0.0.1") for _ in range(count)]
        async with contextlib.AsyncExitStack() as stack:
            for member in members:
                await stack.enter_async_context(member)
            await until(lambda: all(member.connected for member in members))
            settings = ServerSettings(endpoints=(), spontaneous=(target,))
            async with running(config, settings) as server, Producer(server, config):
                for member in members:
                    assert_gapless(await take(member, 30))

    if not multicast_works(group):
        pytest.skip("this machine does not pass multicast over loopback (a route for the group is missing)")
    run(scenario())


def multicast_works(group):
    try:
        with contextlib.closing(bind_udp(group, 0, shared=True)) as receiver:
            join_group(receiver, group, "127.0.0.1")
            receiver.settimeout(0.5)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
                sender.sendto(b"there?", (group, receiver.getsockname()[1]))
            return receiver.recv(10) == b"there?"
    except (OSError, InputError, HardwareError):
        return False


@pytest.mark.parametrize("config_type", [2, 3])
def test_either_configuration_frame(config_type):
    async def scenario():
        config = make_config()
        async with (
            running(config) as server,
            Producer(server, config),
            PdcClient(*server.addresses[0], IDCODE, config_type=config_type) as pdc,
        ):
            assert type(await pdc.configuration()) is (ConfigFrame3 if config_type == 3 else ConfigFrame2)
            assert_gapless(await take(pdc, 20))

    run(scenario())


def test_long_names_reach_cfg3_whole_and_cfg2_cut():
    name = "Haus am Grünen Weg 17, Zählerschrank"

    async def scenario():
        config = make_config()
        config = type(config)(IDCODE, (type(config.pmus[0])(name, IDCODE, phasors=config.pmus[0].phasors),), 50)
        async with running(config) as server:
            pdc = await Pdc.connect(server)
            assert (await pdc.ask(6)).pmus[0].name == name
            assert len((await pdc.ask(5)).pmus[0].name) == 16
            await pdc.close()

    run(scenario())


def test_no_cfg3_in_version_1():
    async def scenario():
        async with running(settings=listening(sync_version=1)) as server:
            pdc = await Pdc.connect(server)
            pdc.send(6)
            assert (await pdc.ask(3)).version == 1
            assert server.statistics.commands_unknown == 1
            await pdc.close()

    run(scenario())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and a server's and a client's certificate of it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command (Debian: apt-get install openssl)")
    return make_certificates(tmp_path_factory.mktemp("tls"))


def make_certificates(folder):
    """ca.pem, and server and client signed by it, with their keys."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    authority = ("-addext", "keyUsage=critical,keyCertSign,cRLSign", "-subj", "/CN=test authority", "-days", "2")
    openssl("req", "-x509", *new_key, *authority, "-keyout", "ca.key", "-out", "ca.pem")
    # Python 3.13 verifies strictly: key usage in the authority's certificate, key identifiers in the others
    extensions = ("subjectAltName=IP:127.0.0.1", "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid")
    (folder / "san").write_text("\n".join(extensions))
    for name in ("server", "client"):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder


def test_tls(certificates):
    async def scenario():
        config = make_config()
        tls = TlsSettings(certificates / "server.pem", certificates / "server.key")
        trust = ssl.create_default_context(cafile=certificates / "ca.pem")
        async with running(config, listening(tls=tls)) as server, Producer(server, config):
            host, port = server.addresses[0]
            async with PdcClient(host, port, IDCODE, tls=trust) as pdc:
                assert_gapless(await take(pdc, 50))
            async with PdcClient(host, port, IDCODE) as plain:
                with pytest.raises(NoAnswerError):
                    await plain.configuration(timeout_s=0.5)
            stranger = ssl.create_default_context()
            async with PdcClient(host, port, IDCODE, tls=stranger) as pdc:
                with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED"):
                    await pdc.configuration(timeout_s=0.5)

    run(scenario())


def test_tls_with_client_certificates(certificates):
    async def scenario():
        config = make_config()
        tls = TlsSettings(certificates / "server.pem", certificates / "server.key", certificates / "ca.pem")
        known = ssl.create_default_context(cafile=certificates / "ca.pem")
        known.load_cert_chain(certificates / "client.pem", certificates / "client.key")
        unknown = ssl.create_default_context(cafile=certificates / "ca.pem")
        async with running(config, listening(tls=tls)) as server, Producer(server, config):
            host, port = server.addresses[0]
            async with PdcClient(host, port, IDCODE, tls=known) as pdc:
                assert_gapless(await take(pdc, 50))
            async with PdcClient(host, port, IDCODE, tls=unknown) as pdc:
                with pytest.raises(NoAnswerError):
                    await pdc.configuration(timeout_s=0.5)

    run(scenario())


def test_renewed_files_count_for_who_comes_after_the_next_reload(certificates, tmp_path):
    """Other content under the same names, the clients' authority included: who is there stays, on the same socket."""
    live, others = shutil.copytree(certificates, tmp_path / "live"), tmp_path / "others"
    others.mkdir()
    make_certificates(others)

    def trusting(folder):
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
        return context

    async def scenario():
        config = make_config()
        settings = listening(tls=TlsSettings(live / "server.pem", live / "server.key", live / "ca.pem"))
        async with running(config, settings) as server, Producer(server, config):
            host, port = server.addresses[0]

            async def comes_in(context):
                async with PdcClient(host, port, IDCODE, tls=context) as pdc:
                    await pdc.configuration(timeout_s=2)

            before, after, mixed = trusting(certificates), trusting(others), trusting(others)
            mixed.load_cert_chain(certificates / "client.pem", certificates / "client.key")
            async with PdcClient(host, port, IDCODE, tls=before) as pdc:
                await take(pdc, 5)
                (live / "server.key").write_text("cut off")
                with pytest.raises(InputError, match="cannot load the TLS files"):
                    await server.adopt(server.settings, "header")
                await comes_in(before)
                shutil.copytree(others, live, dirs_exist_ok=True)
                await server.adopt(server.settings, "header")
                assert server.addresses[0] == (host, port)
                await comes_in(after)
                with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED"):
                    await comes_in(before)
                with pytest.raises(NoAnswerError):
                    await comes_in(mixed)
                assert_gapless(await take(pdc, 50))

    run(scenario())


def test_a_tls_client_that_never_reads_is_dropped_too(certificates):
    async def scenario():
        config = make_config()
        tls = TlsSettings(certificates / "server.pem", certificates / "server.key")
        trust = ssl.create_default_context(cafile=certificates / "ca.pem")
        async with running(config, listening(tls=tls)) as server, Producer(server, config, interval_s=0):
            pdc = await Pdc.connect(server, ssl=trust, limit=1024)
            pdc.send(2)
            async with asyncio.timeout(TIMEOUT_S):
                await until(lambda: server.statistics.dropped_slow + server.statistics.dropped_stalled == 1)
            pdc.writer.transport.abort()

    run(scenario())


def test_a_missing_tls_file_is_one_sentence(tmp_path):
    server = PmuServer(make_config(), settings=listening(tls=TlsSettings(tmp_path / "no.pem", tmp_path / "no.key")))
    with pytest.raises(InputError, match=r"cannot load the TLS files .*no\.pem"):
        asyncio.run(server.start())
