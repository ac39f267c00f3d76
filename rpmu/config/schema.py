"""Every setting of rpmu: name, type, default, bounds and meaning, one dataclass per section of the file.

The dataclasses are the schema: `rpmu config schema`, `show` and every error message are made from them. Units are in
the names. What spans several settings (a rate against the nominal frequency) is in `rpmu.config.checks`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal

from rpmu.acquire.settings import SamplerSettings
from rpmu.config.rule import setting
from rpmu.errors import InputError

NAME_BYTES = 16  # of a station or channel in CFG-2 (IEEE C37.118.2, table 9)
DEFAULT_PORT = 4712


def _address(text: str) -> str | None:
    """Allowed form, if this is not HOST:PORT with a port of 0 to 65535."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    good_host = bool(host) and not any(letter.isspace() for letter in host) and (":" not in host or bracketed)
    good_port = port.isascii() and port.isdigit() and int(port) <= 65535
    return None if colon and good_host and good_port else 'HOST:PORT, or "[IPV6]:PORT"'


def _network(text: str) -> str | None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "an IP address or a network in CIDR notation"
    return None


@dataclass(frozen=True)
class Station:
    """Who this PMU is and what it reports."""

    name: str = setting("RPMU", "Station name in the configuration frames.", max_bytes=NAME_BYTES)
    idcode: int = setting(1, "IDCODE of the data stream; PDCs ask for it.", low=1, high=65534)
    nominal_frequency_hz: Literal[50, 60] = setting(60, "Nominal frequency of the grid.", choices=(50, 60))
    performance_class: Literal["P", "M"] = setting(
        "M", "IEEE C37.118.1 class: P answers fast, M rejects interference.", choices=("P", "M")
    )
    reporting_rate_per_s: int = setting(
        60,
        "Frames per second. At 60 Hz: 10, 12, 15, 20, 30, 60, 120; at 50 Hz: 10, 25, 50, 100; at both 1, or a "
        "negative number -N for one frame in N seconds.",
        low=-3600,
        high=120,
    )
    phases: Literal[1, 3] = setting(1, "Phases of the grid that are measured.", choices=(1, 3))


@dataclass(frozen=True)
class Channel:
    """One measured quantity; each [[channel]] in the file is one phasor."""

    name: str = setting("VA", "Name of the phasor in the configuration frames.", max_bytes=NAME_BYTES)
    kind: Literal["voltage", "current"] = setting("voltage", "What is measured.", choices=("voltage", "current"))
    phase: Literal["A", "B", "C", "N"] = setting("A", "Phase it belongs to.", choices=("A", "B", "C", "N"))
    ain: int = setting(0, "Analog input of the ADC. AIN7 is the board's own.", low=0, high=6)


@dataclass(frozen=True)
class Sampling:
    """ADC and PRU. The defaults are 60 kHz scans and 12 kHz samples; change them only with the hardware."""

    pru_link: Literal["auto", "remoteproc", "uio"] = setting(
        "auto", "Way to the PRU; auto takes the first that is there.", choices=("auto", "remoteproc", "uio")
    )
    poll_interval_s: float = setting(
        0.025,
        "Longest time between two looks at the ring; a look comes sooner when a report is due.",
        low=0.005,
        high=0.1,
    )
    adc_clkdiv: int = setting(7, "ADC clock = 24 MHz / (value + 1); 7 is the fastest allowed.", low=7, high=65535)
    open_delay_adc_clocks: tuple[int, ...] = setting(
        (),
        "Open delay of each step: one number per channel, then one for the PPS. Empty: chosen so that inputs settle "
        "and a scan is coherent with 50 and 60 Hz.",
        example=(2, 2),
        low=0,
        high=262143,
    )
    sample_delay_adc_clocks: tuple[int, ...] = setting(
        (), "Sample delay of each step, likewise.", example=(8, 8), low=0, high=255
    )
    decimation: int = setting(5, "Scans per sample.", low=1, high=16)
    pps_ain: int = setting(1, "Analog input of the PPS.", low=0, high=6)
    reference_ain: int | None = setting(
        None,
        "Analog input of a known voltage (1.25 V on the front end's board), which takes the drift of VDD_ADC out; "
        "leave it out for none. One step more makes scans 80 ADC clocks long.",
        example=2,
        low=0,
        high=6,
    )
    reference_v: float = setting(1.25, "That voltage.", low=0.1, high=1.75)
    pps_high_counts: int = setting(
        1000, "A PPS sample at or above this, in 12-bit counts, after a low one is an edge.", low=1, high=4095
    )
    pps_low_counts: int = setting(500, "A PPS sample at or below this is low.", low=0, high=4094)
    pps_pin: int | None = setting(
        None, "Bit of R31 with a second PPS input; leave it out for none.", example=14, low=0, high=16
    )
    measure_scans: int = setting(3000, "Scans that the firmware times at start.", low=1, high=60000)


