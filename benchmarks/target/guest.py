"""Runs in the emulated target: the real daemon on a recording, with a PDC connected over TCP, counted.

The daemon waits by a `QuietLoop` as on a board. What differs is how the loop's `select` and `readiness.poll` wait: they
do not, but move the simulated time on and let the world go with it (ring, receiver, PDC), uncounted. So all that the
process executes between two looks at the world is counted, asyncio included, and nothing else. What the kernel does in
system calls is not part of the count.

A section is ended by seeking to its number on MARK_FD (see counter.c). Two ways to divide:

* whole: everything between two waits, by the number of reports that it gave; those without a report are the idle cost;
* stages: the methods by which one room hands over to the next mark their beginning and end. The marks cost
  instructions themselves, inside and outside of the method; how many is found by marking one that does nothing.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import pty
import select
import selectors
import socket
import sys
import tty
from pathlib import Path
from typing import Any

from rpmu.quiet_loop import QuietLoop

MARK_FD = 199
SECTIONS_PER_CASE = 16
OUTSIDE = SECTIONS_PER_CASE - 1  # of each case: the world, and everything before and after the counted time
MOST_REPORTS = 8  # sections 0 to 8 of a case: waits that gave so many reports
IMPORT, REST, NOTHING = 240, 241, 256
NOTHING_CALLS = 1000
STAGES = ("wait", "acquire", "timing", "estimate", "report", "frame", "serve")
OUTER, INNER = NOTHING + STAGES.index("wait"), NOTHING + STAGES.index("serve")  # of a method that does nothing


def mark(section: int) -> None:
    """What ran since the last mark belongs to `section`."""
    os.lseek(MARK_FD, section, os.SEEK_SET)


class World:
    """All that is outside of the daemon: a recording that plays, the receiver's serial line, a PDC.

    Attributes:
        base: first section of the case.
        from_s: when counting begins.
        by_stage: whether stages are counted, or the whole.
        section: the one that runs now.
        reports: measurements since the last wait.
    """

    def __init__(self, link: Any, base: int, from_s: float, by_stage: bool) -> None:
        self.link, self.base, self.from_s, self.by_stage = link, base, from_s, by_stage
        self.receiver, line = pty.openpty()
        tty.setraw(line)
        self.device = os.ttyname(line)
        self.pdc = socket.socket()
        self.section = base
        self._wrapped: list[tuple[Any, str, Any]] = []
        self.now_s = 0.0
        self.reports = 0
        self.counted: dict[str, Any] = dict.fromkeys(("seconds", "reports", "frames", "idle_waits"), 0)
        self.counted["calls"], self.counted["nested"] = dict.fromkeys(STAGES, 0), dict.fromkeys(STAGES, 0)

    def between_waits(self, seconds: float) -> None:
        """Close the books on what the daemon did since the last wait, and let time pass."""
        outside = self.base + OUTSIDE
        if self.now_s < self.from_s:
            mark(outside)
            self._frames()
        else:
            mark(self.base if self.by_stage else self.base + min(self.reports, MOST_REPORTS))
            self.counted["idle_waits"] += self.reports == 0
            self.counted["reports"] += self.reports
            self.counted["frames"] += self._frames()
            self.counted["seconds"] += seconds
        self.reports = 0
        self.link.advance(seconds)
        self.now_s += seconds
        os.write(self.receiver, self.link.gps.read())
        mark(outside)

    def _frames(self) -> int:
        """How many the PDC got since the last wait; they are all of one size."""
        try:
            data = self.pdc.recv(1 << 16)
        except OSError:
            return 0  # none came, or not connected yet
        return len(data) // int.from_bytes(data[2:4], "big") if data else 0

    def wrap(self, owner: Any, name: str, stage: str) -> None:
        """Let a method (or a module's function) mark its beginning and end, until `unwrap`."""
        function, section = getattr(owner, name), self.base + STAGES.index(stage)

        @functools.wraps(function)
        def marked(*args: Any, **keywords: Any) -> Any:
            """The function, with a mark before and after it."""
            if self.now_s < self.from_s:
                return function(*args, **keywords)
            outer, self.section = self.section, section
            mark(outer)
            try:
                return function(*args, **keywords)
            finally:
                mark(section)
                self.section = outer
                self.counted["calls"][stage] += 1
                self.counted["nested"][STAGES[outer - self.base]] += 1

        setattr(owner, name, marked)
        self._wrapped.append((owner, name, function))

    def unwrap(self) -> None:
        """Give the methods back as they were."""
        for owner, name, function in self._wrapped:
            setattr(owner, name, function)


class Selector(selectors.EpollSelector):
    """Waits by letting the world's time pass."""

    world: World | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        """What is ready once `timeout` has passed."""
        if self.world is not None and timeout is not None and timeout > 0:
            self.world.between_waits(timeout)
        return super().select(0)


class Readiness:
    """Waits by letting the world's time pass, as `Selector` does."""

    def __init__(self, epoll: select.epoll, world: World) -> None:
        self._epoll, self._world = epoll, world
        self.close = epoll.close

    def poll(self, seconds: float, most: int) -> list[tuple[int, int]]:
        """What is ready once the world's time has passed."""
        if seconds > 0:
            self._world.between_waits(seconds)
        return self._epoll.poll(0, most)


class Loop(QuietLoop):
    """An event loop whose clock is the world's."""

    def __init__(self, world: World) -> None:
        selector, self._world = Selector(), world
        super().__init__(selector)
        selector.world = world
        self.readiness = Readiness(self.readiness, world)

    def time(self) -> float:
        """Seconds since the world began."""
        return self._world.now_s


async def run(job: dict[str, Any], case: dict[str, Any], world: World, config: Any) -> None:
    """The daemon, until the recording has been played as far as the case wants."""
    from rpmu import rooms
    from rpmu.acquire.gps_port import SerialGpsPort
    from rpmu.c37118 import Command, CommandFrame
    from rpmu.cli.run import set_aside_what_lasts
    from rpmu.daemon import Daemon

    def count_report(measurement: Any) -> None:
        world.reports += measurement.valid and measurement.time.codes.in_sync

    gps = SerialGpsPort(world.device)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, QuietLoop)
    daemon = Daemon(config, rooms.calibration(config), world.link, gps, loop.wait, count_report)
    await daemon.start()
    set_aside_what_lasts()
    world.pdc.connect(daemon.server.addresses[0][:2])
    world.pdc.setblocking(False)
    world.pdc.send(CommandFrame(config.station.idcode, Command.DATA_ON).encode())
    while world.now_s < case["until_s"]:
        await daemon.step()
    world.from_s = float("inf")
    if job["wait_at_end"]:
        print("measured", flush=True)
        sys.stdin.readline()
    await daemon.stop()


