"""The list of leap seconds is read again: when it is time to, when the configuration was read, and never for worse."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rpmu.config import default
from rpmu.leap_file import EVERY_S, LeapFile

NTP = 2_208_988_800
FIRST, SECOND = (f"#@ {expires + NTP}\n3692217600 37\n" for expires in (1_790_000_000, 1_800_000_000))


def told(path):
    config = default()
    return replace(config, time=replace(config.time, leap_second_file=str(path)))


class Case:
    def __init__(self, path):
        self.learned = []
        self.file = LeapFile(told(path), self.learned.append)

    async def step(self, waited_s):
        self.file.step(waited_s)
        if self.file._reading is not None:
            await self.file._reading

    @property
    def expiries(self):
        return [leaps.expires for leaps in self.learned]


def test_it_is_read_once_an_hour_and_with_another_configuration(tmp_path):
    path, other = tmp_path / "leaps", tmp_path / "other"
    path.write_text(FIRST)
    other.write_text(SECOND)

    async def scenario():
        case = Case(path)
        await case.step(EVERY_S - 1)
        assert case.learned == [], "it was read at the start"
        await case.step(1)
        await case.step(1)
        assert case.expiries == [1_790_000_000]
        case.file.use(told(other))
        await case.step(0.02)
        await case.step(0.02)
        assert case.expiries == [1_790_000_000, 1_800_000_000]

    asyncio.run(scenario())


@pytest.mark.parametrize("content", [None, "nothing of the kind\n", ""])
def test_a_file_that_cannot_be_read_is_left_alone_until_the_next_time(tmp_path, content, caplog):
    path = tmp_path / "leaps"
    if content is not None:
        path.write_text(content)

    async def scenario():
        case = Case(path)
        await case.step(EVERY_S)
        assert case.learned == []
        path.write_text(SECOND)
        await case.step(EVERY_S)
        assert case.expiries == [1_800_000_000]

    asyncio.run(scenario())
    assert "going on with the list that was read before" in caplog.text


def test_it_can_be_stopped_while_it_reads(tmp_path):
    async def scenario():
        case = Case(tmp_path / "leaps")
        case.file.step(EVERY_S)
        await case.file.stop()
        assert case.file._reading.done()

    asyncio.run(scenario())
