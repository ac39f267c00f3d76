"""The committed firmware image in the emulator, through the sampler and the ring reader that a board uses."""

from __future__ import annotations

import asyncio
import dataclasses

import numpy as np
import pytest

from rpmu.acquire import PpsEvent, RingReader, SampleBlock, SamplerSettings, sampler
from rpmu.acquire.link import image_bytes
from rpmu.acquire.recording import Recorder
from rpmu.acquire.replay import ReplayLink
from rpmu.errors import HardwareError
from rpmu.twin.pruss import AdcErrors, AdcEvent, Pruss

TICKS_PER_S = 200_000_000
LEVELS_V = (0.4, 0.7, 1.0, 1.3, 1.5, 0.2)  # of the channels, so that a swapped one shows


class EmulatedLink:
    """A `PruLink` to PRU0 of the emulator, whose time passes in `pace`."""

    image_format = "bin"

    def __init__(self, adc=None, settings=None, seconds=4):
        self.pruss = Pruss(adc=adc)
        settings = settings or SamplerSettings()
        for ain, volts in zip(settings.ain, LEVELS_V, strict=False):
            self.pruss.set_waveform(ain, -1e6, 1e6, np.full(200 * seconds + 20, volts))
        edges = (np.arange(1, seconds + 1)[:, None] + np.array([0.0, 0.1])).reshape(-1) * TICKS_PER_S
        self.pps_cycles = edges[::2]
        self.pruss.set_pulses(settings.pps_ain, edges, np.tile([1.65, 0.0], seconds), 16.5e-6 * TICKS_PER_S)
        self.pruss.set_pin_edges(0, 14, edges, np.tile([1.0, 0.0], seconds))

    def load(self, image):
        self.pruss.stop(0)
        self.pruss.load(0, image_bytes(image))

    def start(self):
        self.pruss.start(0)

    def stop(self):
        self.pruss.stop(0)

    def close(self):
        self.stop()

    def window(self):
        return self.pruss.shared_ram

    async def pace(self, seconds):
        self.run(seconds)

    def run(self, seconds):
        self.pruss.run_until(self.pruss.cycle + round(seconds * TICKS_PER_S))


def brought_up(settings=None, **others):
    settings = settings or SamplerSettings()
    link = EmulatedLink(settings=settings, **others)
    info = asyncio.run(sampler.bring_up(link, settings, link.pace))
    return link, info, RingReader(link.window(), info)


def collect(link, reader, seconds, step_s=0.04):
    items = []
    for _ in range(round(seconds / step_s)):
        link.run(step_s)
        items += reader.poll()
    return [i for i in items if isinstance(i, SampleBlock)], [i for i in items if isinstance(i, PpsEvent)]


def is_whole(blocks):
    """Samples follow each other without a gap, by their scan numbers."""
    ends = [block.first_scan + 5 * len(block.codes) for block in blocks]
    return [block.first_scan for block in blocks[1:]] == ends[:-1]


@pytest.mark.parametrize("extra_clocks", [0, 1])
def test_seconds_without_a_loss(extra_clocks):
    settings = SamplerSettings(pps_pin=14)
    link, info, reader = brought_up(settings, adc=AdcErrors(extra_clocks_per_scan=extra_clocks))
    assert info.scan_adc_clocks == 50 + extra_clocks
    blocks, events = collect(link, reader, 2.4)
    counts = reader.statistics()
    assert is_whole(blocks)
    assert counts.samples == pytest.approx(2.4 * float(info.sample_rate_hz), abs=200)
    lost = (counts.lost_samples, counts.torn_copies, counts.sequence_errors, counts.gaps)
    assert lost == (0, 0, 0, 0)
    assert (counts.counter_mismatches, counts.restarts, counts.overruns, counts.lost_scans) == (0, 0, 0, 0)
    codes = np.concatenate([block.codes for block in blocks])
    assert np.all(np.abs(codes * info.counts_per_code - LEVELS_V[0] / 1.8 * 4096) < 1.5)
    assert [event.source for event in events].count("adc") == 2
    for event in events:
        if event.source == "pin":
            assert event.counter_after - event.counter_before < 100
        else:
            assert event.samples[event.crossing] >= 1000 > event.samples[event.crossing - 1]


def test_pps_edges_lie_where_the_pulses_were():
    link, info, reader = brought_up()
    blocks, events = collect(link, reader, 2.2)
    ticks = float(info.counter_ticks_per_scan)
    first = blocks[0]
    for event, second in zip(events, (1, 2), strict=True):
        # The counter runs from the emulator's start, a few instructions late; 1000 counts is 0.3 tau after the edge.
        assert event.counter_before == pytest.approx(link.pps_cycles[second - 1], abs=2 * ticks)
        scan = first.first_scan + (event.counter_before - first.counter) / ticks
        assert event.first_scan + event.crossing == pytest.approx(scan, abs=0.1)


