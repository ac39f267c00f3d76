"""Writes frames as UDP datagrams into a pcap file (raw IP), for tshark."""

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
