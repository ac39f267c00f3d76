"""Logs of real receivers, replayed through a pty and the daemon's own serial port, against golden results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rpmu.acquire.gps_port import SerialGpsPort
from rpmu.timing import TimeKeeper, TimingSettings
from rpmu.timing.nmea import NmeaStream, Sentence
from tests.timing.simulator import INFO

REPOSITORY = Path(__file__).parents[2]
LOGS = Path(__file__).parent.parent / "data" / "nmea"
NAMES = sorted(path.stem for path in LOGS.glob("*.log"))
NOT_BEFORE = 1_262_304_000 - 365 * 86_400 * 2  # 2008: the logs are old, but later than this


def describe(sentence: Sentence) -> str:
    time = ""
    if sentence.time is not None:
        when = datetime.fromtimestamp(sentence.time.second, UTC)
        time = f"{when:%Y-%m-%dT%H:%M:%S}+{sentence.time.fraction_ns}ns rollovers={sentence.time.rollovers}"
    said = {
        "valid": sentence.valid,
        "fix": sentence.fix,
        "dimensions": sentence.dimensions,
        "satellites": sentence.satellites,
        "hdop": sentence.hdop,
    }
    return " ".join([sentence.talker, sentence.kind, time, *(f"{k}={v}" for k, v in said.items() if v is not None)])


def report(sentences: list[Sentence], stream: NmeaStream) -> str:
    kinds = {"RMC", "GGA", "GSA", "ZDA"}
    lines = [describe(sentence) for sentence in sentences if sentence.kind in kinds]
    lines += [f"good {kind} {count}" for kind, count in sorted(stream.good.items())]
    lines += [f"bad {reason} {count}" for reason, count in sorted(stream.bad.items())]
    return "\n".join(lines) + "\n"


def read_directly(name: str) -> str:
    stream = NmeaStream(NOT_BEFORE)
    return report(stream.feed((LOGS / f"{name}.log").read_bytes() + b"\n", 0), stream)


@pytest.mark.parametrize("name", NAMES)
def test_log_through_a_pty_gives_the_golden_result(name):
    master, slave = os.openpty()
    port = SerialGpsPort(os.ttyname(slave))
    stream, sentences = NmeaStream(NOT_BEFORE), []
    data = (LOGS / f"{name}.log").read_bytes() + b"\n"
    try:
        for start in range(0, len(data), 97):  # sentences come in pieces
            piece = data[start : start + 97]
            os.write(master, piece)
            received = b""
            while len(received) < len(piece):
                received += port.read()
            sentences += stream.feed(received, start)
    finally:
        port.close()
        os.close(master)
        os.close(slave)
    assert report(sentences, stream) == (LOGS / "golden" / f"{name}.txt").read_text()


@pytest.mark.parametrize("version", ["1.15.0", "1.19.0"])  # Debian 12's and Debian 13's
def test_both_versions_of_pynmea2_give_the_golden_results(version):
    """Each in a folder of its own, which another interpreter finds before anything that is installed."""
    folder = REPOSITORY / ".cache" / f"pynmea2-{version}"
    if not (folder / "pynmea2").is_dir():
        install = ["install", "--quiet", "--no-deps", "--target", str(folder), f"pynmea2=={version}"]
        made = subprocess.run([sys.executable, "-m", "pip", *install], capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"pip cannot install pynmea2 {version}: {made.stderr.strip().splitlines()[-1]}")
    program = (
        "import json, pynmea2; from tests.timing.test_nmea_logs import NAMES, read_directly; "
        "print(json.dumps([pynmea2.__version__, pynmea2.__file__, {name: read_directly(name) for name in NAMES}]))"
    )
    environment = os.environ | {"PYTHONPATH": f"{folder}:{REPOSITORY}"}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    found, file, results = json.loads(run.stdout)
    assert (found, Path(file).parent.parent) == (version, folder)
    assert results == {name: (LOGS / "golden" / f"{name}.txt").read_text() for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_keeper_without_pps_survives_every_log_and_locks_on_none(name):
    keeper = TimeKeeper(INFO, TimingSettings(not_before=NOT_BEFORE))
    data = (LOGS / f"{name}.log").read_bytes()
    for start in range(0, len(data), 61):
        keeper.feed_nmea(data[start : start + 61], start * 60)
    assert keeper.map is None
    assert keeper.status.codes.msg_tq == 0xF


def test_the_reference_receiver_is_read_without_loss():
    stream = NmeaStream(NOT_BEFORE)
    sentences = stream.feed((LOGS / "mt3339.log").read_bytes(), 0)
    times = [sentence.time.second for sentence in sentences if sentence.kind == "RMC"]
    assert times == list(range(times[0], times[0] + 30))
    assert not stream.bad
    assert all(sentence.fix == 2 for sentence in sentences if sentence.kind in {"RMC", "GGA"})


if __name__ == "__main__":
    for name in NAMES:
        (LOGS / "golden" / f"{name}.txt").write_text(read_directly(name))
