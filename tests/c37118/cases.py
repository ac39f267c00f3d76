"""Frames as (name, value, bytes), used both ways, and the frames other tests start from.

The bytes are written out by hand from the layout tables; only CHK is computed, bit by bit and not by the code under
test. Spaces separate fields.
"""

from rpmu.c37118 import (
    AnalogChannel,
    AnalogKind,
    Command,
    CommandFrame,
    ConfigFrame1,
    ConfigFrame2,
    ConfigFrame3,
    DataError,
    DataFrame,
    DigitalWord,
    Format,
    HeaderFrame,
    PhasorChannel,
    PhasorComponent,
    PmuConfig,
    PmuData,
    Stat,
    TimeQuality,
)


def crc_bit_by_bit(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def seal(data):
    """The bytes with their CHK."""
    return data + crc_bit_by_bit(data).to_bytes(2, "big")


def wire(text):
    """Bytes from hex digits and 'quoted' ASCII, with CHK."""
    parts = text.split("'")
    return seal(b"".join(part.encode() if n % 2 else bytes.fromhex(part) for n, part in enumerate(parts)))


def refit(frame, at, new):
    """A frame with some bytes replaced and its CHK made right again."""
    return seal(frame[:at] + new + frame[at + len(new) : -2])


ONE_PHASOR = PmuConfig("HOME", 7, Format.FLOAT_POLAR, (PhasorChannel("VA"),))
HOME = ConfigFrame2(7, (ONE_PHASOR,), 60)
BITS = tuple(f"BIT {n}" for n in range(16))
FULL = PmuConfig(
    "FULL",
    300,
    Format.INTEGER,
    (PhasorChannel("VA", scale=0.01), PhasorChannel("IA", is_current=True, scale=0.001)),
    (AnalogChannel("PRESSURE", AnalogKind.PEAK, scale=-2.0), AnalogChannel("USER", 70)),
    (DigitalWord(BITS, 0x0001, 0x00FF),),
    nominal_hz=50,
    cfgcnt=5,
)
PDC = ConfigFrame2(1000, (FULL, ONE_PHASOR), 25, time_base=0xFFFFFF, version=1)
RICH = PmuConfig(
    "Städtchen",
    9,
    Format.POLAR,
    (PhasorChannel("U1", False, 0.5, 0.25, PhasorComponent.POSITIVE_SEQUENCE, modifications=0x8040, user=3),),
    (AnalogChannel("T", scale=0.5, offset=-40.0),),
    (DigitalWord(("", "door", *[""] * 14), 2, 3),),
    nominal_hz=50,
    cfgcnt=1,
    global_id=bytes(range(16)),
    latitude_deg=48.25,
    longitude_deg=-16.5,
    elevation_m=151.0,
    service_class="P",
    window_us=40000,
    group_delay_us=-1,
)
BLANK = "20" * 16
BIT_NAMES = " ".join(f"'{name.ljust(16)}'" for name in BITS)

FULL_CFG = f"""'FULL            ' 012c 0000 0002 0002 0001
    'VA              ' 'IA              ' 'PRESSURE        ' 'USER            ' {BIT_NAMES}
    000003e8 01000064 02fffffe 46000001 0001 00ff 0001 0005"""
HOME_CFG = "'HOME            ' 0007 000f 0001 0000 0000 'VA              ' 000186a0 0000 0000"

CASES = [
    (
        "CFG-2 of one PMU",
        HOME,
        wire(f"aa32 004a 0007 00000000 00 000000 000f4240 0001 {HOME_CFG} 003c"),
    ),
    (
        "CFG-1 with time and a period of ten seconds",
        ConfigFrame1(7, (ONE_PHASOR,), -10, 1000, 1_700_000_000, 999, TimeQuality.of(4, leap_occurred=True)),
        wire(f"aa22 004a 0007 6553f100 24 0003e7 000003e8 0001 {HOME_CFG} fff6"),
    ),
    (
        "CFG-2 of a PDC, version 1",
        PDC,
        wire(f"aa31 01bc 03e8 00000000 00 000000 00ffffff 0002 {FULL_CFG} {HOME_CFG} 0019"),
    ),
    (
        "CFG-3",
        ConfigFrame3(9, (RICH,), 50),
        wire(
            """aa52 0089 0009 00000000 00 000000 0000 000f4240 0001
            0a 'St' c3a4 'dtchen' 0009 000102030405060708090a0b0c0d0e0f 0001 0001 0001 0001
            02 'U1' 01 'T' 00 04 'door' 0000000000000000000000000000
            8040 01 03 3f000000 3e800000  3f000000 c2200000  0002 0003
            42410000 c1840000 43170000 'P' 00009c40 ffffffff 0001 0001 0032"""
        ),
    ),
    (
        "data, all floats, polar",
        DataFrame.at(HOME, 1_700_000_000, 3, [PmuData((120 + 0j,), 60.0, -0.5)]),
        wire("aa02 0022 0007 6553f100 00 00c350 0000 42f00000 00000000 42700000 bf000000"),
    ),
    (
        "data of a PDC, integers and floats, version 1",
        DataFrame.build(
            PDC,
            1,
            0xFFFFFE,
            [
                PmuData(
                    (230 - 0.5j, 1j),
                    49.99,
                    -0.02,
                    (6.0, -3.0),
                    (0x8001,),
                    Stat.of(data_error=DataError.TEST_OR_ABSENT, in_sync=False, unlocked_time=1, trigger_reason=9),
                ),
                PmuData((2 + 0j,), 60.5, 0.25, stat=Stat.of(config_change=True, pmu_tq=7)),
            ],
            TimeQuality.of(15),
        ),
        wire(
            """aa01 0036 03e8 00000001 0f fffffe
            a019 59d8 ffce 0000 03e8 fff6 fffe fffd fffd 8001
            05c0 40000000 00000000 42720000 3e800000"""
        ),
    ),
    (
        "header",
        HeaderFrame(1, "RPMU, A 1", 3, 70, TimeQuality.of(1), version=1),
        wire("aa11 0019 0001 00000003 01 000046 'RPMU, A 1'"),
    ),
    ("empty header", HeaderFrame(65534, ""), wire("aa12 0010 fffe 00000000 00 000000")),
    ("command", CommandFrame(7, Command.DATA_OFF), wire("aa42 0012 0007 00000000 00 000000 0001")),
    (
        "extended frame",
        CommandFrame(7, Command.EXTENDED, b"rate", 1, 2, TimeQuality(0x7F), version=1),
        wire("aa41 0016 0007 00000001 7f 000002 0008 'rate'"),
    ),
    ("command of a user", CommandFrame(7, 0x0123), wire("aa42 0012 0007 00000000 00 000000 0123")),
]
IDS = [name for name, _, _ in CASES]
FRAME = {name: (value, raw) for name, value, raw in CASES}


def config_of(frame):
    """What `decode` needs besides the bytes."""
    return frame.config if isinstance(frame, DataFrame) else None
