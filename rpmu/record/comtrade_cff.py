"""COMTRADE's single file, .cff (revision 2013): .cfg, .inf, .hdr and .dat one after the other.

A line such as `--- file type: CFG ---` begins each section; the last one, `--- file type: DAT BINARY: 5120 ---`, says
its type and, if it is binary, its length in bytes, because binary data may look like anything.
"""

from __future__ import annotations

import re
from pathlib import Path

from rpmu.errors import InputError

HEADING = re.compile(
    rb"^---\s*file type:\s*(\w+)(?:\s+(\w+))?\s*(?::\s*(\d+))?\s*---[ \t]*\r?\n", re.MULTILINE | re.IGNORECASE
)


def split_cff(path: Path) -> tuple[bytes, bytes]:
    """The .cfg and the .dat inside a .cff.

    Raises:
        InputError: one of them is missing, or the data is shorter than announced.
    """
    content = path.read_bytes()
    config = data = None
    place = 0
    while heading := HEADING.search(content, place):
        kind, length = heading[1].upper(), heading[3]
        place = heading.end()
        if kind == b"DAT" and length is not None:
            data = content[place : place + int(length)]
            if len(data) < int(length):
                raise InputError(
                    f"{path}: holds {len(data)} bytes of data, but announces {int(length)}: it was cut short"
                )
            break
        following = HEADING.search(content, place)
        section = content[place : following.start() if following else len(content)]
        config, data = (section, data) if kind == b"CFG" else (config, section if kind == b"DAT" else data)
    if config is None or data is None:
        missing = "CFG" if config is None else "DAT"
        raise InputError(f"{path}: has no section '--- file type: {missing} ---', so it is no COMTRADE .cff")
    return config, data
