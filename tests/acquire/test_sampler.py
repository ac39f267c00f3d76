"""Settings are refused before the hardware hears of them; the start-up handshake; faults with their next step."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import pytest

from rpmu.acquire import layout, sampler
from rpmu.acquire.faults import FAULTS
from rpmu.acquire.settings import InputRange, SamplerSettings, fitting_shift, settled_delays
from rpmu.errors import HardwareError, InputError
from tests.acquire.fake_pru import FakeLink


def start(link, settings=None):
    return asyncio.run(sampler.start(link, settings or SamplerSettings(), link.pace))


def test_defaults_are_60_khz_and_12_khz():
    settings = SamplerSettings()
    assert settings.scan_adc_clocks == 50
    assert settings.scan_rate_hz == 60_000
    assert settings.sample_rate_hz == 12_000
    assert settings.skew_adc_clocks == (25,)


def test_three_phases_share_a_coherent_scan():
    settings = SamplerSettings.for_inputs((0, 2, 4), 6)
    assert settings.scan_adc_clocks == 100
    assert settings.skew_adc_clocks == (75, 50, 25)
    assert min(settings.sample_delay_adc_clocks) == 8


@pytest.mark.parametrize(("steps", "scan"), [(2, 50), (3, 80), (4, 100), (5, 125), (6, 200), (7, 200)])
def test_settled_delays_fill_a_coherent_scan(steps, scan):
    opens, samples = settled_delays(steps)
    assert sum(opens) + sum(samples) + 15 * steps == scan


@pytest.mark.parametrize("decimation", range(1, 17))
def test_shift_is_the_smallest_that_fits(decimation):
    shift, full_scale = fitting_shift(decimation), 4095 * decimation**3
    assert full_scale >> shift <= 0xFFFF
    assert shift == 0 or full_scale >> (shift - 1) > 0xFFFF


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"adc_clkdiv": 6}, "adc_clkdiv is 6, but must be 7 to 65535: the data sheet's limit is 3 MHz"),
        ({"adc_clkdiv": 65536}, "adc_clkdiv"),
        ({"ain": ()}, "the number of channels is 0, but must be 1 to 6"),
        ({"ain": (7,)}, "AIN7 is the board's own"),
        ({"ain": (1,)}, "a different input"),
        ({"open_delay_adc_clocks": (2,)}, "2 numbers: one per channel, then the PPS"),
        ({"open_delay_adc_clocks": (2, 2**18)}, "0 to 262143 each"),
        ({"sample_delay_adc_clocks": (8, 256)}, "0 to 255 each"),
        ({"decimation": 0}, "decimation is 0, but must be 1 to 16"),
        ({"output_shift": 2}, "3 to 16 with decimation 5"),
        ({"measure_scans": 60001}, "512 to 60000"),
        ({"pps_low_counts": 1000}, "below pps_high_counts"),
        ({"pps_high_counts": 4096}, "at most 4095"),
        ({"adc_clkdiv": 200}, "the scan rate is 2388.06 Hz, but must be 3051.8 Hz or more"),
        ({"pps_pin": 30}, "an input bit of R31, 0 to 16"),
    ],
)
def test_bad_settings_are_refused(change, complaint):
    with pytest.raises(InputError, match="sampling: ") as caught:
        SamplerSettings(**change)
    assert complaint in str(caught.value)


def test_start_writes_every_parameter_and_reads_what_was_measured():
    link = FakeLink()
    settings = SamplerSettings(ain=(3,), pps_ain=5, pps_pin=16, open_delay_adc_clocks=(2, 3))
    info = start(link, settings)
    record = link.parameters
    assert record["channels"] == 1
    assert list(record["ain"][:2]) == [3, 5]
    assert list(record["step_delay"][:2]) == [2 | 8 << 24, 3 | 8 << 24]
    assert (record["adc_clkdiv"], record["decimation"], record["output_shift"]) == (7, 5, 3)
    assert (record["pps_high"], record["pps_low"], record["pps_pin"], record["measure_scans"]) == (1000, 500, 16, 3000)
    assert info.scan_adc_clocks == 50
    assert info.skew_adc_clocks == (26,)
    assert info.cic_delay_scans == 6
    assert info.counts_per_code == pytest.approx(8 / 125)
    assert info.firmware_version == "1.0"


def test_the_firmware_is_told_what_to_watch_inputs_for():
    link = FakeLink()
    asyncio.run(sampler.start(link, SamplerSettings(), link.pace, InputRange(lowest=50, highest=4000, channels=1)))
    assert [link.parameters[name] for name in ("watched", "lowest", "highest")] == [1, 50, 4000]
    start(link)
    assert link.parameters["watched"] == 0


def test_no_second_pps_input_is_said_so():
    link = FakeLink()
    start(link)
    assert link.parameters["pps_pin"] == layout.PPS_PIN_NONE


def test_the_measured_scan_wins_over_the_expected_one():
    info = start(FakeLink(measured_adc_clocks=51.02))
    assert info.scan_adc_clocks == 51
    assert info.scan_rate_hz == Fraction(3_000_000, 51)


@pytest.mark.parametrize("measured", [50.2, 0.01])
def test_a_scan_that_is_no_whole_number_of_clocks_is_refused(measured):
    with pytest.raises(HardwareError, match="no whole number"):
        start(FakeLink(measured_adc_clocks=measured))


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (layout.FAULT_PARAMS, "refused a parameter"),
        (layout.FAULT_ADC_ABSENT, "does not answer.*device tree"),
        (layout.FAULT_ADC_BUSY, "ti_am335x_tscadc"),
        (layout.FAULT_ADC_SILENT, "no conversions"),
        (99, "unknown fault 99"),
    ],
)
def test_faults_name_the_next_step(fault, complaint):
    with pytest.raises(HardwareError, match=complaint) as caught:
        start(FakeLink(fault=fault))
    assert caught.value.exit_code == 4


def test_every_fault_of_the_layout_has_its_message():
    faults = {value for name, value in vars(layout).items() if name.startswith("FAULT_") and value != layout.FAULT_NONE}
    assert set(FAULTS) == faults


def test_a_start_after_a_fault_is_accepted():
    link = FakeLink(fault=layout.FAULT_ADC_BUSY)
    with pytest.raises(HardwareError):
        start(link)
    link.fault = layout.FAULT_NONE
    assert start(link).channels == 1


def test_starting_what_runs_stops_it_first():
    link = FakeLink()
    start(link)
    before = link.pru.window[(layout.PARAMS_OFFSET + layout.PARAMS_COMMAND_SEQ) // 4]
    start(link)
    assert link.pru.window[(layout.PARAMS_OFFSET + layout.PARAMS_COMMAND_SEQ) // 4] == before + 2


def test_stop_returns_to_idle():
    link = FakeLink()
    start(link)
    asyncio.run(sampler.stop(link, link.pace))
    assert link.pru.window[layout.STATUS_STATE // 4] == layout.STATE_IDLE


def test_no_firmware_is_said_after_a_second():
    link = FakeLink(alive=False)
    with pytest.raises(HardwareError, match="no firmware of rpmu reports"):
        start(link)
    assert 0.9 < link.waited_s < 1.1


def test_dead_firmware_with_live_memory_is_noticed():
    link = FakeLink(alive=False)
    link.pru.set_status(layout.STATUS_MAGIC, layout.LAYOUT_MAGIC)
    with pytest.raises(HardwareError, match="heartbeat does not move"):
        start(link)


def test_another_layout_is_refused():
    link = FakeLink(version=layout.LAYOUT_VERSION + 1)
    asyncio.run(link.pace(0.0))
    with pytest.raises(HardwareError, match=f"memory layout {layout.LAYOUT_VERSION + 1}"):
        start(link)


def test_bring_up_wipes_the_predecessors_magic(tmp_path, monkeypatch):
    image = tmp_path / "sampler.bin"
    image.write_bytes(b"code")
    monkeypatch.setattr("rpmu.acquire.link.IMAGE_FOLDER", tmp_path)
    link = FakeLink()
    info = asyncio.run(sampler.bring_up(link, SamplerSettings(), link.pace))
    assert (link.image, link.started, info.channels) == (image, True, 1)
    dead = FakeLink(alive=False)
    dead.pru.set_status(layout.STATUS_MAGIC, layout.LAYOUT_MAGIC)
    with pytest.raises(HardwareError, match="no firmware of rpmu reports"):
        asyncio.run(sampler.bring_up(dead, SamplerSettings(), dead.pace))


def test_bring_up_without_an_image_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("rpmu.acquire.link.IMAGE_FOLDER", tmp_path)
    link = FakeLink()
    with pytest.raises(HardwareError, match=r"sampler\.bin is missing"):
        asyncio.run(sampler.bring_up(link, SamplerSettings(), link.pace))
