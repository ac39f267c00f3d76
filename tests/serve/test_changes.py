"""Configuration changes: CFGCNT, STAT bit 10 for the standard's minute, and rates chosen by a PDC."""

from dataclasses import replace

import pytest

from rpmu.c37118 import CommandFrame, ConfigFrame2, DataFrame, Decoder, Format, Stat, decode
from rpmu.errors import InputError
from rpmu.pdc import PdcClient
from rpmu.serve.answers import with_change_announced, with_time, with_version
from rpmu.serve.commands import rate_request
from rpmu.serve.stream import Stream, counted_up
from tests.pdc.scripted import assert_gapless, take
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


def stream_of(config, notice_s=60, version=2):
    return Stream(config, "header", version, notice_s)


def flags(stream, config, numbers):
    """Whether each frame goes out with STAT bit 10 set."""
    out = [stream.outgoing(make_frame(config, number).encode()) for number in numbers]
    return [decode(raw, config).pmus[0].stat.config_change for raw in out]


def test_a_planned_change_is_announced_for_a_minute_and_begins_on_a_full_second():
    old, new = make_config(), make_config(phasors=3)
    stream = stream_of(old)
    assert flags(stream, old, [0, 25]) == [False, False]
    change = stream.change(new, planned=True)
    assert change.effective_soc == FIRST_SOC + 61
    assert set(flags(stream, old, range(26, 61 * RATE))) == {True}
    assert decode(stream.answer(5)[0]).pmus[0].phasors == old.pmus[0].phasors
    assert flags(stream, new, range(61 * RATE, 63 * RATE)) == [False] * (2 * RATE)
    answer = decode(stream.answer(5)[0])
    assert len(answer.pmus[0].phasors) == 3
    assert answer.pmus[0].cfgcnt == change.configuration.pmus[0].cfgcnt == old.pmus[0].cfgcnt + 1
    assert stream.changes == 1


def test_an_unplanned_change_holds_at_once_and_is_marked_for_a_minute_after():
    old, new = make_config(), make_config(phasors=2)
    stream = stream_of(old)
    flags(stream, old, [0])
    assert stream.change(new, planned=False).effective_soc is None
    assert len(decode(stream.answer(5)[0]).pmus[0].phasors) == 2
    assert set(flags(stream, new, range(1, 61 * RATE))) == {True}
    assert set(flags(stream, new, range(61 * RATE, 62 * RATE))) == {False}


def test_a_change_before_any_data_holds_at_once_without_a_mark():
    stream = stream_of(make_config())
    new = make_config(phasors=2)
    assert stream.change(new, planned=True).effective_soc is None
    assert flags(stream, new, [0]) == [False]


def test_a_second_change_replaces_one_that_is_announced():
    old = make_config()
    stream = stream_of(old)
    flags(stream, old, [0])
    stream.change(make_config(phasors=2), planned=True)
    flags(stream, old, [30 * RATE])
    assert stream.change(make_config(phasors=3), planned=True).effective_soc == FIRST_SOC + 30 + 61
    assert flags(stream, old, [61 * RATE]) == [True]
    flags(stream, make_config(phasors=3), [91 * RATE])
    assert len(decode(stream.answer(5)[0]).pmus[0].phasors) == 3


def test_a_source_that_needs_longer_than_the_notice_gets_its_time_and_the_notice_its_length():
    old, new = make_config(), make_config(phasors=2)
    stream = stream_of(old, notice_s=2)
    flags(stream, old, [0])
    assert stream.change(new, planned=True, lead_s=5).effective_soc == FIRST_SOC + 6
    assert flags(stream, old, range(1, 6 * RATE)) == [False] * (4 * RATE - 1) + [True] * (2 * RATE)
    assert not any(flags(stream, new, range(6 * RATE, 7 * RATE)))


def test_without_notice_a_change_waits_for_its_source_and_is_not_marked():
    old, new = make_config(), make_config(phasors=2)
    stream = stream_of(old, notice_s=0)
    flags(stream, old, [0])
    assert stream.change(new, planned=True, lead_s=2).effective_soc == FIRST_SOC + 3
    assert not any(flags(stream, old, range(1, 3 * RATE)))
    assert not any(flags(stream, new, range(3 * RATE, 4 * RATE)))
    assert len(decode(stream.answer(5)[0]).pmus[0].phasors) == 2


