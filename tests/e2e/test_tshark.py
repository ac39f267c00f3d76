"""Wireshark's dissector as the judge of the daemon's stream: no malformed frame, and the numbers the outlet had."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from rpmu.c37118 import ConfigFrame2
from tests.c37118.pcap import write_pcap
from tests.e2e.rig import run_chain

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="needs tshark (Debian package tshark)")


def dissect(capture, *fields):
    """Values of the fields, one row per packet."""
    command = [TSHARK, "-r", capture, "-d", "udp.port==4713,synphasor", "-T", "fields", "-E", "separator=\t"]
    for field in fields:
        command += ["-e", field]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    return [line.split("\t") for line in printed.splitlines()]


def test_the_stream_has_no_malformed_frame(tmp_path):
    outcome = run_chain(9, source="nominal,frequency_hz=59.97,voltage_v=117")
    frames = [ConfigFrame2.of(outcome.frames[0].config).encode(), *(frame.encode() for frame in outcome.frames)]
    capture = tmp_path / "stream.pcap"
    write_pcap(capture, [frames])
    rows = dissect(
        capture, "synphasor.frtype", "_ws.malformed", "_ws.expert.message", "synphasor.actual_frequency_value"
    )
    assert len(rows) == len(frames)
    assert [int(row[0], 0) for row in rows] == [3, *[0] * len(outcome.frames)]
    assert not [row for row in rows if row[1] or row[2]], "malformed, or a bad checksum"
    frequencies = np.array([float(row[3]) for row in rows[1:] if row[3]])
    assert len(frequencies) == len(outcome.frames)
    assert frequencies == pytest.approx(59.97, abs=1.5e-3)
