import subprocess
import sys

import numpy as np
import pytest

from rpmu.acquire.settings import SamplerSettings
from rpmu.errors import InputError
from rpmu.estimate import bank_table
from rpmu.estimate.bank_table import STREAM_RATES_HZ, load_table, shipped_table, table_path
from rpmu.estimate.classes import STANDARD_RATES

CASES = [(nominal, cls, rate) for nominal, rates in STANDARD_RATES.items() for rate in rates for cls in ("P", "M")]


@pytest.mark.parametrize("stream_rate_hz", STREAM_RATES_HZ)
@pytest.mark.parametrize(("nominal_hz", "performance_class", "rate"), CASES)
def test_every_combination_has_a_table_that_meets_its_mask(nominal_hz, performance_class, rate, stream_rate_hz):
    table = load_table(table_path(nominal_hz, performance_class, rate, stream_rate_hz))
    assert rate in table.rates
    assert (table.nominal_hz, table.performance_class) == (nominal_hz, performance_class)
    assert table.sample_rate_hz == stream_rate_hz
    assert max(table.report["tolerance_used"]) < 1


@pytest.mark.parametrize("channels", range(1, 7))
def test_the_stream_of_any_number_of_channels_needs_no_design_on_the_device(channels):
    stream = SamplerSettings.for_inputs(tuple(range(channels)), 6)
    assert shipped_table(60, "M", 60, float(stream.sample_rate_hz)) is not None
    assert shipped_table(60, "M", 60, float(stream.sample_rate_hz) * 1.01) is None


@pytest.mark.parametrize("name", ["60hz-p60", "60hz-p120", "60hz-m60", "50hz-m10", "60hz-m120"])
def test_the_designer_reproduces_the_shipped_table(name):
    design = pytest.importorskip("rpmu.estimate.design", reason="needs scipy")
    for plan in design.plans():
        path = table_path(plan.nominal_hz, plan.performance_class, plan.rate)
        if path.name.startswith(name + "-"):
            shipped, fresh = load_table(path), design.design_bank(plan)
            np.testing.assert_allclose(fresh.decimator, shipped.decimator, atol=1e-12)
            scale = np.abs(shipped.taps).max(axis=1, keepdims=True)
            np.testing.assert_allclose(fresh.taps / scale, shipped.taps / scale, atol=1e-5)
            break
    else:
        pytest.fail(f"no plan is called {name}")


def test_a_table_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(bank_table, "VERSION", 99)
    with pytest.raises(InputError, match="version 2, but this program reads 99"):
        load_table(table_path(60, "M", 60))


def test_the_device_path_imports_neither_scipy_nor_the_designer():
    code = (
        "import sys; from rpmu.estimate import Estimator, EstimatorSettings;"
        "Estimator(EstimatorSettings());"
        "Estimator(EstimatorSettings(phases=3, n_channels=3, sample_rate_hz=6000));"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('scipy', 'matplotlib') or m == 'rpmu.estimate.design'];"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["60hz-p120", "60hz-m60", "50hz-m100"])
def test_a_table_comes_back_from_its_file_as_it_was_saved(name, tmp_path):
    table = load_table(bank_table.TABLES / f"{name}-12000.npz")
    table.save(tmp_path / "table.npz")
    again = load_table(tmp_path / "table.npz")
    np.testing.assert_array_equal(again.taps, table.taps)
    assert again.reaches == table.reaches
    assert table.taps.shape[1] == table.before + table.after + 1
    assert table.before > table.after, "what looks further back than ahead is what could go wrong"
