"""The concentrator: combined configuration and frames, and the whole of it between simulated PMUs and a PDC."""

import asyncio
import contextlib
from dataclasses import replace
from math import isnan

import pytest

from rpmu.c37118 import ConfigFrame2, DataError, Format, PhasorChannel, TimeQuality, decode
from rpmu.errors import InputError
from rpmu.pdc import Concentrator, ConcentratorSettings, PdcClient, SourceSettings
from rpmu.pdc.combine import RESELECTED, Combiner, Part, part_of
from rpmu.serve import Address, Endpoint, PmuServer, ServerSettings
from rpmu.serve.grid import Grid
from tests.pdc.scripted import take
from tests.serve.rig import FIRST_SOC, IDCODE, TIMEOUT_S, listening, make_config, make_frame, run, until

ORDINAL = Grid(50).ordinal(FIRST_SOC, 7)


def source(idcode, rate=50, phasors=1, **changes):
    pmu = replace(make_config(phasors=phasors, **changes).pmus[0], idcode=idcode, name=f"PMU {idcode}")
    return ConfigFrame2(idcode, (pmu,), rate)


def test_blocks_are_copied_bit_by_bit_whatever_their_format():
    sources = [source(n, phasors=n, format=Format(n)) for n in range(1, 16)]
    combiner = Combiner(100, 50, sources)
    parts = [part_of(make_frame(config, 7).encode()) for config in sources]
    raw = combiner.frame(ORDINAL, parts)
    frame = decode(raw, combiner.config)
    assert raw[14:-2] == b"".join(part.body for part in parts)
    assert (frame.idcode, frame.soc, frame.fracsec) == (100, FIRST_SOC, 140_000)
    assert [pmu.idcode for pmu in combiner.config.pmus] == list(range(1, 16))
    assert decode(combiner.config.encode()).same_stream_as(combiner.config)


@pytest.mark.parametrize("fmt", list(range(16)))
def test_a_missing_source_is_marked_absent_with_missing_values(fmt):
    sources = [source(1), source(2, phasors=2, format=Format(fmt))]
    combiner = Combiner(100, 50, sources)
    pmus = decode(combiner.frame(ORDINAL, [part_of(make_frame(sources[0], 7).encode()), None]), combiner.config).pmus
    assert pmus[0].stat.data_error == DataError.GOOD
    assert pmus[1].stat.data_error == DataError.TEST_OR_ABSENT
    assert not pmus[1].stat.in_sync
    assert all(isnan(abs(value)) for value in pmus[1].phasors)
    assert isnan(pmus[1].frequency_hz)


def test_a_part_of_the_wrong_size_counts_as_missing():
    combiner = Combiner(100, 50, [source(1)])
    pmu = decode(combiner.frame(ORDINAL, [Part(b"short", 0)]), combiner.config).pmus[0]
    assert pmu.stat.data_error == DataError.TEST_OR_ABSENT


def test_time_quality_is_the_worst_of_the_parts():
    combiner = Combiner(100, 50, [source(n) for n in (1, 2, 3)])
    body = make_frame(source(1), 7).encode()[14:-2]

    def quality(*bytes_):
        parts = [None if byte is None else Part(body, byte) for byte in bytes_]
        return decode(combiner.frame(ORDINAL, parts), combiner.config).time_quality

    assert quality(0, 0, 0) == TimeQuality.of(0)
    assert quality(0, 5, None) == TimeQuality.of(5)
    assert quality(0x10, 0, 15) == TimeQuality.of(15, leap_pending=True)
    assert quality(None, None, None) == TimeQuality.of(15)


def test_faster_sources_are_decimated_slower_ones_left_out():
    combiner = Combiner(100, 25, [source(1, 25), source(2, 50), source(3, 60), source(4, 10), None])
    assert combiner.factors == (1, 2, 0, 0, 0)
    assert [pmu.idcode for pmu in combiner.config.pmus] == [1, 2]
    flags = [pmu.phasors[0].modifications & RESELECTED for pmu in combiner.config.pmus]
    assert flags == [0, RESELECTED]


def test_nothing_to_combine_is_one_sentence():
    with pytest.raises(InputError, match="no source has a configuration that fits 25 frames/s"):
        Combiner(100, 25, [source(1, 10), None])


