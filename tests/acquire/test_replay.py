"""A recording comes out of the ring as it went in."""

from __future__ import annotations

import asyncio
import dataclasses

import numpy as np
import pytest

from rpmu.acquire import RingReader, SampleBlock, SamplerSettings, layout, sampler
from rpmu.acquire.recording import Recorder, Recording
from rpmu.acquire.replay import ReplayLink
from rpmu.errors import HardwareError, InputError
from tests.acquire.fake_pru import FakePru

SCAN = 2**32 - 70_000  # scan numbers wrap in the middle of the recording


def write(path):
    """Two seconds with PPS events and an ADC restart; returns what was recorded."""
    pru = FakePru(scan=SCAN, counter=2**32 - 10**8)
    reader = RingReader(pru.window, pru.info)
    settings = SamplerSettings(pps_pin=14)
    items = []
    recorder = Recorder(path)
    recorder.begin(settings, pru.info)
    for step in range(75):
        pru.write_samples(5 * 64)
        if step % 37 == 10:
            pru.write_event()
            pru.write_event(pin=True)
        if step == 50:
            pru.restart_adc(scans_lost=333)
            pru.bad_scans = 2
        if step == 30:
            pru.set_status(layout.STATUS_CLIPPED, 7)
        if step == 20:
            pru.write_samples(23)  # from here on, blocks are cut by polls
        polled = reader.poll()
        recorder.write(polled)
        recorder.write_nmea(b"$%d\r\n" % step, reader.newest_scan())
        items += polled
    recorder.close()
    return items


def play(path, step_s=0.02, speed=None):
    link = ReplayLink(path, speed=speed)

    async def run():
        link.start()
        info = await sampler.start(link, link.settings, link.pace)
        reader = RingReader(link.window(), info)
        items = reader.poll()
        while not link.finished:
            await link.pace(step_s)
            items += reader.poll()
        return info, items, reader.statistics()

    return link, *asyncio.run(run())


def per_sample(items):
    """(scan, codes, epoch, whether bad) of every sample, whatever it was joined to."""
    return [
        (item.first_scan + index * 5, codes.tobytes(), item.epoch, item.bad_scans > 0)
        for item in items
        if isinstance(item, SampleBlock)
        for index, codes in enumerate(item.codes)
    ]


def clipped_samples(items):
    """Scans of the first samples of blocks near to which something was clipped."""
    return {
        item.first_scan + index * 5
        for item in items
        if isinstance(item, SampleBlock) and item.clipped_scans
        for index in range(len(item.codes))
    }


def test_samples_and_events_return_unchanged(tmp_path):
    path = tmp_path / "two-seconds.rpmu"
    written = write(path)
    link, info, played, counts = play(path)
    assert info == link.info
    assert per_sample(played) == per_sample(written)
    events = [[item for item in items if not isinstance(item, SampleBlock)] for items in (written, played)]
    assert [(e.source, e.first_scan, e.crossing) for e in events[0]] == [
        (e.source, e.first_scan, e.crossing) for e in events[1]
    ]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(*events, strict=True))
    assert clipped_samples(written) <= clipped_samples(played), "with each part, if it is read in parts"
    assert len(clipped_samples(played)) < 3 * 5 * 64
    assert 7 <= counts.clipped_scans < 10
    assert counts.lost_samples == sum(item.lost_samples for item in written if isinstance(item, SampleBlock)) == 67 + 23
    assert (counts.torn_copies, counts.events_lost, counts.counter_mismatches) == (0, 0, 0)


def test_a_reader_that_is_too_slow_loses_samples_as_on_a_board(tmp_path):
    path = tmp_path / "two-seconds.rpmu"
    write(path)
    *_, counts = play(path, step_s=1.0)
    assert counts.lost_samples > 67
    assert counts.samples + counts.lost_samples == 375 * 64 + 23 + 67


def test_time_passes_at_the_speed_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "two-seconds.rpmu"
    write(path)
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    play(path, speed=4.0)
    assert sum(slept) == pytest.approx(2.0 / 4, rel=0.05)


def test_other_settings_than_recorded_are_refused(tmp_path):
    path = tmp_path / "two-seconds.rpmu"
    write(path)
    link = ReplayLink(path, speed=None)
    link.start()
    with pytest.raises(HardwareError, match="refused a parameter"):
        asyncio.run(sampler.start(link, dataclasses.replace(link.settings, decimation=4), link.pace))


def test_a_tail_cut_by_a_power_failure_is_left_out(tmp_path):
    path = tmp_path / "two-seconds.rpmu"
    write(path)
    whole = len(list(Recording(path).records()))
    path.write_bytes(path.read_bytes()[:-2])
    assert len(list(Recording(path).records())) == whole - 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"RIFF....WAVEfmt ", "not a recording of rpmu"),
        (b"[1]\n", "not a recording of rpmu"),
        (b'{"format": "rpmu-recording", "version": 9}\n', "version 9, but this rpmu reads"),
        (b'{"format": "rpmu-recording", "version": 3, "settings": {}, "info": {"channels": 1}}\n', "is damaged"),
        (b'{"format": "rpmu-recording", "version": 3, "settings": 3, "info": {}}\n', "is damaged"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, content, complaint):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        ReplayLink(path)


def test_a_damaged_record_names_its_place(tmp_path):
    path = tmp_path / "two-seconds.rpmu"
    write(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"\n") + 1
    content[place] = 9
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"damaged at byte {place}: record of unknown kind 9"):
        list(Recording(path).records())


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match="cannot read the recording"):
        ReplayLink(tmp_path / "nothing")
    path = tmp_path / "there"
    path.touch()
    with pytest.raises(InputError, match="cannot write the recording"):
        Recorder(path).begin(SamplerSettings(), FakePru().info)


def test_each_start_of_the_firmware_has_a_file_of_its_own(tmp_path):
    recorder = Recorder(tmp_path / "outlet.rpmu")
    for _ in range(3):
        recorder.begin(SamplerSettings(), FakePru().info)
    recorder.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outlet-2.rpmu", "outlet-3.rpmu", "outlet.rpmu"]
    assert Recording(tmp_path / "outlet-3.rpmu").settings == SamplerSettings()


def test_the_receivers_bytes_come_with_their_scans(tmp_path):
    path = tmp_path / "two-seconds.rpmu"
    write(path)
    link = ReplayLink(path, speed=None)
    link.start()
    asyncio.run(sampler.start(link, link.settings, link.pace))
    heard = link.gps.read()
    link.advance(0.5)
    heard += link.gps.read()
    assert heard == b"".join(b"$%d\r\n" % step for step in range(heard.count(b"$")))
    assert heard.count(b"$") == pytest.approx(0.5 * 37.5, abs=2)
    link.advance(10.0)
    assert (heard + link.gps.read()).count(b"$") == 75
    assert link.finished


def test_an_absurd_length_from_the_receiver_is_damage(tmp_path):
    path = tmp_path / "two-seconds.rpmu"
    recorder = Recorder(path)
    recorder.begin(SamplerSettings(), FakePru().info)
    recorder.close()
    path.write_bytes(path.read_bytes() + b"\2\0\0\0" + b"\0\0\0\0" + b"\xff\xff\xff\xff")
    with pytest.raises(InputError, match="4294967295 bytes from the receiver at once"):
        list(Recording(path).records())
