"""The C37.118 codec against pyPMU and against the floor of what Python can do (`struct` and a CRC in C).

The frame has 4 phasors, 3 analogs and 1 digital word in FORMAT 7 (float polar phasors, float analogs, integer FREQ): 68
bytes. Frames per second of CPU time of one core, the best of several rounds; frames differ, so nothing is cached. CPU
time of a shared machine is rough: read the ratios.
"""

from __future__ import annotations

import collections
import struct
import time
from binascii import crc_hqx
from collections import abc
from collections.abc import Callable
from types import ModuleType

from rpmu.c37118 import (
    AnalogChannel,
    ConfigFrame2,
    DataFrame,
    Decoder,
    DigitalWord,
    Format,
    PhasorChannel,
    PmuConfig,
    PmuData,
    decode,
)
from rpmu.c37118.bulk import DataBlock

FRAMES = 20_000
NUMBERS = range(FRAMES)
BULK_FRAMES = 200_000
ROUNDS = 5
SECOND = 1_700_000_000
BITS = tuple(f"BIT {n}" for n in range(16))
PMU = PmuConfig(
    "STATION",
    7,
    Format.POLAR | Format.FLOAT_PHASORS | Format.FLOAT_ANALOGS,
    tuple(PhasorChannel(name) for name in ("VA", "VB", "VC", "I1")),
    tuple(AnalogChannel(name) for name in ("A1", "A2", "A3")),
    (DigitalWord(BITS),),
)
CONFIG = ConfigFrame2(7, (PMU,), 60, soc=SECOND, version=1)  # version 1: what pyPMU reads
FLOOR = struct.Struct(">HHHII" + "H8fhh3fH" + "H")


def _data(number: int) -> PmuData:
    angle = 1e-3 * number
    phasors = (120 + 1j * angle, 119 - 2j, -60.5 + 104j, 4.25 + angle * 1j)
    return PmuData(phasors, 60.0 + 1e-5 * number, 0.01, (angle, 2.5, -3.0), (number & 0xFFFF,))


def _rate(action: Callable[[], object], frames: int) -> float:
    """Frames per second of CPU time, best of ROUNDS."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
    return frames / best


def _each(step: Callable[..., object], arguments: list[tuple[object, ...]]) -> Callable[[], None]:
    def action() -> None:
        for one in arguments:
            step(*one)

    return action


def _ours(frames: list[DataFrame], raw: list[bytes]) -> dict[str, float]:
    def decode_all(one: bytes) -> object:
        return decode(one, CONFIG).pmus

    def build(second: int, index: int, phasors: tuple[complex, ...], hz: float, analogs: tuple[float, ...]) -> bytes:
        return DataFrame.at(CONFIG, second, index, (PmuData(phasors, hz, 0.01, analogs, (5,)),)).encode()

    stream = b"".join(raw)
    pieces = [stream[at : at + 4096] for at in range(0, len(stream), 4096)]

    def parse_stream() -> None:
        decoder = Decoder()
        decoder.configs[7] = CONFIG
        for piece in pieces:
            for frame in decoder.feed(piece):
                frame.pmus  # noqa: B018 - the conversion is what is timed

    reports = [
        (SECOND + n // 60, n % 60, d.phasors, d.frequency_hz, d.analogs) for n, d in enumerate(map(_data, NUMBERS))
    ]
    return {
        "decode with CRC and values": _rate(_each(decode_all, [(one,) for one in raw]), FRAMES),
        "decode with CRC, raw values only": _rate(_each(decode, [(one, CONFIG) for one in raw]), FRAMES),
        "stream parser with values": _rate(parse_stream, FRAMES),
        "encode": _rate(_each(DataFrame.encode, [(frame,) for frame in frames]), FRAMES),
        "build from engineering values and encode": _rate(_each(build, reports), FRAMES),
    }


def _bulk(raw: list[bytes]) -> dict[str, float]:
    buffer = b"".join(raw) * (BULK_FRAMES // len(raw))
    block = DataBlock.decode(buffer, CONFIG)
    pmus, soc, fracsec = block.pmus, block.soc, block.fracsec

    def decode_all() -> object:
        fresh = DataBlock.decode(buffer, CONFIG)
        return fresh.pmus, fresh.time_ns

    return {
        "bulk decode with CRC, values and times": _rate(decode_all, BULK_FRAMES),
        "bulk encode": _rate(lambda: DataBlock.build(CONFIG, soc, fracsec, pmus).encode(), BULK_FRAMES),
    }


def _floor(raw: list[bytes]) -> dict[str, float]:
    def unpack(one: bytes) -> object:
        return FLOOR.unpack(one) if crc_hqx(one, 0xFFFF) == 0 else None

    def pack(values: tuple[object, ...]) -> bytes:
        body = FLOOR.pack(*values)[:-2]
        return body + crc_hqx(body, 0xFFFF).to_bytes(2, "big")

    return {
        "decode": _rate(_each(unpack, [(one,) for one in raw]), FRAMES),
        "encode": _rate(_each(pack, [(FLOOR.unpack(one),) for one in raw]), FRAMES),
    }


def _pypmu_module() -> ModuleType | None:
    """Frames of pyPMU; its release needs a name that Python 3.10 removed."""
    collections.Sequence = abc.Sequence
    try:
        import synchrophasor.frame
    except ImportError:
        return None
    return synchrophasor.frame


def _pypmu(pypmu: ModuleType, raw: list[bytes]) -> dict[str, float]:
    few = raw[: FRAMES // 10]
    config = pypmu.CommonFrame.convert2frame(CONFIG.encode())
    frames = [pypmu.CommonFrame.convert2frame(one, config) for one in few]

    def decode_all(one: bytes) -> object:
        return pypmu.CommonFrame.convert2frame(one, config).get_measurements()

    return {
        "decode with values": _rate(_each(decode_all, [(one,) for one in few]), len(few)),
        "encode": _rate(_each(lambda frame: frame.convert2bytes(), [(frame,) for frame in frames]), len(few)),
    }


def main() -> None:
    """Print frames per CPU second, and the ratios that matter."""
    frames = [DataFrame.at(CONFIG, SECOND + n // 60, n % 60, (_data(n),)) for n in NUMBERS]
    raw = [frame.encode() for frame in frames]
    results = {"rpmu": _ours(frames, raw) | _bulk(raw), "struct + C CRC": _floor(raw)}
    pypmu = _pypmu_module()
    if pypmu is None:
        print("pyPMU is not installed (pip install synchrophasor==1.0.0a0): no comparison with it")
    else:
        results["pyPMU"] = _pypmu(pypmu, raw)
    for who, lines in results.items():
        for what, rate in lines.items():
            print(f"{who:16s}{what:44s}{rate:12,.0f} frames/s")
    ours, floor = results["rpmu"], results["struct + C CRC"]
    print(f"decode: {floor['decode'] / ours['decode with CRC and values']:.1f} times the cost of struct + C CRC")
    print(f"encode: {floor['encode'] / ours['encode']:.1f} times the cost of struct + C CRC")
    if pypmu is not None:
        for way, mine in (("decode with values", "decode with CRC and values"), ("encode", "encode")):
            print(f"{way}: {ours[mine] / results['pyPMU'][way]:.1f} times as fast as pyPMU")