def test_a_frame_that_would_be_too_long_is_refused():
    big = source(1)
    big = replace(big, pmus=(replace(big.pmus[0], phasors=(PhasorChannel("V"),) * 8000),))
    with pytest.raises(InputError, match="use several concentrators"):
        Combiner(100, 50, [big, replace(big, idcode=2)])


class Pmus:
    """Servers that publish at the test's word."""

    def __init__(self, *configs):
        self.configs = list(configs)
        self.servers = []

    async def __aenter__(self):
        for config in self.configs:
            server = PmuServer(config, settings=listening())
            await server.start()
            self.servers.append(server)
        return self

    async def __aexit__(self, *exc_info):
        for server in self.servers:
            await server.stop()

    def sources(self):
        return [
            SourceSettings(*server.addresses[0], config.idcode)
            for server, config in zip(self.servers, self.configs, strict=True)
        ]

    def publish(self, which, number):
        self.servers[which].publish(make_frame(self.configs[which], number))

    async def streaming(self):
        await until(lambda: all(server.statistics.streaming == 1 for server in self.servers))


@contextlib.asynccontextmanager
async def concentrating(pmus, rate=50, wait_s=0.2, **settings):
    concentrator = Concentrator(pmus.sources(), ConcentratorSettings(100, rate, wait_s, **settings), listening())
    await concentrator.start()
    try:
        async with PdcClient(*concentrator.server.addresses[0], 100) as pdc:
            await pdc.configuration()
            await until(lambda: concentrator.server.statistics.streaming == 1)
            await pmus.streaming()
            yield concentrator, pdc
    finally:
        await concentrator.stop()


def test_aligned_whatever_the_order_of_arrival():
    async def scenario():
        async with Pmus(source(1), source(2, phasors=3)) as pmus, concentrating(pmus) as (concentrator, pdc):
            for number in range(0, 50, 5):
                for late in range(5):
                    pmus.publish(0, number + late)
                await asyncio.sleep(0.005)
                for late in range(5):
                    pmus.publish(1, number + late)
            frames = await take(pdc, 50)
            for number, frame in enumerate(frames):
                assert [pmu.phasors[0] for pmu in frame.pmus] == [number, number]
            statistics = concentrator.statistics
            assert (statistics.slots, statistics.complete_slots) == (50, 50)

    run(scenario())


def test_missing_late_and_repeated_frames_are_marked_and_counted():
    async def scenario():
        async with Pmus(source(1), source(2)) as pmus, concentrating(pmus) as (concentrator, pdc):
            for number in range(10):
                pmus.publish(0, number)
                if number == 3:
                    continue
                pmus.publish(1, number)
                if number == 5:
                    pmus.publish(1, number)
            frames = await take(pdc, 10)
            errors = [frame.pmus[1].stat.data_error for frame in frames]
            assert [number for number, error in enumerate(errors) if error] == [3]
            pmus.publish(1, 3)
            await until(lambda: concentrator.statistics.sources[1].alignment.late == 1)
            counts = concentrator.statistics.sources[1].alignment
            assert counts.missing == 1
            assert counts.duplicate + counts.late == 2

    run(scenario())


def test_a_lost_source_is_marked_at_once_and_taken_back():
    async def scenario():
        async with Pmus(source(1), source(2)) as pmus, concentrating(pmus, wait_s=5) as (_, pdc):
            pmus.publish(0, 0)
            pmus.publish(1, 0)
            await take(pdc, 1)
            port = pmus.servers[1].addresses[0][1]
            await pmus.servers[1].stop()
            pmus.publish(0, 1)
            frame = (await take(pdc, 1))[0]
            assert frame.pmus[1].stat.data_error == DataError.TEST_OR_ABSENT
            pmus.servers[1] = PmuServer(
                pmus.configs[1], settings=ServerSettings(endpoints=(Endpoint("tcp", Address("127.0.0.1", port)),))
            )
            await pmus.servers[1].start()
            await pmus.streaming()
            pmus.publish(0, 2)
            pmus.publish(1, 2)
            frame = (await take(pdc, 1))[0]
            assert frame.pmus[1].stat.data_error == DataError.GOOD

    run(scenario())


def test_different_rates():
    async def scenario():
        async with Pmus(source(1, 25), source(2, 50)) as pmus, concentrating(pmus, rate=25) as (concentrator, pdc):
            for number in range(20):
                pmus.publish(0, number)
                pmus.publish(1, 2 * number)
                pmus.publish(1, 2 * number + 1)
            frames = await take(pdc, 20)
            assert [frame.pmus[1].phasors[0] for frame in frames] == list(range(0, 40, 2))
            await until(lambda: concentrator.statistics.sources[1].decimated == 20)

    run(scenario())


