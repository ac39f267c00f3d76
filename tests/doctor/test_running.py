"""The checks of the running daemon: on the status of a real run over the twin, and with one thing wrong at a time."""

from __future__ import annotations

import copy
import hashlib
import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rpmu.config import default
from rpmu.doctor import Level, Subject, exit_code, host, running
from rpmu.status import as_object
from tests.e2e.rig import run_chain


@pytest.fixture(scope="module")
def status():
    return as_object(run_chain(7, source="nominal").status)


def subject(status, **server):
    config = default()
    return Subject(Path("/nowhere"), replace(config, server=replace(config.server, **server)), Path("/x"), "", status)


def test_a_good_run_has_nothing_to_complain_of_but_certificate_and_client(status):  # which has left by then
    findings = {finding.name: finding for finding in running.examine_running(subject(status))}
    assert {name for name, finding in findings.items() if finding.level is not Level.OK} == {"calibration", "PDCs"}
    assert "60000.0 scans/s" in findings["step rate"].evidence
    assert "3 MHz" in findings["ADC"].evidence
    assert exit_code(subject(status), findings.values()) == 0


BROKEN = [
    (running.daemon, {"pru_restarts": 1}, Level.WARN),
    (running.adc, {"ring": {"adc_revision": 0}}, Level.FAIL),
    (running.adc, {"acquisition": {"adc_clock_hz": 4e6}}, Level.FAIL),
    (running.step_rate, {"acquisition": {"scan_rate_hz": 58823.5}}, Level.WARN),
    (running.fifo, {"ring": {"fifo_high_water": 60}}, Level.WARN),
    (running.fifo, {"ring": {"overruns": 1}}, Level.WARN),
    (running.losses, {"ring": {"lost_samples": 64}}, Level.WARN),
    (running.losses, {"lost_before_restart": 1}, Level.WARN),
    (running.pps, {"time": {"counters": {"edges": 0}}}, Level.FAIL),
    (running.pps, {"time": {"seconds_since_pps": 20.0}}, Level.FAIL),
    (running.pps, {"time": {"seconds_since_pps": None}}, Level.FAIL),
    (running.nmea, {"time": {"counters": {"nmea_good": {}}}}, Level.FAIL),
    (running.nmea, {"time": {"counters": {"nmea_bad": {"checksum": 1000}}}}, Level.WARN),
    (running.fix, {"time": {"fix": 0}}, Level.FAIL),
    (running.crystal, {"time": {"ppm": None}}, Level.WARN),
    (running.crystal, {"time": {"ppm": -150.0}}, Level.WARN),
    (running.crystal, {"time": {"ppm": 5000.0}}, Level.FAIL),
    (running.time, {"time": {"state": "holdover"}}, Level.WARN),
    (running.time, {"time": {"state": "unlocked"}}, Level.FAIL),
    (running.signal, {"input": {"clipped": True}}, Level.FAIL),
    (running.signal, {"input": {"lowest_counts": [2000.0], "highest_counts": [2010.0]}}, Level.WARN),
    (running.signal, {"input": {"lowest_counts": [], "highest_counts": []}}, Level.WARN),
    (running.pdcs, {"server": {"streaming": 0}}, Level.WARN),
    (running.pdcs, {"server": {"frames_failed": 1}}, Level.WARN),
]


def changed(status, change):
    status = copy.deepcopy(status)

    def put(into, values):
        for name, value in values.items():
            assert name in into, f"the status has no {name}"
            if isinstance(value, dict) and value and not name.startswith("nmea"):
                put(into[name], value)
            else:
                into[name] = value

    put(status, change)
    return status


@pytest.mark.parametrize(("check", "change", "level"), BROKEN)
def test_one_thing_wrong_is_found(status, check, change, level):
    finding = check(changed(status, change))
    assert finding.level is level
    assert finding.next_step
    assert "None" not in finding.evidence


def held(text, refused="", cfgcnt=0):
    return {
        "configuration": {
            "file": "current",
            "sha256": hashlib.sha256(text).hexdigest(),
            "loads": 1,
            "refused": refused,
        },
        "stream": {"cfgcnt": cfgcnt},
    }


@pytest.mark.parametrize(
    ("holds", "level", "words"),
    [
        (held(b"a file", cfgcnt=3), Level.OK, "current, change 3"),
        (held(b"another file"), Level.WARN, "as it was when it read it"),
        (held(b"a file", refused="rpmu.toml:2: no"), Level.FAIL, "rpmu.toml:2: no"),
    ],
)
def test_the_configuration_that_the_daemon_goes_by(status, tmp_path, holds, level, words):
    (tmp_path / "rpmu.toml").write_bytes(b"a file")
    examined = replace(subject(status), config_file=tmp_path / "rpmu.toml")
    finding = running.held_configuration(holds, examined)
    assert finding.level is level
    assert words in finding.evidence
    assert running.held_configuration(status, examined) is None, "this one was not started by the command line"


