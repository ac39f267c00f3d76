"""Frames of several sources, put side by side by their time stamps: no socket, no clock, no codec.

Every report instant of the output has an ordinal, an integer made from (SOC, index); the open instants are a short
run of consecutive ordinals, the *slots*, oldest first. A frame falls into its slot. A slot leaves when every source
that is present has delivered, or when it has been open for the wait time, and always in order; instants for which
nobody delivered leave too, as slots without content, so that the output has no gap.

Memory is bounded: `max_slots` slots. A stamp much farther away than that is not believed, unless more than half of the
present sources agree with it: one PMU with a wrong clock must not drag the others along, but if all of them jump (a
recording starts again, a leap of the reference) the aligner follows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from rpmu.errors import InputError

BodyT = TypeVar("BodyT")

MIN_JUMP = 64  # instants: less is disorder of the network, not another time


@dataclass(frozen=True)
class Slot(Generic[BodyT]):
    """One instant that leaves the aligner.

    Attributes:
        ordinal: number of the instant on the output grid.
        bodies: per source what it delivered, or None.
        opened_ns: when the slot was opened, on the caller's clock.
    """

    ordinal: int
    bodies: tuple[BodyT | None, ...]
    opened_ns: int


@dataclass
class SourceCounts:
    """What happened to the frames of one source.

    Attributes:
        aligned: fell into their slot.
        late: came after their slot had left; dropped.
        duplicate: their place in the slot was taken; dropped.
        implausible: stamp too far from the others'; dropped.
        missing: slots that left without a frame of this source.
    """

    aligned: int = 0
    late: int = 0
    duplicate: int = 0
    implausible: int = 0
    missing: int = 0


class _OpenSlot(Generic[BodyT]):
    __slots__ = ("bodies", "opened_ns", "outstanding")

    def __init__(self, n_sources: int, outstanding: int, opened_ns: int) -> None:
        self.bodies: list[BodyT | None] = [None] * n_sources
        self.outstanding = outstanding
        self.opened_ns = opened_ns


class Aligner(Generic[BodyT]):
    """Sorts bodies of `n_sources` sources into slots.

    Args:
        n_sources: number of sources.
        wait_ns: longest time for which a slot stays open.
        max_slots: greatest number of open slots; at least the wait time in instants, and a margin.
    """

    def __init__(self, n_sources: int, wait_ns: int, max_slots: int) -> None:
        if n_sources < 1 or wait_ns < 0 or max_slots < 1:
            raise InputError(
                f"cannot align {n_sources} sources with a wait time of {wait_ns} ns in {max_slots} slots; "
                "one source, one slot and no negative time are the least"
            )
        self.counts = [SourceCounts() for _ in range(n_sources)]
        self.overflowed_slots = 0
        self._wait_ns = wait_ns
        self._max_slots = max_slots
        self._jump = max(max_slots, MIN_JUMP)
        self._present = [False] * n_sources
        self._latest: list[int | None] = [None] * n_sources
        self._slots: deque[_OpenSlot[BodyT]] = deque()
        self._base: int | None = None  # ordinal of the oldest open slot, or of the next one to open
        self._has_left = False  # a slot has left since the base was set

    def __len__(self) -> int:
        return len(self._slots)

    def set_present(self, source: int, present: bool) -> None:
        """Say whether slots have to wait for this source; one that delivers is present by itself."""
        if self._present[source] == present:
            return
        self._present[source] = present
        for slot in self._slots:
            if slot.bodies[source] is None:
                slot.outstanding += 1 if present else -1

    def add(self, source: int, ordinal: int, body: BodyT, now_ns: int) -> list[Slot[BodyT]]:
        """Take one frame in; returns the slots that are ready now, oldest first."""
        self._latest[source] = ordinal
        self.set_present(source, True)
        ready: list[Slot[BodyT]] = []
        if self._base is None:
            self._base = ordinal
        elif abs(ordinal - self._base) > self._jump:
            if not self._most_have_jumped():
                self.counts[source].implausible += 1
                return ready
            ready = self.flush()
            self._base = ordinal
            self._has_left = False
        if ordinal < self._base and not self._open_before(ordinal, now_ns):
            self.counts[source].late += 1
            return ready
        self._open_up_to(ordinal, now_ns, ready)
        self._fill(source, ordinal, body)
        ready += self.expire(now_ns)
        return ready

    def expire(self, now_ns: int) -> list[Slot[BodyT]]:
        """The slots, oldest first, that are complete or have been open for the wait time."""
        ready = []
        slots = self._slots
        while slots and (slots[0].outstanding == 0 or now_ns - slots[0].opened_ns >= self._wait_ns):
            ready.append(self._leave())
        return ready

    def flush(self) -> list[Slot[BodyT]]:
        """All open slots that hold anything, ready or not."""
        slots = [self._leave() for _ in range(len(self._slots))]
        return [slot for slot in slots if any(body is not None for body in slot.bodies)]

    def next_deadline_ns(self) -> int | None:
        """When `expire` has something to do at the latest; None if no slot is open."""
        return self._slots[0].opened_ns + self._wait_ns if self._slots else None

    def _most_have_jumped(self) -> bool:
        assert self._base is not None
        base, limit = self._base, self._jump
        latest = [last for last, present in zip(self._latest, self._present, strict=True) if present]
        far = sum(1 for last in latest if last is not None and abs(last - base) > limit)
        return 2 * far > len(latest)

    def _open_before(self, ordinal: int, now_ns: int) -> bool:
        """Make room for an instant older than the oldest slot: possible only as long as nothing has left."""
        assert self._base is not None
        missing = self._base - ordinal
        if self._has_left or len(self._slots) + missing > self._max_slots:
            return False
        self._slots.extendleft(self._new_slot(now_ns) for _ in range(missing))
        self._base = ordinal
        return True

    def _open_up_to(self, ordinal: int, now_ns: int, ready: list[Slot[BodyT]]) -> None:
        assert self._base is not None
        while self._base + len(self._slots) <= ordinal:
            if len(self._slots) >= self._max_slots:
                self.overflowed_slots += 1
                ready.append(self._leave())
            self._slots.append(self._new_slot(now_ns))

    def _new_slot(self, now_ns: int) -> _OpenSlot[BodyT]:
        return _OpenSlot(len(self._present), sum(self._present), now_ns)

    def _fill(self, source: int, ordinal: int, body: BodyT) -> None:
        assert self._base is not None
        slot = self._slots[ordinal - self._base]
        if slot.bodies[source] is not None:
            self.counts[source].duplicate += 1
            return
        slot.bodies[source] = body
        slot.outstanding -= 1
        self.counts[source].aligned += 1

    def _leave(self) -> Slot[BodyT]:
        assert self._base is not None
        slot = self._slots.popleft()
        self._has_left = True
        leaving = Slot(self._base, tuple(slot.bodies), slot.opened_ns)
        self._base += 1
        for source, body in enumerate(slot.bodies):
            if body is None:
                self.counts[source].missing += 1
        return leaving
