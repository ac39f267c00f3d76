"""The converter's mid-scale of each channel, as the running daemon tells it in its header frame.

The daemon tracks it anyway, to take it off the samples. A header frame is text for people that any client may ask for
at any time, so a procedure gets the figure over the connection it has, and nothing in the data stream changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from statistics import fmean, pstdev

_TEXT = re.compile(r"mid-scale of (.+?) (\d+\.\d+) \+- (\d+\.\d+) counts")


@dataclass(frozen=True)
class MidScale:
    """Of one channel.

    Attributes:
        counts: where the input rests, 12-bit counts.
        u_counts: expanded uncertainty (k = 2) of that.
    """

    counts: float
    u_counts: float


def as_text(found: Mapping[str, MidScale]) -> str:
    """By channel, as it stands behind the header's own text; empty while nothing is known."""
    return "".join(f"; mid-scale of {name} {m.counts:.4f} +- {m.u_counts:.4f} counts" for name, m in found.items())


def from_text(header: str) -> dict[str, MidScale]:
    """By channel, out of a header; empty if it says nothing of it."""
    return {name: MidScale(float(counts), float(u)) for name, counts, u in _TEXT.findall(header)}


def combined(found: Sequence[MidScale]) -> MidScale | None:
    """Of all readings of a channel: their mean, and what one of them may be off it; None without any."""
    if not found:
        return None
    counts = [m.counts for m in found]
    return MidScale(fmean(counts), hypot(max(m.u_counts for m in found), 2 * pstdev(counts)))
