"""The README's snippets, run as they stand (only the ports are exchanged for free ones)."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import socket
import threading
from itertools import pairwise
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PATIENCE_S = 60


class EnoughError(Exception):
    """Ends a snippet that would run for ever."""


def snippet(word):
    """The one snippet that holds a word."""
    (text,) = [text for text in SNIPPETS if word in text]
    return text


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def run_awaiting(text, names):
    """Run a snippet with top-level await, as `python -m asyncio` does; what it defines goes into `names`."""
    code = compile(text, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result


def collect(text, count):
    """Run the PDC's snippet until it has printed so often; returns what it printed."""
    printed = []

    def show(*values):
        printed.append(values)
        if len(printed) == count:
            raise EnoughError

    with pytest.raises(EnoughError):
        exec(compile(text, "README.md", "exec"), {"print": show})
    return printed


def test_pmu_splitter_and_pdc():
    pmu_port, splitter_port = free_port(), free_port()
    # the PMU's snippet takes the default port; a test must not
    pmu = snippet("tiny PMU").replace(
        'tiny PMU")', f'tiny PMU", __import__("rpmu.serve").serve.ServerSettings.listening("127.0.0.1:{pmu_port}"))'
    )
    splitter = snippet("splitter.start").replace("4712", str(pmu_port)).replace("4800", str(splitter_port))
    pdc = snippet("BlockingPdcClient").replace("4712", str(splitter_port))

    async def serve(stop):
        names = {}
        running = asyncio.create_task(run_awaiting(pmu, names))
        await run_awaiting(splitter, names)
        while not stop.is_set():
            await asyncio.sleep(0.02)
            assert not running.done(), running.result()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await names["splitter"].stop()
        await names["server"].stop()

    stop = threading.Event()
    server = threading.Thread(target=lambda: asyncio.run(serve(stop)))
    server.start()
    try:
        printed = collect(pdc, 5)
    finally:
        stop.set()
        server.join(PATIENCE_S)
    times = [values[0] for values in printed]
    assert [round((b - a) * 30 / 1e9) for a, b in pairwise(times)] == [1] * 4
    assert abs(printed[0][1][0]) == pytest.approx(120)
    assert printed[0][2] == pytest.approx(60)


def test_the_imports_that_are_shown_work():
    exec(compile(snippet("estimate_waveform"), "README.md", "exec"), {})


def test_the_files_it_points_to_exist():
    root = Path(__file__).parents[2]
    missing = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not (root / link).exists()]
    assert not missing
