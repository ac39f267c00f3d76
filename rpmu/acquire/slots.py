"""The rules of one writer that never waits and one reader: copy, then look again how far the writer has come.

Number n lies in slot n modulo the number of slots, and its low 32 bits stand in the slot. The writer's count is
written after the slot is complete. So after a copy everything is whole that the writer cannot have begun to overwrite
by the time of the second look (pru/layout.h); the rest is thrown away and counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire.extend import HALF, WRAP
from rpmu.errors import HardwareError

Words = NDArray[np.uint32]

RESTARTED = "the PRU firmware was restarted while it was being read: restart the acquisition"

_ZERO = np.zeros((), np.uint32)  # an array, since a scalar would have to be made one for each copy


def copy_words(source: Words) -> Words:
    """A copy of words of device memory, each read as one aligned 32-bit word.

    A plain array copy may become memcpy, which is free to read bytes or to straddle words; device memory on ARM does
    not stand that. A calculation on typed items cannot become memcpy.
    """
    return np.bitwise_or(source, _ZERO)


def gather_words(window: Words, places: NDArray[np.intp]) -> Words:
    """Copies of the words of device memory at some places, in their order, likewise read one by one.

    Indexing by an array loads each item for itself, by its type: it cannot become memcpy either. What lies scattered
    is copied so at a third of what `copy_words` takes for rows that are not contiguous.

    Args:
        window: uint32 [n], live.
        places: which of its words, intp [m], contiguous.
    """
    copied: Words = window[places]
    return copied


def copy_slots(slots: Words, first: int, count: int) -> Words:
    """Copies of slots, uint32 [count, words_each].

    Args:
        slots: the circle, uint32 [slots, words_each], live.
        first: number of what lies in the first of them.
        count: how many, not more than there are.
    """
    start = first % len(slots)
    beyond = start + count - len(slots)
    if beyond <= 0:
        return copy_words(slots[start : start + count])
    return np.concatenate([copy_words(slots[start:]), copy_words(slots[:beyond])])


class Slots:
    """A circle of slots that the firmware fills, and how far it has been read.

    Args:
        window: the shared RAM, uint32, live.
        first_word: where the slots begin.
        slots: how many.
        words_each: of each slot; the first word is the number.
        count_word: where the writer's count is.

    Attributes:
        next: number of the first slot not yet looked at.
        lost: numbers that were overwritten before they were read, or were not in their slot.
        torn: copies thrown away because the writer had come round meanwhile.
        misplaced: slots that held another number.
    """

    def __init__(self, window: Words, first_word: int, slots: int, words_each: int, count_word: int) -> None:
        self._window = window
        self._count_word = count_word
        self._slots = window[first_word : first_word + slots * words_each].reshape(slots, words_each)
        self._safe = slots - 1  # the slot after the newest may be in the writer's hands
        self.next = int(window.item(count_word))
        self.lost = self.torn = self.misplaced = 0

    def fresh(self) -> tuple[int, Words] | None:
        """Copies of what is new, or None if nothing is.

        Returns:
            The number of the first, and uint32 [n, words_each]; a row may still be `misplaced`.

        Raises:
            HardwareError: the writer's count went back, so the firmware was started again under the reader.
        """
        head = self._written()
        if head == self.next:
            return None
        first = max(self.next, head - self._safe)
        copies = copy_slots(self._slots, first, head - first)
        torn = min(max(0, self._written() - self._safe - first), head - first)
        self.torn += torn
        self.lost += first + torn - self.next
        self.next = head
        return first + torn, copies[torn:]

    def misplaces(self, number: int, found: int) -> bool:
        """Whether a slot holds another number than it should; counts it if so."""
        if found == number % WRAP:
            return False
        self.misplaced += 1
        self.lost += 1
        return True

    def _written(self) -> int:
        """The writer's 32-bit count as a number that does not wrap."""
        ahead = (self._window.item(self._count_word) - self.next) % WRAP
        if ahead >= HALF:
            raise HardwareError(RESTARTED)
        return self.next + int(ahead)
