"""Numbered scenarios on the whole twin, judged by the twin's truth (judge.py); scenarios.py holds them.

`make simulation` runs the long ones as well and writes the table of docs/time-scenarios.md. tests/timing has some
sixty more, on a simulator of the clock alone.
"""

from __future__ import annotations

import pytest

from tests.simulation.judge import judge
from tests.simulation.observe import observe
from tests.simulation.scenarios import SCENARIOS


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if not scenario.long])
def test_scenario(name):
    scenario = SCENARIOS[name]
    verdict = judge(scenario, observe(scenario))
    assert not verdict.wrong, "\n".join(verdict.wrong)
