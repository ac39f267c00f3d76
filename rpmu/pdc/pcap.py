"""Packet captures (pcap and pcapng) as a source of frames, without any library.

Reads the link layers that C37.118 is captured on, IPv4 and IPv6, UDP datagrams and TCP segments. Segments of a
connection are put in order by their sequence numbers: repeated bytes are cut, what comes early is kept for a while,
and a hole that is never filled is skipped and counted, as the stream parser finds the next frame by itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rpmu.errors import InputError

PCAP_MAGIC = {  # magic number: byte order and ns per unit of the fraction
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
NG_BYTE_ORDER = 0x1A2B3C4D
NG_INTERFACE, NG_SIMPLE, NG_ENHANCED = 1, 3, 6
OPTION_TSRESOL, OPTION_TSOFFSET = 9, 14
NULL, ETHERNET, RAW_OLD, RAW, LINUX_SLL, LINUX_SLL2 = 0, 1, 12, 101, 113, 276
ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN, ETHERTYPE_QINQ = 0x0800, 0x86DD, 0x8100, 0x88A8
TCP, UDP = 6, 17
MAX_EARLY_SEGMENTS = 64  # kept of one connection before a hole is given up


class Packet(NamedTuple):
    """One captured packet: arrival (UTC ns), link type, bytes."""

    time_ns: int
    link_type: int
    data: bytes


class Flow(NamedTuple):
    """One direction of one conversation."""

    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int

    def __str__(self) -> str:
        return f"{self.protocol} {self.source}:{self.source_port} > {self.destination}:{self.destination_port}"


class Payload(NamedTuple):
    """Bytes of a flow in their order, and when the packet that completed them arrived (UTC ns)."""

    time_ns: int
    flow: Flow
    data: bytes


@dataclass
class CaptureCounts:
    """What a capture held besides usable payload.

    Attributes:
        packets: packets in the file.
        not_ip: other link or network layers, fragments and damaged headers.
        repeated_segments: TCP segments of which nothing was new.
        holes: times that bytes of a TCP connection were missing for good.
        truncated: the file ends within a packet.
    """

    packets: int = 0
    not_ip: int = 0
    repeated_segments: int = 0
    holes: int = 0
    truncated: bool = False


def read_payloads(path: Path, counts: CaptureCounts | None = None) -> Iterator[Payload]:
    """UDP and TCP payload of a capture file, TCP in the order of its sequence numbers.

    Args:
        path: pcap or pcapng file.
        counts: is counted up on the way.

    Raises:
        InputError: the file cannot be read or is no capture.
    """
    counts = counts if counts is not None else CaptureCounts()
    streams: dict[Flow, _TcpStream] = {}
    for packet in read_packets(path, counts):
        counts.packets += 1
        segment = _segment(packet)
        if segment is None:
            counts.not_ip += 1
        elif segment.sequence is None:
            yield Payload(packet.time_ns, segment.flow, segment.data)
        else:
            stream = streams.setdefault(segment.flow, _TcpStream())
            for data in stream.take(segment, counts):
                yield Payload(packet.time_ns, segment.flow, data)


def read_packets(path: Path, counts: CaptureCounts) -> Iterator[Packet]:
    """The packets of a capture file, in the order of the file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the capture {path}: {error.strerror}") from None
    if raw[:4] in PCAP_MAGIC:
        return _pcap_packets(raw, counts)
    if raw[:4] == PCAPNG_MAGIC:
        return _pcapng_packets(raw, counts)
    raise InputError(f"{path} begins with {raw[:4].hex() or 'nothing'}, which is neither pcap nor pcapng")


def _pcap_packets(raw: bytes, counts: CaptureCounts) -> Iterator[Packet]:
    order, ns_per_unit = PCAP_MAGIC[raw[:4]]
    header = struct.Struct(order + "IIII")
    if len(raw) < 24:
        counts.truncated = True
        return
    link_type = struct.unpack_from(order + "I", raw, 20)[0] & 0xFFFF
    position = 24
    while position + header.size <= len(raw):
        second, fraction, length, _ = header.unpack_from(raw, position)
        position += header.size
        if position + length > len(raw):
            counts.truncated = True
            return
        yield Packet(second * 1_000_000_000 + fraction * ns_per_unit, link_type, raw[position : position + length])
        position += length
    counts.truncated = counts.truncated or position != len(raw)


@dataclass
class _Interface:
    link_type: int
    units_per_s: int = 1_000_000
    offset_s: int = 0


def _pcapng_packets(raw: bytes, counts: CaptureCounts) -> Iterator[Packet]:
    position, order = 0, "<"
    interfaces: list[_Interface] = []
    while position + 12 <= len(raw):
        if raw[position : position + 4] == PCAPNG_MAGIC:
            order = "<" if struct.unpack_from("<I", raw, position + 8)[0] == NG_BYTE_ORDER else ">"
            interfaces = []
        kind, length = struct.unpack_from(order + "II", raw, position)
        if length < 12 or position + length > len(raw):
            break
        body = raw[position + 8 : position + length - 4]
        position += length
        if kind == NG_INTERFACE and len(body) >= 8:
            interfaces.append(_interface(body, order))
        elif kind == NG_ENHANCED and len(body) >= 20:
            number, high, low, captured = struct.unpack_from(order + "IIII", body)
            if number < len(interfaces):
                interface = interfaces[number]
                time_ns = (high << 32 | low) * 1_000_000_000 // interface.units_per_s
                yield Packet(
                    time_ns + interface.offset_s * 1_000_000_000, interface.link_type, body[20 : 20 + captured]
                )
        elif kind == NG_SIMPLE and interfaces:
            yield Packet(0, interfaces[0].link_type, body[4:])
    counts.truncated = counts.truncated or position != len(raw)


