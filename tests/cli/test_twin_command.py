"""`rpmu twin` as a stranger uses it: from a shell, with wrong words, with a PDC beside it, and with Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

RPMU = [sys.executable, "-m", "rpmu"]
LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  locked +(?P<hz>[\d.]+) Hz +(?P<volts>[\d.]+) V +(?P<deg>[-+][\d.]+)°  "
    r"TVE +(?P<tve>[\d.]+) %  (?P<frames>\d+) frames  \d+ PDC  (?P<drops>\d+) drops  \d+ invalid"
)
PATIENCE_S = 120


def rpmu(*words):
    """Run to the end; returns the completed process."""
    return subprocess.run([*RPMU, *words], capture_output=True, text=True, timeout=PATIENCE_S)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(*words, port):
    """Start a twin in real time and wait until it listens."""
    process = subprocess.Popen(
        [*RPMU, "twin", "--listen", f"127.0.0.1:{port}", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("it does not listen")


def test_it_ends_by_itself_and_shows_a_line_a_second():
    done = rpmu("twin", "--listen", f"127.0.0.1:{free_port()}", "--for", "10", "--speed", "max")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [LINE.fullmatch(line) for line in done.stdout.splitlines()]
    good = [match for match in lines if match]
    assert len(good) >= 4
    last = good[-1]
    assert float(last["hz"]) == pytest.approx(60, abs=1e-3)
    assert float(last["volts"]) == pytest.approx(120, abs=0.05)
    assert float(last["tve"]) < 0.05
    assert int(last["drops"]) == 0


def test_json_lines_are_json():
    done = rpmu("twin", "--listen", f"127.0.0.1:{free_port()}", "--for", "8", "--speed", "max", "--json")
    assert done.returncode == 0
    seconds = [json.loads(line) for line in done.stdout.splitlines()]
    assert [b["second"] - a["second"] for a, b in pairwise(seconds)] == [1] * (len(seconds) - 1)
    assert seconds[-1]["reports"] == 60
    assert seconds[-1]["state"] == "locked"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number):
    port = free_port()
    process = start(port=port)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert b"Traceback" not in out + err
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "nothing is left listening"


def test_a_pdc_beside_it_gets_frames_on_the_grid():
    port = free_port()
    process = start("--source", "nominal,frequency_hz=59.95,voltage_v=118", port=port)
    try:
        watch = rpmu("pdc", "watch", f"127.0.0.1:{port}", "--idcode", "1", "--frames", "120", "--json")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert watch.returncode == 0, watch.stderr
    frames = [json.loads(line) for line in watch.stdout.splitlines()]
    assert len(frames) == 120
    ticks = [frame["soc"] * 60 + round(frame["fracsec"] * 60 / 1_000_000) for frame in frames]
    assert ticks == list(range(ticks[0], ticks[0] + 120))
    pmu = frames[-1]["pmus"][0]
    assert pmu["name"] == "RPMU"
    assert pmu["frequency_hz"] == pytest.approx(59.95, abs=2e-3)
    assert pmu["phasors"][0]["name"] == "VA"
    assert pmu["phasors"][0]["magnitude"] == pytest.approx(118, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--source", "nominl"], 3, "nominal"),
        (["--source", "nominal,frequency=50"], 3, "frequency_hz"),
        (["--source", "file:/nowhere/x.npz"], 3, "/nowhere/x.npz"),
        (["--speed", "0"], 3, "speed"),
        (["--for", "-1"], 3, "--for"),
        (["--start", "yesterday"], 3, "--start"),
        (["--fault", "pps_missin@3"], 3, "pps_missing"),
        (["--listen", "127.0.0.1:http"], 3, "127.0.0.1:http"),
        (["--config", "/nowhere/rpmu.toml"], 3, "/nowhere/rpmu.toml"),
        (["--no-such-option"], 2, "--no-such-option"),
    ],
)
def test_wrong_words_get_one_clear_sentence(words, code, complaint):
    done = rpmu("twin", "--for", "1", *words)
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    if code == 3:
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_corrupt_recording_is_refused(tmp_path):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04" + os.urandom(200))
    done = rpmu("twin", "--for", "1", "--source", f"file:{broken}")
    assert done.returncode == 3
    assert str(broken) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = rpmu("twin", "--for", "1", "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 4
    assert str(port) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_wrong_nominal_is_named(tmp_path):
    file = tmp_path / "x.npz"
    np.savez(file, samples=np.ones((1, 4000)), sample_rate_hz=4000.0)
    done = rpmu("estimate", str(file), "--nominal", "55", "--class", "M", "--rate", "60")
    assert done.returncode in (2, 3)
    assert "55" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_on_a_machine_without_pru_says_what_to_do():
    done = rpmu("run", "--for", "1")
    assert done.returncode == 4
    assert "rpmu twin" in done.stderr
    assert "Traceback" not in done.stderr


def test_version_and_help():
    assert rpmu("--version").stdout.startswith("rpmu 0.")
    for words in ([], ["twin"], ["run"], ["estimate"], ["config"], ["pdc"]):
        done = rpmu(*words, "--help")
        assert done.returncode == 0
        assert "usage: rpmu" in done.stdout


def test_bash_completes_commands_and_options():
    done = rpmu("completion", "bash")
    assert done.returncode == 0, done.stderr
    assert "--reporting" not in done.stdout
    assert "--source" in done.stdout
    assert "concentrate" in done.stdout
    checked = subprocess.run(["bash", "-n"], input=done.stdout, text=True, timeout=60, capture_output=True)
    assert checked.returncode == 0, checked.stderr
