"""What a server has done, counted: nothing is dropped, refused or ignored without a number here going up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

Event = Literal[
    "connections_accepted",
    "connections_closed",
    "refused_access",
    "refused_limit",
    "refused_address_limit",
    "dropped_slow",
    "dropped_stalled",
    "dropped_junk",
    "dropped_half_open",
    "dropped_unreachable",
    "dropped_access",
    "frames_published",
    "frames_sent",
    "frames_failed",
    "datagrams_refused",
    "datagrams_blocked",
    "bytes_discarded",
    "commands_ok",
    "commands_unknown",
    "commands_foreign_idcode",
    "commands_limited",
    "commands_refused",
    "frames_bad",
    "frames_unexpected",
    "configuration_changes",
]
Tally = Counter[Event]


@dataclass(frozen=True)
class ServerStatistics:
    """A snapshot of a server's counters; all but the first two only ever grow.

    Attributes:
        clients: TCP connections and UDP clients now.
        streaming: of them, those that get data.
        connections_accepted: TCP connections and UDP clients taken since the start.
        connections_closed: of them, those that are gone again, whoever ended them.
        refused_access: turned away by the access list (each datagram counts for UDP).
        refused_limit: turned away because `max_clients` were there.
        refused_address_limit: turned away because `max_clients_per_address` were there.
        dropped_slow: clients dropped because their queue was full.
        dropped_stalled: clients dropped because their queue never emptied for too long.
        dropped_junk: clients dropped because they sent nothing but junk.
        dropped_half_open: clients dropped because of a frame left unfinished.
        dropped_unreachable: UDP clients dropped because their host says that nobody listens there.
        dropped_access: clients dropped because a new access list does not allow them.
        frames_published: data frames handed in.
        frames_sent: data frames handed to clients' sockets, summed over the clients.
        frames_failed: data frames that a client did not get: it was dropped with this frame, or the socket refused it.
        datagrams_refused: datagrams that the peer's host sent back as undeliverable.
        datagrams_blocked: datagrams that found the socket's buffer full.
        bytes_discarded: bytes in queues of clients at the time they were dropped.
        commands_ok: commands carried out.
        commands_unknown: reserved or user codes, and extended frames that mean nothing here; ignored.
        commands_foreign_idcode: commands for another IDCODE; ignored.
        commands_limited: commands over a client's rate limit; ignored.
        commands_refused: understood but not allowed here, such as a change of the reporting rate.
        frames_bad: errors in what clients sent: bad CRC, impossible size, junk between frames.
        frames_unexpected: good frames that are no command.
        configuration_changes: configurations that took effect after the first.
    """

    clients: int = 0
    streaming: int = 0
    connections_accepted: int = 0
    connections_closed: int = 0
    refused_access: int = 0
    refused_limit: int = 0
    refused_address_limit: int = 0
    dropped_slow: int = 0
    dropped_stalled: int = 0
    dropped_junk: int = 0
    dropped_half_open: int = 0
    dropped_unreachable: int = 0
    dropped_access: int = 0
    frames_published: int = 0
    frames_sent: int = 0
    frames_failed: int = 0
    datagrams_refused: int = 0
    datagrams_blocked: int = 0
    bytes_discarded: int = 0
    commands_ok: int = 0
    commands_unknown: int = 0
    commands_foreign_idcode: int = 0
    commands_limited: int = 0
    commands_refused: int = 0
    frames_bad: int = 0
    frames_unexpected: int = 0
    configuration_changes: int = 0

    @classmethod
    def of(cls, tally: Tally, clients: int, streaming: int) -> ServerStatistics:
        """Freeze the running tally."""
        return cls(clients=clients, streaming=streaming, **{str(event): number for event, number in tally.items()})
