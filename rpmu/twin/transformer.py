"""The core of a small mains transformer: a lead that moves with the level, as its magnetising current does.

The magnetising current makes a drop in the primary's resistance, a quarter of a period behind the voltage, so the
secondary leads by Rp / (2 pi f Lm): 3.4 degrees for a 6 VA type with 240 ohm and 10.6 H. Iron is not linear, so Lm
falls as the flux grows, by some 20 % from nominal to 120 % of the voltage, and the lead moves by 0.7 degrees (assumed
values, docs/accuracy.md). The current is taken as the flux plus its cube. The constant part of the lead is in the
profile's delay; what is here is the rest, which is nothing at nominal voltage and frequency. It makes a third harmonic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rpmu.twin.front_end import HeldFilter
from rpmu.twin.laws import Floats


@dataclass(frozen=True)
class Magnetising:
    """The level-dependent part of a transformer's lead.

    Attributes:
        lead_deg: whole lead at nominal voltage and frequency.
        cubic_share: share of it that goes with the square of the voltage: 0.5 makes 22 % more of it at 120 % of the
            voltage and 18 % less at 80 %.
        voltage_v: nominal RMS voltage.
        frequency_hz: nominal frequency.
        corner_hz: Rp / (2 pi Lm), below which the flux no longer follows.
    """

    lead_deg: float = 3.37
    cubic_share: float = 0.5
    voltage_v: float = 120.0
    frequency_hz: float = 60.0
    corner_hz: float = 3.6

    @property
    def depth(self) -> float:
        """Drop by the cubic part at nominal level, relative to the voltage."""
        return float(np.radians(self.lead_deg)) * self.cubic_share

    @property
    def flux(self) -> HeldFilter:
        """From volts to flux with an amplitude of 1 at nominal voltage and frequency."""
        per_volt = 2.0 * np.pi * self.frequency_hz / (self.voltage_v * np.sqrt(2.0))
        return HeldFilter([per_volt], [1.0, 2.0 * np.pi * self.corner_hz], 1)

    def response(self, frequency_hz: float, voltage_v: float) -> complex:
        """What it does to the fundamental of a tone; 1 at nominal voltage and frequency, nearly."""
        turn = self.frequency_hz / (self.corner_hz + 1j * frequency_hz)
        amplitude = voltage_v / self.voltage_v * abs(turn)
        return complex(1.0 - self.depth * (amplitude**2 - 1.0) * turn)


class Core:
    """The transformer of one channel.

    Args:
        magnetising: what its iron does.
    """

    def __init__(self, magnetising: Magnetising) -> None:
        self._flux = magnetising.flux
        self._drop_v = magnetising.depth * magnetising.voltage_v * np.sqrt(2.0)

    def run(self, volts: Floats, step_s: float) -> Floats:
        """Volts behind it, as volts of mains, for the next ones before it, float64 [n], `step_s` apart."""
        x = self._flux.run(volts[None], step_s)[0]
        return np.asarray(volts - self._drop_v * (4.0 / 3.0 * x**3 - x))
