"""Write rpmu/acquire/layout.py from pru/layout.h, the one definition of the shared memory.

`python -m rpmu.acquire.generate_layout` rewrites the module; a test fails when the two differ. The header holds
#define lines with one number, or a sum of numbers and earlier names, and comments. Every constant keeps its name and
its comment. STATUS_*, PARAMS_*, EVENT_* and BLOCK_* offsets also become numpy dtypes, so that a block's header is one
record and not eight index expressions.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from rpmu.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "pru" / "layout.h"
MODULE = Path(__file__).with_name("layout.py")

DEFINE = re.compile(r"#define\s+(\w+)\s+(.+?)\s*(?:/\*\s*(.*?)\s*\*/)?\s*$")
TERM = re.compile(r"0[xX][0-9a-fA-F]+|\d+|[A-Z]\w*")


@dataclass(frozen=True)
class Constant:
    """One #define: its name, its value, the header's spelling of it (hexadecimal digits in upper case), its comment."""

    name: str
    value: int
    spelling: str
    comment: str


@dataclass(frozen=True)
class Record:
    """A structure of the layout: the prefix of its offsets, the dtype's name, and its size's name."""

    prefix: str
    dtype: str
    size: str
    wide: tuple[tuple[str, str], ...] = ()  # fields that are not one 32-bit word: (field, type expression)
    skip: tuple[str, ...] = ()  # names with this prefix that are no offsets


RECORDS = (
    Record("STATUS_", "STATUS", "STATUS_BYTES", skip=("STATUS_OFFSET",)),
    Record(
        "PARAMS_",
        "PARAMS",
        "PARAMS_BYTES",
        wide=(("ain", '("<u4", (MAX_STEPS,))'), ("step_delay", '("<u4", (MAX_STEPS,))')),
        skip=("PARAMS_OFFSET",),
    ),
    Record(
        "EVENT_",
        "EVENT",
        "EVENT_BYTES",
        wide=(("data", '("<u2", (EVENT_SAMPLES,))'),),
        skip=("EVENT_SAMPLES", "EVENT_SAMPLES_BEFORE", "EVENT_SLOTS", "EVENT_SOURCE_ADC", "EVENT_SOURCE_PIN"),
    ),
    Record("BLOCK_", "BLOCK_HEADER", "BLOCK_HEADER_BYTES", skip=("BLOCK_DATA", "BLOCK_HEADER_BYTES", "BLOCK_SAMPLES")),
)


def parse(text: str) -> dict[str, Constant]:
    """Read the #define lines of a layout header, in order.

    Raises:
        InputError: a value is not a number or a sum of numbers and earlier names.
    """
    constants: dict[str, Constant] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = DEFINE.match(line)
        if match is None:
            continue
        name, spelling, comment = match.groups()
        constants[name] = Constant(name, _value(spelling, constants, number), spelling, comment or "")
    return constants


def _value(expression: str, known: dict[str, Constant], line: int) -> int:
    total = 0
    for term in expression.strip("() ").split("+"):
        word = term.strip()
        if not TERM.fullmatch(word) or (word[0].isalpha() and word not in known):
            raise InputError(f"layout.h:{line}: '{word}' is neither a number nor a name defined above it")
        total += known[word].value if word[0].isalpha() else int(word, 0)
    return total


def render(constants: dict[str, Constant]) -> str:
    """The whole text of layout.py."""
    parts = [
        '"""The shared memory between the PRU firmware and the host, as constants and numpy dtypes.',
        "",
        "Written by `python -m rpmu.acquire.generate_layout` from pru/layout.h. Do not edit: edit the header, where",
        "every field is explained, and run that command.",
        '"""',
        "",
        "import numpy as np",
        "",
        *(_assignment(constant) for constant in constants.values()),
    ]
    for record in RECORDS:
        parts += ["", *_dtype(record, constants)]
    return "\n".join(parts) + "\n"


def _assignment(constant: Constant) -> str:
    line = f"{constant.name} = {constant.spelling}"
    commented = f"{line}  # {constant.comment}"
    return commented if constant.comment and len(commented) <= 120 else line


def _dtype(record: Record, constants: dict[str, Constant]) -> list[str]:
    wide = dict(record.wide)
    fields: list[tuple[str, str, str]] = []
    for name in constants:
        if name.startswith(record.prefix) and name not in record.skip and name != record.size:
            field = name.removeprefix(record.prefix).lower()
            fields.append((field, wide.get(field, '"<u4"'), name))
    return [
        f"{record.dtype} = np.dtype(",
        "    {",
        '        "names": [',
        *(f'            "{field}",' for field, _, _ in fields),
        "        ],",
        '        "formats": [',
        *(f"            {kind}," for _, kind, _ in fields),
        "        ],",
        '        "offsets": [',
        *(f"            {name}," for _, _, name in fields),
        "        ],",
        f'        "itemsize": {record.size},',
        "    }",
        ")",
    ]


def main() -> int:
    """Rewrite layout.py."""
    MODULE.write_text(render(parse(HEADER.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
