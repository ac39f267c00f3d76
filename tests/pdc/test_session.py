"""`Session` without a socket or a clock: when it asks, and what it keeps meanwhile."""

from rpmu.c37118 import Command
from rpmu.pdc.session import RETRY_S, RawData, Session, SessionSettings
from tests.serve.rig import IDCODE, make_config, make_frame


def test_frames_of_another_change_ask_at_once_after_an_answer_that_helped():
    configs = [make_config(phasors=count) for count in (1, 3, 2)]
    session = Session(SessionSettings(IDCODE))
    session.connected(0.0)
    session.received(configs[0].encode(), 0.1)
    for change in (1, 2):
        _, asked = session.received(make_frame(configs[change], 10 * change).encode(), 10.0)
        assert [command.command for command in asked] == [Command.SEND_CONFIG_2]
        events, _ = session.received(configs[change].encode(), 10.0)
        assert [len(e.decode().pmus[0].phasors) for e in events if isinstance(e, RawData)] == [(3, 2)[change - 1]]


def test_frames_that_may_not_ask_yet_wait_for_the_answer_that_is_asked_for_later():
    """They come too soon after an answer that was no help, which is no reason to give them up."""
    configs = [make_config(phasors=count) for count in (1, 3)]
    session = Session(SessionSettings(IDCODE))
    session.connected(0.0)
    session.received(configs[0].encode(), 0.1)
    _, asked = session.received(make_frame(make_config(phasors=4), 0).encode(), 10.0)
    assert asked, "an odd frame"
    session.received(configs[0].encode(), 10.0)
    taken, asked, now_s = [], [], 10.0
    for number in range(10, 20):
        events, commands = session.received(make_frame(configs[1], number).encode(), now_s)
        taken, asked = taken + events, asked + commands
    while not asked:
        now_s += RETRY_S / 8
        events, asked = session.tick(now_s)
        taken += events
    assert [command.command for command in asked] == [Command.SEND_CONFIG_2]
    taken += session.received(configs[1].encode(), now_s)[0]
    frames = [event for event in taken if isinstance(event, RawData)]
    assert [len(frame.decode().pmus[0].phasors) for frame in frames] == [3] * 10
    assert session.counts.misfit_frames == 1, "the odd one"
    assert now_s == 10.0 + RETRY_S, "not more often"
