"""Network addresses as people write them: HOST:PORT, with an IPv6 host in brackets.

One parser for every option and setting, so that the sentence for a wrong address is the same everywhere.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from rpmu.errors import InputError

TCP_PORT = 4712  # the default ports of IEEE C37.118.2, Annex E; not registered, so always configurable
UDP_PORT = 4713

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Address(NamedTuple):
    """Host (a name or an address, without brackets) and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int | None = TCP_PORT) -> Address:
    """Read `HOST:PORT`, `[IPV6]:PORT` or, where there is a default port, `HOST`.

    Raises:
        InputError: no host, no port and no default for it, or a port outside 0 … 65535.
    """
    host, port_text = _split(text)
    if port_text is None:
        if default_port is None:
            raise InputError(f"address '{text}' has no port; write HOST:PORT, such as 127.0.0.1:{TCP_PORT}")
        return Address(host, default_port)
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > 65535:
        raise InputError(f"address '{text}' has the port '{port_text}', which must be 0 … 65535, such as {TCP_PORT}")
    return Address(host, int(port_text))


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not host or (rest and not rest.startswith(":")):
            raise InputError(f"address '{text}' is not [IPV6]:PORT, such as [::1]:{TCP_PORT}")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        raise InputError(f"address '{text}' has an IPv6 host without brackets; write [::1]:{TCP_PORT}")
    host, colon, port = text.partition(":")
    if not host:
        raise InputError(f"address '{text}' has no host; write HOST:PORT, such as 127.0.0.1:{TCP_PORT}")
    return host, port if colon else None


def parse_ip(host: str) -> IpAddress:
    """The address of a peer as the socket gives it: without a zone, and IPv4 where it is mapped into IPv6."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> IpNetwork:
    """One entry of an access list: an address or a network, `192.0.2.7` or `192.0.2.0/24`.

    Raises:
        InputError: neither.
    """
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InputError(
            f"access list entry '{text}' is neither an address nor a network, such as 192.0.2.0/24"
        ) from None