@dataclass(frozen=True)
class Gps:
    """The GPS receiver's serial port. The PPS itself comes through the ADC."""

    device: str = setting("/dev/pmu-gnss", "Serial device with NMEA sentences.", example="/dev/ttyS4")
    configure: bool = setting(
        True, "Ask the receiver for the sentences we read (MediaTek and u-blox); others ignore it."
    )
    baud_rate: int = setting(
        9600,
        "Its speed: tried first. A MediaTek receiver is brought to it; any other is heard at its own.",
        choices=(4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600),
    )


@dataclass(frozen=True)
class Time:
    """From PPS edges to UTC."""

    source: Literal["gps", "system"] = setting(
        "gps",
        "gps: PPS and NMEA. system: the host's clock, kept by chrony (NTP, PTP), with chrony's own error bound.",
        choices=("gps", "system"),
    )
    pps_input: Literal["auto", "adc", "r31"] = setting(
        "auto",
        "PPS input that makes the time; the other one, where wired, checks it and stands in for it. adc: the RC slope "
        "at [sampling] pps_ain. r31: the PRU's pin, [sampling] pps_pin. auto: r31 where pps_pin is given, else adc.",
        choices=("auto", "adc", "r31"),
    )
    pps_delay_ns: float = setting(
        0.0, "Delay of the PPS up to the ADC pin: antenna cable (about 5 ns/m) and buffers.", low=-1e6, high=1e6
    )
    pps_tau_s: float = setting(16.5e-6, "Time constant of the RC at the PPS input.", low=1e-7, high=1e-3)
    pin_latency_ns: float = setting(
        0.0,
        "Delay of the second PPS input: from an edge at the pin to the PRU's seeing it, beyond what the firmware adds "
        'at the latencies of the manual; negative where the chip\'s are longer. With pps_input = "adc", '
        "`rpmu status --json` shows it as other_input_ns.",
        low=-1e6,
        high=1e6,
    )
    nmea_delay_s: float = setting(
        0.0, "Smallest delay from a PPS edge to the sentence that names it.", low=-1.0, high=1.0
    )
    drift_ppb_per_s: float = setting(1.0, "Drift of the crystal assumed in holdover.", low=0.0, high=1000.0)
    lock_limit_ns: float = setting(
        26_500.0, "Error bound below which time is called locked; 26 500 ns is 1 % TVE at 60 Hz.", low=100.0, high=1e6
    )
    holdover_limit_ns: float = setting(
        26_500.0, "Error bound above which holdover ends and the time is called unlocked.", low=100.0, high=1e9
    )
    leap_second_file: str | None = setting(
        None,
        "List of leap seconds, IERS/NIST or tzdata format; leave it out for the system's own (tzdata).",
        example="/usr/share/zoneinfo/leap-seconds.list",
    )


@dataclass(frozen=True)
class Calibration:
    """What lies between the mains and the ADC."""

    profile: str | None = setting(
        None,
        "Nominal profile of the front end: a name that rpmu ships, or a file; without it, reference design A for the "
        "nominal frequency.",
        example="reference-a-120v",
    )
    certificate: str | None = setting(
        None,
        "Calibration certificate of this device: a file, or a history folder, of which the newest holds.",
        example="/etc/rpmu/calibration",
    )
    serial: str | None = setting(
        None, "Serial of this device, where the board's device tree has none or a wrong one.", example="1234BBBK5678"
    )
    temperature_file: str | None = setting(
        None,
        "File of the kernel with the temperature at the front end, for the certificate's temperature terms; leave it "
        "out where there is no sensor.",
        example="/sys/class/hwmon/hwmon0/temp1_input",
    )
    temperature_scale: float = setting(
        0.001, "Degrees Celsius per unit of that file: hwmon, IIO and 1-Wire have thousandths.", low=1e-6, high=1.0
    )
    allow_uncalibrated: bool = setting(
        False, "Run on the nominal profile where there is no certificate; data is then marked as test data in STAT."
    )
    allow_expired: bool = setting(
        False, "Start with a certificate that has expired; data is then marked as test data in STAT."
    )


