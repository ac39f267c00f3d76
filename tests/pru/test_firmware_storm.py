"""Faults of every kind at random moments, for every number of channels: what the ring says stays true."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rpmu.acquire import layout
from rpmu.twin.pruss import AdcEvent, BusTiming
from tests.pru.firmware_rig import Rig, Setup

LONGEST_STALL = 60_000  # ticks; beyond 65 535 a restart in the middle of one is a fault, as it should be


def amount(event: AdcEvent, words: int, rng: np.random.Generator) -> int:
    """How long or how many, as suits the event."""
    if event is AdcEvent.STALL:
        return int(rng.integers(1000, LONGEST_STALL))
    return int(rng.integers(1, 3 * words)) if event in (AdcEvent.DROP_WORDS, AdcEvent.DUPLICATE_WORDS) else 1


@pytest.mark.parametrize("seed", range(12))
def test_numbers_and_losses_survive_a_storm(seed):
    rng = np.random.default_rng(seed)
    channels, decimation = 1 + seed % layout.MAX_CHANNELS, int(rng.integers(1, layout.MAX_DECIMATION + 1))
    shift = max(0, math.ceil(math.log2((4095 * decimation**3 + 1) / 65535)))
    pin = 14 if seed % 2 else layout.PPS_PIN_NONE
    setup = Setup(channels, decimation=decimation, shift=shift, pin=pin, measure_scans=3000)
    rig = Rig(setup, bus=BusTiming(external_jitter=19), seed=seed).start()
    rig.pulses(list(np.arange(0.01, 1.0, 0.03)), width_s=0.01)
    for _ in range(25):
        rig.read_for(float(rng.exponential(0.03)), 0.003)
        event = AdcEvent(int(rng.integers(0, len(AdcEvent))))
        rig.inject(event, amount(event, channels + 1, rng))
    rig.read_for(0.2, 0.003)

    assert rig.status("STATE") == layout.STATE_RUNNING
    assert [block.seq for block in rig.blocks] == list(range(len(rig.blocks)))
    # Every epoch's grid lies within half a scan of the one that START began, so two lie within one scan; a pause of the
    # sequencer by less than a quarter of a scan goes unnoticed and moves the grid by that much.
    drift = [rig.drift_scans(rig.blocks[0], block) for block in rig.blocks]
    assert max(drift) - min(drift) < 1.5
    # Every scan is in a block, substituted in one, or lost; a substituted one may be shown by two blocks.
    missing = sum(rig.gaps()) + rig.blocks[0].first_scan - 3 * decimation
    substituted = rig.status("LOST_SCANS") - missing
    assert min(rig.gaps()) >= 0
    assert 0 <= substituted <= sum(block.bad_scans for block in rig.blocks)
    assert rig.status("RESTARTS") == rig.status("EPOCH") - 1
    for event in rig.events:
        if event.source == layout.EVENT_SOURCE_ADC:
            assert np.all(event.samples[:16] < 1000)
            assert event.samples[16] >= 1000
