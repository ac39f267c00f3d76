"""The commands of docs/pdc.md, run as they stand and in their order; only the ports are exchanged for free ones."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "pdc.md").read_text()
COMMANDS = re.findall(r"^\$ rpmu (.*)$", PAGE, re.MULTILINE)
PATIENCE_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def await_listener(process, address):
    host, port = address.split(":")
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError(f"nobody listens at {address}")


@pytest.fixture
def background():
    started = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_commands_work_in_their_order(tmp_path, background):
    ports = {port: free_port() for port in sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", PAGE)))}
    shown = 0
    for command in COMMANDS:
        line = re.sub(r"(127\.0\.0\.1:)(\d+)", lambda found: found[1] + ports[found[2]], command)
        if line.endswith("&"):  # a loaded machine takes longer, and the test ends them
            line = re.sub(r" --for \d+", "", line)
        words = [sys.executable, "-m", "rpmu", *shlex.split(line.rstrip("&"))]
        if line.endswith("&"):
            process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            background.append(process)
            await_listener(process, words[words.index("--listen") + 1])
            continue
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, (command, done.stderr)
        shown += done.stdout.count("ok; ")
    assert shown >= 3, "frames were shown three times"
    assert (tmp_path / "day.csv").read_text().count("\n") == 101


def test_every_tool_is_on_the_page():
    for tool in ("watch", "split", "concentrate", "record", "replay"):
        assert any(command.startswith(f"pdc {tool}") for command in COMMANDS)
