"""Tell the firmware what to sample, start it, and learn what it really does.

The host writes the parameters, then the command, then a new command number; the firmware answers by acknowledging that
number. At START the firmware times its own scans against its counter, and the length of a scan is taken from there:
the manual leaves open what the sequencer spends between two scans, so nothing else in rpmu assumes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from rpmu.acquire import layout
from rpmu.acquire.blocks import ADC_INPUT_CLOCK_HZ, COUNTER_HZ, AcquisitionInfo
from rpmu.acquire.faults import fault_error
from rpmu.acquire.link import Pace, PruLink, shipped_image
from rpmu.acquire.settings import InputRange, SamplerSettings
from rpmu.errors import HardwareError

POLL_S = 0.005
ANSWER_S = 1.0  # patience with an answer ...
HEARTBEAT_S = 0.001  # at the longest
WARM_UP_SCANS = 8  # ahead of those that the firmware times
UNWATCHED = InputRange()
MEASURE_S = 6.0  # ... and with the measurement of the scan length, which the firmware ends after 5.4 s at most


async def bring_up(
    link: PruLink, settings: SamplerSettings, pace: Pace, inputs: InputRange = UNWATCHED
) -> AcquisitionInfo:
    """Load the shipped image, run it and start sampling; arguments as for `start`.

    Raises:
        HardwareError: see `PruLink` and `start`.
    """
    link.stop()
    link.load(shipped_image(link.image_format))
    # Shared RAM outlives the core: without this a dead core could answer with its predecessor's words.
    words_of(link)[layout.STATUS_MAGIC // 4] = 0
    link.start()
    return await start(link, settings, pace, inputs)


@dataclass(frozen=True)
class HandOver:
    """From one run of the firmware to the next without a stop of the core: its counter runs on.

    Attributes:
        last_scan: number of the newest scan just before START, 32 bits.
        at_most_s: the START came no later than so long after that scan.
        lead_ticks: counter ticks from START to scan 0 of the new run, to within seconds.
    """

    last_scan: int
    at_most_s: float
    lead_ticks: int


async def start_over(
    link: PruLink,
    settings: SamplerSettings,
    pace: Pace,
    last_look: Callable[[], None],
    inputs: InputRange = UNWATCHED,
) -> tuple[AcquisitionInfo, HandOver]:
    """Start anew, with other parameters, firmware that samples.

    Args:
        link: to the core.
        settings: what to sample.
        pace: waits for the PRU.
        last_look: called when the last run is about to end, to read what it leaves in the ring.
        inputs: what to watch them for.

    Returns:
        What the firmware was told and what it measured, and how the new run's counter follows from the last one's.

    Raises:
        HardwareError: as for `start`.
    """
    words = words_of(link)
    await _firmware_ready(words, pace)
    _write_parameters(words, settings, inputs)
    last_look()
    # From here to the command nothing waits: how long that took is bounded by the heart's beats, of which there is at
    # least one a millisecond in every state, so that not even a host that hung meanwhile loses a wrap of the counter.
    beats, last_scan = _status(words, layout.STATUS_HEARTBEAT), _status(words, layout.STATUS_SCANS)
    sequence = _command(words, layout.COMMAND_START)
    beats = (_status(words, layout.STATUS_HEARTBEAT) - beats) & 0xFFFFFFFF
    info = await _started(words, settings, sequence, pace)
    measured, ticks = _status(words, layout.STATUS_MEASURED_SCANS), _status(words, layout.STATUS_MEASURED_CYCLES)
    return info, HandOver(last_scan, (beats + 1) * HEARTBEAT_S, ticks + WARM_UP_SCANS * ticks // measured)


async def start(
    link: PruLink, settings: SamplerSettings, pace: Pace, inputs: InputRange = UNWATCHED
) -> AcquisitionInfo:
    """Start sampling on firmware that runs.

    Args:
        link: a link whose core was started.
        settings: what to sample.
        pace: waits for the PRU.
        inputs: what to watch them for.

    Returns:
        What the firmware was told and what it measured.

    Raises:
        HardwareError: the firmware is absent, of another layout, or reports a fault; the message says what to do.
    """
    words = words_of(link)
    await _firmware_ready(words, pace)
    if _status(words, layout.STATUS_STATE) not in (layout.STATE_IDLE, layout.STATE_FAULT):
        await stop(link, pace)
    _write_parameters(words, settings, inputs)
    return await _started(words, settings, _command(words, layout.COMMAND_START), pace)


async def _started(words: NDArray[np.uint32], settings: SamplerSettings, sequence: int, pace: Pace) -> AcquisitionInfo:
    """Wait for the answer to START."""

    def answered() -> bool:
        state = _status(words, layout.STATUS_STATE)
        return _status(words, layout.STATUS_COMMAND_ACK) == sequence and state in (
            layout.STATE_RUNNING,
            layout.STATE_FAULT,
        )

    measuring_s = min(MEASURE_S, 2 * float(settings.measure_scans / settings.scan_rate_hz))
    await _until(answered, pace, ANSWER_S + measuring_s, "the PRU does not answer the start command")
    if _status(words, layout.STATUS_STATE) == layout.STATE_FAULT:
        raise fault_error(_status(words, layout.STATUS_FAULT))
    return _what_runs(words, settings)


async def stop(link: PruLink, pace: Pace) -> None:
    """Stop sampling; the firmware stays ready for the next start.

    Raises:
        HardwareError: the firmware does not answer.
    """
    words = words_of(link)
    sequence = _command(words, layout.COMMAND_STOP)

    def stopped() -> bool:
        idle = _status(words, layout.STATUS_STATE) == layout.STATE_IDLE
        return idle and _status(words, layout.STATUS_COMMAND_ACK) == sequence

    await _until(stopped, pace, ANSWER_S, "the PRU does not answer the stop command")


def words_of(link: PruLink) -> NDArray[np.uint32]:
    """The link's shared RAM as a numpy array of its 32-bit words, live."""
    return np.frombuffer(link.window(), dtype=np.uint32)


