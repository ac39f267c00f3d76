"""`Session` without a socket or a clock: when it asks, and what it keeps meanwhile."""

from rpmu.c37118 import Command
from rpmu.pdc.session import RETRY_S, RawData, Session, SessionSettings
from tests.serve.rig import IDCODE, make_config, make_frame


def test_frames_of_a_second_change_wait_for_the_answer_that_is_asked_for_later():
    """It comes too soon after the first to ask at once, which is no reason to give its frames up."""
    configs = [make_config(phasors=count) for count in (1, 3, 2)]
    session = Session(SessionSettings(IDCODE))
    session.connected(0.0)
    session.received(configs[0].encode(), 0.1)
    taken, now_s = [], 10.0
    for change in (1, 2):
        first = 10 * change
        asked = []
        for number in range(first, first + 10):
            events, commands = session.received(make_frame(configs[change], number).encode(), now_s)
            asked += commands
            taken += events
        for _ in range(20):
            if asked:
                break
            now_s += RETRY_S / 8
            events, asked = session.tick(now_s)
            taken += events
        assert [command.command for command in asked] == [Command.SEND_CONFIG_2]
        taken += session.received(configs[change].encode(), now_s)[0]
    frames = [event for event in taken if isinstance(event, RawData)]
    assert [len(frame.decode().pmus[0].phasors) for frame in frames] == [3] * 10 + [2] * 10
    assert session.counts.misfit_frames == session.counts.missing_frames == 0
    assert now_s == 10.0 + RETRY_S, "not more often"
