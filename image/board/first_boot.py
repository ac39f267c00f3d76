"""`rpmu-first-boot.service`: at every start, before the network and the daemon; what is done already is left alone."""

from __future__ import annotations

import sys
from pathlib import Path

from . import host_keys


def main() -> int:
    """Make the board its own; returns the exit code."""
    made = host_keys.ensure(Path("/etc/ssh"))
    if made:
        print(f"new SSH host keys: {', '.join(made)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