def test_a_source_that_changes_its_configuration_changes_the_output():
    async def scenario():
        async with Pmus(source(1), source(2)) as pmus, concentrating(pmus) as (concentrator, pdc):
            for which in (0, 1):
                pmus.publish(which, 0)
            await take(pdc, 1)
            pmus.configs[1] = pmus.servers[1].reconfigure(source(2, phasors=3), planned=False).configuration
            for number in range(1, 5):
                for which in (0, 1):
                    pmus.publish(which, number)
            frames = await take(pdc, 4)
            assert len(frames[-1].pmus[1].phasors) == 3
            assert frames[-1].pmus[1].phasors[0] == 4
            assert frames[-1].pmus[1].stat.config_change
            assert pdc.config.pmus[1].cfgcnt == 1
            assert [frame.pmus[0].phasors[0] for frame in frames] == [1, 2, 3, 4]
            assert concentrator.server.statistics.configuration_changes == 1

    run(scenario())


def test_a_source_that_comes_later_joins_the_output():
    async def scenario():
        async with Pmus(source(1), source(2)) as pmus:
            port = pmus.servers[1].addresses[0][1]
            await pmus.servers[1].stop()
            sources = (
                [pmus.sources()[0], SourceSettings("127.0.0.1", port, 2)]
                if pmus.servers[1].addresses
                else [SourceSettings(*pmus.servers[0].addresses[0], 1), SourceSettings("127.0.0.1", port, 2)]
            )
            concentrator = Concentrator(sources, ConcentratorSettings(100, 50, start_wait_s=0.5), listening())
            await concentrator.start()
            async with PdcClient(*concentrator.server.addresses[0], 100) as pdc:
                assert len((await pdc.configuration()).pmus) == 1
                late = PmuServer(
                    source(2), settings=ServerSettings(endpoints=(Endpoint("tcp", Address("127.0.0.1", port)),))
                )
                pmus.servers[1] = late
                await late.start()
                await pmus.streaming()
                await until(lambda: len(concentrator.server.configuration.pmus) == 2)
                number = 0
                async with asyncio.timeout(TIMEOUT_S):
                    while pdc.config is None or len(pdc.config.pmus) < 2:
                        pmus.publish(0, number)
                        pmus.publish(1, number)
                        number += 1
                        await asyncio.sleep(0.01)
            await concentrator.stop()

    run(scenario())


def test_a_concentrator_of_concentrators():
    async def scenario():
        async with Pmus(source(1), source(2), source(3)) as pmus:
            first = Concentrator(pmus.sources()[:2], ConcentratorSettings(100, 50, 0.2), listening())
            await first.start()
            sources = [SourceSettings(*first.server.addresses[0], 100), pmus.sources()[2]]
            second = Concentrator(sources, ConcentratorSettings(200, 50, 0.5), listening())
            await second.start()
            async with PdcClient(*second.server.addresses[0], 200) as pdc:
                assert [pmu.idcode for pmu in (await pdc.configuration()).pmus] == [1, 2, 3]
                await until(lambda: second.server.statistics.streaming == 1)
                await until(lambda: first.server.statistics.streaming == 1)
                await pmus.streaming()
                for number in range(20):
                    for which in range(3):
                        pmus.publish(which, number)
                frames = await take(pdc, 20)
                for number, frame in enumerate(frames):
                    assert [pmu.phasors[0] for pmu in frame.pmus] == [number] * 3
            await second.stop()
            await first.stop()

    run(scenario())


def test_no_source_at_all_is_one_sentence():
    async def scenario():
        async with Pmus(source(1)) as pmus:
            dead = pmus.sources()
        concentrator = Concentrator(dead, ConcentratorSettings(100, 50, start_wait_s=0.2), listening())
        with pytest.raises(InputError, match="none of the sources has sent its configuration: cannot connect"):
            await concentrator.start()

    run(scenario())


@pytest.mark.parametrize(("change", "sentence"), [({"rate": 0}, "rate is 0"), ({"wait_s": 0}, "wait time is 0")])
def test_wrong_settings(change, sentence):
    with pytest.raises(InputError, match=sentence):
        ConcentratorSettings(**({"idcode": IDCODE, "rate": 50} | change))
