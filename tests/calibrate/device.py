"""A unit without its emulator: the twin's model in steady state, the firmware's sampling, and the real pipeline.

What the full twin integrates (front end, RC, amplifier's rails) is evaluated here in closed form for a pure tone; the
converter (gain, offset, non-linearity, noise, rounding), the scans of the unit's own crystal, the CIC and its rounding
are the firmware's arithmetic on whole numbers; from the codes on it is `rpmu.pipeline`. About 500 times faster than the
emulator, which is what a study of hundreds of units needs; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.settings import SamplerSettings
from rpmu.calibrate.fit import Reading
from rpmu.calibrate.profile import Profile
from rpmu.calibrate.readings import Base, Collector
from rpmu.calibrate.self_test import Found, evaluate, tones_hz
from rpmu.calibrate.tones import ToneRecord
from rpmu.estimate.settings import EstimatorSettings
from rpmu.measurement import Measurement
from rpmu.measurer import Measurer
from rpmu.mid_scale import MidScale
from rpmu.pipeline import Calibration, Pipeline
from rpmu.timing import TimeMap
from rpmu.timing.known import KnownTime
from rpmu.twin.pruss_values import AdcErrors
from rpmu.twin.tolerance import CODES, Unit
from rpmu.twin.tone import loaded
from rpmu.twin.transformer import Magnetising

START_NS = 1_795_000_000 * 10**9
CIC_ORDER = 3
HIGHEST_HZ = 20_000.0  # of a square wave
Harmonics = tuple[tuple[int, float], ...]  # order, share of the fundamental


def response(profile: Profile, frequency_hz: float) -> complex:
    """What the twin's circuit does in steady state, RC pole and all."""
    u = frequency_hz / profile.f0_hz
    low_pass = profile.gain / (1 - u * u + 1j * u / profile.q)
    rc = 1 / (1 + 1j * frequency_hz / profile.rc_pole_hz)
    return complex(low_pass * rc * np.exp(-2j * np.pi * frequency_hz * profile.delay_s))


def acquisition_info(settings: SamplerSettings) -> AcquisitionInfo:
    """What the firmware says that it samples."""
    return AcquisitionInfo(
        1,
        settings.adc_clkdiv,
        settings.scan_adc_clocks,
        settings.decimation,
        CIC_ORDER,
        settings.output_shift,
        settings.skew_adc_clocks,
        "0.0",
    )


def cic(codes: NDArray[np.int64], info: AcquisitionInfo) -> NDArray[np.int64]:
    """The firmware's decimator on whole numbers; sample 0 is the first that is whole."""
    comb = np.ones(info.decimation, dtype=np.int64)
    kernel = np.convolve(np.convolve(comb, comb), comb)
    sums = np.lib.stride_tricks.sliding_window_view(codes, len(kernel))[:: info.decimation] @ kernel
    return np.asarray((sums + (1 << (info.output_shift - 1))) >> info.output_shift)


@dataclass(frozen=True)
class Tone:
    """The outlet: RMS volts at a frequency, with harmonics in phase."""

    frequency_hz: float
    voltage_v: float
    harmonics: Harmonics = ()

    def phasor(self, time_ns: NDArray[np.int64], nominal_hz: int) -> NDArray[np.complex128]:
        """The synchrophasor at these instants: angle 0 at the start."""
        seconds = (time_ns - START_NS) * 1e-9
        return np.asarray(self.voltage_v * np.exp(2j * np.pi * (self.frequency_hz - nominal_hz) * seconds))