def _status(words: NDArray[np.uint32], offset: int) -> int:
    return int(words.item((layout.STATUS_OFFSET + offset) // 4))


async def _until(done: Callable[[], bool], pace: Pace, patience_s: float, complaint: str) -> None:
    for _ in range(round(patience_s / POLL_S)):
        if done():
            return
        await pace(POLL_S)
    if not done():
        raise HardwareError(f"{complaint} within {patience_s:.1f} s: reload its firmware (restart rpmu)")


async def _firmware_ready(words: NDArray[np.uint32], pace: Pace) -> None:
    def initialised() -> bool:
        return _status(words, layout.STATUS_MAGIC) == layout.LAYOUT_MAGIC

    await _until(initialised, pace, ANSWER_S, "no firmware of rpmu reports in the PRU's shared memory")
    version = _status(words, layout.STATUS_LAYOUT_VERSION)
    if version != layout.LAYOUT_VERSION:
        raise HardwareError(
            f"the PRU firmware has memory layout {version}, but this rpmu needs layout {layout.LAYOUT_VERSION}: "
            "load the image that rpmu ships"
        )
    before = _status(words, layout.STATUS_HEARTBEAT)

    def beating() -> bool:
        return _status(words, layout.STATUS_HEARTBEAT) != before

    await _until(beating, pace, ANSWER_S, "the PRU has stopped: its heartbeat does not move")


def _write_parameters(words: NDArray[np.uint32], settings: SamplerSettings, inputs: InputRange) -> None:
    steps = [*settings.ain, settings.pps_ain]
    delays = zip(settings.open_delay_adc_clocks, settings.sample_delay_adc_clocks, strict=True)
    values = {
        layout.PARAMS_CHANNELS: settings.channels,
        layout.PARAMS_ADC_CLKDIV: settings.adc_clkdiv,
        layout.PARAMS_DECIMATION: settings.decimation,
        layout.PARAMS_OUTPUT_SHIFT: settings.output_shift,
        layout.PARAMS_PPS_HIGH: settings.pps_high_counts,
        layout.PARAMS_PPS_LOW: settings.pps_low_counts,
        layout.PARAMS_PPS_PIN: layout.PPS_PIN_NONE if settings.pps_pin is None else settings.pps_pin,
        layout.PARAMS_MEASURE_SCANS: settings.measure_scans,
        layout.PARAMS_WATCHED: inputs.channels,
        layout.PARAMS_LOWEST: inputs.lowest,
        layout.PARAMS_HIGHEST: inputs.highest,
    }
    for step, ain in enumerate(steps):
        values[layout.PARAMS_AIN + 4 * step] = ain
    for step, (open_delay, sample_delay) in enumerate(delays):
        values[layout.PARAMS_STEP_DELAY + 4 * step] = open_delay | sample_delay << 24
    for offset, value in values.items():
        words[(layout.PARAMS_OFFSET + offset) // 4] = value


def _command(words: NDArray[np.uint32], command: int) -> int:
    """Give a command; its number, which must be new, is written last."""
    sequence = (int(words.item((layout.PARAMS_OFFSET + layout.PARAMS_COMMAND_SEQ) // 4)) + 1) & 0xFFFFFFFF
    if sequence == _status(words, layout.STATUS_COMMAND_ACK):
        sequence = (sequence + 1) & 0xFFFFFFFF
    words[(layout.PARAMS_OFFSET + layout.PARAMS_COMMAND) // 4] = command
    words[(layout.PARAMS_OFFSET + layout.PARAMS_COMMAND_SEQ) // 4] = sequence
    return sequence


def _what_runs(words: NDArray[np.uint32], settings: SamplerSettings) -> AcquisitionInfo:
    version = _status(words, layout.STATUS_FIRMWARE_VERSION)
    info = AcquisitionInfo(
        channels=settings.channels,
        adc_clkdiv=settings.adc_clkdiv,
        scan_adc_clocks=_measured_scan_adc_clocks(words, settings),
        decimation=_status(words, layout.STATUS_DECIMATION),
        cic_order=_status(words, layout.STATUS_CIC_ORDER),
        output_shift=settings.output_shift,
        skew_adc_clocks=settings.skew_adc_clocks,
        firmware_version=f"{version >> 16}.{version & 0xFFFF}",
    )
    delay = Fraction(_status(words, layout.STATUS_CIC_DELAY_HALF_SCANS), 2)
    if info.decimation != settings.decimation or info.cic_delay_scans != delay:
        raise HardwareError(
            f"the PRU firmware decimates by {info.decimation} with a delay of {delay} scans, but was told to by "
            f"{settings.decimation}: load the image that rpmu ships"
        )
    return info


def expected(settings: SamplerSettings, firmware: AcquisitionInfo) -> AcquisitionInfo:
    """What firmware will sample that was told other settings, unless it finds its scans to be of another length."""
    return replace(
        firmware,
        channels=settings.channels,
        adc_clkdiv=settings.adc_clkdiv,
        scan_adc_clocks=settings.scan_adc_clocks,
        decimation=settings.decimation,
        output_shift=settings.output_shift,
        skew_adc_clocks=settings.skew_adc_clocks,
    )


def _measured_scan_adc_clocks(words: NDArray[np.uint32], settings: SamplerSettings) -> int:
    scans = _status(words, layout.STATUS_MEASURED_SCANS)
    ticks = _status(words, layout.STATUS_MEASURED_CYCLES)
    clocks = Fraction(ticks * ADC_INPUT_CLOCK_HZ, COUNTER_HZ * (settings.adc_clkdiv + 1) * max(scans, 1))
    whole = round(clocks)
    if scans == 0 or whole < 1 or abs(clocks - whole) > Fraction(1, 10):
        raise HardwareError(
            f"the ADC's scan was measured as {float(clocks):.3f} ADC clocks ({ticks} ticks in {scans} scans), which is "
            "no whole number: something else drives the ADC, or the firmware image is another version's"
        )
    return whole