@dataclass(frozen=True)
class Server:
    """Where PDCs connect, what the frames look like, and what one peer may cost."""

    listen: tuple[str, ...] = setting(
        (f"127.0.0.1:{DEFAULT_PORT}",),
        "Addresses to listen on; 0.0.0.0 is every interface.",
        example=(f"0.0.0.0:{DEFAULT_PORT}",),
        check=_address,
    )
    transport: Literal["tcp", "udp", "tcp+udp"] = setting(
        "tcp",
        "tcp+udp takes commands by TCP and sends data by UDP to the same client.",
        choices=("tcp", "udp", "tcp+udp"),
    )
    udp_data_port: int = setting(4713, "With tcp+udp: the client's UDP port.", low=1, high=65535)
    spontaneous: tuple[str, ...] = setting(
        (),
        "UDP destinations, unicast or multicast, that get data unasked.",
        example=("239.1.2.3:4713",),
        check=_address,
    )
    configuration_interval_s: int = setting(
        60, "Spontaneous streams: seconds between two configuration frames.", low=1, high=86400
    )
    multicast_ttl: int = setting(1, "Hops of a multicast datagram.", low=0, high=255)
    multicast_interface: str | None = setting(
        None, "Outgoing interface of multicast: IPv4 address, or name for IPv6.", example="192.0.2.7"
    )
    access: tuple[str, ...] = setting(
        (), "Networks that may connect; empty: all.", example=("192.0.2.0/24", "2001:db8::/32"), check=_network
    )
    header: str = setting("", "Text of the header frame; empty: written by rpmu.", example="Basement outlet")
    phasor_format: Literal["float", "int"] = setting("float", "Numbers of phasors.", choices=("float", "int"))
    phasor_notation: Literal["polar", "rectangular"] = setting(
        "polar", "Form of phasors.", choices=("polar", "rectangular")
    )
    frequency_format: Literal["float", "int"] = setting(
        "float", "Numbers of frequency and ROCOF.", choices=("float", "int")
    )
    analog_format: Literal["float", "int"] = setting("float", "Numbers of analog values.", choices=("float", "int"))
    time_base: int = setting(1_000_000, "Divisions of a second in FRACSEC.", low=1, high=16_777_215)
    sync_version: Literal[1, 2] = setting(2, "2 is IEEE C37.118.2-2011; 1 is 2005, for old peers.", choices=(1, 2))
    positive_sequence: bool = setting(True, "With three phases: send V1 too.")
    status_word: bool = setting(True, "Send the DIGITAL word with named status bits.")
    status_analogs: bool = setting(False, "Send time sigma, crystal ppm and satellites as analog values.")
    notice_s: int = setting(60, "Seconds during which STAT bit 10 announces a change.", low=0, high=3600)
    selectable_rates_per_s: tuple[int, ...] = setting(
        (),
        "Reporting rates that a PDC may choose by an extended frame; empty: none.",
        example=(10, 30),
        low=1,
        high=120,
    )
    tls_certificate: str | None = setting(
        None, "PEM file with the server's certificate; TCP is then TLS.", example="/etc/rpmu/tls/server.pem"
    )
    tls_key: str | None = setting(None, "PEM file with its private key.", example="/etc/rpmu/tls/server.key")
    tls_client_ca: str | None = setting(
        None, "PEM file with the authorities of client certificates.", example="/etc/rpmu/tls/clients.pem"
    )
    max_clients: int = setting(512, "Clients at the same time.", low=1, high=100_000)
    max_clients_per_address: int = setting(400, "Of them, from one IP address.", low=1, high=100_000)
    max_queue_bytes: int = setting(
        262_144, "Bytes waiting for one client, above which it is dropped.", low=65_536, high=1 << 30
    )
    max_stall_s: float = setting(15.0, "Longest stall of a client.", low=0.1, high=3600.0)


@dataclass(frozen=True)
class Logging:
    """What goes to the journal."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "Least severe message that is logged.", choices=("debug", "info", "warning", "error")
    )


@dataclass(frozen=True)
class Config:
    """The whole configuration, as the file's sections.

    `channel` is empty where the file has no [[channel]]; `channels` then gives the defaults for the phases.
    """

    station: Station = field(default_factory=Station)
    channel: tuple[Channel, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    gps: Gps = field(default_factory=Gps)
    time: Time = field(default_factory=Time)
    calibration: Calibration = field(default_factory=Calibration)
    server: Server = field(default_factory=Server)
    logging: Logging = field(default_factory=Logging)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels in the order of ADC steps and phasors."""
        if self.channel:
            return self.channel
        if self.station.phases == 1:
            return (Channel(),)
        return (Channel(), Channel(name="VB", phase="B", ain=3), Channel(name="VC", phase="C", ain=4))

    @property
    def inputs(self) -> tuple[int, ...]:
        """Analog inputs in the order of the ADC's steps: the channels, then the reference if there is one."""
        reference = self.sampling.reference_ain
        return (*(channel.ain for channel in self.channels), *(() if reference is None else (reference,)))

    @property
    def pulse_input(self) -> Literal["adc", "pin"]:
        """The input whose pulse makes the time."""
        chosen, wired = self.time.pps_input, self.sampling.pps_pin is not None
        return "pin" if chosen == "r31" or (chosen == "auto" and wired) else "adc"

    def sampler_settings(self) -> SamplerSettings:
        """What the PRU is told.

        Raises:
            InputError: the settings contradict each other.
        """
        sampling = self.sampling
        explicit = {
            name: getattr(sampling, name)
            for name in ("open_delay_adc_clocks", "sample_delay_adc_clocks")
            if getattr(sampling, name)
        }
        if len(explicit) == 1:
            raise InputError("sampling: open_delay_adc_clocks and sample_delay_adc_clocks must be given together")
        return SamplerSettings.for_inputs(
            self.inputs,
            sampling.pps_ain,
            adc_clkdiv=sampling.adc_clkdiv,
            decimation=sampling.decimation,
            pps_high_counts=sampling.pps_high_counts,
            pps_low_counts=sampling.pps_low_counts,
            pps_pin=sampling.pps_pin,
            measure_scans=sampling.measure_scans,
            **explicit,
        )
