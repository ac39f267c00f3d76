"""The table of permitted lines: exactly those pass, whatever a line looks like."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rpmu.cli.main import build_parser
from rpmu.remote.permitted import ASSIGNMENT, VERBS, Board, Feed, RefusedError, permit

BOARD = Board(rpmu=("/usr/bin/rpmu",))

GOOD = [
    "config check -",
    "rpmu config check --json -",
    "config show",
    "config show --plain -",
    "config schema",
    "config diff -",
    "config set station.name='A B; rm -rf /' server.listen='[\"0.0.0.0:4712\"]'",
    "config set --confirm-within 30 channel.1.ain=2",
    "config apply -",
    "config apply - --confirm-within=60",
    "config apply - --confirm-within=60 --well-within 300",
    "config confirm",
    "config rollback",
    "config rollback 12",
    "config revisions",
    "update -",
    "update --json -",
    "update status",
    "update status --json",
    "update rollback",
    "status --json",
    "status --require-lock",
    "doctor --json",
    "logs",
    "logs --lines 50",
    "calibrate show --json",
    "calibrate history",
]
BAD = [
    "sh",
    "/bin/sh -c id",
    "config",
    "config recover",
    "config check",
    "config check /etc/shadow",
    "config check - -",
    "config show /etc/shadow",
    "config show ../../etc/shadow",
    "config diff - -",
    "config apply /tmp/x",
    "config apply - --store /tmp/x",
    "config apply - --reload 'rm -rf /'",
    "config apply - --rel=x",
    "config apply - --confirm-within -1",
    "config apply - --confirm-within 'inf'",
    "config apply - --confirm-within",
    "config apply -; reboot",
    "config apply - && reboot",
    "config apply - | sh",
    "config rollback -1",
    "config rollback ../1",
    "config set",
    "config set --reload=x",
    "config set /etc/shadow a=b",
    "config set a=b",
    "update",
    "update /tmp/x.deb",
    "update - -",
    "update - --start 'rm -rf /'",
    "update - --folder /tmp",
    "update status rollback",
    "update rollback 1",
    "update recover",
    "status --socket /tmp/x",
    "doctor --root /tmp",
    "doctor --config /etc/shadow",
    "logs --lines 1e9",
    "logs --unit=sshd",
    "logs -f",
    "run",
    "twin --for 1",
    "run status",
    "--version config",
    "status\nreboot",
    "status\0",
    "status $(reboot)",
    "status `reboot`",
    "status 'open quote",
    "config set a.b=" + "x" * 600,
    "status " * 2000,
    "config set station.name=\udcff",
    "rpmu rpmu status",
    "calibrate show /etc/shadow",
    "calibrate dmm",
    "scp -t /etc",
    "internal-sftp",
]


@pytest.mark.parametrize("line", GOOD)
def test_permitted(line):
    assert permit(line, BOARD).steps


@pytest.mark.parametrize("line", BAD)
def test_refused(line):
    with pytest.raises(RefusedError) as error:
        permit(line, BOARD)
    assert "\0" not in str(error.value)
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize("line", GOOD)
def test_what_comes_out_is_what_the_command_understands(line):
    """Options that rpmu does not have any more, or has renamed, show here."""
    for step in permit(line, BOARD).steps:
        if step.words[: len(BOARD.rpmu)] == BOARD.rpmu:
            words = step.words[len(BOARD.rpmu) :]
            build_parser(only=words[0]).parse_args(words)


def test_every_verb_is_tried_above():
    tried = {verb for verb in VERBS for line in GOOD if line.removeprefix("rpmu ").startswith(" ".join(verb))}
    assert set(VERBS) == tried


def test_only_changes_are_changes():
    changing = {line for line in GOOD if permit(line, BOARD).changes}
    assert changing == {line for line in GOOD if re.search("set|apply|confirm$|rollback|update.* -$", line)}


def test_the_administrator_cannot_choose_store_or_reload():
    for line in ("config apply -", "config rollback 3", "config set a.b=1"):
        words = permit(line, BOARD).steps[-1].words
        assert words[-4:] == ("--reload", BOARD.reload, "--socket", str(BOARD.socket))
        assert words[words.index("--store") + 1] == str(BOARD.store)


def test_an_assignment_stays_one_word():
    step = permit("config set station.name='A B; rm -rf /'", BOARD).steps[-2]
    assert step.words == (*BOARD.rpmu, "config", "set", "-", "station.name=A B; rm -rf /")
    assert step.feed is Feed.IN_FORCE


PIECES = st.sampled_from(
    [*{word for line in GOOD + BAD if len(line) < 300 for word in line.split(" ")}, ";", "|", "&", ">", "-", "--", "'"]
)
LINES = st.one_of(
    st.text(max_size=80),
    st.lists(PIECES, max_size=8).map(" ".join),
    st.tuples(st.sampled_from(GOOD), st.text(max_size=20)).map("".join),
    st.tuples(st.sampled_from(GOOD), PIECES).map(" ".join),
    st.tuples(st.sampled_from([" ".join(verb) for verb in VERBS]), st.lists(st.text(max_size=12), max_size=4)).map(
        lambda pair: f"{pair[0]} {shlex.join(word for word in pair[1] if chr(0) not in word)}"
    ),
)
OURS = {str(path) for path in (*BOARD.files, BOARD.store, BOARD.socket, BOARD.updates)}
OURS |= {BOARD.reload, BOARD.update, "/usr/bin/journalctl"}


@settings(max_examples=1500, deadline=None)
@given(LINES)
@example("config apply - --confirm-within=--store")
@example("config set a.b=--reload")
def test_whatever_passes_has_only_words_of_the_table(line):
    try:
        request = permit(line, BOARD)
    except RefusedError:
        return
    for step in request.steps:
        assert step.words[0] in (BOARD.rpmu[0], "/usr/bin/journalctl")
        for word in step.words[1:]:
            known = word in OURS or word in {part for verb in VERBS for part in verb}
            plain = re.fullmatch(r"-|-n|--[a-z=.-]+|[0-9.]+", word)
            assert known or plain or ASSIGNMENT.fullmatch(word), (line, word)
            if "/" in word and not ASSIGNMENT.fullmatch(word):
                assert word in OURS
