"""The splitter: every receiver gets the source's bytes, and stays while the source is away."""

import asyncio

from rpmu.c37118 import ConfigFrame1, ConfigFrame2, ConfigFrame3, HeaderFrame
from rpmu.pdc import PdcClient, Splitter
from rpmu.serve import Address, Endpoint, ServerSettings, SpontaneousTarget
from tests.pdc.scripted import assert_gapless, take
from tests.serve.rig import IDCODE, Pdc, Producer, listening, make_config, number_of, run, running, until
from tests.serve.test_transports import free_port


async def collect(pdc, count):
    """Raw frames of a client."""
    raws = []
    async for data in pdc.raw_frames():
        raws.append(data.raw)
        if len(raws) == count:
            break
    return raws


def test_tcp_and_udp_receivers_get_the_source_s_bytes():
    async def scenario():
        config, port = make_config(), free_port()
        settings = ServerSettings(
            endpoints=(Endpoint("tcp", Address("127.0.0.1", 0)), Endpoint("udp", Address("127.0.0.1", 0))),
            spontaneous=(SpontaneousTarget(Address("127.0.0.1", port), configuration_interval_s=1),),
        )
        async with running(config) as pmu, Producer(pmu, config):
            splitter = Splitter(PdcClient(*pmu.addresses[0], IDCODE), IDCODE, settings)
            await splitter.start()
            await until(lambda: len(splitter.answers.by_command) == 4)
            tcp, udp = splitter.server.addresses
            async with (
                PdcClient(*tcp, IDCODE) as first,
                PdcClient(*tcp, IDCODE, config_type=3) as second,
                PdcClient(*udp, IDCODE, "udp") as third,
                PdcClient("127.0.0.1", port, IDCODE, "spontaneous") as fourth,
            ):
                receivers = (first, second, third, fourth)
                raws = [set(some) for some in await asyncio.gather(*(collect(pdc, 150) for pdc in receivers))]
                assert len(set.intersection(*raws)) >= 50
                assert [pdc.statistics.missing_frames for pdc in receivers] == [0] * 4
                assert [pdc.statistics.bad_frames for pdc in receivers] == [0] * 4
            assert pmu.statistics.connections_accepted == 1
            await splitter.stop()

    run(scenario())


def test_every_kind_of_answer_is_kept_and_given_as_it_came():
    async def scenario():
        config = make_config()
        async with running(config) as pmu, Producer(pmu, config):
            splitter = Splitter(PdcClient(*pmu.addresses[0], IDCODE), IDCODE, listening())
            await splitter.start()
            await until(lambda: len(splitter.answers.by_command) == 4)
            pdc = await Pdc.connect(splitter.server)
            kinds = [type(await pdc.ask(code)) for code in (3, 4, 5, 6)]
            assert kinds == [HeaderFrame, ConfigFrame1, ConfigFrame2, ConfigFrame3]
            await pdc.close()
            await splitter.stop()

    run(scenario())


def test_receivers_stay_while_the_source_is_away():
    async def scenario():
        config = make_config()
        async with running(config) as pmu, Producer(pmu, config) as producer:
            host, port = pmu.addresses[0]
            splitter = Splitter(PdcClient(host, port, IDCODE), IDCODE, listening())
            await splitter.start()
            await until(lambda: len(splitter.answers.by_command) == 4)
            pdc = PdcClient(*splitter.server.addresses[0], IDCODE, stall_s=60)
            await pdc.start()
            assert_gapless(await take(pdc, 20))
        await until(lambda: not splitter.client.connected)
        async with PdcClient(*splitter.server.addresses[0], IDCODE) as newcomer:
            assert (await newcomer.configuration()).pmus == config.pmus  # from the splitter's memory
        again = ServerSettings(endpoints=(Endpoint("tcp", Address(host, port)),))
        async with running(config, again) as pmu, Producer(pmu, config, number=producer.number + 1000):
            while number_of((await take(pdc, 1))[0]) < producer.number + 1000:
                pass
            assert pdc.statistics.links_opened == 1
        await pdc.stop()
        await splitter.stop()

    run(scenario())


def test_a_changed_configuration_reaches_the_receivers():
    async def scenario():
        old, new = make_config(), make_config(phasors=3)
        async with running(old, listening(notice_s=0)) as pmu, Producer(pmu, old) as producer:
            splitter = Splitter(PdcClient(*pmu.addresses[0], IDCODE), IDCODE, listening())
            await splitter.start()
            await until(lambda: len(splitter.answers.by_command) == 4)
            async with PdcClient(*splitter.server.addresses[0], IDCODE) as pdc:
                await take(pdc, 20)
                producer.config = pmu.reconfigure(new).configuration
                while len((await take(pdc, 1))[0].pmus[0].phasors) == 1:
                    pass
                assert pdc.statistics.missing_frames == 0
            await splitter.stop()

    run(scenario())
