"""The emulator's library that does not fit this checkout is named in one sentence, with what to do."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from rpmu.cli.main import main
from rpmu.errors import HardwareError
from rpmu.twin import emulator_library


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_library_of_an_older_checkout(tmp_path, monkeypatch, capsys):
    names = [name for name in emulator_library._SIGNATURES if name != "skip_waiting"]
    source = tmp_path / "old.c"
    source.write_text("".join(f"void emulator_{name}(void) {{}}\n" for name in names))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "old.so", source], check=True)
    monkeypatch.setattr(emulator_library, "LIBRARY", tmp_path / "old.so")
    with pytest.raises(HardwareError, match=r"another version of rpmu \(it has no emulator_skip_waiting\): delete it"):
        emulator_library.load_library()
    assert main(["twin", "--for", "1"]) == 4
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_library_that_is_none(tmp_path, monkeypatch):
    (tmp_path / "cut.so").write_bytes(b"\x7fELF and then nothing")
    monkeypatch.setattr(emulator_library, "LIBRARY", tmp_path / "cut.so")
    with pytest.raises(HardwareError, match=r"cannot be loaded .* run 'make emulator'"):
        emulator_library.load_library()
