"""`PdcClient` against our server, and against peers that misbehave."""

import asyncio
import threading

import pytest

from rpmu.c37118 import Command, ConfigFrame2, DataFrame, Format
from rpmu.errors import InputError
from rpmu.pdc import BlockingPdcClient, NoAnswerError, PdcClient
from rpmu.serve import Address, Endpoint, ServerSettings
from tests.pdc.scripted import ScriptedPmu, assert_gapless, obedient, take
from tests.serve.rig import (
    IDCODE,
    RATE,
    TIMEOUT_S,
    Producer,
    listening,
    make_config,
    make_frame,
    number_of,
    run,
    running,
    until,
)


def test_configuration_header_and_gapless_frames():
    async def scenario():
        config = make_config()
        async with running(config) as server, Producer(server, config):
            async with PdcClient(*server.addresses[0], IDCODE) as pdc:
                assert (await pdc.configuration()).pmus == config.pmus
                assert (await pdc.header()).text == "test PMU"
                frames = await take(pdc, 3 * RATE)
                assert_gapless(frames)
                assert frames[-1].pmus[0].phasors[0] == number_of(frames[-1])
                assert pdc.statistics.missing_frames == 0
            await until(lambda: server.statistics.clients == 0)

    run(scenario())


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("fmt", [Format.INTEGER, Format(7), Format.FLOAT_POLAR])
def test_both_versions_and_frequency_formats(version, fmt):
    async def scenario():
        config = make_config(format=fmt)
        async with (
            running(config, listening(sync_version=version)) as server,
            Producer(server, config),
            PdcClient(*server.addresses[0], IDCODE) as pdc,
        ):
            frames = await take(pdc, 10)
            assert {frame.version for frame in frames} == {version}
            assert pdc.config.version == version
            assert frames[0].pmus[0].frequency_hz == pytest.approx(50.0)

    run(scenario())


def test_nobody_there_is_one_sentence():
    async def scenario():
        async with running() as server:
            host, port = server.addresses[0]
        async with PdcClient(host, port, IDCODE) as pdc:
            sentence = f"{port} did not send its configuration within 0.1 s .*cannot connect"
            with pytest.raises(NoAnswerError, match=sentence):
                await pdc.configuration(timeout_s=0.1)
            assert pdc.statistics.links_failed >= 1

    run(scenario())


def test_reconnects_after_the_server_was_away_and_counts_what_was_missed():
    async def scenario():
        config = make_config()
        async with running(config) as server:
            host, port = server.addresses[0]
            pdc = PdcClient(host, port, IDCODE)
            await pdc.start()
            async with Producer(server, config) as producer:
                await take(pdc, 10)
        again = ServerSettings(endpoints=(Endpoint("tcp", Address(host, port)),))
        async with running(config, again) as server, Producer(server, config, number=producer.number + 100):
            async with asyncio.timeout(TIMEOUT_S):
                async for frame in pdc.frames():
                    if number_of(frame) > producer.number + 100:
                        break
            assert pdc.statistics.links_opened == 2
            assert pdc.statistics.missing_frames >= 100
            await pdc.stop()

    run(scenario())


def test_blocking_wrapper():
    config = make_config()
    ready, done, where = threading.Event(), threading.Event(), []

    async def serve():
        async with running(config) as server, Producer(server, config):
            where.extend(server.addresses[0])
            ready.set()
            await until(done.is_set)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(TIMEOUT_S)
        with BlockingPdcClient(where[0], where[1], IDCODE) as pdc:
            assert pdc.configuration().pmus == config.pmus
            frames = [frame for frame, _ in zip(pdc.frames(), range(50), strict=False)]
        assert_gapless(frames)
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"idcode": 0}, "IDCODE is 0"),
        ({"config_type": 4}, "config_type is 4"),
        ({"stall_s": 0}, "stall_s is 0"),
        ({"transport": "serial"}, "transport is 'serial'"),
    ],
)
def test_wrong_arguments_are_refused_with_a_sentence(options, sentence):
    with pytest.raises(InputError, match=sentence):
        PdcClient("127.0.0.1", **options)


def test_no_header_is_no_obstacle():
    async def scenario():
        async with ScriptedPmu(obedient(make_config())) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            assert_gapless(await take(pdc, 20))
            with pytest.raises(NoAnswerError, match="header"):
                await pdc.header(timeout_s=0.05)

    run(scenario())


def test_frames_of_a_foreign_idcode_are_counted_and_left_out():
    foreign = ConfigFrame2(idcode=IDCODE + 1, pmus=make_config().pmus, data_rate=RATE)

    def around(raw):
        return make_frame(foreign, 0).encode() + raw

    async def scenario():
        async with ScriptedPmu(obedient(make_config(), around=around)) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            assert_gapless(await take(pdc, 20))
            assert pdc.statistics.foreign_frames == 20

    run(scenario())


