"""IEEE C37.118.2 frames as values: no socket, no clock, only bytes.

A PMU with one phasor, and one report of it, number 3 of 60 in its UTC second:

>>> from rpmu.c37118 import ConfigFrame2, DataFrame, PhasorChannel, PmuConfig, PmuData, decode
>>> config = ConfigFrame2(idcode=7, pmus=(PmuConfig("HOME", 7, phasors=(PhasorChannel("VA"),)),), data_rate=60)
>>> frame = DataFrame.at(config, 1_700_000_000, 3, [PmuData((120 + 0j,), frequency_hz=59.98, rocof_hz_per_s=0.01)])
>>> frame.encode().hex()
'aa02002200076553f1000000c350000042f0000000000000426feb853c23d70a8ff6'

And back:

>>> received = decode(frame.encode(), config)
>>> received.time_ns, received.pmus[0].phasors, round(received.pmus[0].frequency_hz, 3)
(1700000000050000000, ((120+0j),), 59.98)

From a connection, in pieces of any size, with configurations learned on the way:

>>> decoder = Decoder()
>>> for event in decoder.feed(config.encode() + frame.encode()[:20]) + decoder.feed(frame.encode()[20:]):
...     print(type(event).__name__)
ConfigFrame2
DataFrame

Decoding raises `ProtocolError` and nothing else; encoding raises `rpmu.errors.InputError`. docs/c37118.md has more.
"""

from rpmu.c37118.channels import AnalogChannel, DigitalWord, PhasorChannel, PmuConfig
from rpmu.c37118.codec import Frame, decode
from rpmu.c37118.command import CommandFrame
from rpmu.c37118.config import ConfigFrame, ConfigFrame1, ConfigFrame2
from rpmu.c37118.config3 import ConfigFrame3
from rpmu.c37118.data import DataFrame
from rpmu.c37118.decoder import ConfigNeeded, Decoder, Event
from rpmu.c37118.errors import ProtocolError
from rpmu.c37118.fields import (
    AnalogKind,
    Command,
    DataError,
    Format,
    FrameType,
    PhasorComponent,
    Stat,
    TimeQuality,
    TriggerReason,
)
from rpmu.c37118.framer import Framer
from rpmu.c37118.header import HeaderFrame
from rpmu.c37118.layout import PmuData, PmuRaw
from rpmu.c37118.times import Stamp

__all__ = [
    "AnalogChannel",
    "AnalogKind",
    "Command",
    "CommandFrame",
    "ConfigFrame",
    "ConfigFrame1",
    "ConfigFrame2",
    "ConfigFrame3",
    "ConfigNeeded",
    "DataError",
    "DataFrame",
    "Decoder",
    "DigitalWord",
    "Event",
    "Format",
    "Frame",
    "FrameType",
    "Framer",
    "HeaderFrame",
    "PhasorChannel",
    "PhasorComponent",
    "PmuConfig",
    "PmuData",
    "PmuRaw",
    "ProtocolError",
    "Stamp",
    "Stat",
    "TimeQuality",
    "TriggerReason",
    "decode",
]
