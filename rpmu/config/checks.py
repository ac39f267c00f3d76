"""Settings that must agree: rates with the nominal frequency, channels with phases, inputs with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rpmu.config.locate import Path
from rpmu.config.problems import toml_value
from rpmu.config.schema import Config
from rpmu.errors import InputError

# IEEE C37.118.1-2011, table 1, with 120 and 100 frames/s, which it encourages.
RATES_PER_S = {50: (10, 25, 50, 100), 60: (10, 12, 15, 20, 30, 60, 120)}

Contradiction = tuple[Path, str, str]


def contradictions(config: Config) -> Iterator[Contradiction]:
    """Path, what is wrong, and an example, for each contradiction in a configuration whose single values are fine."""
    found = [
        *_rates(config),
        *_channels(config),
        *_phases(config),
        *_delays(config),
        *_thresholds(config),
        *_pps_input(config),
        *_tls(config),
    ]
    yield from found or _scan(config)


def _rates(config: Config) -> Iterator[Contradiction]:
    nominal = config.station.nominal_frequency_hz
    allowed = RATES_PER_S[nominal]
    words = f"{', '.join(map(str, allowed))}, 1, or -2 to -3600 (seconds per frame) at {nominal} Hz"
    rate = config.station.reporting_rate_per_s
    if rate not in allowed and rate != 1 and rate > -2:
        example = f"reporting_rate_per_s = {nominal}"
        yield ("station", "reporting_rate_per_s"), f"is {rate}, but must be one of {words}", example
    for choice in config.server.selectable_rates_per_s:
        if choice not in allowed and choice != 1:
            example = f"selectable_rates_per_s = {toml_value(allowed[:2])}"
            yield ("server", "selectable_rates_per_s"), f"has {choice}, but must have only {words}", example


def _channels(config: Config) -> Iterator[Contradiction]:
    if len(config.channel) > 6:
        yield ("channel",), f"occurs {len(config.channel)} times, but the ADC has inputs for 1 to 6 beside the PPS", ""
    for key in ("name", "ain"):
        counts = Counter(getattr(channel, key) for channel in config.channel)
        for number, channel in enumerate(config.channel):
            value = getattr(channel, key)
            if counts[value] > 1:
                yield ("channel", number, key), f"is {toml_value(value)}, but another channel has that too", ""
                counts[value] = 0  # say it once
    reference = config.sampling.reference_ain
    if reference is not None and reference in (config.sampling.pps_ain, *(channel.ain for channel in config.channels)):
        text = f"is {reference}, but a channel or the PPS is there already; the 1.25 V reference needs its own input"
        yield ("sampling", "reference_ain"), text, "reference_ain = 2"
    for number, channel in enumerate(config.channels):
        if channel.ain == config.sampling.pps_ain:
            path: Path = ("channel", number, "ain") if config.channel else ("sampling", "pps_ain")
            yield path, f"is {channel.ain}, but a channel and the PPS ([sampling] pps_ain) need different inputs", ""


def _phases(config: Config) -> Iterator[Contradiction]:
    voltages = sorted(channel.phase for channel in config.channels if channel.kind == "voltage")
    if config.station.phases == 3 and voltages != ["A", "B", "C"]:
        got = ", ".join(voltages) or "none"
        yield (
            ("station", "phases"),
            f"is 3, but the voltage channels are of the phases {got}: there must be one each of A, B and C",
            "",
        )


def _delays(config: Config) -> Iterator[Contradiction]:
    steps = len(config.inputs) + 1
    sampling = config.sampling
    if bool(sampling.open_delay_adc_clocks) != bool(sampling.sample_delay_adc_clocks):
        given, missing = ("open_delay_adc_clocks", "sample_delay_adc_clocks")
        if sampling.sample_delay_adc_clocks:
            given, missing = missing, given
        yield ("sampling", given), f"is given, but {missing} is not: give both or neither", ""
        return
    for name in ("open_delay_adc_clocks", "sample_delay_adc_clocks"):
        delays = getattr(sampling, name)
        if delays and len(delays) != steps:
            example = f"{name} = {toml_value([8] * steps)}"
            reference = "" if config.sampling.reference_ain is None else "the reference, "
            text = f"has {len(delays)} numbers, but must have {steps}: one per channel, {reference}then the PPS"
            yield ("sampling", name), text, example
            return


def _thresholds(config: Config) -> Iterator[Contradiction]:
    sampling = config.sampling
    if sampling.pps_low_counts >= sampling.pps_high_counts:
        text = f"is {sampling.pps_low_counts}, but must be below pps_high_counts ({sampling.pps_high_counts})"
        yield ("sampling", "pps_low_counts"), text, "pps_low_counts = 500"


def _pps_input(config: Config) -> Iterator[Contradiction]:
    if config.time.pps_input == "r31" and config.sampling.pps_pin is None:
        text = 'is "r31", but [sampling] pps_pin does not say which bit of R31 has it'
        yield ("time", "pps_input"), text, "pps_pin = 14 in [sampling]"


def _scan(config: Config) -> Iterator[Contradiction]:
    """What only the sampler's own check finds; asked when nothing else is wrong."""
    try:
        config.sampler_settings()
    except InputError as error:
        yield ("sampling",), f"does not work out: {error}", ""


def _tls(config: Config) -> Iterator[Contradiction]:
    server = config.server
    files = {"tls_certificate": server.tls_certificate, "tls_key": server.tls_key}
    missing = [name for name, file in files.items() if file is None]
    if len(missing) == 1:
        given = next(name for name in files if name not in missing)
        suffix = {"tls_certificate": "pem", "tls_key": "key"}[missing[0]]
        example = f'{missing[0]} = "/etc/rpmu/tls/server.{suffix}"'
        yield ("server", given), f"is given, but {missing[0]} is not: TLS needs both", example
    if server.tls_client_ca is not None and server.tls_certificate is None:
        yield ("server", "tls_client_ca"), "is given, but tls_certificate is not: without it there is no TLS", ""
