"""What a server may do: where it listens, whom it serves, how much one peer may cost it.

Every limit has a default that a healthy PDC never meets; a peer that meets one is counted under the limit's name in
`ServerStatistics`. All values are checked here, once, so that the running server has no bad setting left to find.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args

from rpmu.errors import InputError
from rpmu.serve.addresses import TCP_PORT, UDP_PORT, Address, IpNetwork, parse_address, parse_ip, parse_network

Transport = Literal["tcp", "udp", "tcp+udp", "spontaneous"]
DEFAULT_ADDRESS = Address("127.0.0.1", TCP_PORT)
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)


def _check_range(name: str, value: float, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise InputError(f"{name} is {value}, but must be {lowest} … {highest}")


@dataclass(frozen=True)
class TlsSettings:
    """TLS for the TCP endpoints.

    Attributes:
        certificate: PEM file with the server's certificate chain.
        key: PEM file with its private key.
        client_ca: PEM file with the authorities of client certificates; None asks for no client certificate.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def server_context(self) -> ssl.SSLContext:
        """The context of a listening socket, TLS 1.2 or newer.

        Raises:
            InputError: a file is missing or is not what it should be.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(path) for path in (self.certificate, self.key, self.client_ca) if path is not None)
            raise InputError(f"cannot load the TLS files {files}: {error}; PEM files are expected") from None
        return context


@dataclass(frozen=True)
class Endpoint:
    """One listening address.

    Attributes:
        transport: `tcp` (commands and data), `udp` (both, in datagrams), `tcp+udp` (commands by TCP, data by UDP to the
            address of the TCP client).
        address: where to listen; port 0 takes a free one.
        data_port: for `tcp+udp`, the client's UDP port.
    """

    transport: Transport = "tcp"
    address: Address = DEFAULT_ADDRESS
    data_port: int = UDP_PORT

    def __post_init__(self) -> None:
        if self.transport not in ("tcp", "udp", "tcp+udp"):
            raise InputError(f"endpoint transport is '{self.transport}', but must be tcp, udp or tcp+udp")
        _check_range("data_port", self.data_port, 1, 65535)


@dataclass(frozen=True)
class SpontaneousTarget:
    """A UDP destination, unicast or multicast, that gets data without asking.

    Attributes:
        address: destination.
        configuration_interval_s: seconds of data time between two configuration frames; one a minute is usual.
        multicast_ttl: hops of a multicast datagram.
        multicast_interface: address of the outgoing interface of a multicast datagram (IPv4 address, or the name of
            the interface for IPv6); None leaves it to the route.
    """

    address: Address
    configuration_interval_s: int = 60
    multicast_ttl: int = 1
    multicast_interface: str | None = None

    def __post_init__(self) -> None:
        _check_range("configuration_interval_s", self.configuration_interval_s, 1, 86_400)
        _check_range("multicast_ttl", self.multicast_ttl, 0, 255)


@dataclass(frozen=True)
class Limits:
    """How much peers may cost.

    Attributes:
        max_clients: TCP connections and UDP clients together.
        max_clients_per_address: of them, from one IP address.
        max_queue_bytes: bytes waiting for one client beyond the kernel's buffer; more, and the client is dropped.
        max_stall_s: longest time during which a client's queue never empties; longer, and the client is dropped.
        max_command_bytes: largest frame that is accepted from a client.
        max_half_open_frames: clients that may have a frame unfinished at the same time; then the oldest is dropped.
        max_half_open_s: longest time that one client may leave a frame unfinished.
        max_junk_bytes: bytes without one good frame among them after which a client is dropped.
        command_burst: commands that one client may send at once.
        commands_per_s: and at what rate it gets new ones; commands over the limit are ignored.
    """

    max_clients: int = 512
    max_clients_per_address: int = 400
    max_queue_bytes: int = 262_144
    max_stall_s: float = 15.0
    max_command_bytes: int = 65_535
    max_half_open_frames: int = 64
    max_half_open_s: float = 10.0
    max_junk_bytes: int = 131_072
    command_burst: int = 256
    commands_per_s: int = 64

    def __post_init__(self) -> None:
        for item in fields(self):
            if not getattr(self, item.name) > 0:
                raise InputError(f"limit {item.name} is {getattr(self, item.name)}, but must be greater than 0")
        _check_range("max_command_bytes", self.max_command_bytes, 18, 65_535)
        _check_range("max_queue_bytes", self.max_queue_bytes, 65_536, 1 << 30)


@dataclass(frozen=True)
class AccessList:
    """Who may connect: empty means everyone.

    Attributes:
        networks: allowed addresses and networks.
    """

    networks: tuple[IpNetwork, ...] = ()

    @classmethod
    def parse(cls, *entries: str) -> AccessList:
        """Make a list from texts such as `192.0.2.0/24` and `::1`."""
        return cls(tuple(parse_network(entry) for entry in entries))

    def allows(self, host: str) -> bool:
        """True if the peer with this IP address may connect."""
        if not self.networks:
            return True
        address = parse_ip(host)
        return any(address in network for network in self.networks)


@dataclass(frozen=True)
class ServerSettings:
    """Everything that a `PmuServer` is told besides its configuration frames.

    Attributes:
        endpoints: listening addresses.
        spontaneous: UDP destinations that get data unasked.
        access: who may connect; empty for everyone.
        limits: how much peers may cost.
        tls: TLS for the TCP endpoints, None for none.
        sync_version: version bits of SYNC: 2 (2011) or, for old peers, 1 (2005), in which there is no CFG-3.
        notice_s: seconds of data time during which STAT bit 10 announces a change; the standard says one minute.
        selectable_rates: reporting rates (frames/s) that a PDC may choose with an extended frame; empty refuses all.
    """

    endpoints: tuple[Endpoint, ...] = (Endpoint(),)
    spontaneous: tuple[SpontaneousTarget, ...] = ()
    access: AccessList = field(default_factory=AccessList)
    limits: Limits = field(default_factory=Limits)
    tls: TlsSettings | None = None
    sync_version: int = 2
    notice_s: int = 60
    selectable_rates: tuple[int, ...] = ()

    @classmethod
    def listening(cls, *addresses: str, transport: Transport = "tcp") -> ServerSettings:
        """The defaults, but listening at these addresses, such as `0.0.0.0:4712` or `[::1]:4712`.

        Raises:
            InputError: an address is not one.
        """
        return cls(tuple(Endpoint(transport, parse_address(address)) for address in addresses))

    def __post_init__(self) -> None:
        if self.sync_version not in (1, 2):
            raise InputError(f"sync_version is {self.sync_version}, but must be 1 (2005) or 2 (2011)")
        _check_range("notice_s", self.notice_s, 0, 3600)
        for rate in self.selectable_rates:
            _check_range("selectable_rates", rate, 1, 32_767)
