"""Speed of the whole twin: simulated seconds per second, with everything that `make run` does.

Mains, front end, firmware in the emulator, daemon and one streaming PDC client, in one process. The aim is twice real
time on two cores, so that a busy machine still keeps up.
"""

from __future__ import annotations

import time

from tests.e2e.rig import configuration, run_chain

SECONDS = 20.0


def main() -> None:
    """Print the ratio for one phase and for three."""
    for phases in (1, 3):
        begun = time.monotonic()
        outcome = run_chain(SECONDS, configuration(phases=phases), source="grid")
        ratio = SECONDS / (time.monotonic() - begun)
        print(
            f"{phases} phase{'s' if phases > 1 else ' '}: {ratio:4.1f} x real time, {len(outcome.frames)} frames, "
            f"{outcome.status.drops} drops (aim: at least 2 x)"
        )
