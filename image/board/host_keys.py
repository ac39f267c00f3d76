"""The SSH host keys: every board makes its own, once.

A power cut may leave a file empty. So a key is made under another name, synced, and renamed, and what is there is
looked at.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from rpmu.durable import sync

KINDS = ("ed25519", "ecdsa")  # RSA takes minutes on a slow core, and no client of today needs it


def ensure(folder: Path) -> list[str]:
    """Make the keys that are missing or empty.

    Args:
        folder: /etc/ssh.

    Returns:
        Kinds that were made.
    """
    made = []
    for kind in KINDS:
        key = folder / f"ssh_host_{kind}_key"
        if _is_whole(key) and _is_whole(Path(f"{key}.pub")):
            continue
        new = folder / f".{key.name}.new"
        for path in (new, Path(f"{new}.pub")):
            path.unlink(missing_ok=True)
        words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(new)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for source, target in ((new, key), (Path(f"{new}.pub"), Path(f"{key}.pub"))):
            sync(source)
            source.rename(target)
        made.append(kind)
    if made:
        sync(folder)
    return made


def _is_whole(path: Path) -> bool:
    return path.is_file() and path.read_bytes().endswith(b"\n")
