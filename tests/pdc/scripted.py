"""A PMU that does what a test tells it to, and what tests want of a client's frames."""

import asyncio

from rpmu.c37118 import Command, CommandFrame, Decoder
from tests.serve.rig import TIMEOUT_S, make_frame, number_of


class ScriptedPmu:
    """Listens on TCP and calls `on_command(frame, writer)` for every command."""

    def __init__(self, on_command):
        self.on_command = on_command
        self.commands = []
        self.connections = 0
        self.writers = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self.server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *exc_info):
        self.server.close()
        for writer in self.writers:
            writer.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        decoder = Decoder()
        try:
            while data := await reader.read(4096):
                for frame in decoder.feed(data):
                    if isinstance(frame, CommandFrame):
                        self.commands.append(frame.command)
                        await self.on_command(frame, writer)
        except ConnectionError:
            pass  # the client left in the middle of an answer
        finally:
            writer.close()


def obedient(config, numbers=range(20), around=lambda raw: raw):
    """Answers CFG-2 and, on "data on", sends the numbered frames, each passed through `around`."""

    async def on_command(frame, writer):
        if frame.command == Command.SEND_CONFIG_2:
            writer.write(config.encode())
        elif frame.command == Command.DATA_ON:
            for number in numbers:
                writer.write(around(make_frame(config, number).encode()))

    return on_command


async def take(pdc, count):
    """The next data frames of a client."""
    frames = []
    async with asyncio.timeout(TIMEOUT_S):
        async for frame in pdc.frames():
            frames.append(frame)
            if len(frames) == count:
                return frames
    raise AssertionError


def assert_gapless(frames):
    numbers = [number_of(frame) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
