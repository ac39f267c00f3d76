"""A wait without a turn of the loop, that keeps nobody waiting: descriptors, callbacks, timers, threads, signals."""

from __future__ import annotations

import asyncio
import os
import random
import selectors
import signal
import socket
import threading

import pytest

from rpmu.quiet_loop import QuietLoop


class Selector(selectors.EpollSelector):
    """Counts the turns of a loop, and lets the time of a simulated one pass."""

    turns = 0
    simulated = None

    def select(self, timeout=None):
        self.turns += 1
        if self.simulated is None or timeout is None:
            return super().select(timeout)
        self.simulated.now_s += max(0.0, timeout)
        return super().select(0)


class Readiness:
    """Lets the time of a simulated loop pass."""

    def __init__(self, epoll, loop):
        self.epoll, self.loop, self.close = epoll, loop, epoll.close

    def poll(self, seconds, most):
        self.loop.now_s += seconds
        return self.epoll.poll(0, most)


class Simulated(QuietLoop):
    """Its clock is moved by waiting alone."""

    def __init__(self):
        self.now_s = 0.0
        selector = Selector()
        super().__init__(selector)
        selector.simulated = self
        self.readiness = Readiness(self.readiness, self)

    def time(self):
        return self.now_s


def run(job, loop_factory=QuietLoop):
    """Run `job(loop)` in such a loop, for at most a minute of real time."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        guard = threading.Timer(60, os._exit, (3,))  # a wait that never ends has no other end
        guard.start()
        try:
            return runner.run(job(loop))
        finally:
            guard.cancel()


def test_no_turn_where_nobody_wants_one():
    selector = Selector()

    async def job(loop):
        await loop.wait(0.001)
        before = selector.turns
        for _ in range(50):
            await loop.wait(0.001)
        return selector.turns - before

    assert run(job, lambda: QuietLoop(selector)) == 0


def test_it_does_not_end_early():
    async def job(loop):
        lengths_s = []
        for _ in range(5):
            begin_s = loop.time()
            await loop.wait(0.0123)
            lengths_s.append(loop.time() - begin_s)
        return lengths_s

    assert min(run(job)) >= 0.01229


def test_what_arrives_is_read_and_answered_within_the_same_wait():
    async def answer(reader, writer):
        writer.write(await reader.readexactly(3))
        await writer.drain()

    async def job(loop):
        server = await asyncio.start_server(answer, "127.0.0.1")
        await loop.wait(0.01)
        await loop.wait(0.01)
        peer = socket.create_connection(server.sockets[0].getsockname())
        with peer:
            peer.setblocking(False)
            peer.send(b"abc")
            await loop.wait(2)
            heard = peer.recv(3)
        server.close()
        return heard

    assert run(job) == b"abc"


@pytest.mark.parametrize("seed", range(20))
def test_timers_and_callbacks_have_their_turn_on_time(seed):
    dice = random.Random(seed)
    planned, ran = [], []

    def plan(loop, depth):
        """A timer or a callback, that may ask for more when it has its turn."""
        at_s = loop.time() if dice.random() < 0.4 else loop.time() + dice.choice((0.0, 0.001, 0.01, dice.random()))
        number = len(planned)
        planned.append(at_s)

        def turn():
            ran.append((number, loop.time()))
            for _ in range(dice.randrange(3) if depth else 0):
                plan(loop, depth - 1)

        if at_s == loop.time():
            loop.call_soon(turn)
        else:
            timer = loop.call_at(at_s, turn)
            if dice.random() < 0.1:
                timer.cancel()
                planned[number] = None

    async def job(loop):
        for _ in range(300):
            if dice.random() < 0.2:
                plan(loop, 3)
            await loop.wait(dice.choice((0.0, 0.001, 0.016, 0.02)))
        for _ in range(100):
            await loop.wait(0.1)

    run(job, Simulated)
    due = {number: at_s for number, at_s in enumerate(planned) if at_s is not None}
    assert {number for number, _ in ran} == set(due)
    assert len(ran) == len(due) > 50
    assert max(now_s - due[number] for number, now_s in ran) < 1e-6


def test_a_thread_is_heard_within_the_wait():
    async def job(loop):
        await loop.wait(0.01)
        told = asyncio.ensure_future(asyncio.to_thread(lambda: "done"))
        while not told.done():
            await loop.wait(0.2)
        return told.result()

    assert run(job) == "done"


def test_a_signal_is_heard_within_the_wait():
    heard = []

    async def job(loop):
        loop.add_signal_handler(signal.SIGUSR1, lambda: heard.append(loop.time()))
        await loop.wait(0.01)
        await loop.wait(0.01)
        killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        killer.start()
        await loop.wait(1.0)
        end_s = loop.time()
        loop.remove_signal_handler(signal.SIGUSR1)
        return end_s

    end_s = run(job)
    assert len(heard) == 1
    assert heard[0] < end_s


def test_a_task_that_waits_is_cancelled_at_once():
    async def forever(loop):
        while True:
            await loop.wait(0.005)

    async def job(loop):
        task = asyncio.ensure_future(forever(loop))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert run(job)


def test_a_timeout_ends_it():
    async def job(loop):
        await loop.wait(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await loop.wait(1000)
        await loop.wait(0)
        return True

    assert run(job)
