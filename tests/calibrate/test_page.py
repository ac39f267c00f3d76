"""The page about calibration and the example: what they show is what there is."""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path

import pytest

from rpmu.calibrate.certificate import read_certificate
from rpmu.cli.main import build_parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "calibration.md").read_text()
COMMANDS = re.findall(r"^    (rpmu calibrate (?:.*\\\n)*.*)$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one(command):
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    assert build_parser(only="calibrate").parse_args(words[1:]).tool in PAGE


def test_there_is_a_command_for_every_procedure():
    assert {command.split()[2] for command in COMMANDS} >= {"generator", "reference", "dmm", "self-test", "verify"}


def test_the_example_is_a_certificate_and_says_what_it_is():
    for path in (ROOT / "calibration" / "examples").glob("*.toml"):
        certificate = read_certificate(path)
        assert certificate.certificate.simulated
        assert certificate.device.serial.startswith("TWIN")
        assert certificate.verification[0].tve_percent < certificate.uncertainty.tve_percent
        raw = (path.parent / certificate.certificate.raw_data_file).read_bytes()
        assert hashlib.sha256(raw).hexdigest() == certificate.certificate.raw_data_sha256
        break
    else:
        pytest.fail("there is no example")