@dataclass
class Device:
    """A unit that measures tones.

    Attributes:
        unit: what it is made of.
        seed: of its noise.
        time_error_ns: by which its idea of UTC is late.
        magnetising: what its transformer does to a tone's fundamental; None for nothing.
    """

    unit: Unit
    seed: int = 0
    time_error_ns: float = 0.0
    magnetising: Magnetising | None = None
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, 0xDE])

    def volts(self, tone: Tone, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """At the ADC pin, at these seconds after the start."""
        p = self.unit.profile
        out = np.full_like(seconds, p.bias_v)
        for order, share in ((1, 1.0), *tone.harmonics):
            hz = order * tone.frequency_hz
            h = response(p, hz) * np.sqrt(2) * tone.voltage_v * share
            if self.magnetising is not None and order == 1:
                h *= self.magnetising.response(hz, tone.voltage_v)
            out += abs(h) * np.cos(2 * np.pi * hz * seconds + np.angle(h))
        return np.clip(out, p.amplifier_low_v, p.amplifier_high_v)

    def codes(self, volts: NDArray[np.float64]) -> NDArray[np.int64]:
        """What the converter makes of it: the formula of `AdcErrors`."""
        adc: AdcErrors = self.unit.adc
        code = volts * (adc.gain / self.unit.profile.vref_v * CODES) + adc.offset_lsb
        if adc.inl_lsb:
            code += np.interp(code, np.linspace(0, CODES - 1, len(adc.inl_lsb)), adc.inl_lsb)
        code += adc.noise_lsb_rms * self._rng.standard_normal(len(code))
        return np.clip(np.floor(code + 0.5), 0, CODES - 1).astype(np.int64)

    def measure(
        self, tone: Tone, calibration: Calibration, nominal_hz: int = 60, seconds: float = 0.75
    ) -> list[Measurement]:
        """What the daemon reports of it, once the mid-scale is known."""
        info = acquisition_info(SamplerSettings())
        ns_per_scan = 1e9 / float(info.scan_rate_hz) / (1 + 1e-6 * self.unit.crystal_ppm)
        n = round(seconds * float(info.scan_rate_hz))
        skew_scans = float(info.skew_scans(0))
        codes = self.codes(self.volts(tone, (np.arange(n) - skew_scans) * ns_per_scan * 1e-9))
        samples = cic(codes, info)
        late_ns = round(self.time_error_ns)
        keeper = KnownTime(TimeMap(0, START_NS + late_ns, ns_per_scan, 10.0))
        rate = 60 if nominal_hz == 60 else 50
        pipeline = Pipeline(keeper, Measurer(info, EstimatorSettings(nominal_hz, "M", rate), calibration))
        pipeline._offset.offset[:] = samples.mean()
        return pipeline.feed(SampleBlock(CIC_ORDER * (info.decimation - 1), samples.astype(np.uint16)[:, None], 0, 0))

    def reading(
        self, tone: Tone, base: Base, nominal_hz: int = 60, seconds: float = 0.75, truth: Tone | None = None
    ) -> Reading:
        """One reading of `rpmu calibrate`, against the truth, taken while the unit runs on its nominal profile."""
        profile = base.profile
        calibration = Calibration((profile.front_end,), profile.volts_per_count, profile.bias_v)
        measured = [m for m in self.measure(tone, calibration, nominal_hz, seconds) if m.valid]
        collector = Collector(["VA"], base, len(measured))
        true = (truth or tone).phasor(np.array([m.time_ns for m in measured]), nominal_hz)
        for m, phasor in zip(measured, true.tolist(), strict=True):
            collector.add(m.phasors, [phasor], m.frequency_hz)
        readings = collector.take()
        assert readings is not None, "a steady tone is stable"
        return readings["VA"]


def self_tested(unit: Unit, design: Profile, seed: int = 0, seconds: float = 2.0) -> Found:
    """The self-test of a unit: the same short cut, with a square wave and its edges at the PPS input."""
    settings, rng = SamplerSettings(), np.random.default_rng([seed, 0x5E])
    info = acquisition_info(settings)
    device, scan_s = Device(Unit(loaded(unit.profile, design), unit.adc), seed), 1 / float(info.scan_rate_hz)
    records = []
    for hz in tones_hz(design):
        start_s = 0.1 + float(rng.uniform(0, 1)) / hz
        n = round(seconds / scan_s)
        t = np.arange(n) * scan_s
        mains_t = t - float(info.skew_scans(0)) * scan_s - start_s
        p, out = device.unit.profile, np.full(n, device.unit.profile.bias_v)
        share = design.tone_gain / design.gain  # of mains volts per volt of tone
        out += response(replace(p, delay_s=0.0), 1e-9).real * share * 3.3 / 2
        turn, total = np.exp(2j * np.pi * hz * mains_t), np.zeros(n, dtype=np.complex128)
        for k in range(int(HIGHEST_HZ / hz / 2) * 2 + 1, 0, -2):  # Horner's scheme in the square of one turn
            h = response(replace(p, delay_s=unit.electronics_delay_s), k * hz) * share * 3.3 * 2 / (np.pi * k)
            total = total * turn * turn + h
        out += (total * turn).imag
        samples = cic(device.codes(out), info)
        block = SampleBlock(CIC_ORDER * (info.decimation - 1), samples.astype(np.uint16)[:, None], 0, 0)
        records.append(ToneRecord(hz, [block], list(edges(device, design, t, start_s, 1 / hz))))
    return evaluate(records, info, design, ["VA"], 3.3, [MidScale(0.0, 0.0)], [0.0])[0]


def edges(
    device: Device, design: Profile, t: NDArray[np.float64], start_s: float, period_s: float
) -> Iterator[PpsEvent]:
    """What the firmware stores around every rising edge: 16 samples before the crossing, 32 from it on."""
    for rise_s in np.arange(start_s, t[-1] - 2e-3, period_s):
        first = int(rise_s * 60_000) - 20
        if first < 0:
            continue
        after = t[first : first + 72] - rise_s
        volts = np.where(after > 0, design.pps_high_v * (1 - np.exp(-after / design.pps_tau_s)), 0.0)
        counts = device.codes(volts)
        crossing = int(np.argmax(counts >= 1000))
        yield PpsEvent(
            "adc", 0, first + crossing - 16, counts[crossing - 16 : crossing + 32].astype(np.uint16), 16, 0, 0
        )
