"""Faults that a PMU simulator puts into its stream, by chance or at intervals, repeatable under a seed.

    drop=P        a frame is not sent            bad-crc=P   a wrong CHK
    duplicate=P   a frame is sent twice          junk=P      junk before the frame
    late=P:S      a frame is sent S s later      stall=S:T   every S s, silence for T s

P is the probability for one frame.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Literal, get_args

from rpmu.errors import InputError

Kind = Literal["drop", "duplicate", "bad-crc", "junk", "late", "stall"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WITH_TIME = ("late", "stall")


class Faults:
    """Decides about each frame.

    Args:
        specs: texts such as `drop=0.01`, `late=0.05:0.3` and `stall=60:5`.
        seed: of the chance.
        rate: frames per second, to turn times into frames.

    Attributes:
        counts: how often each fault has happened.

    Raises:
        InputError: a text is none of the above.
    """

    def __init__(self, specs: tuple[str, ...] = (), seed: int = 0, rate: int = 60) -> None:
        self.counts: Counter[Kind] = Counter()
        self._values = dict(_parse(spec) for spec in specs)
        self._chance = random.Random(seed)
        self._rate = max(rate, 1)
        self._late: list[tuple[int, bytes]] = []

    def apply(self, ordinal: int, frame: bytes) -> Iterator[bytes]:
        """What goes out instead of a frame."""
        while self._late and self._late[0][0] <= ordinal:
            yield self._late.pop(0)[1]
        if self._stalled(ordinal) or self._happens("drop"):
            return
        if self._happens("late"):
            self._late.append((ordinal + max(1, round(self._values["late"][1] * self._rate)), frame))
            return
        if self._happens("junk"):
            yield b"\x00" + frame[1:]
        if self._happens("bad-crc"):
            frame = frame[:-1] + bytes([frame[-1] ^ 0xFF])
        yield frame
        if self._happens("duplicate"):
            yield frame

    def _happens(self, kind: Kind) -> bool:
        if kind not in self._values or self._chance.random() >= self._values[kind][0]:
            return False
        self.counts[kind] += 1
        return True

    def _stalled(self, ordinal: int) -> bool:
        if "stall" not in self._values:
            return False
        every_s, for_s = self._values["stall"]
        stalled = ordinal / self._rate % every_s < for_s
        self.counts["stall"] += stalled
        return stalled


def _parse(spec: str) -> tuple[Kind, tuple[float, float]]:
    kind, _, value = spec.partition("=")
    first, colon, second = value.partition(":")
    try:
        numbers = float(first), float(second or 0)
    except ValueError:
        numbers = (-1.0, -1.0)
    allowed = numbers[0] >= 0 and numbers[1] >= 0 and (kind == "stall" or numbers[0] <= 1)
    if kind not in KINDS or not allowed or bool(colon) != (kind in WITH_TIME):
        examples = "drop=0.01, duplicate=0.01, bad-crc=0.01, junk=0.01, late=0.05:0.3, stall=60:5"
        raise InputError(f"fault '{spec}' is not known; examples: {examples}")
    return kind, numbers
