"""How the suite is spread over processors (`pytest -n auto --dist loadgroup`).

A file's tests stay together, because its fixtures are made once for them; the numbered scenarios share nothing, take
long, and go wherever there is room.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

APART = Path(__file__).parent / "simulation"


# A loaded machine makes every generator slow, which is no fault of the test.
settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every file's tests one group, but not the scenarios."""
    for item in items:
        if APART not in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
