"""Running firmware is started anew: what the last run leaves is read, and the counter's wraps are kept track of."""

from __future__ import annotations

import asyncio

import pytest

from rpmu.acquire import RingReader, SampleBlock, SamplerSettings, sampler
from rpmu.acquire.link import shipped_image
from rpmu.twin.pacing import MAX_SPEED, Pacer
from rpmu.twin.world import Twin, TwinSettings
from tests.timing.rig import START_NS, Line

IEP_COUNT_ADDRESS = 0x2E00C
WRAP, HZ = 2**32, 200_000_000
ONE = SamplerSettings.for_inputs((0,), 1)
THREE = SamplerSettings.for_inputs((0, 2, 3), 1)


class Board:
    """A twin whose counter begins at any value that is wanted."""

    def __init__(self, counter):
        self.twin = Twin(TwinSettings(START_NS, phases=3, mains_ain=(0, 2, 3)), Line())
        self.pacer, self.link = Pacer(self.twin, MAX_SPEED), self.twin.link()
        self.counter = counter

    async def __aenter__(self):
        self.link.load(shipped_image(self.link.image_format))
        self.link.start()
        await self.pacer.pace(0.001)
        self.twin.pruss.write_word(IEP_COUNT_ADDRESS, self.counter)
        self.info = await sampler.start(self.link, ONE, self.pacer.pace)
        return self

    async def __aexit__(self, *_):
        self.pacer.close()
        self.twin.close()

    @property
    def cycle(self):
        return int(self.twin.crystal.cycle_at(self.twin.now_ns))

    async def newest(self, reader):
        """The counter at the newest sample, without wraps."""
        await self.pacer.pace(0.05)
        block = [item for item in reader.poll() if isinstance(item, SampleBlock)][-1]
        scans = (len(block.codes) - 1) * self.info.decimation
        return block.counter + scans * float(self.info.counter_ticks_per_scan)


@pytest.mark.parametrize("ahead_s", [0.08, 0.13, 0.18, 0.25, 10.8, 21.4])
def test_the_counter_runs_on_wherever_it_comes_round(ahead_s):
    """Before, in and after the pause, and half a round away from it."""
    left = []

    async def scenario():
        async with Board(WRAP - round(ahead_s * HZ)) as board:
            reader = RingReader(board.link.window(), board.info)
            first = await board.newest(reader)
            begun = board.cycle
            board.info, hand_over = await sampler.start_over(
                board.link, THREE, board.pacer.pace, lambda: left.extend(reader.poll())
            )
            at_start = reader.counter_at(hand_over.last_scan) + hand_over.lead_ticks
            after = RingReader(board.link.window(), board.info, at_start)
            return first, begun, await board.newest(after), board.cycle, board.info, hand_over

    first, begun, last, ended, info, hand_over = asyncio.run(scenario())
    assert info == sampler.expected(THREE, info)
    assert last - first == pytest.approx(ended - begun, abs=0.01 * HZ)
    assert left, "what the old run had still in the ring"
    assert hand_over.at_most_s < 0.05


def test_a_host_that_hangs_just_before_the_start_is_found_out(monkeypatch):
    """Six seconds between the look at the last scan and the command: the beats of the heart tell."""
    command = sampler._command

    async def scenario():
        async with Board(0) as board:

            def late(words, number):
                board.twin.advance(6.0)
                return command(words, number)

            monkeypatch.setattr(sampler, "_command", late)
            return (await sampler.start_over(board.link, THREE, board.pacer.pace, lambda: None))[1]

    assert asyncio.run(scenario()).at_most_s > 6.0