def test_junk_and_bad_crc_between_frames_are_skipped_and_counted():
    def around(raw):
        return b"\xaajunk" + raw[:-1] + bytes([raw[-1] ^ 1]) + raw

    async def scenario():
        async with ScriptedPmu(obedient(make_config(), around=around)) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            assert_gapless(await take(pdc, 20))
            assert pdc.statistics.bad_frames >= 20

    run(scenario())


def test_junk_that_looks_like_the_head_of_a_long_frame_swallows_nothing():
    config = make_config()
    raws = [make_frame(config, number).encode() for number in range(30)]

    async def on_command(frame, writer):
        if frame.command == Command.SEND_CONFIG_2:
            writer.write(config.encode())
        elif frame.command == Command.DATA_ON:
            writer.write(b"".join(raws[:10]) + b"\xaa\x01\xff\x00" + b"".join(raws[10:]))

    async def scenario():
        async with ScriptedPmu(on_command) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            assert_gapless(await take(pdc, 30))

    run(scenario())


def test_split_frames_are_put_together():
    config = make_config()
    answers = {
        Command.SEND_CONFIG_2: [config.encode()],
        Command.DATA_ON: [make_frame(config, number).encode() for number in range(5)],
    }

    async def bytewise(frame, writer):
        for byte in b"".join(answers.get(frame.command, [])):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async def scenario():
        async with ScriptedPmu(bytewise) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            assert_gapless(await take(pdc, 5))

    run(scenario())


def test_a_pmu_that_streams_already_and_answers_late():
    config = make_config()

    async def on_command(frame, writer):
        if frame.command == Command.SEND_CONFIG_2:
            before = [make_frame(config, number).encode() for number in range(10)]
            after = [make_frame(config, number).encode() for number in range(10, 20)]
            writer.write(b"".join([*before, config.encode(), *after]))

    async def scenario():
        async with ScriptedPmu(on_command) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            frames = await take(pdc, 20)
            assert_gapless(frames)
            assert number_of(frames[0]) == 0

    run(scenario())


def test_a_frame_that_does_not_fit_makes_it_ask_again_and_is_not_lost():
    old, new = make_config(phasors=1), make_config(phasors=3)
    asked = []

    async def on_command(frame, writer):
        if frame.command == Command.SEND_CONFIG_2:
            asked.append(frame)
            writer.write((old if len(asked) == 1 else new).encode())
        elif frame.command == Command.DATA_ON:
            writer.write(b"".join(make_frame(old, number).encode() for number in range(4)))
            writer.write(b"".join(make_frame(new, number).encode() for number in range(4, 9)))

    async def scenario():
        async with ScriptedPmu(on_command) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            frames = await take(pdc, 9)
            assert_gapless(frames)
            assert [len(frame.pmus[0].phasors) for frame in frames] == [1] * 4 + [3] * 5
            assert pdc.statistics.misfit_frames == 0
            assert pdc.statistics.configuration_changes == 1
            assert len(asked) == 2

    run(scenario())


def test_frames_that_fit_no_configuration_make_no_flood_of_requests():
    def around(raw):
        return raw + make_frame(make_config(phasors=2), 0).encode()

    async def scenario():
        async with ScriptedPmu(obedient(make_config(), around=around)) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            assert_gapless(await take(pdc, 20))
            assert pdc.statistics.misfit_frames == 20
            assert pdc.statistics.requests <= 3

    run(scenario())


def test_one_odd_frame_of_a_pmu_that_answers_no_more_does_not_end_the_data():
    config, asked = make_config(), []

    async def on_command(frame, writer):
        if frame.command == Command.SEND_CONFIG_2 and not asked:
            asked.append(frame)
            writer.write(config.encode())
        elif frame.command == Command.DATA_ON:
            odd = make_frame(make_config(phasors=2), 0).encode()
            frames = [make_frame(config, number).encode() for number in range(20)]
            writer.write(b"".join([*frames[:10], odd, *frames[10:]]))

    async def scenario():
        async with ScriptedPmu(on_command) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            assert_gapless(await take(pdc, 20))
            assert pdc.statistics.misfit_frames == 1

    run(scenario())


def test_a_stalled_stream_is_started_anew():
    async def scenario():
        pmu = ScriptedPmu(obedient(make_config(), range(5)))
        async with pmu, PdcClient(*pmu.address, IDCODE, stall_s=0.3) as pdc:
            await take(pdc, 10)
            assert pdc.statistics.stalls >= 1
            assert pmu.connections >= 2

    run(scenario())


def test_an_old_peer_is_asked_in_version_1_too():
    config = make_config()

    async def only_version_1(frame, writer):
        if frame.version == 1:
            await obedient(config)(frame, writer)

    async def scenario():
        async with ScriptedPmu(only_version_1) as pmu, PdcClient(*pmu.address, IDCODE) as pdc:
            assert isinstance((await take(pdc, 1))[0], DataFrame)

    run(scenario())
