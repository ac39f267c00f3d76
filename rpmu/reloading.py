"""Takes a new configuration into the running daemon when it is told to (SIGHUP), and says what came of it.

    SIGHUP -> read and check the file -> Daemon.reload -> `configuration` in the status: digest, or why it was refused

A signal carries no answer, so whoever sent it reads the status: `loads` counts every attempt, `sha256` is the file that
holds, `refused` is why the last one does not. A refused configuration changes nothing; the present one goes on. The
service manager hears RELOADING=1 and READY=1, as sd_notify(3) wants it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rpmu.config import Config, default, parse, read
from rpmu.daemon import Daemon
from rpmu.errors import RpmuError
from rpmu.pipeline import Calibration
from rpmu.service import Notifier

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A configuration as it was read.

    Attributes:
        config: checked.
        file: where from, in words.
        content: of the file.
    """

    config: Config
    file: str
    content: bytes

    @classmethod
    def of(cls, path: Path | None) -> Loaded:
        """From a file; None for the built-in configuration.

        Raises:
            InputError: the file cannot be read, or is wrong.
        """
        if path is None:
            return cls(default(), "built-in", b"")
        content = read(path)
        return cls(parse(content, str(path)), str(path), content)


@dataclass(frozen=True)
class ConfigurationStatus:
    """What holds, and what came of the last attempt to change it.

    Attributes:
        file: where the configuration came from.
        sha256: digest of that file's content, in hexadecimal.
        loads: attempts so far, refused ones included.
        refused: why the last attempt was; empty if it was not.
    """

    file: str
    sha256: str
    loads: int = 0
    refused: str = ""


class Reloader:
    """Hands new configurations to a daemon, one after the other.

    Args:
        daemon: gets them.
        holds: the configuration that it was made with.
        read: reads the file that now is the one to go by.
        calibration: what goes with a configuration.
        notifier: the service manager.
        needs_restart: whether only a new daemon can take the one after the other.

    Attributes:
        restart: a configuration that only a new daemon can take; whoever runs this one then makes it.
    """

    def __init__(
        self,
        daemon: Daemon,
        holds: Loaded,
        read: Callable[[], Loaded],
        calibration: Callable[[Config], Calibration],
        notifier: Notifier,
        needs_restart: Callable[[Config, Config], bool] = lambda _old, _new: False,
    ) -> None:
        self.restart: Loaded | None = None
        self._daemon = daemon
        self._holds = holds
        self._read = read
        self._calibration = calibration
        self._notifier = notifier
        self._needs_restart = needs_restart
        self._status = ConfigurationStatus(holds.file, digest(holds.content))
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def request(self) -> None:
        """Read the file and take it, now or as soon as the attempt under way has ended."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Give up an attempt that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def status(self) -> dict[str, Any]:
        """For the daemon's status."""
        return asdict(self._status)

    async def _work(self) -> None:
        while self._wanted:
            self._wanted = False
            self._notifier.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                await self._take(await asyncio.to_thread(self._read))
            except RpmuError as error:
                self._refuse(str(error))
            except Exception as error:  # a mistake of ours must not end a PMU that measures
                log.exception("reloading the configuration failed")
                self._refuse(f"internal error: {error!r}")
            self._notifier.tell("READY=1")

    async def _take(self, new: Loaded) -> None:
        if self._needs_restart(self._holds.config, new.config):
            log.info("%s needs a new start of the daemon", new.file)
            self.restart = new
            return
        await self._daemon.reload(new.config, await asyncio.to_thread(self._calibration, new.config))
        if new.config.logging != self._holds.config.logging:
            logging.getLogger().setLevel(new.config.logging.level.upper())
        self._holds = new
        self._status = ConfigurationStatus(new.file, digest(new.content), self._status.loads + 1)
        log.info("%s is in force", new.file)

    def _refuse(self, why: str) -> None:
        log.error("the configuration was refused, the present one goes on: %s", why)
        self._status = replace(self._status, loads=self._status.loads + 1, refused=why)


def digest(content: bytes) -> str:
    """Of a configuration file."""
    return hashlib.sha256(content).hexdigest()
