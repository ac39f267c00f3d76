"""The rules that keep one peer from hurting the others, without a socket or a clock.

A slow reader is dropped, not waited for: its queue has a limit in bytes (memory) and in time (a reader that drains
just enough never to fill it). Commands pay with tokens of a bucket. Unfinished frames are kept in the order in which
they began, so that the oldest is found at once. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

from rpmu.serve.settings import AccessList, Limits
from rpmu.serve.statistics import Event

ClientT = TypeVar("ClientT")


class QueueRule:
    """Decides when a client that does not read is given up."""

    def __init__(self, max_queue_bytes: int, max_stall_s: float, now_s: float) -> None:
        self._max_queue_bytes = max_queue_bytes
        self._max_stall_s = max_stall_s
        self._last_empty_s = now_s

    def begins(self, now_s: float) -> None:
        """There was no queue until now."""
        self._last_empty_s = now_s

    def verdict(self, queued_bytes: int, new_bytes: int, now_s: float) -> Event | None:
        """Judge before `new_bytes` are added to `queued_bytes`: None to go on, else the cause of the drop."""
        if queued_bytes == 0:
            self._last_empty_s = now_s
            return None  # whatever the size: one frame of 65535 bytes must always be possible
        if queued_bytes + new_bytes > self._max_queue_bytes:
            return "dropped_slow"
        if now_s - self._last_empty_s > self._max_stall_s:
            return "dropped_stalled"
        return None


class TokenBucket:
    """A burst of `capacity`, refilled at `per_s`."""

    def __init__(self, capacity: int, per_s: float, now_s: float) -> None:
        self._capacity = capacity
        self._per_s = per_s
        self._tokens = float(capacity)
        self._filled_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one token if there is one."""
        self._tokens = min(self._capacity, self._tokens + (now_s - self._filled_s) * self._per_s)
        self._filled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Admission:
    """Who may come in: access list, number of clients, number of clients per address."""

    def __init__(self, access: AccessList, limits: Limits) -> None:
        self._access = access
        self._limits = limits
        self._per_host: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._per_host.total()

    def adopt(self, access: AccessList, limits: Limits) -> None:
        """Other rules for the next newcomers; who is in stays in."""
        self._access, self._limits = access, limits

    def enter(self, host: str) -> Event | None:
        """Count a newcomer in and return None, or return why it is refused."""
        if not self._access.allows(host):
            return "refused_access"
        if len(self) >= self._limits.max_clients:
            return "refused_limit"
        if self._per_host[host] >= self._limits.max_clients_per_address:
            return "refused_address_limit"
        self._per_host[host] += 1
        return None

    def leave(self, host: str) -> None:
        """Count one out that had entered."""
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]


class HalfOpenFrames(Generic[ClientT]):
    """Clients with an unfinished frame, oldest first."""

    def __init__(self, max_frames: int, max_age_s: float) -> None:
        self._max_frames = max_frames
        self._max_age_s = max_age_s
        self._began_s: dict[ClientT, float] = {}  # a dict keeps the order of insertion

    def __len__(self) -> int:
        return len(self._began_s)

    def adopt(self, max_frames: int, max_age_s: float) -> None:
        """Other limits from now on."""
        self._max_frames, self._max_age_s = max_frames, max_age_s

    def note(self, client: ClientT, pending: bool, finished_one: bool, now_s: float) -> None:
        """Tell that a client has just sent something.

        Args:
            client: who.
            pending: a frame is unfinished now.
            finished_one: at least one frame came to its end, so an unfinished one began just now.
            now_s: time.
        """
        if finished_one or not pending:
            self._began_s.pop(client, None)
        if pending:
            self._began_s.setdefault(client, now_s)

    def forget(self, client: ClientT) -> None:
        """The client is gone."""
        self._began_s.pop(client, None)

    def overdue(self, now_s: float) -> Iterator[ClientT]:
        """Take out the clients that are over the limit of number or age."""
        while self._began_s:
            client, began_s = next(iter(self._began_s.items()))
            if len(self._began_s) <= self._max_frames and now_s - began_s <= self._max_age_s:
                return
            del self._began_s[client]
            yield client
