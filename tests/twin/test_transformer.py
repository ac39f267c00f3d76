"""The transformer's core: its lead by level against its formula, and nothing at nominal voltage and frequency."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.twin.transformer import Core, Magnetising

STEP_S = 5e-6
CORE = Magnetising()


def response(hz, volts):
    """Fundamental behind the core over that before it, and the share of its third harmonic."""
    n, settle = round(0.5 / STEP_S), round(0.5 / STEP_S)
    t = np.arange(-settle, n) * STEP_S
    y = Core(CORE).run(np.sqrt(2) * volts * np.cos(2 * np.pi * hz * t), STEP_S)[settle:]
    first, third = (2 * np.mean(y * np.exp(-2j * np.pi * order * hz * t[settle:])) for order in (1, 3))
    return first / (np.sqrt(2) * volts), abs(third / first)


@pytest.mark.parametrize(("hz", "volts"), [(60, 120), (60, 12), (60, 144), (60, 96), (56, 108), (64, 132)])
def test_the_waveform_has_the_formulas_lead(hz, volts):
    found, _ = response(hz, volts)
    assert abs(found - CORE.response(hz, volts)) < 2e-5


def test_the_lead_moves_as_assumed():
    """Magnetising inductance some 20 % less at 120 % of the voltage, more at 80 %: 0.7 degrees of lead."""
    at = {share: np.degrees(np.angle(CORE.response(60, share * 120))) for share in (0.8, 1.0, 1.2)}
    assert at[1.0] == pytest.approx(0.0, abs=0.01)
    assert at[1.2] == pytest.approx(0.72, abs=0.03)
    assert at[0.8] == pytest.approx(-0.61, abs=0.03)
    assert abs(CORE.response(60, 120) - 1) < 2e-4


def test_it_makes_a_third_harmonic():
    assert response(60, 120)[1] == pytest.approx(CORE.depth / 3, rel=0.02)
    assert response(60, 12)[1] < 2e-4
