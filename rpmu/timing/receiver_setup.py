"""The dialogue with a GPS receiver: find its speed, ask for our sentences, notice when it has forgotten them. Sans-IO.

    searching ──a sentence──> asked ──answers──> (MediaTek at another speed) changing ──> settled
        ^                       ^                                                            |
        └── bytes, no sentence  └── it restarted, came back, or sends what it had switched off ┘

Nothing depends on it: a receiver that answers nothing is used as it is, at the speed it was found at. Bytes without a
sentence mean a wrong speed, so the next one is tried; silence says nothing about the speed. Only a receiver that has
answered a PMTK command is told to change its speed; if no sentence comes at the new one, the port goes back.

Time is what the caller says has passed. What arrives is only looked at for this; `NmeaStream` reads it for the time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rpmu.timing import receiver
from rpmu.timing.nmea import SentenceSplitter

SPEEDS = (9600, 38_400, 115_200, 4800, 57_600, 19_200)  # tried in this order, after the wanted one
LISTEN_S = 2.5  # at one speed; every receiver speaks once a second
JUNK_BYTES = 40  # without a sentence among them
ANSWER_S = 2.0
TRIES = 2
DRAIN_S = 0.15  # the command must have left at the old speed before the port changes
CHANGE_S = 3.0  # patience for a first sentence at a new speed
SILENCE_S = 4.0  # after which a receiver that speaks again may be another one
BLIND_S = 30.0  # how often a silent port is asked
SETTLE_S = 30.0  # after a set-up, before anything less than the receiver's word is taken for a reason to repeat it
STARTED = "PMTK010,001"
DONE = receiver.PMTK_ANSWERS["3"]


@dataclass(frozen=True)
class ReceiverStatus:
    """What is known of the receiver as a partner.

    Attributes:
        baud_rate: speed of the port.
        hearing: whether sentences arrive at it.
        dialogue: "not asked", "asked", "answers" or "does not answer".
        firmware: its release, as it says; empty if it does not.
        answers: command -> answer in words, of the last set-up.
        setups: how often it was asked for our sentences.
        restarts: how often it said that it had started.
    """

    baud_rate: int
    hearing: bool = False
    dialogue: str = "not asked"
    firmware: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    setups: int = 0
    restarts: int = 0


@dataclass(frozen=True)
class Order:
    """What the caller shall do now.

    Attributes:
        messages: to write to the port, in order.
        baud_rate: speed that the port shall then take; None to leave it.
        note: for the log; empty for nothing.
    """

    messages: tuple[bytes, ...] = ()
    baud_rate: int | None = None
    note: str = ""


NOTHING = Order()


class ReceiverSetup:
    """Looks after one receiver.

    Args:
        baud_rate: the speed of the port now, to which a MediaTek receiver is brought.
        configure: whether anything may be sent.

    Attributes:
        status: of the dialogue.
    """

    def __init__(self, baud_rate: int, configure: bool = True) -> None:
        self.status = ReceiverStatus(baud_rate)
        self._wanted = baud_rate
        self._speeds = (baud_rate, *(speed for speed in SPEEDS if speed != baud_rate))
        self._configure = configure
        self._splitter = SentenceSplitter()
        self._tail = b""  # of what arrived last: a binary answer may come in pieces
        self._now_s = 0.0
        self._tuned_s = 0.0  # when the port took its speed
        self._heard_s = 0.0  # when the last sentence came
        self._junk = 0  # bytes since the later of the two
        self._due = False  # a set-up
        self._asked_s = -math.inf
        self._tries = 0  # of the set-up under way; 0 when it is over
        self._settled_s = -math.inf
        self._change_s: float | None = None  # when the receiver was told to change its speed
        self._way_back: int | None = None  # the speed at which it was heard before the port followed
        self._speed_refused = False

    def step(self, data: bytes, passed_s: float) -> Order:
        """Take in what arrived.

        Args:
            data: bytes of the port; empty if none came.
            passed_s: time since the last call, s.

        Returns:
            What to do.
        """
        self._now_s += passed_s
        self._junk += len(data)
        if data:
            self._hear_ubx(data)
            for body, _ in self._splitter.feed(data, 0):
                self._hear(body)
        if self._due and self._configure:
            return self._ask("the GPS receiver speaks at {} baud; asking it for our sentences")
        return self._time_passes()

    # ---- what it hears ----

    def _hear(self, body: str) -> None:
        """A sentence: is it news of the receiver, and must it be asked for ours (again)?"""
        silent_s, found = self._now_s - self._heard_s, not self.status.hearing
        self._heard_s, self._junk = self._now_s, 0
        self._way_back = None
        if found:
            self.status = replace(self.status, hearing=True)
        self._note_answer(body)
        settled = not self._tries and self._now_s - self._settled_s > SETTLE_S
        if body.startswith(STARTED):
            self.status = replace(self.status, restarts=self.status.restarts + 1)
            self._due, self._speed_refused = True, False
        elif found:
            self._due, self._speed_refused = self._due or not self._tries, False
        elif settled and (silent_s > SILENCE_S or self._switched_off(body)):
            self._due = True

    def _switched_off(self, body: str) -> bool:
        """Whether the receiver has said that it does not send this kind of sentence any more."""
        return self.status.answers.get("PMTK314") == DONE and body[2:5] in receiver.UNWANTED

    def _note_answer(self, body: str) -> None:
        kind, *fields = body.split(",")
        if kind == receiver.PMTK_ACK and len(fields) >= 2:
            self._answered(f"PMTK{fields[0]}", receiver.PMTK_ANSWERS.get(fields[1], "unknown answer"))
        elif kind == receiver.PMTK_RELEASE and fields:
            self._answered("PMTK605", DONE)
            self.status = replace(self.status, firmware=fields[0])

    def _hear_ubx(self, data: bytes) -> None:
        """A u-blox answers in binary, among the sentences."""
        if not self._tries:
            return
        answer = receiver.ubx_answer(self._tail + data)
        self._tail = data[-receiver.UBX_ANSWER_BYTES :]
        if answer:
            self._answered("UBX-CFG-MSG", answer)

    def _answered(self, command: str, answer: str) -> None:
        answers = dict(self.status.answers) | {command: answer}
        self.status = replace(self.status, answers=answers, dialogue="answers")

    # ---- what it does ----

    def _ask(self, note: str) -> Order:
        self._due, self._tries, self._asked_s = False, 1, self._now_s
        self.status = replace(self.status, dialogue="asked", firmware="", answers={}, setups=self.status.setups + 1)
        return Order(_SETUP, note=note.format(self.status.baud_rate))

    def _time_passes(self) -> Order:
        now_s = self._now_s
        if self._tries and now_s - self._asked_s >= ANSWER_S:
            return self._answers_are_in()
        if self._change_s is not None and now_s - self._change_s >= DRAIN_S:
            return self._follow()
        if self._way_back is not None:
            return self._go_back() if now_s - self._tuned_s >= CHANGE_S else NOTHING
        quiet_s = now_s - max(self._heard_s, self._tuned_s)
        if self._junk >= JUNK_BYTES and quiet_s >= LISTEN_S and not self._tries:
            return self._search()
        if self._configure and not self._junk and quiet_s >= SILENCE_S and now_s - self._asked_s >= BLIND_S:
            return self._ask("")
        return NOTHING

    def _answers_are_in(self) -> Order:
        """The time for answers is over: try once more if there were none, or be content with what there is."""
        if self.status.dialogue == "asked" and self._tries < TRIES:
            self._tries, self._asked_s = self._tries + 1, self._now_s
            return Order(_SETUP)
        self._tries, self._settled_s = 0, self._now_s
        if self.status.dialogue == "asked":
            self.status = replace(self.status, dialogue="does not answer")
            return Order(note="the GPS receiver does not answer and is used as it is" if self.status.hearing else "")
        told = ", ".join(f"{command} {answer}" for command, answer in sorted(self.status.answers.items()))
        note = f"the GPS receiver {self.status.firmware or 'of unknown make'} answers: {told}"
        if self._speed_refused or self.status.baud_rate == self._wanted or not self._can_change_speed:
            return Order(note=note)
        self._change_s = self._now_s
        return Order((receiver.pmtk_baud(self._wanted),), note=note)

    @property
    def _can_change_speed(self) -> bool:
        speaks_pmtk = any(command.startswith("PMTK") for command in self.status.answers)
        return speaks_pmtk and self._wanted in receiver.BAUD_RATES

    def _tune(self, baud_rate: int, note: str) -> Order:
        self._tuned_s, self._junk = self._now_s, 0
        self.status = replace(self.status, baud_rate=baud_rate)
        return Order(baud_rate=baud_rate, note=note)

    def _follow(self) -> Order:
        self._change_s, self._way_back = None, self.status.baud_rate
        return self._tune(self._wanted, f"the GPS receiver was told to speak at {self._wanted} baud")

    def _go_back(self) -> Order:
        assert self._way_back is not None
        speed, self._way_back, self._speed_refused = self._way_back, None, True
        return self._tune(speed, f"the GPS receiver is not heard at {self._wanted} baud; back to {speed}")

    def _search(self) -> Order:
        """The next speed; only the first step of a search is worth a line in the log."""
        note = "the GPS receiver sends no sentence at {} baud; trying others" if self.status.hearing else ""
        note = note.format(self.status.baud_rate)
        at = self._speeds.index(self.status.baud_rate)
        self.status = replace(self.status, hearing=False)
        return self._tune(self._speeds[(at + 1) % len(self._speeds)], note)


_SETUP = (*receiver.pmtk_setup(), *receiver.ubx_setup())
