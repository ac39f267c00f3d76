"""The ring reader against a writer that goes on while it copies, or that writes garbage: counted, never delivered."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.acquire import SampleBlock, layout, ring, slots
from rpmu.errors import HardwareError
from tests.acquire.fake_pru import FakePru
from tests.acquire.judge import Judge, reader_of


class Interleaver:
    """Lets the writer advance while the reader copies: the reader's copy is replaced by one in pieces.

    The writer is stopped between any two words of a sample, of a block's header, or of a restart of the ADC.
    """

    def __init__(self, pru, advances):
        self.pru, self.advances, self.writing = pru, advances, iter(())

    def advance(self, steps):
        """So many steps of the writer; a negative number: so many of a restart of the ADC."""
        if steps < 0:
            self.finish()
            self.writing = self.pru.restart_steps(40 * -steps)
        for _ in range(abs(steps)):
            if next(self.writing, self) is self:
                self.writing = self.pru.write_sample_steps()
                next(self.writing)

    def finish(self):
        for _ in self.writing:
            pass

    def __getitem__(self, word):
        """In the place of the reader's look at one word of the status."""
        value = self.pru.window[word]
        if self.advances:
            self.advance(self.advances.pop())
        return value

    def tolist(self):
        """In the place of its look at all of them: word by word, and in this order."""
        between = (layout.STATUS_SAMPLES_WRITTEN // 4, layout.STATUS_EPOCH // 4, layout.STATUS_BYTES // 4 - 1)
        return [self[w] if w in between else self.pru.window[w] for w in range(layout.STATUS_BYTES // 4)]

    def copy(self, source):
        flat_source = source.reshape(-1)
        assert flat_source.base is not None, "a view, so that every piece is what is there now"
        return self.in_pieces(flat_source.__getitem__, source.size).reshape(source.shape)

    def gather(self, window, places):
        return self.in_pieces(lambda piece: window[places[piece]], len(places))

    def in_pieces(self, look, words):
        """Words that come by 16 at a time."""
        target = np.empty(words, np.uint32)
        for start in range(0, words, 16):
            piece = slice(start, start + 16)
            target[piece] = look(piece)
            if self.advances:
                self.advance(self.advances.pop())
        return target

    @contextmanager
    def under_the_copies(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(slots, "copy_words", self.copy)
            patch.setattr(ring, "gather_words", self.gather)
            yield


some_steps = st.one_of(st.integers(-3, 30), st.sampled_from([200, 300, 900]))  # four or five are a sample


@settings(max_examples=500, deadline=None)
@given(
    ring_blocks=st.integers(2, 6),
    block=st.sampled_from([0, 2**26 - 5, 2**32 - 5]),
    actions=st.lists(
        st.one_of(
            st.tuples(st.just("write"), some_steps),
            st.tuples(st.just("poll"), st.lists(some_steps, max_size=25)),
            st.tuples(st.just("event"), st.integers(1, 3)),
        ),
        max_size=25,
    ),
)
def test_any_interleaving_of_writer_and_reader(ring_blocks, block, actions):
    pru = FakePru(ring_blocks=ring_blocks, block=block, scan=2**32 - 5000, counter=2**32 - 9999)
    judge = Judge(pru, reader_of(pru))
    judge.reader._status = steps = Interleaver(pru, [])
    for action, argument in actions:
        if action == "write":
            steps.advance(argument)
        elif action == "event":
            for _ in range(argument):
                pru.write_event()
        else:
            steps.advances = list(argument)  # used up from its end, by looks at the status and pieces of copies
            with steps.under_the_copies():
                judge.poll()
    steps.finish()
    steps.advances = []
    judge.settle()


def test_an_interleaved_copy_is_torn_and_counted():
    pru = FakePru(ring_blocks=4)
    judge = Judge(pru, reader_of(pru))
    pru.write_blocks(3)
    steps = Interleaver(pru, [64 * 5])
    with steps.under_the_copies():
        judge.poll()
    steps.finish()
    counts = judge.settle()
    assert counts.lost_samples >= 64 * counts.torn_copies > 0 or judge.samples < 4 * 64
    assert counts.torn_copies > 0


@pytest.mark.parametrize("polls_before", [0, 2])
def test_a_block_given_up_under_the_copy_is_left_to_the_next_poll(polls_before):
    pru = FakePru()
    judge = Judge(pru, reader_of(pru))
    for _ in range(polls_before):
        pru.write_blocks(2)
        judge.poll()
    pru.write_samples(64 + 20)
    steps = Interleaver(pru, [-3])
    with steps.under_the_copies():
        (block,) = judge.poll()
    assert len(block.codes) == 64
    pru.write_samples(20)
    (block,) = judge.poll()
    assert (block.epoch, len(block.codes), block.lost_samples) == (2, 20, 20 + 120 // 5)
    assert judge.settle().torn_copies == 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 31), st.sampled_from([15, 17, 64 + 32, 128 + 32, 224, 225, 226, 264])),
            st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 200)),
        ),
        max_size=20,
    )
)
def test_garbage_from_a_dying_pru_is_counted_or_refused_but_never_delivered(scribbles):
    pru = FakePru()
    reader = reader_of(pru)
    pru.write_blocks(3)
    delivered = reader.poll()
    for word, value in scribbles:
        pru.window[word] = value
        try:
            delivered += reader.poll()
            reader.trouble()
        except HardwareError:
            pass
    blocks = [item for item in delivered if isinstance(item, SampleBlock)]
    numbers = [block.first_scan + 5 * n for block in blocks for n in range(len(block.codes))]
    assert len(numbers) == reader.statistics().samples
    assert numbers[:192] == list(range(0, 960, 5))
    assert len(set(numbers)) == len(numbers), "a sample came twice"
