"""What to send to a GPS receiver: bytes, as values, and its answers. receiver_setup.py decides when.

A MediaTek receiver (MTK3339 of the Adafruit Ultimate GPS) understands PMTK sentences and answers PMTK001; a u-blox
understands UBX. Both ignore what is not theirs, so one may send both to an unknown receiver. The sentence set is
small on purpose: RMC (time, date, validity), GGA (satellites, HDOP), GSA (2D or 3D) and ZDA (four-digit year), once a
second, fit into half a second at 9600 baud. A new baud rate takes effect at once, so the port has to follow. A u-blox
is asked for PUBX,04 as well, which alone says whether its leap seconds are those of the sky.
"""

from __future__ import annotations

import struct
from functools import reduce
from operator import xor

from rpmu.errors import InputError

UBX_ANSWER_BYTES = 10
BAUD_RATES = (4800, 9600, 14400, 19200, 38400, 57600, 115200)
PMTK_SENTENCES = ("GLL", "RMC", "VTG", "GGA", "GSA", "GSV", *("",) * 11, "ZDA", "")  # order of $PMTK314's fields
WANTED = ("RMC", "GGA", "GSA", "ZDA")
UBX_NMEA_IDS = {"GGA": 0, "GLL": 1, "GSA": 2, "GSV": 3, "RMC": 4, "VTG": 5, "ZDA": 8}
UNWANTED = frozenset(UBX_NMEA_IDS) - frozenset(WANTED)
PMTK_ACK = "PMTK001"
PMTK_RELEASE = "PMTK705"
PMTK_ANSWERS = {
    "0": "invalid command",
    "1": "unsupported command",
    "2": "valid command, but the action failed",
    "3": "done",
}


def nmea(body: str) -> bytes:
    """A sentence with $, checksum and line end."""
    return f"${body}*{reduce(xor, body.encode('ascii'), 0):02X}\r\n".encode("ascii")


def pmtk_sentence_set() -> bytes:
    """Only the sentences we read, once per fix."""
    return nmea("PMTK314," + ",".join("1" if kind in WANTED else "0" for kind in PMTK_SENTENCES))


def pmtk_rate() -> bytes:
    """One fix per second: the PPS is no faster."""
    return nmea("PMTK220,1000")


def pmtk_baud(baud_rate: int) -> bytes:
    """A new line speed; no answer comes, and the port must change at once.

    Raises:
        InputError: a speed that MediaTek receivers do not know.
    """
    if baud_rate not in BAUD_RATES:
        raise InputError(
            f"GPS receiver: baud rate is {baud_rate}, but must be one of {', '.join(map(str, BAUD_RATES))}"
        )
    return nmea(f"PMTK251,{baud_rate}")


def pmtk_sync() -> bytes:
    """Sentences at a fixed time after the PPS (newer MTK firmware; older ones answer "unsupported")."""
    return nmea("PMTK255,1")


def pmtk_pps() -> bytes:
    """PPS of 100 ms, only with a 3D fix: no edge without a vouched time."""
    return nmea("PMTK285,2,100")


def pmtk_version() -> bytes:
    """Ask for the firmware release; any answer shows that the receiver listens."""
    return nmea("PMTK605")


def pmtk_setup() -> tuple[bytes, ...]:
    """All of the configuration, in order, apart from the line speed."""
    return pmtk_sentence_set(), pmtk_rate(), pmtk_pps(), pmtk_sync(), pmtk_version()


def ubx(message_class: int, message_id: int, payload: bytes = b"") -> bytes:
    """A UBX frame with its Fletcher checksum."""
    body = bytes((message_class, message_id)) + struct.pack("<H", len(payload)) + payload
    a = b = 0
    for byte in body:
        a = (a + byte) & 0xFF
        b = (b + a) & 0xFF
    return b"\xb5\x62" + body + bytes((a, b))


def ubx_setup() -> tuple[bytes, ...]:
    """The same sentence set for a u-blox (CFG-MSG: class, identifier, rate on the port in use)."""
    standard = [ubx(0x06, 0x01, bytes((0xF0, number, kind in WANTED))) for kind, number in UBX_NMEA_IDS.items()]
    return (*standard, ubx(0x06, 0x01, b"\xf1\x04\x01"))


def ubx_answer(data: bytes) -> str:
    """What a u-blox said to CFG-MSG, if its answer is among these bytes: "done", "refused", or empty."""
    if _UBX_DONE in data:
        return PMTK_ANSWERS["3"]
    return "refused" if _UBX_REFUSED in data else ""


_UBX_DONE, _UBX_REFUSED = ubx(0x05, 0x01, b"\x06\x01"), ubx(0x05, 0x00, b"\x06\x01")
