"""Write tests/pru/vectors/random_programs.json: `python -m tests.pru.freeze_vectors`, with the GNU simulator built."""

from __future__ import annotations

import base64
import json
import struct
import tempfile
import zlib
from pathlib import Path

from tests.pru import gnu_sim, random_programs

VECTORS = Path(__file__).parent / "vectors" / "random_programs.json"
PROGRAMS = 150


def encode_vector(seed: int, words: list[int], windows: list[bytes]) -> dict[str, object]:
    """Words and saved registers in base64, memory windows as CRC-32."""
    return {
        "seed": seed,
        "words": base64.b64encode(struct.pack(f"<{len(words)}I", *words)).decode(),
        "registers_and_carry": base64.b64encode(windows[0][:124]).decode(),
        "memory_crc32": [zlib.crc32(window) for window in windows],
    }


def main() -> None:
    simulator = gnu_sim.simulator()
    if simulator is None:
        raise SystemExit("the simulator is not built: scripts/build-oracle")
    vectors = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(PROGRAMS):
            words = random_programs.program(seed)
            vectors.append(encode_vector(seed, words, gnu_sim.run(simulator, words, Path(folder))))
    rows = ",\n".join(json.dumps(vector) for vector in vectors)
    VECTORS.write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main()
