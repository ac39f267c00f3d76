"""CFGCNT across restarts: a small file says which configuration was counted last, and how far.

CFGCNT goes up by one with every change of what the configuration frames say, so that a PDC sees that it must ask again.
A daemon that began at 0 each time would show nothing of a change that was made while it was down, and a change of its
own where there was none. What cannot be read or written costs a line in the log and nothing else: then it counts from 0
as a new device does. The file is written in a thread, since the ring must not wait for a card.
"""

from __future__ import annotations

import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rpmu.c37118 import ConfigFrame, ConfigFrame2, ConfigFrame3
from rpmu.durable import sync

log = logging.getLogger(__name__)

FILE = "cfgcnt.json"
MODULUS = 1 << 16


class ChangeCount:
    """The count of a device's stream.

    Args:
        file: where it is kept; a folder that is not there is not made.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept = self._read()
        self._writer = ThreadPoolExecutor(1, "cfgcnt")

    def resumed(self, stream: ConfigFrame) -> ConfigFrame:
        """The stream of a start: CFGCNT as it was if PDCs see the same as before, else one more."""
        seen = digest(stream)
        count = 0
        if self._kept is not None:
            before, count = self._kept
            count = (count + (seen != before)) % MODULUS
        stream = replace(stream, pmus=tuple(replace(pmu, cfgcnt=count) for pmu in stream.pmus))
        self.keep(stream)
        return stream

    def keep(self, stream: ConfigFrame) -> None:
        """Remember a stream that has come into force."""
        now = (digest(stream), stream.pmus[0].cfgcnt)
        if now != self._kept:
            self._kept = now
            self._writer.submit(self._write, now)

    def finish(self) -> None:
        """Wait until everything is written."""
        self._writer.shutdown()

    def _read(self) -> tuple[str, int] | None:
        try:
            return _parsed(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s): CFGCNT begins at 0", self._file, error)
            return None

    def _write(self, kept: tuple[str, int]) -> None:
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_text(json.dumps({"sha256": kept[0], "cfgcnt": kept[1]}) + "\n", encoding="utf-8")
            sync(fresh)
            fresh.replace(self._file)
            sync(self._file.parent)
        except OSError as error:
            log.warning("%s cannot be written (%s): after a restart CFGCNT may not go on", self._file, error.strerror)


def _parsed(text: str) -> tuple[str, int]:
    """Digest and count of a file's content.

    Raises:
        ValueError: it is not one.
    """
    content = json.loads(text)
    if isinstance(content, dict):
        seen, count = content.get("sha256"), content.get("cfgcnt")
        if isinstance(seen, str) and type(count) is int and 0 <= count < MODULUS:
            return seen, count
    raise ValueError(f"it holds no sha256 and cfgcnt: {text[:80]!r}")


def digest(stream: ConfigFrame) -> str:
    """SHA-256 of what PDCs see of a configuration: CFG-2 and CFG-3 without their time and without CFGCNT."""
    bare = replace(stream, soc=0, fracsec=0, pmus=tuple(replace(pmu, cfgcnt=0) for pmu in stream.pmus))
    frames = (ConfigFrame2.of(bare).encode(), *ConfigFrame3.of(bare).encode_fragments())
    return hashlib.sha256(b"".join(frames)).hexdigest()
