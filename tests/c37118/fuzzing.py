"""What must hold for any bytes; called by the fuzzer with new inputs and by the tests with the corpus.

The first byte of an input chooses what it is: a stream as it stands, or a body that gets a right envelope around it,
so that the fuzzer is not kept out by CRC and FRAMESIZE. Run as a script it is the fuzzer (`make fuzz`).
"""

import sys
from binascii import crc_hqx
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import atheris

    with atheris.instrument_imports(include=["rpmu.c37118"]):
        import rpmu.c37118.bulk  # noqa: F401 - imported here for its instrumentation

import numpy as np

from rpmu.c37118 import ConfigFrame, ConfigFrame1, DataFrame, Decoder, ProtocolError, decode
from rpmu.c37118.bulk import DataBlock
from rpmu.c37118.envelope import CHK, CRC_START, HEAD
from rpmu.errors import InputError

KINDS = (0x01, 0x02, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x41, 0x42, 0x52, 0x83)
SPLIT = 0xF0  # first byte of an input: a configuration's body and that of a data frame of it
STREAM = 0xFF  # a stream as it stands


def sealed(kind, body):
    head = HEAD.pack(0xAA00 | kind, HEAD.size + CHK.size + len(body), 7, 1, 2)
    return head + body + CHK.pack(crc_hqx(head + body, CRC_START))


def check(data):
    """One input, whatever it is."""
    if not data:
        return
    first, rest = data[0], data[1:60_000]
    if first == STREAM:
        check_stream(rest)
    elif first >= SPLIT and rest:
        check_data(sealed(KINDS[6 + first % 2], rest[1 + rest[0] :]), rest[1 : 1 + rest[0]])
    else:
        frame = sealed(KINDS[first % len(KINDS)], rest)
        check_frame(frame, None)
        check_stream(frame)


def check_frame(raw, config):
    """Decoding raises nothing but ProtocolError; what decodes encodes, and decodes to the same again."""
    try:
        frame = decode(raw, config)
    except ProtocolError as error:
        str(error)  # must be printable, too
        return None
    try:
        again = frame.encode()
    except InputError as error:
        if "255" in str(error) or "65519" in str(error):
            return None  # Latin-1 text grows when sent as UTF-8
        raise
    assert len(again) <= 65535
    assert decode(again, config).encode() == again
    return frame


def check_data(config_bytes, body):
    """A data frame of any configuration: scalar values, raw values and bulk agree."""
    config = check_frame(config_bytes, None)
    if not isinstance(config, ConfigFrame) or config.layout.frame_size > 2000:
        return
    size = config.layout.body.size
    raw = sealed(0x02, (body + bytes(size))[:size])
    frame = check_frame(raw, config)
    if not isinstance(frame, DataFrame):
        return
    block = DataBlock.decode(raw, config)
    assert len(frame.raw_pmus) == len(frame.pmus) == len(config.pmus)
    assert block.time_ns.tolist() == [frame.time_ns]
    with np.errstate(all="ignore"):
        for one, many in zip(frame.pmus, block.pmus, strict=True):
            for name in ("frequency_hz", "rocof_hz_per_s", "analogs", "digitals", "stat"):
                scalar, array = np.asarray(getattr(one, name), np.float64), getattr(many, name)[0]
                np.testing.assert_allclose(array, scalar, rtol=1e-9, err_msg=name)
            np.testing.assert_array_equal(np.isnan(many.phasors[0]), np.isnan(one.phasors) if one.phasors else [])
    try:
        built = DataFrame.build(config, frame.soc, frame.fracsec, frame.pmus, frame.time_quality).encode()
    except InputError:
        return  # an infinite or too large magnitude
    assert len(built) == len(raw)


def check_stream(data):
    """Fed at once or in pieces, the decoder finds the same configurations and keeps its bounds."""
    whole, pieces = Decoder(), Decoder()
    found = whole.feed(data)
    assert whole.framer.pending <= 65535
    for at in range(0, len(data), 7):
        pieces.feed(data[at : at + 7])
    assert whole.framer.junk_bytes + whole.framer.pending <= len(data)
    assert len(whole.configs) <= 256
    for event in found:
        if isinstance(event, ConfigFrame) and not isinstance(event, ConfigFrame1):
            assert whole.configs[event.idcode].idcode == event.idcode
        if isinstance(event, DataFrame):
            assert event.pmus


if __name__ == "__main__":
    command = f"{sys.executable} {sys.argv[0]}"  # what a merge starts again in a shell
    atheris.Setup([command, *sys.argv[1:]], check)
    atheris.Fuzz()
