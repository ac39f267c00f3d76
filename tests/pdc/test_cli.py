"""`rpmu pdc …` and `rpmu simulate` as a user runs them: output, exit codes, signals."""

import json
import re
import signal
import subprocess
import sys

import pytest

from rpmu.cli.main import main
from rpmu.cli.pdc import parse_source
from rpmu.errors import InputError

RPMU = [sys.executable, "-m", "rpmu.cli.main"]
TIMEOUT_S = 60


class Background:
    """A command that serves until told to stop; knows its port from its first line."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [*RPMU, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.first_line = self.process.stderr.readline()
        found = re.search(r" on ([^ ]+):(\d+)", self.first_line)
        assert found, self.first_line + self.process.stderr.read()
        self.address = f"{found[1]}:{found[2]}"

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out, err


def simulate(*words):
    return Background("simulate", "--listen", "127.0.0.1:0", *words)


def rpmu(*words):
    return subprocess.run([*RPMU, *map(str, words)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_watch_json_has_exactly_the_contract_s_fields():
    with simulate("--idcode", 5, "--phasors", 3, "--analogs", 2, "--digitals", 1, "--frequency", 59.9) as pmu:
        result = rpmu("pdc", "watch", pmu.address, "--idcode", 5, "--frames", 5, "--json")
        assert result.returncode == 0, result.stderr
        records = [json.loads(line) for line in result.stdout.splitlines()]
        assert len(records) == 5
        first = records[0]
        assert list(first) == ["idcode", "soc", "fracsec", "time_ns", "pmus"]
        pmu_fields = [
            "name",
            "idcode",
            "stat",
            "phasors",
            "frequency_hz",
            "rocof_hz_per_s",
            "analogs",
            "digitals",
        ]
        assert list(first["pmus"][0]) == pmu_fields
        assert [list(phasor) for phasor in first["pmus"][0]["phasors"]] == [["name", "magnitude", "angle_rad"]] * 3
        assert first["time_ns"] == first["soc"] * 10**9 + first["fracsec"] * 1000
        assert first["pmus"][0]["frequency_hz"] == pytest.approx(59.9, abs=1e-5)
        assert first["pmus"][0]["phasors"][0]["magnitude"] == pytest.approx(120)
        ordinals = [round(record["time_ns"] * 60 / 1e9) for record in records]
        assert ordinals == list(range(ordinals[0], ordinals[0] + 5))


def test_watch_for_people_and_the_end_by_for():
    with simulate("--pmus", 2) as pmu:
        result = rpmu("pdc", "watch", pmu.address, "--idcode", 1, "--for", 2.5)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("IDCODE 1, 60 frames/s: SIM 1 (1 phasor,")
    assert lines[1].startswith("UTC")
    assert sum("SIM 2" in line and "VA 120.00 V" in line for line in lines[2:]) >= 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_0_and_the_counters(number):
    with simulate("--json") as pmu:
        rpmu("pdc", "watch", pmu.address, "--idcode", 1, "--frames", 3)
        code, out, _ = pmu.stop(number)
        assert code == 0
        assert json.loads(out)["server"]["frames_sent"] >= 3


def test_nobody_there_ends_with_1_and_a_port_in_use_with_4():
    with simulate() as pmu:
        taken = rpmu("simulate", "--listen", pmu.address, "--for", 1)
        assert taken.returncode == 4
        assert "another program listens there" in taken.stderr
        assert len(taken.stderr.splitlines()) == 1
        address = pmu.address
    nobody = rpmu("pdc", "watch", address, "--idcode", 1, "--for", 0.5)
    assert nobody.returncode == 1
    assert "not one data frame came (cannot connect" in nobody.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["pdc", "watch", "here", "--idcode", "0"], 3, "IDCODE is 0"),
        (["pdc", "watch", "here:x", "--idcode", "1"], 3, "port 'x'"),
        (["pdc", "watch", "here", "--idcode", "1", "--frames", "0"], 3, "--frames is 0"),
        (["pdc", "watch", "here"], 2, "--idcode"),
        (["pdc"], 2, "TOOL"),
        (["pdc", "concentrate", "here:1", "--idcode", "1", "--rate", "50"], 3, "is not [TRANSPORT://]HOST:PORT/IDCODE"),
        (["pdc", "record", "here", "--idcode", "1", "-o", "a.txt"], 3, "must end in"),
        (["pdc", "replay", "none.pcap"], 3, "cannot read the capture"),
        (["simulate", "--format", "odd"], 3, "format 'odd'"),
        (["simulate", "--fault", "odd"], 3, "fault 'odd'"),
        (["simulate", "--rate", "0"], 3, "DATA_RATE is 0"),
        (["simulate", "--certificate", "a.pem"], 3, "needs both"),
        (["simulate", "--allow", "nowhere"], 3, "access list entry 'nowhere'"),
    ],
)
def test_wrong_input_gets_a_sentence_and_its_exit_code(words, code, sentence, capsys):
    try:
        result = main(words)
    except SystemExit as end:
        result = end.code
    assert result == code
    assert sentence in capsys.readouterr().err


def test_help_on_every_level(capsys):
    for words in (
        ["pdc"],
        ["simulate"],
        *(["pdc", tool] for tool in ("watch", "split", "concentrate", "record", "replay")),
    ):
        with pytest.raises(SystemExit) as end:
            main([*words, "--help"])
        assert end.value.code == 0
        assert "usage: rpmu" in capsys.readouterr().out


def test_sources():
    assert str(parse_source("192.0.2.7:4712/1")) == "192.0.2.7:4712/1"
    assert parse_source("udp://[::1]:4713/2").transport == "udp"
    with pytest.raises(InputError):
        parse_source("serial://a:1/2")


@pytest.mark.slow
def test_the_whole_round_by_command_line(tmp_path):
    """Simulate, split, concentrate, record, replay: each as its own process."""
    recording = tmp_path / "a.c37118"
    with (
        simulate("--idcode", 1, "--rate", 50) as first,
        simulate("--idcode", 2, "--rate", 25, "--format", "int") as second,
        Background("pdc", "split", first.address, "--idcode", 1, "--listen", "127.0.0.1:0", "--json") as split,
        Background(
            "pdc",
            "concentrate",
            f"{split.address}/1",
            f"{second.address}/2",
            "--idcode",
            9,
            "--rate",
            25,
            "--listen",
            "127.0.0.1:0",
            "--json",
        ) as concentrator,
    ):
        result = rpmu("pdc", "record", concentrator.address, "--idcode", 9, "-o", recording, "--frames", 50)
        assert result.returncode == 0, result.stderr
        code, out, _ = concentrator.stop()
        assert code == 0
        counters = json.loads(out)
        assert counters["concentrator"]["overflowed_slots"] == 0
        assert sum(counters[name]["alignment"]["late"] for name in counters if name.startswith("source")) == 0
        assert json.loads(split.stop()[1])["server"]["frames_sent"] >= 100
    with Background("pdc", "replay", recording, "--listen", "127.0.0.1:0", "--speed", "max") as replay:
        result = rpmu("pdc", "watch", replay.address, "--idcode", 9, "--frames", 50, "--json")
        assert result.returncode == 0, result.stderr
        assert [len(json.loads(line)["pmus"]) for line in result.stdout.splitlines()] == [2] * 50