def test_a_change_between_rare_frames_is_announced_from_now_on():
    old = make_config()
    stream = stream_of(old, notice_s=60)
    flags(stream, old, [0])
    assert stream.change(make_config(phasors=2), planned=True, now_soc=FIRST_SOC + 40).effective_soc == FIRST_SOC + 101


def test_a_change_back_to_what_holds_forgets_the_one_that_was_announced():
    old = make_config()
    stream = stream_of(old)
    flags(stream, old, [0])
    stream.change(make_config(phasors=2), planned=True)
    assert flags(stream, old, [RATE]) == [True]
    change = stream.change(old, planned=True)
    assert (change.configuration, change.effective_soc) == (old, None)
    assert not any(flags(stream, old, range(2 * RATE, 70 * RATE)))
    assert stream.changes == 0


def test_the_version_changes_with_its_configuration():
    old, new = make_config(), make_config(phasors=2)
    stream = stream_of(old, notice_s=1)
    flags(stream, old, [0])
    stream.adopt("another text", 1, 1)
    stream.change(new, planned=True)
    assert stream.outgoing(make_frame(old, 1).encode())[1] & 15 == 2
    assert stream.outgoing(make_frame(new, 2 * RATE).encode())[1] & 15 == 1
    assert decode(stream.answer(3)[0]).text == "another text"


def test_another_idcode_of_the_only_pmu_counts_up():
    old = make_config(cfgcnt=4)
    new = replace(old, idcode=9, pmus=(replace(old.pmus[0], idcode=9),))
    assert counted_up(old, new).pmus[0].cfgcnt == 5


def test_a_configuration_that_cannot_be_sent_is_refused_and_the_old_one_stays():
    stream = stream_of(make_config())
    with pytest.raises(InputError, match="IDCODE"):
        stream.change(replace(make_config(), idcode=0), planned=True)
    assert decode(stream.answer(5)[0]).idcode == IDCODE


def test_cfgcnt_counts_only_pmus_that_change_and_wraps():
    one, two = make_config(cfgcnt=0xFFFF).pmus[0], replace(make_config().pmus[0], idcode=8, cfgcnt=5)
    old = ConfigFrame2(IDCODE, (one, two), RATE)
    assert [pmu.cfgcnt for pmu in counted_up(old, old).pmus] == [0xFFFF, 5]
    changed = replace(old, pmus=(replace(one, name="NEW"), two))
    assert [pmu.cfgcnt for pmu in counted_up(old, changed).pmus] == [0, 5]
    assert [pmu.cfgcnt for pmu in counted_up(old, replace(old, data_rate=25)).pmus] == [0, 6]
    moved = replace(old, pmus=(one, replace(two, name="NEW", cfgcnt=9)))
    assert [pmu.cfgcnt for pmu in counted_up(old, moved).pmus] == [0xFFFF, 9]


def test_changed_bytes_have_a_right_crc_and_nothing_else_is_touched():
    config = ConfigFrame2(IDCODE, tuple(replace(make_config(phasors=n).pmus[0], idcode=n) for n in (1, 2, 3)), RATE)
    frame = make_frame(config, 7)
    stream = stream_of(config)
    marked = decode(with_change_announced(frame.encode(), stream.answers.stat_offsets), config)
    assert [pmu.stat for pmu in marked.pmus] == [0x0400] * 3
    assert [replace(pmu, stat=frame.pmus[0].stat) for pmu in marked.pmus] == list(frame.pmus)
    assert decode(with_version(frame.encode(), 1), config).version == 1
    stamped = decode(with_time(config.encode(), make_frame(config, 75).encode()[6:14]))
    assert (stamped.soc, stamped.fracsec) == (FIRST_SOC + 1, 500_000)
    assert stamped.pmus == config.pmus


def test_a_client_follows_a_change_without_losing_a_frame():
    async def scenario():
        old, new = make_config(), make_config(phasors=3)
        async with running(old, listening(notice_s=2)) as server, PdcClient(*server.addresses[0], IDCODE) as pdc:
            producer = Producer(server, old)
            await until(lambda: server.statistics.streaming == 1)
            producer.publish()
            change = server.reconfigure(new)
            while make_frame(old, producer.number).soc < change.effective_soc:
                producer.publish()
            producer.config = change.configuration
            producer.publish(5 * RATE)
            frames = await take(pdc, producer.number)
            assert_gapless(frames)
            effective = (change.effective_soc - FIRST_SOC) * RATE
            assert [len(frame.pmus[0].phasors) for frame in frames] == [1] * effective + [3] * (5 * RATE)
            assert pdc.statistics.configuration_changes == 1
            assert pdc.config.pmus[0].cfgcnt == 1
            assert pdc.statistics.misfit_frames == 0

    run(scenario())


