"""The forced command with the real rpmu behind it, on a board of its own in a folder."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rpmu.remote.permitted import MAX_CONFIGURATION_BYTES, Board, Request, Step
from rpmu.remote.shell import caller, carry_out, serve

STATION = b'[station]\nname = "ONE"\n'
KEY = base64.b64encode(b"a public key").decode()


@pytest.fixture
def board(tmp_path):
    (tmp_path / "rpmu.toml").write_bytes(STATION)
    store = tmp_path / "store"
    return Board(
        rpmu=(sys.executable, "-m", "rpmu"),
        files=(store / "current", tmp_path / "rpmu.toml"),
        store=store,
        socket=tmp_path / "status.sock",
        reload=f"{sys.executable} -c ''",
    )


@pytest.fixture
def ask(board, capfdbinary, caplog, tmp_path):
    auth = tmp_path / "auth"
    auth.write_text(f"publickey ssh-ed25519 {KEY}\n")
    caplog.set_level(logging.INFO, "rpmu.audit")

    def _ask(line, content=b""):
        environment = {
            "SSH_ORIGINAL_COMMAND": line,
            "SSH_CONNECTION": "192.0.2.7 5022 192.0.2.1 22",
            "SSH_USER_AUTH": str(auth),
        }
        caplog.clear()
        code = serve(environment, io.BytesIO(content), board)
        out, error = capfdbinary.readouterr()
        return code, out.decode(), error.decode(), [record.getMessage() for record in caplog.records]

    return _ask


def test_show_is_the_configuration_in_force(ask):
    code, out, _, audit = ask("config show --plain")
    assert code == 0
    assert 'name = "ONE"' in out
    assert audit == [], "looking is no change"


def test_check_reads_what_is_sent(ask):
    assert ask("config check -", STATION)[0] == 0
    code, _, error, _ = ask("config check -", b"[station]\nidcod = 3\n")
    assert code == 3
    assert "idcode" in error


def test_diff_is_against_the_one_in_force(ask):
    code, out, _, _ = ask("config diff -", b'[station]\nname = "TWO"\n')
    assert code == 1
    assert "ONE" in out
    assert "TWO" in out


def test_apply_set_confirm_and_rollback(ask):
    code, out, _, audit = ask("config apply - --confirm-within 0", b'[station]\nname = "TWO"\n')
    assert (code, out.splitlines()[-1]) == (0, "in force")
    digest = hashlib.sha256(b'[station]\nname = "TWO"\n').hexdigest()[:16]
    who = f"ssh-ed25519 SHA256:{base64.b64encode(hashlib.sha256(b'a public key').digest()).decode().rstrip('=')}"
    assert audit[0] == f"change by {who} from 192.0.2.7: 'config apply - --confirm-within 0', input sha256 {digest}"
    assert " ended with 0: " in audit[1]
    assert ask("config set --confirm-within 0 station.name='THREE; reboot'")[0] == 0
    assert 'name = "THREE; reboot"' not in ask("config show -", b"")[1], "an empty file is the default"
    assert "THREE; reboot" in ask("config show")[1]
    assert ask("config revisions")[1].splitlines()[-1] == "3 (in force)"
    assert ask("config rollback")[0] == 0
    assert "TWO" in ask("config show")[1]
    assert ask("config confirm")[0] == 3, "nothing awaits it"


def test_the_very_first_change_is_undone_too_unless_confirmed(ask):
    code, out, _, _ = ask("config apply - --confirm-within 1", b'[station]\nname = "TWO"\n')
    assert code == 1
    assert "it was not confirmed" in out
    assert 'name = "ONE"' in ask("config show")[1]


def test_a_wrong_assignment_applies_nothing(ask, board):
    code, _, error, _ = ask("config set station.idcode=70000")
    assert code == 3
    assert "idcode" in error
    assert ask("config revisions")[1].splitlines() == ["1 (in force)"], "what was in force before"
    assert 'name = "ONE"' in ask("config show")[1]


def test_the_daemon_is_asked_of_where_it_listens(ask, board):
    code, _, error, _ = ask("status")
    assert code == 4
    assert str(board.socket) in error
    assert json.loads(ask("doctor --json")[1])["findings"]


def test_refusals_are_told_and_logged_without_control_characters(ask):
    code, out, error, audit = ask("sh -c 'id'\x1b[2J\n")
    assert (code, out) == (2, "")
    assert "printable" in error
    assert len(audit) == 1
    assert audit[0].startswith("refused ssh-ed25519 SHA256:")
    assert re.fullmatch(r"[ -~]*", audit[0])


def test_too_much_input_is_refused_before_anything_runs(ask, board):
    code, _, error, audit = ask("config apply - --confirm-within 0", b"#" * (MAX_CONFIGURATION_BYTES + 1))
    assert code == 3
    assert str(MAX_CONFIGURATION_BYTES) in error
    assert audit[0].startswith("refused")
    assert not board.store.exists()


def test_a_login_is_told_what_there_is(ask):
    code, _, error, _ = ask("")
    assert code == 2
    assert "config apply" in error


@pytest.mark.parametrize("content", ["", "publickey", "publickey ssh-ed25519 no*base64\n", "é"])
def test_a_key_that_cannot_be_read_is_said_to_be_unknown(tmp_path, content):
    auth = tmp_path / "auth"
    auth.write_text(content)
    assert caller({"SSH_USER_AUTH": str(auth)}) == "an unknown key from an unknown address"


def test_programs_get_none_of_the_administrators_environment(board, monkeypatch, capfdbinary):
    monkeypatch.setenv("PYTHONSTARTUP", "/evil")
    monkeypatch.setenv("LD_PRELOAD", "")
    step = Step((sys.executable, "-c", "import os; print(sorted(os.environ))"))
    assert carry_out(Request((step,), changes=False), b"", board) == 0
    printed = capfdbinary.readouterr().out.decode()
    assert "PYTHONSTARTUP" not in printed
    assert "LD_PRELOAD" not in printed


def test_a_program_lives_on_when_the_connection_goes(tmp_path):
    """A change cuts the connection it was made over; what undoes it must still run."""
    done = tmp_path / "done"
    program = (
        f"import time\nfor i in range(20):\n    print(i, flush=True)\n    time.sleep(0.05)\n"
        f"open({str(done)!r}, 'w').close()\n"
    )
    outer = (
        "from rpmu.remote.permitted import *\nfrom rpmu.remote.shell import carry_out\nimport sys\n"
        f"step = Step((sys.executable, '-c', {program!r}))\n"
        "sys.exit(carry_out(Request((step,), True), b'', Board()))\n"
    )
    with subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, env={**os.environ}) as shell:
        assert shell.stdout.readline() == b"0\n"
        shell.stdout.close()
        deadline = time.monotonic() + 60
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        shell.wait(60)
    assert done.exists()


def test_the_program_starts_as_sshd_starts_it():
    root = Path(__file__).parents[2]
    words = [sys.executable, "-m", "rpmu.remote.shell"]
    environment = {"SSH_ORIGINAL_COMMAND": "config schema; id", "PATH": os.environ["PATH"]}
    done = subprocess.run(words, env=environment, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert b"uid=" not in done.stdout
