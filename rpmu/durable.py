"""Waiting until something is on the disk. Imports nothing of rpmu: the recovery of an update takes this file along."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait for a file's content, or for a folder's names.

    Raises:
        OSError: it is not there, or the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
