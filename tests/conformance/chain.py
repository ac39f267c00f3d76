"""From a test signal to samples: ideal sampling, or front end, converter and the PRU's decimator.

The sample clock is free-running: its rate is a few ppm off and its first sample lies anywhere.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import cont2discrete, lfilter

from rpmu.calibrate.profile import load_profile
from rpmu.estimate import CicResponse, FrontEnd

NOMINAL_V = 120.0  # RMS
FULL_SCALE_V = 160.0 * np.sqrt(2)  # peak, at the converter's end of range
SECOND = 1_700_000_000
CIC_ORDER, CIC_FACTOR = 3, 5
SETTLE_S = 0.15


@dataclass(frozen=True)
class Chain:
    """What lies between the mains and the estimator.

    Attributes:
        name: for the report.
        sample_rate_hz: what the estimator is told.
        off_ppm: how far the true rate is from it.
        front_end: analogue front end, or None for ideal sampling.
        told: what the estimator is told of the front end; None for the truth.
        noise_lsb: RMS noise of the 12-bit converter at 60 kHz; None for no converter.
        magnitude: of the nominal voltage; "10 % magnitude" is 0.1.
    """

    name: str
    sample_rate_hz: float = 12_000.0
    off_ppm: float = 17.0
    front_end: FrontEnd | None = None
    told: FrontEnd | None = None
    noise_lsb: float | None = None
    magnitude: float = 1.0

    @property
    def is_ideal(self) -> bool:
        return self.front_end is None and self.noise_lsb is None

    @property
    def true_rate_hz(self) -> float:
        return self.sample_rate_hz * (1 + 1e-6 * self.off_ppm)

    @property
    def cic(self) -> CicResponse | None:
        return None if self.is_ideal else CicResponse(CIC_ORDER, CIC_FACTOR, self.sample_rate_hz * CIC_FACTOR)

    def sample(self, signal, phases, begin_s, end_s, seed=0):
        """Samples [phases, n] in volts as sampled, and UTC, ns, of the first one's instant."""
        first_ns = SECOND * 10**9 + round(begin_s * 1e9) + 123_457
        first_s = (first_ns - SECOND * 10**9) / 1e9
        n = int((end_s - begin_s) * self.true_rate_hz)
        scale = NOMINAL_V * np.sqrt(2) * self.magnitude
        if self.is_ideal:
            return scale * signal.wave(first_s + np.arange(n) / self.true_rate_hz, phases), first_ns
        rate = self.true_rate_hz * CIC_FACTOR
        lead = round(SETTLE_S * rate)
        delay = CIC_ORDER * (CIC_FACTOR - 1) // 2
        scans = np.arange(-lead - delay, n * CIC_FACTOR + delay)
        late_s = self.front_end.delay_s if self.front_end else 0.0
        volts = scale * signal.wave(first_s + scans / rate - late_s, phases)
        return self._digitise(volts, rate, seed)[:, lead + 2 * delay :: CIC_FACTOR][:, :n], first_ns

    def _digitise(self, volts, rate, seed):
        front_end = self.front_end or FrontEnd()
        if np.isfinite(front_end.f0_hz):
            w = 2 * np.pi * front_end.f0_hz
            num, den, _ = cont2discrete(([w**2], [1, w / front_end.q, w**2]), 1 / rate, method="foh")
            volts = lfilter(num.ravel(), den, volts, axis=1)
        volts = volts * front_end.gain
        if self.noise_lsb is not None:
            passed = float(np.abs(front_end.response(60.0)))  # what a nominal wave is scaled to fill the range by
            lsb = 2 * FULL_SCALE_V * passed / 4096
            noise = np.random.default_rng(seed).normal(0, self.noise_lsb, volts.shape)
            volts = lsb * np.clip(np.rint(volts / lsb + noise), -2048, 2047)
        for _ in range(CIC_ORDER):
            volts = lfilter(np.full(CIC_FACTOR, 1 / CIC_FACTOR), 1, volts, axis=1)
        return volts


REFERENCE_FRONT_END = load_profile("reference-a-120v").front_end
THESIS_FRONT_END = load_profile("thesis-100hz").front_end

IDEAL = Chain("ideal sampling")
CHAINS = {
    "ideal": IDEAL,
    "1khz": Chain("1 kHz front end", front_end=REFERENCE_FRONT_END),
    "100hz": Chain("100 Hz front end", front_end=THESIS_FRONT_END),
    "adc": Chain("12 bits, 0.5 LSB noise", noise_lsb=0.5),
    "adc-10": Chain("12 bits, 0.5 LSB noise, 10 % magnitude", noise_lsb=0.5, magnitude=0.1),
    "1khz-adc": Chain("1 kHz front end, 12 bits, 0.5 LSB", front_end=REFERENCE_FRONT_END, noise_lsb=0.5),
    "100hz-adc": Chain("100 Hz front end, 12 bits, 0.5 LSB", front_end=THESIS_FRONT_END, noise_lsb=0.5),
}