@pytest.mark.parametrize("channels", [3, 6])
def test_every_channel_in_its_place(channels):
    settings = SamplerSettings.for_inputs((0, 2, 3, 4, 5, 6)[:channels], 1)
    link, info, reader = brought_up(settings, seconds=1)
    blocks, _ = collect(link, reader, 0.3)
    assert info.scan_rate_hz == settings.scan_rate_hz
    for block in blocks:
        expected = np.array(LEVELS_V[:channels]) / 1.8 * 4096
        assert np.all(np.abs(block.codes * info.counts_per_code - expected) < 1.5)
    assert reader.statistics().lost_samples == 0


def test_a_stall_of_half_a_second_is_counted_to_the_sample():
    link, _, reader = brought_up(seconds=2)
    begin = link.window()[16]
    before, _ = collect(link, reader, 0.2)
    link.run(0.5)
    after = [item for item in reader.poll() if isinstance(item, SampleBlock)]
    lost = after[0].lost_samples
    assert lost == (after[0].first_scan - before[-1].first_scan) // 5 - len(before[-1].codes) > 0
    counts = reader.statistics()
    assert counts.lost_samples == lost
    assert counts.samples + counts.lost_samples == link.window()[16] - begin
    assert is_whole(collect(link, reader, 0.2)[0])


@pytest.mark.parametrize(
    ("event", "amount", "seen"),
    [
        (AdcEvent.FORCE_OVERRUN, 1, "overruns"),
        (AdcEvent.FORCE_UNDERFLOW, 1, "underflows"),
        (AdcEvent.DROP_WORDS, 1, "tag_slips"),
        (AdcEvent.DUPLICATE_WORDS, 1, "tag_slips"),
        (AdcEvent.STALL, 150_000, "stalls"),
    ],
)
def test_faults_of_the_adc_are_survived_and_visible(event, amount, seen):
    link, info, reader = brought_up(seconds=2)
    before, _ = collect(link, reader, 0.2)
    link.pruss.inject(event, amount)
    after, _ = collect(link, reader, 0.4)
    counts = reader.statistics()
    assert getattr(counts, seen) >= 1
    assert counts.state == 3
    assert counts.counter_mismatches == 0, "scan numbers must be right on both sides of the fault"
    gap = sum(block.lost_samples for block in after)
    assert (gap > 0) == (counts.restarts > 0)
    assert any(block.bad_scans for block in after) or counts.restarts or event == AdcEvent.DUPLICATE_WORDS
    last, first = after[-1], before[0]
    ticks = (last.counter - first.counter) / float(info.counter_ticks_per_scan)
    assert last.first_scan - first.first_scan == pytest.approx(ticks, abs=1.0)


def test_a_second_start_with_other_settings():
    link, _, reader = brought_up(seconds=2)
    collect(link, reader, 0.1)
    slower = dataclasses.replace(SamplerSettings(), decimation=10, output_shift=6)
    info = asyncio.run(sampler.start(link, slower, link.pace))
    reader = RingReader(link.window(), info)
    blocks, _ = collect(link, reader, 0.2)
    assert info.sample_rate_hz == 6000
    assert np.all(np.abs(blocks[-1].codes * info.counts_per_code - LEVELS_V[0] / 1.8 * 4096) < 1.5)
    asyncio.run(sampler.stop(link, link.pace))
    link.run(0.1)
    reader.poll()
    assert not collect(link, reader, 0.1)[0]


def test_a_recording_of_the_firmware_replays_alike(tmp_path):
    settings = SamplerSettings(pps_pin=14)
    link, info, reader = brought_up(settings)
    recorder = Recorder(tmp_path / "recording")
    recorder.begin(settings, info)
    items = []
    for _ in range(30):
        link.run(0.04)
        polled = reader.poll()
        recorder.write(polled)
        items += polled
    recorder.close()
    replay = ReplayLink(tmp_path / "recording", speed=None)
    assert asyncio.run(sampler.bring_up(replay, replay.settings, replay.pace)) == info
    reader = RingReader(replay.window(), info)
    again = []
    while not replay.finished:
        replay.advance(0.04)
        again += reader.poll()
    assert reader.statistics().lost_samples == reader.statistics().counter_mismatches == 0
    codes = [np.concatenate([i.codes for i in part if isinstance(i, SampleBlock)]) for part in (items, again)]
    assert np.array_equal(*codes)
    edges = [[i.first_scan + i.crossing for i in part if isinstance(i, PpsEvent)] for part in (items, again)]
    assert edges[0] == edges[1] != []


def test_the_firmware_refuses_what_the_settings_would_not_let_through():
    link = EmulatedLink(seconds=1)
    settings = SamplerSettings()
    object.__setattr__(settings, "adc_clkdiv", 3)  # past the check, as a broken caller would
    with pytest.raises(HardwareError, match="refused a parameter"):
        asyncio.run(sampler.bring_up(link, settings, link.pace))
