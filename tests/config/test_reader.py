"""Files become configurations, or every problem with its place, what was got, what is allowed and an example."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpmu.config import Channel, Config, ConfigError, default, load, parse
from rpmu.errors import InputError


def problems_of(text):
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "rpmu.toml")
    return str(caught.value).splitlines()


def test_an_empty_file_is_the_default():
    assert parse(b"") == default() == Config()


def test_the_defaults_are_those_of_the_contract():
    config = default()
    assert (config.station.idcode, config.station.name) == (1, "RPMU")
    assert (config.station.nominal_frequency_hz, config.station.performance_class) == (60, "M")
    assert config.station.reporting_rate_per_s == 60
    assert [channel.name for channel in config.channels] == ["VA"]
    assert (config.server.phasor_format, config.server.phasor_notation) == ("float", "polar")
    assert config.server.listen == ("127.0.0.1:4712",)
    assert config.sampler_settings().sample_rate_hz == 12_000


def test_a_file_sets_what_it_says_and_nothing_else():
    config = parse(
        b"""
        [station]
        name = "Kitchen"
        nominal_frequency_hz = 50
        reporting_rate_per_s = 50
        [[channel]]
        name = "VA"
        [[channel]]
        name = "IA"
        kind = "current"
        ain = 2
        [sampling]
        pps_pin = 14
        [time]
        pps_delay_ns = 25  # a whole number is a number too
        [server]
        listen = ["[::1]:4712", "0.0.0.0:0"]
        """
    )
    assert config.station.name == "Kitchen"
    assert config.channel == (Channel(), Channel("IA", "current", "A", 2))
    assert config.sampling.pps_pin == 14
    assert config.time.pps_delay_ns == 25.0
    assert isinstance(config.time.pps_delay_ns, float)
    assert config.server.listen == ("[::1]:4712", "0.0.0.0:0")
    assert config.sampler_settings().scan_adc_clocks == 80
    assert config.gps == default().gps


def test_three_phases_have_default_channels():
    config = parse(b"[station]\nphases = 3\n")
    assert [(channel.name, channel.phase, channel.ain) for channel in config.channels] == [
        ("VA", "A", 0),
        ("VB", "B", 3),
        ("VC", "C", 4),
    ]
    assert config.sampler_settings().scan_rate_hz == 30_000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[station]\nidcod = 1", "rpmu.toml:2: [station] idcod is not a known key: did you mean idcode?"),
        ("\n[statoin]", "rpmu.toml:2: [statoin] is not a known section: did you mean station?"),
        (
            "[station]\nbaud_rate = 9600",
            "rpmu.toml:2: [station] baud_rate is not a known key: did you mean the one in [gps]?",
        ),
        ("idcode = 7", "rpmu.toml:1: [idcode] is not a known section: did you mean the one in [station]?"),
        (
            "[logging]\nxyzzy = 1",
            "rpmu.toml:2: [logging] xyzzy is not a known key: allowed are level",
        ),
        (
            "[station]\nidcode = 65535",
            "rpmu.toml:2: [station] idcode is 65535, but must be 1 to 65534, for example: idcode = 1",
        ),
        (
            "[station]\n\nidcode = '7'",
            'rpmu.toml:3: [station] idcode is "7", but must be a whole number, for example: idcode = 1',
        ),
        (
            "[station]\nidcode = true",
            "rpmu.toml:2: [station] idcode is true, but must be a whole number, for example: idcode = 1",
        ),
        (
            "[station]\nidcode = 2.0",
            "rpmu.toml:2: [station] idcode is 2.0, but must be a whole number, for example: idcode = 1",
        ),
        (
            '[station]\nperformance_class = "m"',
            'rpmu.toml:2: [station] performance_class is "m", but must be one of "P", "M", '
            'for example: performance_class = "M"',
        ),
        (
            '[station]\nname = "A name of more than 16"',
            'rpmu.toml:2: [station] name is "A name of more than 16", but must be 1 to 16 ASCII characters, '
            'for example: name = "RPMU"',
        ),
        (
            "[time]\npps_delay_ns = nan",
            "rpmu.toml:2: [time] pps_delay_ns is nan, but must be -1000000 to 1000000, for example: pps_delay_ns = 0.0",
        ),
        (
            '[server]\nlisten = [\n "127.0.0.1:1",\n "4712" ]',
            'rpmu.toml:2: [server] listen is "4712", but must be HOST:PORT, or "[IPV6]:PORT", '
            'for example: listen = ["0.0.0.0:4712"]',
        ),
        (
            '[server]\naccess = ["10.0.0.0/33"]',
            'rpmu.toml:2: [server] access is "10.0.0.0/33", but must be an IP address or a network in CIDR notation, '
            'for example: access = ["192.0.2.0/24", "2001:db8::/32"]',
        ),
        (
            '[server]\nlisten = "127.0.0.1:4712"',
            'rpmu.toml:2: [server] listen is "127.0.0.1:4712", but must be a list, each item a text in quotes, '
            'for example: listen = ["0.0.0.0:4712"]',
        ),
        (
            "[[channel]]\n[[channel]]\nname='VB'\nain = 7",
            "rpmu.toml:4: [[channel]] number 2 ain is 7, but must be 0 to 6, for example: ain = 0",
        ),
        (
            "[channel]\nain = 1",
            'rpmu.toml:1: [channel] is {"ain" = 1}, but must be sections of this name, for example: [[channel]]',
        ),
        ("station = 5", "rpmu.toml:1: [station] is 5, but must be a section, for example: [station]"),
        (
            "[station]\nidcode == 1",
            "rpmu.toml:2: the file is not valid TOML here: the value is none; a text needs quotes",
        ),
        ("[station]\nname = Cellar", "rpmu.toml:2: the file is not valid TOML here: the value is none; a text needs"),
        ("[station]\nidcode = 1\nidcode = 2", "rpmu.toml:3: the file is not valid TOML here: the key is given twice"),
        ("[station]\n[station]", "rpmu.toml:2: the file is not valid TOML here: the section is given twice"),
        (
            "[station]\nnominal_frequency_hz = 50",
            "rpmu.toml:1: [station] reporting_rate_per_s is 60, but must be one of 10, 25, 50, 100, 1, or -2 to -3600 "
            "(seconds per frame) at 50 Hz, for example: reporting_rate_per_s = 50",
        ),
        (
            "[station]\nreporting_rate_per_s = 25",
            "rpmu.toml:2: [station] reporting_rate_per_s is 25, but must be one of 10, 12, 15, 20, 30, 60, 120, 1, or "
            "-2 to -3600 (seconds per frame) at 60 Hz, for example: reporting_rate_per_s = 60",
        ),
        (
            "[server]\nselectable_rates_per_s = [30, 31]",
            "rpmu.toml:2: [server] selectable_rates_per_s has 31, but must have only 10, 12, 15, 20, 30, 60, 120, 1, "
            "or -2 to -3600 (seconds per frame) at 60 Hz, for example: selectable_rates_per_s = [10, 12]",
        ),
        (
            "[[channel]]\n[[channel]]\nname = 'X'",
            "rpmu.toml:1: [[channel]] number 1 ain is 0, but another channel has that too",
        ),
        (
            "[sampling]\npps_ain = 0",
            "rpmu.toml:2: [sampling] pps_ain is 0, but a channel and the PPS ([sampling] pps_ain) need different",
        ),
        (
            "[station]\nphases = 3\n[[channel]]\n",
            "rpmu.toml:2: [station] phases is 3, but the voltage channels are of the phases A: there must be one each "
            "of A, B and C",
        ),
        (
            "[sampling]\nopen_delay_adc_clocks = [1, 2]",
            "rpmu.toml:2: [sampling] open_delay_adc_clocks is given, but sample_delay_adc_clocks is not: give both or "
            "neither",
        ),
        (
            "[sampling]\nopen_delay_adc_clocks = [1]\nsample_delay_adc_clocks = [1, 2]",
            "rpmu.toml:2: [sampling] open_delay_adc_clocks has 1 numbers, but must have 2: one per channel, then the "
            "PPS, for example: open_delay_adc_clocks = [8, 8]",
        ),
        (
            "[sampling]\npps_low_counts = 2000",
            "rpmu.toml:2: [sampling] pps_low_counts is 2000, but must be below pps_high_counts (1000), for example: "
            "pps_low_counts = 500",
        ),
        (
            "[time]\npps_input = 'r31'",
            'rpmu.toml:2: [time] pps_input is "r31", but [sampling] pps_pin does not say which bit of R31 has it, for '
            "example: pps_pin = 14 in [sampling]",
        ),
        (
            "[sampling]\nadc_clkdiv = 200",
            "rpmu.toml:1: [sampling] does not work out: sampling: the scan rate is 2388.06 Hz, but must be 3051.8 Hz",
        ),
        (
            "[server]\ntls_key = 'k'",
            "rpmu.toml:2: [server] tls_key is given, but tls_certificate is not: TLS needs both, for example: "
            'tls_certificate = "/etc/rpmu/tls/server.pem"',
        ),
        (
            "[server]\ntls_client_ca = 'k'",
            "rpmu.toml:2: [server] tls_client_ca is given, but tls_certificate is not: without it there is no TLS",
        ),
    ],
)
def test_problems_name_place_got_allowed_and_example(text, sentence):
    found = problems_of(text)
    assert found[0].startswith(sentence)
    assert len(found) == 1 or "ain" in sentence


def test_seven_channels_are_too_many():
    text = "".join(f"[[channel]]\nname = 'V{n}'\nain = {n}\n" for n in range(7) if n != 1)
    assert len(parse(text.encode()).channels) == 6
    text += "[[channel]]\nname = 'V7'\nain = 1\n"
    assert any("occurs 7 times" in sentence for sentence in problems_of(text))


@pytest.mark.parametrize("rate", [1, -2, -3600, 10, 120])
def test_rates_that_are_allowed_at_60_hz(rate):
    assert parse(f"[station]\nreporting_rate_per_s = {rate}".encode()).station.reporting_rate_per_s == rate


@pytest.mark.parametrize("rate", [0, -1, 50, 61])
def test_rates_that_are_not(rate):
    assert "reporting_rate_per_s" in problems_of(f"[station]\nreporting_rate_per_s = {rate}")[0]


def test_all_problems_are_told_at_once_in_the_order_of_the_file():
    found = problems_of("[server]\nmax_clients = 0\n[station]\nidcode = 0\nname = ''\n[gps]\nbaud_rate = 1\n")
    assert [sentence.split(":")[1] for sentence in found] == ["2", "4", "5", "7"]


def test_numbers_beyond_all_bounds_are_refused():
    assert "must be a number" in problems_of("[time]\npps_delay_ns = 1" + "0" * 400)[0]
    assert "not valid TOML" in problems_of("[time]\npps_delay_ns = 1" + "0" * 5000)[0]


def test_what_is_no_text_names_the_line():
    with pytest.raises(ConfigError, match=r"rpmu\.toml:2: the file is not UTF-8 text"):
        parse(b"[station]\nname = '\xff'\n")


def test_a_file_of_absurd_size_is_not_read():
    with pytest.raises(ConfigError, match="may have at most 65536"):
        parse(b"#" * 100_000)


def test_absurd_nesting_is_refused():
    with pytest.raises(ConfigError):
        parse(b"a = " + b"[" * 30_000)


def test_windows_line_ends_count_as_one_line():
    with pytest.raises(ConfigError, match=r"rpmu\.toml:3:"):
        parse(b"[station]\r\n\r\nidcode = 0\r\n")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the configuration .*: No such file"):
        load(tmp_path / "nothing.toml")


def test_load_names_the_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[station]\nidcode = 0\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}:2: ")
    assert caught.value.exit_code == 3


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet="[]{}=.,\"'#\n abc1station", max_size=120).map(str.encode)))
def test_any_bytes_give_a_configuration_or_problems(content):
    try:
        parse(content)
    except ConfigError as error:
        told = str(error)
    else:
        told = "nothing is wrong"
    assert told
