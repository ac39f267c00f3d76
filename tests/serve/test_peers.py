"""Peers as oracles: pyPMU reads our server, our client reads pyPMU's, tshark reads what the server sends.

PhasorToolBox would be a third one, but it is on no package index.
"""

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from rpmu.c37118 import Format
from rpmu.pdc import PdcClient
from rpmu.serve.simulator import Simulator, SimulatorSettings
from tests.pdc.scripted import take
from tests.pdc.test_recording import ethernet, pcap
from tests.serve.rig import IDCODE, TIMEOUT_S, Pdc, Producer, listening, make_config, run, running

PEER = Path(__file__).with_name("pypmu_peer.py")
needs_pypmu = pytest.mark.skipif(
    importlib.util.find_spec("synchrophasor") is None, reason="needs pyPMU (pip install synchrophasor==1.0.0a0)"
)
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark (apt-get install tshark)")


async def start_peer(*words):
    arguments = [sys.executable, str(PEER), *map(str, words)]
    return await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )


async def line_beginning_with(process, word):
    seen = []
    async with asyncio.timeout(TIMEOUT_S):
        while line := await process.stdout.readline():
            seen.append(line.decode())
            if seen[-1].startswith(word):
                return seen[-1][len(word) :]
    raise AssertionError("".join(seen))


@needs_pypmu
@pytest.mark.parametrize("fmt", [Format(7), Format(6), Format(0)], ids=["float polar", "float rectangular", "int"])
def test_pypmu_s_client_reads_our_server(fmt):
    async def scenario():
        settings = SimulatorSettings(
            IDCODE, rate=30, format=fmt, sync_version=1, phasors=4, analogs=3, digitals=1, frequency_hz=60.5
        )
        simulator = Simulator(settings)
        async with running(simulator.config, listening(sync_version=1)) as server:
            producing = asyncio.create_task(simulator.run(server))
            peer = await start_peer("client", *server.addresses[0], IDCODE, 20)
            report = json.loads(await line_beginning_with(peer, "REPORT "))
            await peer.wait()
            producing.cancel()
        assert "test PMU" in report["header"]
        assert (report["station"].strip(), report["rate"]) == ("SIM 1", 30)
        times = [frame["time"] for frame in report["frames"]]
        steps = [round((b - a) * 30) for a, b in pairwise(times)]
        assert steps == [1] * 19
        for frame in report["frames"]:
            assert frame["measurement"]["stat"] == "ok"
            assert frame["measurement"]["frequency"] == pytest.approx(60.5)
            assert len(frame["measurement"]["phasors"]) == 4

    run(scenario())


@needs_pypmu
def test_our_client_reads_pypmu_s_server():
    async def scenario():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        peer = await start_peer("server", port, IDCODE, 30)
        try:
            await line_beginning_with(peer, "READY")
            async with PdcClient("127.0.0.1", port, IDCODE) as pdc:
                config = await pdc.configuration()
                frames = await take(pdc, 20)
            assert config.pmus[0].name == "Station A"
            assert (len(config.pmus[0].phasors), len(config.pmus[0].analogs)) == (4, 3)
            pmu = frames[-1].pmus[0]
            assert abs(pmu.phasors[0]) == pytest.approx(133_987.36, rel=1e-4)  # 14635 counts of 9.15527 V
            assert pmu.frequency_hz == pytest.approx(62.5)
            assert pmu.digitals == (0x3C12,)
        finally:
            kill_session(peer)
            await peer.wait()

    run(scenario())


def kill_session(process):
    """pyPMU forks a child per client, and children of closed clients never end: end the process and its children."""
    os.killpg(process.pid, signal.SIGKILL)  # its own session, made by start_new_session


@needs_tshark
def test_tshark_reads_everything_the_server_sends(tmp_path):
    async def collect():
        config = make_config(phasors=3)
        async with running(config) as server, Producer(server, config):
            pdc = await Pdc.connect(server)
            raw = [(await pdc.ask(code)).encode() for code in (3, 4, 5, 6)]
            pdc.send(2)
            await pdc.read_to(20)
            raw += [frame.encode() for frame in pdc.frames[4:]]
            await pdc.close()
            frames.extend(raw)

    frames = []
    run(collect())
    path = tmp_path / "server.pcap"
    packets = [ethernet(frame, 17) for frame in frames]
    path.write_bytes(pcap(packets))
    fields = ("synphasor.frtype", "synphasor.checksum.status", "_ws.malformed", "synphasor.idcode_stream_source")
    command = ["tshark", "-r", str(path), "-d", "udp.port==50000,synphasor", "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines, result.stderr
    assert [int(line[0], 0) for line in lines] == [1, 2, 3, 5] + [0] * (len(frames) - 4)
    assert {line[1] for line in lines} == {"1"}
    assert {line[2] for line in lines} == {""}