def test_a_change_that_leaves_the_size_is_noticed_by_the_bit_and_no_value_is_misread():
    async def scenario():
        old = make_config(format=Format.INTEGER)
        channel = replace(old.pmus[0].phasors[0], scale=0.5)
        new = replace(old, pmus=(replace(old.pmus[0], phasors=(channel,)),))
        async with running(old, listening(notice_s=2)) as server, PdcClient(*server.addresses[0], IDCODE) as pdc:
            producer = Producer(server, old)
            await until(lambda: server.statistics.streaming == 1)
            producer.publish()
            change = server.reconfigure(new)
            while make_frame(old, producer.number).soc < change.effective_soc:
                producer.publish()
            producer.config = change.configuration
            producer.publish(5 * RATE)
            frames = await take(pdc, producer.number)
            assert [frame.pmus[0].phasors[0] for frame in frames] == list(range(producer.number))
            assert pdc.config.pmus[0].phasors[0].scale == 0.5

    run(scenario())


def extended(rate):
    return CommandFrame(IDCODE, 8, rate_request(rate)).encode()


def test_a_rate_is_chosen_only_where_that_is_configured():
    chosen = []

    async def ask(settings, rate, handler=chosen.append):
        async with running(settings=settings, rate_handler=handler) as server:
            pdc = await Pdc.connect(server)
            pdc.writer.write(extended(rate))
            await pdc.ask(3)
            await pdc.close()
            return server.statistics

    async def scenario():
        off = await ask(listening(), 25)
        assert (off.commands_refused, chosen) == (1, [])
        wrong = await ask(listening(selectable_rates=(10, 25)), 26)
        assert (wrong.commands_refused, chosen) == (1, [])
        right = await ask(listening(selectable_rates=(10, 25)), 25)
        assert (right.commands_refused, right.commands_ok, chosen) == (0, 2, [25])

    run(scenario())


def test_a_refused_rate_leaves_a_line_in_the_log(caplog):
    async def scenario():
        async with running(settings=listening(selectable_rates=(10,)), rate_handler=lambda rate: None) as server:
            pdc = await Pdc.connect(server)
            pdc.writer.write(extended(50))
            await pdc.ask(3)
            await pdc.close()

    run(scenario())
    assert "50 frames/s asked for by a PDC: refused; selectable: 10" in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"DATA_RATE", b"DATA_RATE=", b"DATA_RATE=x ", b"DATA_RATE=123456", b"rate=25 "]
)
def test_other_extended_frames_are_unknown_commands(content):
    async def scenario():
        async with running(settings=listening(selectable_rates=(25,)), rate_handler=pytest.fail) as server:
            pdc = await Pdc.connect(server)
            pdc.send(8, extended=content + b" " * (len(content) % 2))
            await pdc.ask(3)
            assert server.statistics.commands_unknown == 1
            await pdc.close()

    run(scenario())


def test_version_1_clears_the_stat_bits_that_2005_did_not_know():
    config = make_config()
    stat = Stat.of(pmu_tq=2, modified=True, in_sync=False, trigger=True, unlocked_time=1, trigger_reason=4)
    frame = DataFrame.at(config, FIRST_SOC, 0, [replace(make_frame(config, 0).pmus[0], stat=stat)])
    sent = decode(stream_of(config, version=1).outgoing(frame.encode()), config)
    assert sent.version == 1
    assert sent.pmus[0].stat == Stat.of(in_sync=False, trigger=True, unlocked_time=1, trigger_reason=4)
    assert decode(stream_of(config).outgoing(frame.encode()), config).pmus[0].stat == stat


def test_version_1_on_the_wire():
    async def scenario():
        config = make_config()
        async with running(config, listening(sync_version=1)) as server:
            pdc = await (await Pdc.connect(server)).start()
            await until(lambda: server.statistics.streaming == 1)
            server.publish(make_frame(config, 0))
            frame = await pdc.read_until(lambda frame: isinstance(frame, DataFrame))
            assert frame.version == 1
            decoder = Decoder()
            decoder.configs[IDCODE] = config
            assert isinstance(decoder.decode(frame.encode()), DataFrame)
            await pdc.close()

    run(scenario())
