"""The administrator's side of an update, on the board and from a PC."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rpmu.cli.main import main
from rpmu.errors import HardwareError, InputError
from rpmu.remote.client import run_on
from rpmu.update import request
from rpmu.update.system import RefusedError, System
from rpmu.update.worker import MAX_BUNDLE_BYTES, REFUSED, SIGNATURE_END, State
from tests.update.rig import MISSING, key, package

BUNDLE = b"-----BEGIN SSH SIGNATURE-----\nabc\n" + SIGNATURE_END + b"package"
WORKER = """
import json, pathlib, sys
folder = pathlib.Path({folder!r})
assert sys.argv[1] == "{job}", sys.argv
(folder / "seen").write_bytes((folder / "incoming/bundle").read_bytes() if sys.argv[1] == "install" else b"")
state = dict(number=1, phase="{phase}", old="1.0", new="1.1", signer="me", previous="1.0", message="1.1 is there")
(folder / "state.json").write_text(json.dumps(state))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "incoming").mkdir()
    return tmp_path


def start(folder, phase="installed", job="install"):
    """A command line that does in one step what the worker does."""
    program = folder / "worker.py"
    program.write_text(WORKER.format(folder=str(folder), phase=phase, job=job))
    return f"{sys.executable} {program} {{job}}"


def sent(folder):
    """A package with its signature beside it."""
    file = folder / "rpmu.deb"
    file.write_bytes(b"package")
    (folder / "rpmu.deb.sig").write_bytes(BUNDLE[: -len(b"package")])
    return file


def test_a_package_goes_to_the_worker_behind_its_signature(folder, capsys):
    words = ["update", str(sent(folder)), "--folder", str(folder), "--start", start(folder)]
    assert main(words) == 0
    assert (folder / "seen").read_bytes() == BUNDLE
    assert capsys.readouterr().out == "1.1 is there\n"


@pytest.mark.parametrize(("phase", "code"), [("installed", 0), ("returned", 1), (REFUSED, 1), ("stuck", 1)])
def test_only_an_update_in_force_is_a_success(folder, phase, code, capsys):
    words = ["update", "rollback", "--json", "--folder", str(folder), "--start", start(folder, phase, "rollback")]
    assert main(words) == code
    assert json.loads(capsys.readouterr().out)["phase"] == phase


def test_status(folder, capsys):
    assert main(["update", "status", "--folder", str(folder)]) == 0
    assert "no update was ever installed" in capsys.readouterr().out
    (folder / "state.json").write_text(json.dumps({"previous": "0.9", "message": "all well", "signer": "me"}))
    assert main(["update", "status", "--folder", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "previous     0.9" in out
    assert "all well (signed by me)" in out
    (folder / "state.json").write_text("{")
    assert main(["update", "status", "--folder", str(folder)]) == HardwareError.exit_code


def test_a_worker_that_does_not_start_is_told(folder, capsys):
    command = f"""{sys.executable} -c 'import sys; sys.exit("not in the sudoers file")'"""
    assert main(["update", "rollback", "--folder", str(folder), "--start", command]) == 1
    assert "did not start: not in the sudoers file" in capsys.readouterr().err
    assert main(["update", "rollback", "--folder", str(folder), "--start", "/nonexistent/sudo"]) == 4


def test_what_is_no_update_is_not_sent(folder):
    with pytest.raises(InputError, match=r"cannot read .*rpmu.deb.sig: No such file.*make deb SIGN"):
        request.bundle_of(folder / "rpmu.deb")
    with pytest.raises(InputError, match="no signature"):
        request.checked(b"!<arch>\n", "it")
    with pytest.raises(InputError, match="at most"):
        request.checked(bytes(MAX_BUNDLE_BYTES + 1), "it")
    with pytest.raises(HardwareError, match="cannot write to"):
        request.hand_over(BUNDLE, folder / "nowhere")
    assert request.read_state(folder) == State()


def test_from_a_pc(folder, tmp_path):
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nfor word; do :; done\necho "$word" > {tmp_path}/line\ncat > {tmp_path}/content\n')
    ssh.chmod(0o755)
    assert run_on("pmu1", ["update", str(sent(folder))], str(ssh)) == 0
    assert (tmp_path / "line").read_text() == "update -\n"
    assert (tmp_path / "content").read_bytes() == BUNDLE
    for words in (["update", "status"], ["update", "rollback", "--json"]):
        assert run_on("pmu1", words, str(ssh)) == 0
        assert (tmp_path / "line").read_text() == " ".join(words) + "\n"
        assert (tmp_path / "content").read_bytes() == b""


@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_make_debs_signature_is_one_that_a_board_takes(tmp_path):
    build = Path(__file__).parents[2] / "debian/build_deb.py"
    ours = key(tmp_path, "publisher")
    words = [sys.executable, str(build), str(tmp_path), "--sign", str(ours)]
    printed = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300).stdout.splitlines()
    signature = Path(printed[1])
    assert signature.name == Path(printed[0]).name + ".sig"
    request.bundle_of(Path(printed[0]))
    signers = tmp_path / "signers"
    signers.write_text(f'me namespaces="rpmu-update" {ours.with_suffix(".pub").read_text()}')
    assert System().signer(Path(printed[0]), signature, signers) == "me"
    with pytest.raises(RefusedError):
        System().signer(package(tmp_path, "1.0"), signature, signers)