def test_a_second_pps_input_is_looked_for_where_it_is_configured(status):
    config = default()
    wired = replace(subject(status), config=replace(config, sampling=replace(config.sampling, pps_pin=14)))
    assert running.second_pps(status, subject(status)) is None
    assert running.second_pps(status, wired).level is Level.WARN
    seen = running.second_pps(changed(status, {"time": {"other_input_ns": 12.0}}), wired)
    assert (seen.level, seen.evidence) == (Level.OK, "the inputs differ by +12 ns")


def test_a_certificate_is_seen(status):
    assert running.calibration(changed(status, {"calibrated": True})).level is Level.OK


def test_the_receiver_is_not_asked_of_where_time_comes_from_the_host(status):
    config = default()
    config = replace(config, time=replace(config.time, source="system"))
    names = {finding.name for finding in running.examine_running(replace(subject(status), config=config))}
    assert not names & {"PPS", "NMEA", "FIX", "crystal"}


def test_the_port_answers_or_is_taken_by_another(status):
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = (f"127.0.0.1:{other.getsockname()[1]}",)
        assert [finding.level for finding in host.ports(subject(status, listen=listen))] == [Level.OK]
        assert [finding.level for finding in host.ports(subject(None, listen=listen))] == [Level.FAIL]
    assert [finding.level for finding in host.ports(subject(status, listen=listen))] == [Level.FAIL]
    assert [finding.level for finding in host.ports(subject(None, listen=listen))] == [Level.OK]


def test_destinations_need_a_route():
    findings = host.destinations(subject(None, spontaneous=("127.0.0.1:4713", "no.such.host.invalid:4713")))
    assert [finding.level for finding in findings] == [Level.OK, Level.FAIL]


def test_listening_on_loopback_only_is_told():
    assert host.listens_outside(subject(None)).level is Level.WARN
    assert host.listens_outside(subject(None, listen=("0.0.0.0:4712",))) is None


@pytest.mark.parametrize(
    ("mebibytes", "level"), [(500, Level.OK), (64, Level.OK), (63, Level.WARN), (8, Level.WARN), (7, Level.FAIL)]
)
def test_disk(mebibytes, level):
    assert host.judge_disk(Path("/var"), mebibytes << 20).level is level


def measured_reference(**found):
    return {"reference": {"full_scale_v": 1.8018, "reference_v": 1.25, "off_percent": 0.1, "trusted": True, **found}}


@pytest.mark.parametrize(
    ("holds", "level", "words"),
    [
        ({"reference": None}, Level.OK, "no channel for it"),
        (measured_reference(full_scale_v=None), Level.OK, "not known yet"),
        (measured_reference(), Level.OK, "VDD_ADC 1.8018 V by the 1.25 V, +0.100 %, divided out"),
        (measured_reference(trusted=False), Level.FAIL, "not believed and not divided out"),
    ],
)
def test_the_reference_is_believed_or_not(holds, level, words):
    finding = running.reference(holds)
    assert (finding.level, bool(finding.next_step)) == (level, level is Level.FAIL)
    assert words in finding.evidence


def test_a_fix_is_told_with_what_the_receiver_says_of_it(status):
    told = changed(status, {"time": {"fix": 2, "satellites": 7, "hdop": 1.26}})
    assert running.fix(told).evidence == "differential fix, 7 satellites, HDOP 1.3"
    silent = changed(status, {"time": {"fix": 1, "satellites": None, "hdop": None}})
    assert running.fix(silent).evidence == "fix"


def test_a_pdc_that_gets_its_frames_is_fine(status):
    finding = running.pdcs(changed(status, {"server": {"streaming": 2}}))
    assert (finding.level, finding.evidence) == (
        Level.OK,
        "2 streaming, 0 frames not delivered, 0 refused by the access list",
    )


def test_a_configuration_file_that_does_not_exist_is_told(tmp_path):
    without = replace(subject(None), config_file=tmp_path / "rpmu.toml")
    finding = host.configuration(without)
    assert (finding.level, finding.evidence) == (
        Level.WARN,
        f"{tmp_path}/rpmu.toml does not exist; defaults are in force",
    )
    (tmp_path / "rpmu.toml").write_text("")
    assert host.configuration(without).level is Level.OK


def test_the_command(tmp_path):
    file = tmp_path / "rpmu.toml"
    file.write_text('[station]\nname = "A"\nidcode = 70000\n')
    options = ["--config", str(file), "--root", str(tmp_path), "--socket", str(tmp_path / "none")]
    words = [sys.executable, "-m", "rpmu", "doctor", *options]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["configuration"]["level"] == "fail"
    assert "70000" in found["configuration"]["evidence"]
    printed = subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.splitlines()
    assert any(line.startswith("fail  configuration") for line in printed)
    assert printed[-1].endswith(" fail")
