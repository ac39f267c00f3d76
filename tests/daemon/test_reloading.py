"""SIGHUP: one attempt after the other, what each came to, and what the service manager hears."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
import textwrap
import time
from dataclasses import replace

import pytest

from rpmu.config import default
from rpmu.errors import HardwareError, InputError
from rpmu.reloading import Loaded, Reloader, digest


class FakeDaemon:
    """Takes configurations; refuses or breaks when told to."""

    def __init__(self):
        self.taken, self.error, self.gate = [], None, asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def reload(self, config, calibration):
        self.asked.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.taken.append((config, calibration))


class FakeNotifier:
    def __init__(self):
        self.said = []

    def tell(self, *lines):
        self.said.append(lines[0])


def named(name):
    config = default()
    config = replace(config, station=replace(config.station, name=name))
    return Loaded(config, f"{name}.toml", name.encode())


class Case:
    """A reloader with a file that the test writes."""

    def __init__(self, **more):
        self.daemon, self.notifier, self.file = FakeDaemon(), FakeNotifier(), named("ONE")
        self.reloader = Reloader(
            self.daemon, named("ONE"), self._read, lambda config: config.station.name, self.notifier, **more
        )

    def _read(self):
        if isinstance(self.file, Exception):
            raise self.file
        return self.file

    async def ask(self, file):
        self.file = file
        self.reloader.request()
        await self.settled()

    async def settled(self):
        await self.reloader._task


def test_a_file_is_taken_and_its_digest_shown():
    async def scenario():
        case = Case()
        before = case.reloader.status
        await case.ask(named("TWO"))
        return case, before

    case, before = asyncio.run(scenario())
    assert before == {"file": "ONE.toml", "sha256": digest(b"ONE"), "loads": 0, "refused": ""}
    assert case.daemon.taken == [(named("TWO").config, "TWO")]
    assert case.reloader.status == {"file": "TWO.toml", "sha256": digest(b"TWO"), "loads": 1, "refused": ""}
    assert case.notifier.said == ["RELOADING=1", "READY=1"]


@pytest.mark.parametrize(
    ("file_error", "daemon_error", "reason"),
    [
        (InputError("rpmu.toml:3: no"), None, "rpmu.toml:3: no"),
        (None, HardwareError("cannot listen"), "cannot listen"),
        (None, RuntimeError("a mistake"), "internal error: RuntimeError('a mistake')"),
    ],
)
def test_what_is_refused_changes_nothing_and_the_next_one_is_taken(file_error, daemon_error, reason, caplog):
    async def scenario():
        case = Case()
        case.daemon.error = daemon_error
        await case.ask(file_error or named("TWO"))
        refused = case.reloader.status
        case.daemon.error = None
        await case.ask(named("THREE"))
        return case, refused

    case, refused = asyncio.run(scenario())
    assert refused == {"file": "ONE.toml", "sha256": digest(b"ONE"), "loads": 1, "refused": reason}
    assert reason.removeprefix("internal error: ") in caplog.text
    assert case.reloader.status == {"file": "THREE.toml", "sha256": digest(b"THREE"), "loads": 2, "refused": ""}
    assert case.notifier.said == ["RELOADING=1", "READY=1"] * 2, "the manager never thinks that it hangs"


def test_requests_during_an_attempt_become_one_more_with_the_newest_file():
    async def scenario():
        case = Case()
        case.daemon.gate.clear()
        case.file = named("TWO")
        case.reloader.request()
        await case.daemon.asked.wait()
        case.file = named("THREE")
        for _ in range(5):
            case.reloader.request()
        case.daemon.gate.set()
        await case.settled()
        return case

    case = asyncio.run(scenario())
    assert [calibration for _, calibration in case.daemon.taken] == ["TWO", "THREE"]


def test_one_that_needs_a_new_daemon_is_handed_back():
    async def scenario():
        case = Case(needs_restart=lambda old, new: old.station.name != new.station.name)
        await case.ask(named("TWO"))
        return case

    case = asyncio.run(scenario())
    assert case.reloader.restart == named("TWO")
    assert case.daemon.taken == []


def test_it_can_be_stopped_in_the_middle():
    async def scenario():
        case = Case()
        case.daemon.gate.clear()
        case.reloader.request()
        await asyncio.sleep(0.05)
        await case.reloader.stop()
        return case

    assert asyncio.run(scenario()).daemon.taken == []


PROGRAM = textwrap.dedent(
    """
    import asyncio, sys
    from rpmu.cli.running import on_hangup, run_until_told
    async def main(stop):
        on_hangup(lambda: open(sys.argv[1], "a").write("reload "), stop)
        print("ready", flush=True)
        await stop.wait()
        open(sys.argv[1], "a").write("stopped")
        return 0
    sys.exit(run_until_told(main))
    """
)


def test_a_hangup_reloads_but_a_terminal_that_is_gone_ends_the_program(tmp_path):
    said = tmp_path / "said"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(said)])
    printed = b""
    while b"ready" not in printed:
        printed += os.read(terminal, 1024)
    os.kill(pid, signal.SIGHUP)
    deadline = time.monotonic() + 60
    while not said.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert said.read_text() == "reload "
    os.close(terminal)  # the kernel sends the signal
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert said.read_text() == "reload stopped"
