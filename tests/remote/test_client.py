"""`rpmu --host` with a fake ssh that keeps what it was given, and, once, the forced command behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from rpmu.cli.main import split_host
from rpmu.errors import HardwareError, InputError
from rpmu.remote.client import run_on

FAKE = """#!{python}
import json, os, sys
content = sys.stdin.buffer.read() if {reads} else b""
json.dump({{"words": sys.argv[1:], "content": content.decode()}}, open({kept!r}, "w"))
sys.exit({code})
"""


@pytest.fixture
def fake_ssh(tmp_path):
    kept = tmp_path / "kept.json"

    def make(code=0):
        ssh = tmp_path / "ssh"
        ssh.write_text(FAKE.format(python=sys.executable, reads=True, kept=str(kept), code=code))
        ssh.chmod(0o755)
        return str(ssh)

    def seen():
        return json.loads(kept.read_text())

    return make, seen


def test_a_file_is_sent_and_its_name_is_not(fake_ssh, tmp_path):
    make, seen = fake_ssh
    file = tmp_path / "my $file.toml"
    file.write_text("[station]\n")
    assert run_on("pmu1", ["config", "apply", "--confirm-within", "30", "--well-within", "90", str(file)], make()) == 0
    assert seen() == {
        "words": ["-T", "--", "rpmu-admin@pmu1", "config apply --confirm-within 30 --well-within 90 -"],
        "content": "[station]\n",
    }


def test_an_assignment_arrives_as_one_word(fake_ssh):
    make, seen = fake_ssh
    run_on("root@192.0.2.1", ["config", "set", "station.name=A B; reboot"], make())
    assert seen()["words"] == ["-T", "--", "root@192.0.2.1", "config set 'station.name=A B; reboot'"]


def test_the_exit_code_comes_through(fake_ssh):
    make, _ = fake_ssh
    assert run_on("pmu1", ["status"], make(code=5)) == 5
    with pytest.raises(HardwareError, match="could not reach rpmu-admin@pmu1"):
        run_on("pmu1", ["status"], make(code=255))


@pytest.mark.parametrize("host", ["-oProxyCommand=id", "a b", "", "a@-x", "a;b", "x@y@z", "$(id)", "a\nb"])
def test_a_host_is_no_option_and_no_program(host, fake_ssh):
    make, _ = fake_ssh
    with pytest.raises(InputError, match="--host is"):
        run_on(host, ["status"], make())


@pytest.mark.parametrize("host", ["pmu1", "pmu-1.example.org", "192.0.2.1", "2001:db8::1", "me@pmu1", "fe80::1%eth0"])
def test_hosts(host, fake_ssh):
    make, _ = fake_ssh
    assert run_on(host, ["status"], make()) == 0


def test_what_the_board_would_refuse_is_not_sent(fake_ssh, tmp_path):
    make, _ = fake_ssh
    for words in (["run"], ["twin"], ["config", "apply", "-", "--reload", "id"], ["config", "recover"]):
        with pytest.raises(InputError):
            run_on("pmu1", words, make())
    assert not (tmp_path / "kept.json").exists()
    with pytest.raises(InputError, match="cannot read"):
        run_on("pmu1", ["config", "check", str(tmp_path / "none")], make())
    big = tmp_path / "big"
    big.write_bytes(b"#" * 100_000)
    with pytest.raises(InputError, match="100000 bytes"):
        run_on("pmu1", ["config", "check", str(big)], make())


def test_without_ssh_it_says_what_to_install(tmp_path):
    with pytest.raises(HardwareError, match="openssh-client"):
        run_on("pmu1", ["status"], str(tmp_path / "none"))


def test_host_comes_first():
    assert split_host(["--host", "a", "status"]) == ("a", ["status"])
    assert split_host(["--host=a", "status"]) == ("a", ["status"])
    assert split_host(["status", "--host", "a"]) == (None, ["status", "--host", "a"])
    assert split_host([]) == (None, [])


def test_from_the_command_line_to_the_forced_command(tmp_path):
    """The fake ssh does what sshd does: the last word becomes SSH_ORIGINAL_COMMAND of the forced command."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f'#!/bin/sh\nfor word; do :; done\nSSH_ORIGINAL_COMMAND="$word" exec {sys.executable} -m rpmu.remote.shell\n'
    )
    ssh.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    file = tmp_path / "pmu.toml"
    file.write_text("[station]\nidcode = 0\n")
    words = [sys.executable, "-m", "rpmu", "--host", "pmu1", "config", "check", str(file)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "standard input" in done.stderr
    assert "idcode" in done.stderr