def _interface(body: bytes, order: str) -> _Interface:
    interface = _Interface(struct.unpack_from(order + "H", body)[0])
    position = 8
    while position + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, position)
        value = body[position + 4 : position + 4 + length]
        if code == OPTION_TSRESOL and value:
            power = value[0] & 0x7F
            interface.units_per_s = 2**power if value[0] & 0x80 else 10**power
        elif code == OPTION_TSOFFSET and len(value) == 8:
            interface.offset_s = struct.unpack(order + "q", value)[0]
        position += 4 + (length + 3) // 4 * 4
    return interface


class _Segment(NamedTuple):
    """Payload of a packet; `sequence` is None for UDP."""

    flow: Flow
    data: bytes
    sequence: int | None = None
    starts: bool = False


def _segment(packet: Packet) -> _Segment | None:
    """The UDP or TCP payload of a packet, or None for anything else or damaged."""
    try:
        network = _network_layer(packet)
        if network is None:
            return None
        protocol, source, destination, payload = network
        return _transport_layer(protocol, source, destination, payload)
    except (struct.error, IndexError):
        return None


def _network_layer(packet: Packet) -> tuple[int, str, str, bytes] | None:
    data, link_type = packet.data, packet.link_type
    if link_type == ETHERNET:
        position, ethertype = 14, struct.unpack_from(">H", data, 12)[0]
        while ethertype in (ETHERTYPE_VLAN, ETHERTYPE_QINQ):
            ethertype = struct.unpack_from(">H", data, position + 2)[0]
            position += 4
    elif link_type == LINUX_SLL:
        position, ethertype = 16, struct.unpack_from(">H", data, 14)[0]
    elif link_type == LINUX_SLL2:
        position, ethertype = 20, struct.unpack_from(">H", data, 0)[0]
    elif link_type in (RAW, RAW_OLD, NULL):
        position = 4 if link_type == NULL else 0
        ethertype = ETHERTYPE_IPV6 if data[position] >> 4 == 6 else ETHERTYPE_IPV4
    else:
        return None
    if ethertype == ETHERTYPE_IPV4:
        return _ipv4(data[position:])
    return _ipv6(data[position:]) if ethertype == ETHERTYPE_IPV6 else None


def _ipv4(data: bytes) -> tuple[int, str, str, bytes] | None:
    length, fragment = struct.unpack_from(">H", data, 2)[0], struct.unpack_from(">H", data, 6)[0]
    if data[0] >> 4 != 4 or fragment & 0x3FFF:
        return None
    source, destination = (".".join(str(byte) for byte in data[at : at + 4]) for at in (12, 16))
    return data[9], source, destination, data[(data[0] & 15) * 4 : length or None]


def _ipv6(data: bytes) -> tuple[int, str, str, bytes] | None:
    if data[0] >> 4 != 6:
        return None
    length = struct.unpack_from(">H", data, 4)[0]
    source, destination = (data[at : at + 16].hex(":", 2) for at in (8, 24))
    return data[6], source, destination, data[40 : 40 + length]


def _transport_layer(protocol: int, source: str, destination: str, data: bytes) -> _Segment | None:
    source_port, destination_port = struct.unpack_from(">HH", data)
    if protocol == UDP:
        length = struct.unpack_from(">H", data, 4)[0]
        return _Segment(Flow("udp", source, source_port, destination, destination_port), data[8:length])
    if protocol == TCP:
        sequence, offset, flags = struct.unpack_from(">IxxxxBB", data, 4)
        flow = Flow("tcp", source, source_port, destination, destination_port)
        return _Segment(flow, data[(offset >> 4) * 4 :], sequence, bool(flags & 2))
    return None


@dataclass
class _TcpStream:
    """One direction of a TCP connection: what comes next, and what came too early."""

    next_sequence: int | None = None
    early: dict[int, bytes] = field(default_factory=dict)

    def take(self, segment: _Segment, counts: CaptureCounts) -> Iterator[bytes]:
        """Yield the bytes that are next in order."""
        assert segment.sequence is not None
        if segment.starts:
            self.next_sequence = (segment.sequence + 1) & 0xFFFFFFFF
            self.early.clear()
            return
        if not segment.data:
            return
        if self.next_sequence is None:
            self.next_sequence = segment.sequence
        if self._distance(segment.sequence) + len(segment.data) <= 0:
            counts.repeated_segments += 1
            return
        self.early[segment.sequence] = segment.data
        yield from self._in_order()
        if len(self.early) > MAX_EARLY_SEGMENTS:
            counts.holes += 1
            self.next_sequence = min(self.early, key=self._distance)
            yield from self._in_order()

    def _distance(self, sequence: int) -> int:
        """How far a sequence number lies ahead of the next one; negative if behind (numbers wrap at 2^32)."""
        assert self.next_sequence is not None
        return (sequence - self.next_sequence + 0x80000000 & 0xFFFFFFFF) - 0x80000000

    def _in_order(self) -> Iterator[bytes]:
        while self.early:
            first = min(self.early, key=self._distance)
            distance = self._distance(first)
            if distance > 0:
                return
            data = self.early.pop(first)[-distance:] if distance else self.early.pop(first)
            if data:
                assert self.next_sequence is not None
                self.next_sequence = (self.next_sequence + len(data)) & 0xFFFFFFFF
                yield data
