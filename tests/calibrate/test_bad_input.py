"""What can go wrong at the bench: each time one clear sentence, exit code 3 or 1, and nothing changed on disk.

The command runs whole; only the network is left out: it is fed the frames that a PMU in that state would send.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from rpmu.c37118 import HeaderFrame, decode
from rpmu.calibrate.certificate import history_files
from rpmu.cli import calibrate
from rpmu.cli.main import main
from rpmu.measurement import Measurement
from rpmu.serve import contents
from rpmu.timing import TimeMap
from rpmu.timing.known import KnownTime
from rpmu.timing.status import STATUS_BIT_NAMES
from tests.e2e.rig import START_NS, configuration

CLIPPED = 1 << STATUS_BIT_NAMES.index("INPUT CLIPPED")
RATE = 60


class NoNetwork:
    """In place of a PDC client."""

    async def configuration(self):
        """The device is asked for it once."""

    async def header(self):
        """The device is asked for it now and then."""
        return HeaderFrame(1, "a PMU")


@dataclass
class Pmu:
    """A PMU's frames: its phasors are the truth times `ratio` per channel."""

    ratio: tuple[complex, ...] = (1.02,)
    nominal_hz: int = 60
    status: int = 0
    in_sync: bool = True
    frequency_hz: float = 60.0

    def frames(self, n, truth):
        phases = len(self.ratio)
        stream = contents.stream_configuration(configuration(phases=phases, nominal_frequency_hz=self.nominal_hz))
        time = KnownTime(TimeMap(0, START_NS, 1.0, 10.0))
        rng = np.random.default_rng(1)
        for i in range(n):
            at_ns = START_NS + round(i * 1e9 / RATE)
            noise = 1 + 1e-5 * rng.standard_normal(phases)
            phasors = [*(np.array(truth) * self.ratio * noise).tolist(), *([120 + 0j] if phases == 3 else [])]
            when = time.report_time(at_ns)
            if not self.in_sync:
                when = replace(when, codes=replace(when.codes, in_sync=False))
            measurement = Measurement(at_ns, tuple(phasors), self.frequency_hz, 0.0, True, when, self.status)
            yield decode(contents.Encoder(stream).encode(measurement), stream)


def snapshot(folder: Path):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """`run(tool, device, reference, *words)`: the command against these PMUs; its code and what it complained of."""
    monkeypatch.chdir(tmp_path)

    def run(tool, device, reference=None, *words, truth=(120.0,), n=600):
        async def pairs(_, __):
            others = reference.frames(n, truth) if reference is not None else [None] * n
            for pair in zip(device.frames(n, truth), others, strict=True):
                yield pair

        @contextlib.asynccontextmanager
        async def client(*_):
            yield NoNetwork()

        monkeypatch.setattr(calibrate, "pairs", pairs)
        monkeypatch.setattr(calibrate, "_client", client)
        extra = ["--reference", "192.0.2.1:1"] if reference is not None else []
        options = ["--serial", "S", "--history", "history", "--seconds", "0.5", "--reference-percent", "0.1"]
        code = main(["calibrate", tool, "192.0.2.2:1", "--json", *options, "--timeout", "3", *extra, *map(str, words)])
        return code, capsys.readouterr().err.strip()

    assert run("generator", Pmu(), None, "--points", "60:120", "--check-points", "")[0] == 0, "there is a history"
    return run


@pytest.fixture
def unchanged(tmp_path, bench):
    before = snapshot(tmp_path)
    assert len(history_files(tmp_path / "history")) == 1
    yield
    assert snapshot(tmp_path) == before


