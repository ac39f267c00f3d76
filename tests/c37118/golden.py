"""Makes tests/data/c37118/session.pcap and .json: every kind of frame as this project sends it.

`python -m tests.c37118.golden` writes them anew; do that only when the bytes are meant to change.
"""

import json
from pathlib import Path

from rpmu.c37118 import ConfigFrame, DataFrame, Decoder, Format
from tests.c37118.cases import CASES, HOME, PDC
from tests.c37118.pcap import write_pcap
from tests.c37118.test_tshark import STREAMS, stream

FOLDER = Path(__file__).parent.parent / "data/c37118"


def summary(frame):
    """What a frame says, as plain values for JSON; the form of the golden file."""
    said = {
        "type": type(frame).__name__,
        "version": frame.version,
        "idcode": frame.idcode,
        "soc": frame.soc,
        "fracsec": frame.fracsec,
        "time_quality": frame.time_quality,
    }
    if isinstance(frame, DataFrame):
        said |= {"time_ns": frame.time_ns, "pmus": [values(pmu) for pmu in frame.pmus]}
    elif isinstance(frame, ConfigFrame):
        said |= {"time_base": frame.time_base, "data_rate": frame.data_rate, "pmus": [settings(p) for p in frame.pmus]}
    else:
        said |= {name: str(getattr(frame, name)) for name in ("text", "command", "extended") if hasattr(frame, name)}
    return said


def values(pmu):
    return {
        "stat": pmu.stat,
        "phasors": [[z.real, z.imag] for z in pmu.phasors],
        "frequency_hz": pmu.frequency_hz,
        "rocof_hz_per_s": pmu.rocof_hz_per_s,
        "analogs": list(pmu.analogs),
        "digitals": list(pmu.digitals),
    }


def settings(pmu):
    return {
        "name": pmu.name,
        "idcode": pmu.idcode,
        "format": int(pmu.format),
        "channels": [name for name in pmu.channel_names() if name],
        "nominal_hz": pmu.nominal_hz,
        "cfgcnt": pmu.cfgcnt,
    }


def conversations():
    """One list of frames per UDP conversation: the hand-made cases, then one stream per format and configuration."""
    singles = [value for _, value, _ in CASES if not isinstance(value, DataFrame)]
    data = [value for _, value, _ in CASES if isinstance(value, DataFrame)]
    yield [value for value in singles if value != HOME] + [HOME, PDC, *data]
    for frame_class, fmt in STREAMS:
        if fmt in (Format.INTEGER, Format.POLAR, Format.FLOAT, Format.FLOAT_POLAR):
            yield list(stream(frame_class, fmt))
    yield [HOME, *(DataFrame.at(HOME, 1_700_000_000, n, data[0].pmus) for n in range(60))]


def main():
    frames = list(conversations())
    write_pcap(FOLDER / "session.pcap", [[frame.encode() for frame in one] for one in frames])
    received = Decoder().feed(b"".join(frame.encode() for one in frames for frame in one))
    lines = [json.dumps(summary(frame), ensure_ascii=False) for frame in received]
    (FOLDER / "session.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
