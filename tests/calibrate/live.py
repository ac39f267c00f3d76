"""A twin that serves in the background as fast as it goes, for commands that are run whole against it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rpmu import rooms
from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.config import Config
from rpmu.daemon import Daemon
from rpmu.twin.pacing import MAX_SPEED, Pacer
from rpmu.twin.pty_port import PtyPort
from rpmu.twin.signals import MainsSource
from rpmu.twin.world import Twin
from tests.e2e.rig import settings_of


@contextmanager
def live_twin(config: Config, mains: MainsSource | None = None, **twin_settings: Any) -> Iterator[str]:
    """Its address; the configuration's own address is not used."""
    config = replace(config, server=replace(config.server, listen=("127.0.0.1:0",)))
    settings = settings_of(config, **twin_settings)
    ready, stop, found = threading.Event(), threading.Event(), []

    async def serve() -> None:
        line = PtyPort()
        twin = Twin(settings, line, mains)
        pacer = Pacer(twin, MAX_SPEED)
        gps = SerialGpsPort(line.device, config.gps.baud_rate)
        daemon = Daemon(config, rooms.calibration(config), twin.link(), gps, pacer.pace)
        await daemon.start()
        found.append("{}:{}".format(*daemon.server.addresses[0][:2]))
        ready.set()
        try:
            while not stop.is_set():
                await daemon.step()
        finally:
            await daemon.stop()
            pacer.close()
            twin.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(60), "the twin does not start"
        yield found[0]
    finally:
        stop.set()
        thread.join(60)
