"""Frames as UDP datagrams in a pcap file (raw IP) for tshark, and the payloads of captures made by others."""

import struct

LINKTYPE_RAW = 101
PMU_PORT = 4713
FIRST_PDC_PORT = 40000


def write_pcap(path, conversations):
    """Each conversation (a list of frames) goes to a UDP port of its own."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535 + 100, LINKTYPE_RAW)]
    for port, frame in ((FIRST_PDC_PORT + n, frame) for n, frames in enumerate(conversations) for frame in frames):
        udp = struct.pack(">HHHH", PMU_PORT, port, 8 + len(frame), 0) + frame
        addresses = bytes((127, 0, 0, 1)) * 2
        packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses + udp
        out.append(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    path.write_bytes(b"".join(out))


def read_payloads(path):
    """(conversation, is_tcp, payload) of every IPv4 packet with a payload; conversation is addresses and ports."""
    data = path.read_bytes()
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    linktype = struct.unpack_from(order + "I", data, 20)[0]
    link_size = 0 if linktype == LINKTYPE_RAW else 14  # else Ethernet
    at = 24
    while at < len(data):
        size = struct.unpack_from(order + "I", data, at + 8)[0]
        ip = data[at + 16 + link_size : at + 16 + size]
        at += 16 + size
        packet = ip[(ip[0] & 15) * 4 : struct.unpack_from(">H", ip, 2)[0]]  # without Ethernet's padding
        is_tcp = ip[9] == 6
        payload = packet[packet[12] >> 4 << 2 :] if is_tcp else packet[8:]
        if payload:
            yield (ip[12:20], packet[:4]), is_tcp, payload
