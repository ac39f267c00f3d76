"""What the stream says: the configuration frame of this PMU, and each measurement as a data frame of it.

The phasors come in the order of the channels, followed by the positive sequence for three phases; then the optional
time analogs, then the status word with its named bits.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx

from rpmu.c37118 import (
    AnalogChannel,
    ConfigFrame,
    ConfigFrame2,
    DataError,
    DataFrame,
    DigitalWord,
    Format,
    PhasorChannel,
    PhasorComponent,
    PmuConfig,
    TimeQuality,
)
from rpmu.c37118.envelope import CHK, CRC_START
from rpmu.c37118.fields import CLOCK_FAULT
from rpmu.c37118.times import on_grid
from rpmu.config import Config
from rpmu.errors import InputError
from rpmu.measurement import Measurement
from rpmu.serve.answers import TIME
from rpmu.timing.status import STATUS_ANALOG_NAMES, STATUS_BIT_NAMES, STATUS_NORMAL_MASK, STATUS_VALID_MASK

NS_PER_S = 1_000_000_000
TEST_OR_ABSENT = DataError.TEST_OR_ABSENT << 14  # in place in STAT
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


class Encoder:
    """Encodes the measurements of one stream; what all its frames have in common is worked out once.

    The bytes are those of `rpmu.c37118.DataFrame`.

    Args:
        stream: of one PMU.

    Attributes:
        stream: the same.

    Raises:
        InputError: its frames would be too long, or its IDCODE or version is not one of the standard's.
    """

    def __init__(self, stream: ConfigFrame) -> None:
        (part,) = stream.layout.pmus
        zeros = DataFrame(stream, 0, 0, (0,) * part.stop, version=stream.version)
        self.stream = stream
        self._numbers = part.numbers
        self._is_plain, self._n_phasors, self._write_phasors = part.is_plain, part.counts[0], part.write_phasors
        self._has_status_word = bool(part.counts[2])
        self._begin = zeros.encode()[: TIME.start]  # SYNC, FRAMESIZE and IDCODE
        self._pack = struct.Struct(f">{TIME.start}sII{part.codes}").pack
        self._fractions: dict[int, tuple[int, int]] = {}  # by ns into the second

    def encode(self, measurement: Measurement) -> bytes:
        """One measurement as a data frame.

        Invalid numbers go out as NaN (0x8000 among integers) with STAT's data error "absent", never as a wrong value.
        STAT has no bit of its own for "not calibrated"; such numbers go out with the same code, "test mode, do not
        use".

        Raises:
            InputError: the measurement does not fit the stream.
        """
        time, phasors, analogs = measurement.time, measurement.phasors, measurement.analogs
        usable = measurement.valid and not measurement.test_mode
        stat = time.stat_bits if usable else time.stat_bits | TEST_OR_ABSENT
        frequency_hz, rocof_hz_per_s = measurement.frequency_hz, measurement.rocof_hz_per_s
        digitals = (measurement.status_word,) if self._has_status_word else ()
        rest_ns = measurement.time_ns % NS_PER_S
        carry, fracsec = self._fractions.get(rest_ns) or self._fraction(rest_ns)
        head = self._begin, time.soc + carry, time.time_quality << 24 | fracsec
        try:
            if self._is_plain and len(phasors) == self._n_phasors:  # the usual formats, without a detour by numbers()
                pairs = self._write_phasors(phasors)
                frame = self._pack(*head, stat, *pairs, frequency_hz, rocof_hz_per_s, *analogs, *digitals)
            else:
                numbers = self._numbers(stat, phasors, frequency_hz, rocof_hz_per_s, analogs, digitals)
                frame = self._pack(*head, *numbers)
        except (struct.error, OverflowError) as error:
            raise InputError(f"{measurement} does not fit the stream's data frames: {error}") from error
        return frame + crc_hqx(frame, CRC_START).to_bytes(CHK.size, "big")

    def _fraction(self, rest_ns: int) -> tuple[int, int]:
        """Whole second and FRACSEC of a report so many ns into a second; there are no more than `data_rate` of them."""
        # The estimator's instants lie exactly on k/rate: dividing back gives the integer k, whatever the rounding of
        # ns.
        rate = self.stream.data_rate
        index = (2 * rest_ns * max(rate, 1) + NS_PER_S) // (2 * NS_PER_S)
        fraction = on_grid(0, index, rate, self.stream.time_base)
        self._fractions[rest_ns] = fraction
        return fraction
