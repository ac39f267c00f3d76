"""The status word and its analog values as a PDC gets them: each bit, by the name that the configuration gives it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.faults import parse_faults
from tests.e2e.rig import NS_PER_S, START_NS, configuration, run_chain

FAULTS = "clipping@9+0.3=2,adc_overrun@11.3,pps_missing@14+4,gps_loss@20+3,adc_stall@28.3=5"
# Seconds since the start: when a bit must be set throughout, and when it must not be.
WANTED = {
    "GPS FIX": (((6, 20), (24, 28)), ((20.3, 22.9),)),
    "PPS PRESENT": (((6, 14.4), (18.5, 20.3), (24.5, 28)), ((14.8, 17.5), (21, 23.5))),
    "TIME LOCKED": (((6, 15.5), (27.5, 28)), ((16.5, 26),)),
    "CALIBRATED": ((), ((6, 28),)),
    "INPUT CLIPPED": (((9.2, 9.3),), ((6, 8.9), (9.8, 28))),
    "RING GAP": (((11.3, 11.35),), ((6, 11.1), (11.8, 28))),
    "PRU FAULT": (((34, 39),), ((6, 28),)),
}


@pytest.fixture(scope="module")
def seen():
    """Seconds since the start [n], digital words [n], analog values [n, 3], the PMU's configuration, the status."""
    config = configuration()
    config = replace(config, server=replace(config.server, status_word=True, status_analogs=True))
    crystal = CrystalSettings(ppm=58.8)
    outcome = run_chain(40.0, config, crystal=crystal, faults=tuple(parse_faults(FAULTS)))
    rate, base = outcome.frames[0].config.data_rate, outcome.frames[0].config.time_base
    grid = [frame.stamp.grid_index(rate, base) for frame in outcome.frames]
    seconds = np.array([second - START_NS // NS_PER_S + index / rate for second, index in grid])
    words = np.array([frame.pmus[0].digitals[0] for frame in outcome.frames])
    analogs = np.array([frame.pmus[0].analogs for frame in outcome.frames])
    return seconds, words, analogs, outcome.frames[0].config.pmus[0], outcome.status


@pytest.mark.parametrize("name", WANTED)
def test_bit_follows_what_happens(seen, name):
    seconds, words, _, pmu, _ = seen
    bit = (words >> pmu.digitals[0].names.index(name)) & 1
    for wanted, spans in zip((1, 0), WANTED[name], strict=True):
        for begin, end in spans:
            inside = bit[(seconds >= begin) & (seconds < end)]
            assert inside.size, f"no frame from {begin} to {end} s"
            assert (inside == wanted).all(), f"{name} from {begin} to {end} s"


def test_bits_in_use_are_those_with_names(seen):
    word = seen[3].digitals[0]
    assert [bool(name.strip()) for name in word.names] == [bool(word.valid >> k & 1) for k in range(16)]


def test_analog_values_are_sigma_crystal_and_satellites(seen):
    seconds, _, analogs, pmu, status = seen
    assert [channel.name.strip() for channel in pmu.analogs] == ["TIME SIGMA NS", "CRYSTAL PPM", "SATELLITES"]
    locked = (seconds > 12.5) & (seconds < 14)
    sigma, crystal, satellites = analogs[locked].T
    assert ((sigma > 10) & (sigma < 200)).all()
    assert np.abs(crystal - 58.8).max() < 0.1
    assert (satellites == status.time.satellites).all()
