"""From the voltage at a pin to the code: interpolation, pulses, quantisation, errors, noise, and what was not supplied.

Sampling instants follow from the sequencer: step n of a scan of N clocks samples 13 clocks before its word is ready.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from rpmu.errors import InputError
from rpmu.twin.pruss import AdcErrors, PruFault, Pruss
from tests.pru.machine import CYCLES_PER_ADC_CLOCK, AdcBench

LSB = 1.8 / 4096
SCAN_CYCLES = 50 * CYCLES_PER_ADC_CLOCK
FIRST_SAMPLE = 11 * CYCLES_PER_ADC_CLOCK  # open delay 10, sampling 1
STEP_SPACING = 25 * CYCLES_PER_ADC_CLOCK


def codes_of(words: np.ndarray, step: int) -> np.ndarray:
    return words[words >> 16 == step] & 0xFFF


def sampled_at(step: int, count: int) -> np.ndarray:
    return FIRST_SAMPLE + step * STEP_SPACING + SCAN_CYCLES * np.arange(count)


def sine(frequency_hz: float, cycles: np.ndarray) -> np.ndarray:
    return 0.9 + 0.85 * np.cos(2 * np.pi * frequency_hz * cycles / 200e6 + 0.3)


def supply(adc: AdcBench, ain: int, frequency_hz: float, points_per_s: float, cycles: int, chunk: int = 1000) -> None:
    step = 200e6 / points_per_s
    grid = (np.arange(int(cycles / step) + 8) - 3) * step
    for start in range(0, len(grid), chunk):
        part = grid[start : start + chunk]
        adc.pruss.set_waveform(ain, part[0], step, sine(frequency_hz, part))


def exact_code(volts: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(volts / LSB + 0.5), 0, 4095)


@pytest.mark.parametrize(("frequency_hz", "points_per_s"), [(60, 2400), (59.93, 12_000), (1500, 60_000)])
def test_each_step_samples_the_wave_at_its_own_instant(frequency_hz, points_per_s):
    """At 40 points a period the interpolation error is below 0.1 LSB; codes differ only where rounding is close."""
    adc = AdcBench()
    cycles = 4_000_000
    for ain in (0, 1):
        supply(adc, ain, frequency_hz, points_per_s, cycles)
    adc.begin()
    words = adc.collect(cycles)
    for step in (0, 1):
        codes = codes_of(words, step)
        ideal = sine(frequency_hz, sampled_at(step, len(codes))) / LSB
        assert np.abs(codes - ideal).max() < 0.6
        assert np.count_nonzero(codes != exact_code(ideal * LSB)) < 0.1 * len(codes)


def test_interpolation_is_of_sixth_order():
    """Half the step, 1/64 of the error: measured with the ADC as a 1/1000-LSB instrument by its reference."""

    def error(points_per_s: float) -> float:
        adc = AdcBench(inputs=(0,), adc=AdcErrors(vref_v=1e-4, gain=1.0))
        step = 200e6 / points_per_s
        grid = (np.arange(400) - 5) * step
        frequency_hz = 1000.0
        adc.pruss.set_waveform(0, grid[0], step, 5e-5 + 4e-5 * np.sin(2 * np.pi * frequency_hz * grid / 200e6))
        adc.begin()
        words = adc.collect(1_000_000)
        t = FIRST_SAMPLE + 25 * CYCLES_PER_ADC_CLOCK * np.arange(len(words))
        ideal = (5e-5 + 4e-5 * np.sin(2 * np.pi * frequency_hz * t / 200e6)) / 1e-4 * 4096
        return float(np.abs((words & 0xFFF) - ideal).max())

    coarse, fine = error(6_000), error(12_000)
    assert coarse > 2.0
    assert coarse / 64 - 0.6 < fine < coarse / 64 + 0.6


def test_result_does_not_depend_on_how_the_wave_is_delivered():
    def codes(chunk: int, poll: int) -> np.ndarray:
        adc = AdcBench(inputs=(0,), adc=AdcErrors(noise_lsb_rms=1.0), seed=5)
        supply(adc, 0, 60.0, 12_000, 2_000_000, chunk)
        adc.begin()
        return adc.collect(1_900_000, poll)

    reference = codes(10_000, 100_000)
    assert (codes(7, 33_333) == reference).all()


def test_a_long_wave_in_pieces_stays_exact_and_keeps_no_history():
    adc = AdcBench(inputs=(0,))
    step, chunk = 200e6 / 12_000, 1200
    adc.begin()
    wrong = 0
    for second in range(100):  # 10 s in pieces of 0.1 s
        grid = (np.arange(second * chunk, (second + 1) * chunk) - 5) * step
        adc.pruss.set_waveform(0, grid[0], step, sine(50.0, grid))
        if second == 0:
            continue
        words = adc.collect(int(second * chunk * step) - adc.pruss.cycle, poll=90_000)
        first = adc.pruss.statistics().conversions - len(words)
        ideal = sine(50.0, FIRST_SAMPLE + STEP_SPACING * np.arange(first, first + len(words))) / LSB
        wrong += int((np.abs((words & 0xFFF) - ideal) > 0.501).sum())
    assert adc.pruss.statistics().words_dropped == 0
    assert wrong == 0


def test_a_change_of_step_with_overlap_is_seamless():
    adc = AdcBench(inputs=(0,))
    for start, stop, step in ((-5, 600, 16_000.0), (595 * 16_000 / 15_000, 1300, 15_000.0)):
        grid = start * step + np.arange(int(stop - start)) * step
        adc.pruss.set_waveform(0, grid[0], step, sine(60.0, grid))
    adc.begin()
    words = adc.collect(15_000_000, poll=90_000)
    ideal = sine(60.0, FIRST_SAMPLE + STEP_SPACING * np.arange(len(words))) / LSB
    assert np.abs((words & 0xFFF) - ideal).max() < 0.501


def test_pulses_follow_the_exponential():
    tau, edges = 3300.0, np.array([100_000.4, 400_000.0, 401_000.0, 600_000.0])
    levels = np.array([1.65, 0.0, 1.2, 0.0])
    adc = AdcBench(inputs=(0,))
    adc.pruss.set_pulses(0, edges[:1], levels[:1], tau)
    adc.pruss.set_pulses(0, edges[1:], levels[1:], tau)
    adc.begin()
    words = adc.collect(800_000)
    times = FIRST_SAMPLE + STEP_SPACING * np.arange(len(words))

    def voltage(t: float) -> float:
        level, v, since = 0.0, 0.0, 0.0
        for edge, target in zip(edges, levels, strict=True):
            if edge > t:
                break
            v = level + (v - level) * np.exp(-(edge - since) / tau)
            level, since = target, edge
        return float(level + (v - level) * np.exp(-(t - since) / tau))

    ideal = np.array([voltage(t) for t in times]) / LSB
    assert np.abs((words & 0xFFF) - ideal).max() < 0.501


def test_pulses_add_to_a_wave():
    adc = AdcBench(inputs=(2,))
    adc.pruss.set_waveform(2, -50_000, 10_000, np.full(60, 0.5))
    adc.pruss.set_pulses(2, [250_000.0], [0.25], 0.0)
    adc.begin()
    codes = adc.collect(500_000) & 0xFFF
    assert set(codes) == {round(0.5 / LSB), round(0.75 / LSB)}


@pytest.mark.parametrize(
    ("volts", "code"), [(0.0, 0), (LSB * 0.49, 0), (LSB * 0.51, 1), (0.9, 2048), (1.8, 4095), (2.5, 4095), (-1, 0)]
)
def test_quantisation_rounds_and_clips(volts, code):
    adc = AdcBench(inputs=(0,))
    adc.level(0, volts)
    adc.begin()
    assert set(adc.collect(20_000) & 0xFFF) == {code}


def test_gain_offset_and_inl():
    table = tuple(np.linspace(-2, 2, 5) ** 2)  # 4 1 0 1 4
    for volts, inl in ((0.45, 1.0), (0.9, 0.0), (0.675, 0.5)):
        adc = AdcBench(inputs=(0,), adc=AdcErrors(gain=1.01, offset_lsb=3.0, vref_v=1.79, inl_lsb=table))
        adc.level(0, volts)
        adc.begin()
        code = volts * 1.01 / 1.79 * 4096 + 3.0
        assert abs(float((adc.collect(20_000) & 0xFFF)[0]) - (code + inl)) < 0.55


def test_noise_has_the_asked_spread_and_no_memory():
    adc = AdcBench(inputs=(0,), adc=AdcErrors(noise_lsb_rms=3.0))
    adc.level(0, 0.9)
    adc.begin()
    codes = (adc.collect(100_000_000, poll=90_000) & 0xFFF).astype(float)
    n = len(codes)
    assert n == 60_000
    spread = np.sqrt(3.0**2 + 1 / 12)
    assert abs(codes.mean() - 2048) < 5 * spread / np.sqrt(n)
    assert abs(codes.std() / spread - 1) < 5 / np.sqrt(2 * n)
    z = (codes - codes.mean()) / codes.std()
    assert abs((z[1:] * z[:-1]).mean()) < 5 / np.sqrt(n)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(24 / n) + 0.02  # Gaussian, not uniform
    assert np.abs(z).max() > 3.5


def test_noise_is_repeatable_and_independent_of_bus_jitter():
    def codes(seed: int) -> np.ndarray:
        adc = AdcBench(inputs=(0,), adc=AdcErrors(noise_lsb_rms=2.0), seed=seed)
        adc.level(0, 0.9)
        adc.begin()
        return adc.collect(1_000_000)

    assert (codes(1) == codes(1)).all()
    assert (codes(1) != codes(2)).any()


def test_averaging_takes_the_mean_of_its_samples_and_truncates():
    adc = AdcBench(inputs=(0,), averaging=4)
    grid = (np.arange(200) - 5) * 2000.0
    ramp = 0.2 + 1e-6 * grid
    adc.pruss.set_waveform(0, grid[0], 2000.0, ramp)
    adc.begin()
    code = int(adc.collect(60_000)[0] & 0xFFF)
    instants = FIRST_SAMPLE + 14 * CYCLES_PER_ADC_CLOCK * np.arange(16)
    assert code == int(exact_code(0.2 + 1e-6 * instants).sum()) // 16


def test_sampling_what_was_not_supplied_faults():
    adc = AdcBench(inputs=(3,))
    adc.begin()
    with pytest.raises(PruFault, match=r"AIN3 was sampled at cycle 733\.3, but neither") as caught:
        adc.pruss.run_until(10_000)
    assert caught.value.kind == "analog"


@pytest.mark.parametrize(("start", "count", "late"), [(-20_000.0, 8, True), (0.0, 100, False)])
def test_sampling_outside_the_wave_faults_and_names_its_span(start, count, late):
    adc = AdcBench(inputs=(0,))
    adc.pruss.set_waveform(0, start, 10_000.0, np.full(count, 0.5))
    adc.begin()
    with pytest.raises(PruFault, match=rf"outside the waveform supplied, cycles {start:.1f} to ") as caught:
        adc.pruss.run_until(1_000_000)
    assert ("cycle 30" in str(caught.value)) == late


def test_bad_waveforms_and_pulses_are_refused():
    pruss = Pruss()
    with pytest.raises(InputError, match="no analog input AIN8"):
        pruss.set_waveform(8, 0, 1, [0.0])
    with pytest.raises(InputError, match="step must be positive"):
        pruss.set_waveform(0, 0, 0, [0.0])
    with pytest.raises(InputError, match="shape"):
        pruss.set_waveform(0, 0, 1, [[0.0]])
    with pytest.raises(InputError, match="number 1 of 3 is not finite"):
        pruss.set_waveform(0, 0, 1, [0.0, np.nan, 1.0])
    with pytest.raises(InputError, match="2 edges but 1 levels"):
        pruss.set_pulses(0, [1.0, 2.0], [0.0], 1.0)
    with pytest.raises(InputError, match="rise in time"):
        pruss.set_pulses(0, [2.0, 1.0], [0.0, 1.0], 1.0)
    pruss.set_waveform(0, 1000, 10, [0.0] * 10)
    with pytest.raises(InputError, match="starts before"):
        pruss.set_waveform(0, 500, 10, [0.0])


def test_pulses_in_the_past_are_refused():
    adc = AdcBench(inputs=(0,))
    adc.level(0, 1.0)
    adc.begin()
    adc.pruss.run_until(100_000)
    with pytest.raises(InputError, match="after what was sampled"):
        adc.pruss.set_pulses(0, [50_000.0], [0.0], 0.0)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_an_input_that_is_never_sampled_keeps_no_history():
    """160 MB of voltages in 200 pieces; what lies in the past is given up whether it was sampled or not."""
    pruss, piece = Pruss(), np.zeros(100_000)
    for number in range(200):
        pruss.set_waveform(4, number * 1e5, 1.0, piece)
        pruss.run_until((number + 1) * 100_000)
        if number == 10:
            before = resident_bytes()
    assert resident_bytes() - before < 40e6
