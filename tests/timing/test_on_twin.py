"""The timekeeper on the twin: the committed firmware samples the PPS, and the twin knows when each scan really was."""

from __future__ import annotations

import numpy as np
import pytest

from rpmu.timing import TimingSettings
from rpmu.twin.crystal import CrystalSettings
from rpmu.twin.faults import parse_faults
from tests.timing.rig import Rig


@pytest.mark.slow
def test_601_faults_on_the_real_firmware():
    faults = "pps_missing@14+1,pps_late@17=5,adc_overrun@20.3,gps_loss@24+8,nmea_second@37+3,pps_double@42+2"
    crystal = CrystalSettings(ppm=58.8, walk_ppb_per_rts=0.1, drift_ppb_per_s=1.0)
    rig = Rig(crystal=crystal, faults=tuple(parse_faults(faults)))
    rig.run(46)
    errors, t, in_sync = rig.errors_ns(), rig.column(4), rig.column(7).astype(bool)
    claim = rig.claims_ns()
    lies = np.abs(errors) > claim
    assert not lies.any(), list(zip(t[lies], errors[lies], claim[lies], strict=True))[:5]
    assert t[in_sync][0] < 10
    assert np.sqrt(np.mean(errors[in_sync] ** 2)) < 100
    assert np.abs(errors[in_sync]).max() < 500
    assert not in_sync[(t > 28) & (t < 32)].any()
    counters = rig.keeper.status.counters
    assert (counters.epochs, counters.resyncs, counters.double) == (1, 0, 2)
    assert abs(rig.keeper.status.pps_tau_us - 16.5) < 0.05
    assert abs(rig.keeper.status.ppm - 58.8) < 0.06


def test_602_the_pin_agrees_with_the_adc():
    rig = Rig(TimingSettings(pps_input="pin"), pps_pin=14, crystal=CrystalSettings(ppm=16.667))
    rig.run(14)
    errors = rig.errors_ns()[rig.column(4) > 9]
    assert np.abs(errors).max() < 150
    assert abs(rig.keeper.status.other_input_ns) < 150