THREE = tuple(120 * np.exp(-2j * np.pi * k / 3) for k in range(3))
SWAPPED = (1.02, 1.02 * THREE[2] / THREE[1], 1.02 * THREE[1] / THREE[2])
SAME = Pmu((1.0,))
SAME_THREE = Pmu((1.0, 1.0, 1.0))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("device", "reference", "words", "truth", "sentence"),
    [
        (Pmu(SWAPPED), SAME_THREE, (), THREE, "VB at 60.00 Hz is .120.0° from its reference.*channels are swapped"),
        (Pmu((-1.02,)), SAME, (), (120,), "VA at 60.00 Hz is upside down.*turn the plug.*--inverting"),
        (Pmu(status=CLIPPED), SAME, (), (120,), "the input has been clipping.*lower it"),
        (Pmu(nominal_hz=50), SAME, (), (120,), "runs at nominal 50 Hz, but profile reference-a-120v is made for 60 Hz"),
        (Pmu(), SAME, ("--profile", "reference-a-230v"), (120,), "nominal 60 Hz, but profile reference-a-230v is made"),
        (Pmu(), Pmu((1.0,), in_sync=False), (), (120,), "no stable reading.*the reference is not in sync"),
        (Pmu(), Pmu((np.exp(1j),)), (), (120,), "is -57.3° from its reference.*not in sync with UTC"),
        (Pmu((2.1,)), SAME, (), (120,), "reads 2.1 times what profile.*check the level, the wiring"),
        (Pmu((np.nan,)), SAME, (), (120,), "no stable reading.*without numbers"),
        (Pmu((1.0,) * 3), SAME, (), THREE, "the reference has 1 phasors, but the device 3 channels"),
    ],
    ids=(
        "swapped channels",
        "wrong polarity",
        "clipped level",
        "wrong nominal of the PMU",
        "wrong nominal of the profile",
        "reference out of sync and says so",
        "reference out of sync",
        "wrong gain",
        "no numbers",
        "too few channels",
    ),
)
def test_at_the_bench(bench, device, reference, words, truth, sentence):
    if len(truth) == 3 and reference is SAME:
        reference = Pmu((1.0,))
        reference.frames = lambda n, _: SAME.frames(n, (120,))
    code, complaint = bench("reference", device, reference, *words, truth=truth)
    assert code in (1, 3)
    assert complaint.count("\n") == 0, "one sentence"
    assert re.search(sentence, complaint), complaint


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--fit", "gain,delay,f0,q"), "highest point is 65 Hz.*add points such as"),
        (
            ("--points", "60:120", "--fit", "gain,delay,q"),
            "need points at 3 or more frequencies, but there are 1; add 2",
        ),
        (("--points", ""), "every point is a check point; add some with --points"),
        (("--points", "60"), "a point is '60', but must be two numbers such as 60:120"),
        (("--points", "60:-3"), "both numbers must be positive"),
        (("--fit", "gain,corner"), "cannot fit .'corner'.; allowed are gain, delay, f0, q"),
        (("--started", "noon"), "--started is 'noon', but must be a UTC time"),
        (("--serial", "other"), "is the history of 'S', not of 'other'"),
    ],
)
def test_a_plan_is_refused_before_anybody_measures(bench, words, sentence):
    code, complaint = bench("generator", Pmu(), None, *words)
    assert code == 3
    assert re.search(sentence, complaint), complaint
    assert complaint.count("\n") == 0


def test_a_certificate_edited_by_hand_stops_the_next_calibration(bench, tmp_path):
    file = history_files(tmp_path / "history")[0]
    file.write_text(file.read_text().replace("polarity = 1", "polarity = -1"))
    before = snapshot(tmp_path)
    code, complaint = bench("generator", Pmu(), None, "--points", "60:120")
    assert code == 3
    assert "changed by hand or damaged" in complaint
    assert snapshot(tmp_path) == before


def test_a_session_edited_by_hand_is_not_continued(bench, tmp_path):
    code, _ = bench("generator", Pmu(), None, "--points", "60:120,65:120", "--check-points", "", n=100)
    assert code == 1, "the second point never came"
    session = tmp_path / "calibration-generator.json"
    session.write_text(session.read_text().replace('"voltage_v": 120.0', '"voltage_v": 121.0'))
    before = snapshot(tmp_path)
    code, complaint = bench("generator", Pmu(), None, "--points", "60:120,65:120", "--check-points", "")
    assert code == 3
    assert "calibration-generator.json: the readings do not match their sha256" in complaint
    assert snapshot(tmp_path) == before


def test_an_interrupted_calibration_goes_on_where_it_was(bench, tmp_path):
    words = ("--points", "60:120,60:96", "--check-points", "")
    assert bench("generator", Pmu(), None, *words, n=100)[0] == 1
    session = (tmp_path / "calibration-generator.json").read_text()
    assert bench("generator", Pmu(), None, *words, truth=(96.0,))[0] == 0
    assert not (tmp_path / "calibration-generator.json").exists()
    first = json.loads(session)["entries"]
    kept = [json.loads(p.read_text())["entries"] for p in (tmp_path / "history").glob("readings-*.json")]
    assert any(entries[:1] == first and len(entries) == 2 for entries in kept), "it was not measured again"


def test_an_inverting_channel_is_accepted_when_told(bench, tmp_path):
    assert bench("reference", Pmu((-1.02,)), SAME, "--inverting")[0] == 0
    assert len(history_files(tmp_path / "history")) == 2


def test_a_level_that_was_not_changed_is_waited_for(bench, tmp_path):
    """96 V asked for while 120 V is still there: a third off at the first point, four percent later."""
    code, complaint = bench("generator", Pmu(), None, "--points", "60:120,60:96", "--check-points", "")
    assert code == 1
    assert "it reads 122 V" in complaint
    assert len(history_files(tmp_path / "history")) == 1