def play(job: dict[str, Any], number: int) -> dict[str, Any]:
    """One case; returns what was counted besides instructions."""
    from rpmu.acquire.replay import ReplayLink
    from rpmu.config import load

    case = job["cases"][number]
    world = World(ReplayLink(Path(case["recording"])), number * SECTIONS_PER_CASE, case["from_s"], job["by_stage"])
    if job["by_stage"]:
        wrap_stages(world)
    with asyncio.Runner(loop_factory=lambda: Loop(world)) as runner:
        runner.run(run(job, case, world, load(Path(case["config"]))))
    world.unwrap()
    mark(world.base + OUTSIDE)
    return world.counted


def wrap_stages(world: World) -> None:
    """Mark where one room hands over to the next."""
    from rpmu.acquire.gps_port import SerialGpsPort
    from rpmu.acquire.ring import RingReader
    from rpmu.estimate.estimator import Estimator
    from rpmu.pipeline import Pipeline
    from rpmu.serve import PmuServer
    from rpmu.serve.contents import Encoder
    from rpmu.timing.keeper import TimeKeeper

    for owner, name, stage in (
        (RingReader, "poll", "acquire"),
        (RingReader, "trouble", "acquire"),
        (SerialGpsPort, "read", "acquire"),
        (TimeKeeper, "feed_block", "timing"),
        (TimeKeeper, "feed_event", "timing"),
        (TimeKeeper, "feed_nmea", "timing"),
        (TimeKeeper, "report_time", "timing"),
        (Estimator, "push_stream", "estimate"),
        (Pipeline, "feed", "report"),
        (Encoder, "encode", "frame"),
        (PmuServer, "publish", "serve"),
    ):
        world.wrap(owner, name, stage)


class Idle:
    """Has a method that does nothing."""

    def nothing(self) -> None:
        """Do nothing."""


def count_marks() -> None:
    """Let a method that does nothing be marked, many times."""
    world = World(None, NOTHING, 0.0, True)
    world.wrap(Idle, "nothing", "serve")
    idle = Idle()
    mark(REST)
    for _ in range(NOTHING_CALLS):
        idle.nothing()
    world.unwrap()


def main(job: dict[str, Any]) -> None:
    """Count what the job asks for, and print what was counted besides instructions."""
    os.dup2(os.open("/dev/null", os.O_RDONLY), MARK_FD)
    mark(REST)
    import rpmu.cli.run  # noqa: F401 - the import is what is counted

    mark(IMPORT)
    if job["by_stage"]:
        count_marks()
    print(json.dumps([play(job, number) for number in range(len(job["cases"]))]), flush=True)
    mark(REST)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
