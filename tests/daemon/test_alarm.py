"""A wait that ends in one turn of the event loop, on time, and can be cancelled like any other."""

from __future__ import annotations

import asyncio
import selectors
import socket

import pytest

from rpmu.alarm import Alarm


class Selector(selectors.DefaultSelector):
    """Counts the turns of a loop."""

    turns = 0

    def select(self, timeout=None):
        self.turns += 1
        return super().select(timeout)


async def alarm(seconds):
    """A wait by an alarm."""
    loop = asyncio.get_running_loop()
    await Alarm(loop.time() + seconds, loop.call_at)


def turns_of(pace, waits=20):
    """Turns that so many waits take."""
    selector = Selector()

    async def job():
        await pace(0.001)
        before = selector.turns
        for _ in range(waits):
            await pace(0.001)
        return selector.turns - before

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(job())


def test_one_turn_a_wait_where_sleep_takes_two():
    assert turns_of(alarm) <= 25  # a look that comes too early by the clock's resolution is a turn more
    assert turns_of(asyncio.sleep) >= 40


def test_it_does_not_end_early():
    async def job():
        clock = asyncio.get_running_loop().time
        begin = clock()
        await alarm(0.02)
        return clock() - begin

    assert asyncio.run(job()) >= 0.0199


def test_others_run_meanwhile():
    async def job():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            heard = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(ours, 1))
            theirs.send(b"x")
            await alarm(0.05)
            return heard.done()

    assert asyncio.run(job())


def test_a_task_that_waits_is_cancelled_at_once():
    async def job():
        task = asyncio.ensure_future(forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        return task.cancelled()

    async def forever():
        await alarm(1000)

    assert asyncio.run(job())


def test_a_timeout_ends_it():
    async def job():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await alarm(1000)
        await alarm(0)
        return True

    assert asyncio.run(job())
