"""Every input that the fuzzer ever found worth keeping, and every one that ever broke something, is tried again.

`make fuzz` adds to the corpus; a file named crash-... in it is an input that failed and must not fail any more.
"""

from pathlib import Path

import pytest

from tests.c37118 import fuzzing
from tests.c37118.cases import FRAME

CORPUS = Path(__file__).parent.parent / "data/c37118/corpus"


def test_replay():
    inputs = sorted(CORPUS.iterdir())
    assert len(inputs) >= 25
    for path in inputs:
        try:
            fuzzing.check(path.read_bytes())
        except Exception as error:
            raise AssertionError(f"corpus input {path.name}") from error


def test_the_corpus_reaches_every_parser():
    """Each kind of frame decodes somewhere in the corpus: the fuzzer does not work on rejects alone."""
    kinds = set()
    for path in CORPUS.iterdir():
        first, *rest = path.read_bytes()
        if first < fuzzing.SPLIT and fuzzing.check_frame(fuzzing.sealed(_kind(first), bytes(rest)), None):
            kinds.add(_kind(first) >> 4)
    assert kinds == {1, 2, 3, 4, 5}


def _kind(first):
    return fuzzing.KINDS[first % len(fuzzing.KINDS)]


def test_an_exception_of_another_kind_would_be_seen(monkeypatch):
    def broken(data, config):
        raise IndexError("broken")

    monkeypatch.setattr(fuzzing, "decode", broken)
    _, raw = FRAME["CFG-2 of one PMU"]
    with pytest.raises(IndexError):
        fuzzing.check(bytes((fuzzing.KINDS.index(0x32),)) + raw[14:-2])


def test_bulk_that_disagrees_would_be_seen(monkeypatch):
    config, data = FRAME["CFG-2 of a PDC, version 1"][1], FRAME["data of a PDC, integers and floats, version 1"][1]
    raw = bytes((fuzzing.SPLIT, len(data) - 16)) + data[14:-2] + config[14:-2]
    fuzzing.check(raw)
    monkeypatch.setattr("rpmu.c37118.bulk.FREQUENCY_UNITS_PER_HZ", 1001)
    with pytest.raises(AssertionError):
        fuzzing.check(raw)
