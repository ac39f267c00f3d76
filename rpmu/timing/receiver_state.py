"""What the NMEA sentences say about the receiver itself: fix, satellites, and whether it vouches for its PPS."""

from __future__ import annotations

import math

from rpmu.timing.nmea import Sentence

WORST_HDOP = 20.0


class ReceiverState:
    """The latest word of the receiver, with its age.

    Attributes:
        fix: 0 none, 1 autonomous, 2 differential.
        dimensions: 1 none, 2 or 3; 0 if it does not say.
        satellites: used, None if it does not say.
        hdop: None if it does not say.
        tdop: likewise.
        heard_s: when the last sentence that says whether there is a fix came.
    """

    def __init__(self) -> None:
        self.fix = 0
        self.dimensions = 0
        self.satellites: int | None = None
        self.hdop: float | None = None
        self.tdop: float | None = None
        self.heard_s = -math.inf

    def take(self, sentence: Sentence, now_s: float) -> None:
        """Note what a sentence says of the fix."""
        if sentence.fix is not None:
            self.heard_s = now_s
            # RMC without a mode says 1 where GGA said 2: within a second the better word stands.
            better = sentence.kind == "RMC" and sentence.fix == 1 and self.fix == 2
            self.fix = self.fix if better else sentence.fix
        if sentence.kind == "GSA" and sentence.dimensions is not None:
            self.dimensions = sentence.dimensions
        if sentence.satellites is not None:
            self.satellites = sentence.satellites
        if sentence.hdop is not None:
            self.hdop = sentence.hdop
        if sentence.tdop is not None:
            self.tdop = sentence.tdop

    def pps_sigma_ns(self, base_ns: float) -> float:
        """Standard uncertainty of the PPS, ns: worse with the geometry of the satellites."""
        spread = min(max(self.hdop or 1.0, self.tdop or 1.0, 1.0), WORST_HDOP)
        return base_ns * (spread if self.dimensions != 2 else max(spread, 3.0))  # in 2D the height error is time error

    def silent(self, now_s: float, timeout_s: float) -> bool:
        """Whether nothing was heard for longer than the timeout."""
        return now_s - self.heard_s > timeout_s

    def no_voucher(self, now_s: float, timeout_s: float) -> str:
        """Why the PPS must not be used; empty if the receiver vouches for it."""
        if self.heard_s == -math.inf:
            return "nothing heard from the GPS receiver"
        if self.silent(now_s, timeout_s):
            return f"the GPS receiver is silent for {math.floor(now_s - self.heard_s)} s"
        return "" if self.fix else "the GPS receiver has no fix"


def shows_no_date(sentence: Sentence) -> bool:
    """Whether the receiver started cold: without a fix it does not know the date, or counts from its first day."""
    return sentence.kind == "RMC" and sentence.valid is False and (sentence.time is None or sentence.time.rollovers > 0)
