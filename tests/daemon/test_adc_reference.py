"""The converter's reference channel: what VDD_ADC does is divided out, and a loose wire is not believed."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from rpmu import rooms
from rpmu.adc_reference import AdcReference
from rpmu.calibrate.certificate import add_to_history
from rpmu.calibrate.record import Adc
from rpmu.config import parse
from rpmu.doctor.running import reference
from rpmu.errors import InputError
from rpmu.status import as_lines, as_object, plain
from rpmu.timing.status import STATUS_BIT_NAMES
from rpmu.twin.pruss import AdcErrors
from rpmu.twin.world import VddSettings
from tests.calibrate.test_in_the_daemon import NOMINAL, certificate_of
from tests.e2e.rig import configuration, run_chain

DIVIDED = 1 << STATUS_BIT_NAMES.index("VREF DIVIDED OUT")
ADC = AdcErrors(noise_lsb_rms=0.5, gain=1.012)
VDD = VddSettings(swing_percent=1.0, period_s=600.0)


def with_reference(config):
    return replace(config, sampling=replace(config.sampling, reference_ain=2))


def magnitude_error_percent(outcome):
    truth = outcome.twin.truth(outcome.time_ns).phasors[:, 0]
    return 100 * (np.abs(outcome.phasors[:, 0]) / np.abs(truth) - 1)


@pytest.mark.slow
def test_an_offset_and_a_drift_of_the_supply_are_divided_out():
    """1.2 % from the start, and a fifth of a percent more within 25 s."""
    without = run_chain(25, adc=ADC, vdd=VDD)
    drift = magnitude_error_percent(without)
    assert drift[0] == pytest.approx(1.13, abs=0.06)
    assert drift[-1] - drift[0] < -0.15
    assert without.status.reference is None
    assert not without.good[-1].pmus[0].digitals[0] & DIVIDED

    outcome = run_chain(25, with_reference(configuration()), adc=ADC, vdd=VDD)
    left = magnitude_error_percent(outcome)
    assert np.abs(left).max() < 0.04
    assert outcome.good[-1].pmus[0].digitals[0] & DIVIDED
    assert outcome.status.reference.trusted
    assert outcome.status.reference.off_percent == pytest.approx(-1.19 + 0.25, abs=0.05)
    assert len(outcome.status.input.lowest_counts) == 1, "the reference is no input of the mains"
    lines = "\n".join(as_lines(as_object(outcome.status)))
    assert "reference   VDD_ADC is 1.7" in lines
    assert "divided out" in lines


def fed(counts, seconds=3):
    found = AdcReference(1.25, 1.8, 1.0, 1000.0)
    for _ in range(10 * seconds):
        found.feed(np.full(100, counts, dtype=np.uint16))
    return found


def test_the_full_scale_by_a_known_voltage():
    found = fed(2844)
    assert found.status.full_scale_v == pytest.approx(1.25 * 4096 / 2844)
    assert found.factor == pytest.approx(1.25 * 4096 / 2844 / 1.8)
    before = AdcReference(1.25, 1.8, 1.0, 1000.0)
    assert (before.factor, before.status.trusted) == (1.0, False)


def test_another_run_goes_on_with_it():
    found = AdcReference(1.25, 1.75, 2.0, 500.0)
    found.follow(fed(2844))
    assert found.status.full_scale_v == pytest.approx(1.25 * 4096 / 2844)
    assert found.factor == pytest.approx(1.25 * 4096 / 2844 / 1.75)
    doubted = AdcReference(1.25, 1.75, 2.0, 500.0)
    doubted.follow(fed(2000))
    assert doubted.factor == 1.0
    assert not doubted.status.trusted


@pytest.mark.parametrize("counts", [0, 3, 2000, 4095])
def test_a_loose_wire_is_not_believed(counts):
    found = fed(counts)
    assert found.factor == 1.0
    assert not found.status.trusted
    status = as_object_of(found)
    assert "not believed" in reference(status).evidence
    assert reference(status).next_step


def as_object_of(found):
    return {"reference": plain(asdict(found.status))}


def test_doctor_without_and_with_it():
    assert "stays in the magnitudes" in reference({"reference": None}).evidence
    assert "divided out" in reference(as_object_of(fed(2844))).evidence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[sampling]\nreference_ain = 1", "a channel or the PPS is there already"),
        ("[sampling]\nreference_ain = 0", "a channel or the PPS is there already"),
        ("[sampling]\nreference_ain = 7", "6"),
        ("[sampling]\nreference_v = 3.3", "1.75"),
    ],
)
def test_a_wrong_configuration_is_refused(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(text.encode())


def test_the_reference_is_the_last_step():
    config = parse(b"[station]\nphases = 3\n[sampling]\nreference_ain = 2")
    assert config.sampler_settings().ain == (0, 3, 4, 2)
    assert rooms.calibration(config).reference_v == 1.25
    assert rooms.calibration(configuration()).reference_v is None


def test_a_certificate_holds_only_as_it_was_made(tmp_path):
    made_with = replace(certificate_of(NOMINAL), adc=Adc(1.8, True))
    for name, certificate, config in (
        ("with", made_with, configuration()),
        ("without", certificate_of(NOMINAL), with_reference(configuration())),
    ):
        path, _ = add_to_history(tmp_path / name, certificate)
        chosen = replace(config, calibration=replace(config.calibration, certificate=str(path)))
        with pytest.raises(InputError, match=r"reference channel (not )?in use, but the configuration says otherwise"):
            rooms.calibration(chosen)
        other = configuration() if config.sampling.reference_ain is not None else with_reference(configuration())
        assert rooms.calibration(replace(other, calibration=chosen.calibration)).valid
