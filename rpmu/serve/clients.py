"""What the server expects of a client, whatever it is connected by."""

from __future__ import annotations

from typing import Protocol

from rpmu.serve.statistics import Event


class Sender(Protocol):
    """Takes frames for a client."""

    def send(self, data: bytes) -> bool:
        """Hand one frame to the socket; False if that was not possible."""


class Client(Sender, Protocol):
    """A PDC.

    Attributes:
        host: its IP address.
        name: for the log.
    """

    host: str
    name: str

    def check(self, now_s: float) -> None:
        """Look after the client's time limits."""

    def drop(self, cause: Event) -> None:
        """Give the client up."""

    def close(self) -> None:
        """End in good order."""

    def abort(self) -> None:
        """End at once."""
