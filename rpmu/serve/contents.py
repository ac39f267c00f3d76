"""What the stream says: the configuration frame of this PMU, and each measurement as a data frame of it.

The phasors come in the order of the channels, followed by the positive sequence for three phases; then the optional
time analogs, then the status word with its named bits.
"""

from __future__ import annotations

from functools import lru_cache

from rpmu.c37118 import (
    AnalogChannel,
    ConfigFrame,
    ConfigFrame2,
    DataError,
    DigitalWord,
    Format,
    PhasorChannel,
    PhasorComponent,
    PmuConfig,
    TimeQuality,
)
from rpmu.c37118.data import encode_data
from rpmu.c37118.fields import CLOCK_FAULT
from rpmu.c37118.times import on_grid
from rpmu.config import Config
from rpmu.errors import InputError
from rpmu.measurement import Measurement
from rpmu.timing.status import STATUS_ANALOG_NAMES, STATUS_BIT_NAMES, STATUS_NORMAL_MASK, STATUS_VALID_MASK

NS_PER_S = 1_000_000_000
INTEGER_V_PER_BIT = 0.02  # 16-bit phasors: 655 V full scale, 20 mV steps (0.017 % of 120 V)
_STATUS_WORD = DigitalWord(STATUS_BIT_NAMES, STATUS_NORMAL_MASK, STATUS_VALID_MASK)
_COMPONENTS = {
    "A": PhasorComponent.PHASE_A,
    "B": PhasorComponent.PHASE_B,
    "C": PhasorComponent.PHASE_C,
}


def stream_configuration(config: Config, window_s: float = 0.0, group_delay_s: float = 0.0) -> ConfigFrame2:
    """The configuration frame that follows from a configuration of the PMU.

    Args:
        config: of the PMU.
        window_s: length of the samples behind one report (CFG-3 tells it).
        group_delay_s: from a report's instant to its last sample (CFG-3 tells it).
    """
    station = config.station
    pmu = PmuConfig(
        name=station.name,
        idcode=station.idcode,
        format=_format(config),
        phasors=_phasors(config),
        analogs=tuple(AnalogChannel(name) for name in STATUS_ANALOG_NAMES) if config.server.status_analogs else (),
        digitals=(_STATUS_WORD,) if config.server.status_word else (),
        nominal_hz=station.nominal_frequency_hz,
        service_class=station.performance_class,
        window_us=round(window_s * 1e6),
        group_delay_us=round(group_delay_s * 1e6),
    )
    return ConfigFrame2(
        idcode=station.idcode,
        pmus=(pmu,),
        data_rate=station.reporting_rate_per_s,
        time_base=config.server.time_base,
        time_quality=TimeQuality.of(CLOCK_FAULT),  # until the first data frame tells the time
        version=config.server.sync_version,
    )


def _format(config: Config) -> Format:
    server = config.server
    chosen = {
        Format.POLAR: server.phasor_notation == "polar",
        Format.FLOAT_PHASORS: server.phasor_format == "float",
        Format.FLOAT_ANALOGS: server.analog_format == "float",
        Format.FLOAT_FREQUENCY: server.frequency_format == "float",
    }
    return Format(sum(bit for bit, on in chosen.items() if on))


def _phasors(config: Config) -> tuple[PhasorChannel, ...]:
    scale = INTEGER_V_PER_BIT if config.server.phasor_format == "int" else 1.0
    channels = [
        PhasorChannel(
            name=channel.name,
            is_current=channel.kind == "current",
            scale=scale,
            component=_COMPONENTS.get(channel.phase, PhasorComponent.ZERO_SEQUENCE),
        )
        for channel in config.channels
    ]
    if has_positive_sequence(config):
        channels.append(PhasorChannel("V1", scale=scale, component=PhasorComponent.POSITIVE_SEQUENCE))
    return tuple(channels)


def has_positive_sequence(config: Config) -> bool:
    """Whether the stream carries V1 behind the channels."""
    return config.station.phases == 3 and config.server.positive_sequence


def encoded_frame(stream: ConfigFrame, measurement: Measurement) -> bytes:
    """One measurement as a data frame of the stream, encoded at once.

    Invalid numbers go out as NaN (0x8000 among integers) with STAT's data error "absent", never as a wrong value.
    STAT has no bit of its own for "not calibrated"; such numbers go out with the same code, "test mode, do not use".

    Raises:
        InputError: the measurement does not fit the stream.
    """
    time, (part,) = measurement.time, stream.layout.pmus
    usable = measurement.valid and not measurement.test_mode
    values = part.numbers(
        time.stat_bits if usable else time.stat_bits | DataError.TEST_OR_ABSENT << 14,
        measurement.phasors,
        measurement.frequency_hz,
        measurement.rocof_hz_per_s,
        measurement.analogs,
        (measurement.status_word,) if part.counts[2] else (),
    )
    carry, fracsec = _fraction(measurement.time_ns % NS_PER_S, stream.data_rate, stream.time_base)
    try:
        return encode_data(stream, time.soc + carry, fracsec, values, time.time_quality, stream.version)
    except ValueError as error:
        raise InputError(f"{measurement} does not fit the stream's data frames: {error}") from error


@lru_cache(maxsize=512)
def _fraction(rest_ns: int, rate: int, time_base: int) -> tuple[int, int]:
    """Whole second and FRACSEC of a report so many ns into a second; there are no more than `rate` of them."""
    # The estimator's instants lie exactly on k/rate: dividing back gives the integer k, whatever the rounding of ns.
    index = (2 * rest_ns * max(rate, 1) + NS_PER_S) // (2 * NS_PER_S)
    return on_grid(0, index, rate, time_base)
