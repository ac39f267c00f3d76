"""The two roots of every exception that rpmu raises on purpose.

`RpmuError` is our side's fault: wrong configuration, a missing file, hardware that is not there. It carries the exit
code of the command line. `PeerError` is the other side's: bytes from a PDC, a PMU or a receiver that are not what the
protocol allows. A message is one sentence: what was wrong, where, what is allowed, how to mend it.
"""

from __future__ import annotations


class RpmuError(Exception):
    """Something on our side is wrong; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(RpmuError, ValueError):
    """Configuration or input file invalid (exit code 3)."""

    exit_code = 3


class HardwareError(RpmuError):
    """Hardware or a resource of the machine is missing or in use (exit code 4)."""

    exit_code = 4


class NotLockedError(RpmuError):
    """The operation needs time lock and there is none (exit code 5)."""

    exit_code = 5


class PeerError(Exception):
    """The peer sent something that its protocol does not allow."""
