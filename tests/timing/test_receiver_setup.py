"""The dialogue with the twin's receiver, over a line whose two ends need not have the same speed."""

from __future__ import annotations

import pytest

from rpmu.timing import receiver
from rpmu.timing.nmea import NmeaStream
from rpmu.timing.receiver_setup import BLIND_S, DONE, ReceiverSetup
from rpmu.twin.faults import Faults, parse_faults
from rpmu.twin.gps import GpsReceiver, GpsSettings
from rpmu.twin.uart import misread

START_S = 1_700_000_000
NS_PER_S = 10**9
STEP_NS = NS_PER_S // 20


class Conversation:
    """A receiver, the dialogue, and the line between them."""

    def __init__(self, wanted=9600, configure=True, faults="", gps=None, **settings):
        start_ns = START_S * NS_PER_S
        self.gps = gps or GpsReceiver(start_ns, GpsSettings(**settings), Faults(start_ns, parse_faults(faults)))
        self.setup = ReceiverSetup(wanted, configure)
        self.speed = wanted  # of the port
        self.now_ns = start_ns
        self.stream = NmeaStream()
        self.heard, self.notes, self.written = [], [], 0

    @property
    def status(self):
        return self.setup.status

    def run(self, seconds):
        """Talk for so long; gives the kinds of sentences that came in the last two seconds of it."""
        end_ns = self.now_ns + round(seconds * NS_PER_S)
        recent = []
        while self.now_ns < end_ns:
            if self.now_ns % NS_PER_S == 0:
                self.gps.begin_second(self.now_ns // NS_PER_S)
            self.now_ns += STEP_NS
            data = misread(self.gps.received(self.now_ns), self.gps.baud_rate, self.speed)
            sentences = self.stream.feed(data, 0)
            recent += [s.kind for s in sentences if self.now_ns > end_ns - 2 * NS_PER_S]
            order = self.setup.step(data, STEP_NS / NS_PER_S)
            for message in order.messages:
                self.written += len(message)
                self.gps.command(misread(message, self.speed, self.gps.baud_rate), self.now_ns)
            if order.baud_rate is not None:
                self.speed = order.baud_rate
            self.notes += [order.note] if order.note else []
        return set(recent)


def test_the_sentence_set_is_asked_for_and_comes():
    talk = Conversation()
    assert talk.run(20) == {"RMC", "GGA", "GSA", "ZDA"}
    assert (talk.speed, talk.status.dialogue, talk.status.setups) == (9600, "answers", 1)
    assert talk.status.firmware == "AXN_2.31_3339_13101700"
    assert talk.status.answers == dict.fromkeys(("PMTK314", "PMTK220", "PMTK285", "PMTK255", "PMTK605"), DONE)
    assert any("PMTK314 done" in note for note in talk.notes)


@pytest.mark.parametrize("wanted", [4800, 38_400, 115_200])
def test_a_mediatek_is_brought_to_the_speed_of_the_configuration(wanted):
    """It starts at 9600, where the port is not: found, asked, told to change, and followed."""
    talk = Conversation(wanted)
    assert talk.run(30) == {"RMC", "GGA", "GSA", "ZDA"}
    assert (talk.gps.baud_rate, talk.speed, talk.status.baud_rate) == (wanted, wanted, wanted)
    assert talk.status.hearing
    assert talk.stream.good["RMC"] >= 20


def test_a_receiver_that_understands_nothing_is_used_as_it_is():
    talk = Conversation(obeys=False)
    assert {"RMC", "GGA", "GSA", "ZDA"} <= talk.run(40)
    assert (talk.speed, talk.status.dialogue, talk.status.setups) == (9600, "does not answer", 1)
    assert talk.status.answers == {}
    assert any("used as it is" in note for note in talk.notes)
    written = talk.written
    talk.run(60)
    assert talk.written == written, "it is not pestered"


@pytest.mark.parametrize("speed", [4800, 19_200, 38_400, 57_600, 115_200])
def test_a_receiver_of_any_make_is_found_at_its_own_speed(speed):
    talk = Conversation(obeys=False, baud_rate=speed)
    assert {"RMC", "GGA"} <= talk.run(25)
    assert (talk.speed, talk.status.hearing, talk.status.dialogue) == (speed, True, "does not answer")


def test_a_receiver_that_says_done_but_keeps_its_speed_is_followed_back():
    class Stubborn(GpsReceiver):
        def _set_baud(self, rate):
            """Not this one."""

    start_ns = START_S * NS_PER_S
    talk = Conversation(38_400, gps=Stubborn(start_ns, GpsSettings(), Faults(start_ns)))
    assert talk.run(40) == {"RMC", "GGA", "GSA", "ZDA"}
    assert (talk.speed, talk.status.hearing, talk.status.setups) == (9600, True, 1)
    assert sum("back to 9600" in note for note in talk.notes) == 1, "one attempt, not one after the other"


@pytest.mark.parametrize("wanted", [9600, 115_200])
def test_settings_lost_with_the_power_are_given_again(wanted):
    talk = Conversation(wanted, faults="gps_power@30+3=5")
    assert talk.run(29) == {"RMC", "GGA", "GSA", "ZDA"}
    assert talk.run(3.5) == set()
    assert talk.run(25) == {"RMC", "GGA", "GSA", "ZDA"}
    assert (talk.gps.baud_rate, talk.speed, talk.status.setups) == (wanted, wanted, 2)
    assert talk.status.restarts == (wanted == 9600)  # at another speed its word is not heard, and not needed


def test_a_swapped_receiver_is_noticed():
    talk = Conversation(115_200, faults="gps_swap@60+5")
    talk.run(59)
    assert talk.status.dialogue == "answers"
    assert {"RMC", "GGA"} <= talk.run(40)
    assert (talk.speed, talk.status.dialogue, talk.status.firmware) == (9600, "does not answer", "")


def test_sentences_that_were_switched_off_show_that_settings_are_lost():
    """Power came and went unseen: nothing announced it."""
    talk = Conversation()
    talk.run(60)
    talk.gps._forget_settings()
    assert talk.run(10) == {"RMC", "GGA", "GSA", "ZDA"}
    assert talk.status.setups == 2


def test_nothing_is_written_where_it_is_not_wanted():
    talk = Conversation(38_400, configure=False)
    assert {"RMC", "GGA", "GSA", "ZDA"} <= talk.run(30)
    assert talk.stream.good["GSV"]
    assert (talk.written, talk.speed, talk.status.dialogue, talk.status.setups) == (0, 9600, "not asked", 0)


def test_a_silent_port_is_asked_now_and_then():
    """A receiver may have been told by somebody to send nothing."""
    talk = Conversation(faults="gps_silent@0+1000")
    talk.run(5 * BLIND_S)
    assert 4 <= talk.status.setups <= 6
    assert (talk.status.hearing, talk.speed) == (True, 9600)  # it does answer
    quiet = Conversation(faults="gps_power@0+1000")
    quiet.run(5 * BLIND_S)
    assert (quiet.status.hearing, quiet.speed, quiet.notes) == (False, 9600, [])


def test_a_u_blox_answers_in_binary():
    setup = ReceiverSetup(9600)
    rmc = receiver.nmea("GNRMC,202640.00,A,4404.1,N,12118.8,W,0.0,0.0,130415,,,A,V")
    assert setup.step(rmc, 0.1).messages
    acknowledged = receiver.ubx(0x05, 0x01, b"\x06\x01")
    setup.step(rmc + acknowledged[:4], 0.1)
    setup.step(acknowledged[4:] + rmc, 0.1)
    for _ in range(30):
        order = setup.step(b"", 0.1)
        assert not order.messages, "no PMTK answer, so no PMTK speed"
    assert setup.status.answers == {"UBX-CFG-MSG": DONE}
    assert setup.status.dialogue == "answers"


def test_a_refusal_and_a_failure_are_told():
    setup = ReceiverSetup(9600)
    setup.step(receiver.nmea("GPZDA,202640.000,13,04,2015,,"), 0.1)
    setup.step(receiver.nmea("PMTK001,255,1") + receiver.nmea("PMTK001,285,2") + receiver.nmea("PMTK001,314,9"), 0.1)
    assert setup.status.answers == {
        "PMTK255": "unsupported command",
        "PMTK285": "valid command, but the action failed",
        "PMTK314": "unknown answer",
    }
