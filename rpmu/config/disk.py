"""The few file operations that revisions need, each with what a power cut may do to it.

`write` and `rename` reach the disk only with the sync that follows: a file's content with `sync`, names with
`sync_folder`. Until then a power cut may leave them done, half done (a file's content) or undone. Tests put a disk
with exactly these manners in the place of the real one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from rpmu.durable import sync
from rpmu.errors import HardwareError

TEMPORARY = ".new"


class Disk(Protocol):
    """One folder (and one level of folders below it); names are relative to it."""

    def read(self, name: str) -> bytes | None:
        """Content of a file (through a link), or None if there is none."""

    def names(self, folder: str) -> list[str]:
        """Names in a folder below; empty if there is no such folder."""

    def target(self, name: str) -> str | None:
        """Where a link points, or None if it is none."""

    def write(self, name: str, content: bytes) -> None:
        """Make a file; its folder is made if need be."""

    def link(self, name: str, target: str) -> None:
        """Make a symbolic link."""

    def rename(self, old: str, new: str) -> None:
        """Move a file or link, in place of what has the new name; at no time is there neither."""

    def remove(self, name: str) -> None:
        """Take a file or link away; nothing happens if there is none."""

    def sync(self, name: str) -> None:
        """Wait until a file's content is on the disk."""

    def sync_folder(self, folder: str) -> None:
        """Wait until the names of a folder ("" for the outer one) are on the disk."""


def put(disk: Disk, name: str, content: bytes) -> None:
    """Make or replace a file so that it is the old one or the whole new one, whenever the power goes."""
    disk.write(name + TEMPORARY, content)
    disk.sync(name + TEMPORARY)
    settle_name(disk, name)


def settle_name(disk: Disk, name: str) -> None:
    """Let what has the temporary name take its place."""
    disk.rename(name + TEMPORARY, name)
    folder = name.rpartition("/")[0]
    disk.sync_folder(folder)
    if folder:
        disk.sync_folder("")  # the folder itself may be new


class RealDisk:
    """A folder of this machine.

    Args:
        root: the folder; made when the first file is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        """Content of a file, or None."""
        path = self._root / name
        with _plainly(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        """Names in a folder."""
        place = self._root / folder
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []

    def target(self, name: str) -> str | None:
        """Where a link points."""
        path = self._root / name
        return str(path.readlink()) if path.is_symlink() else None

    def write(self, name: str, content: bytes) -> None:
        """Make a file."""
        path = self._root / name
        with _plainly(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def link(self, name: str, target: str) -> None:
        """Make a symbolic link."""
        path = self._root / name
        with _plainly(path):
            path.unlink(missing_ok=True)
            path.symlink_to(target)

    def rename(self, old: str, new: str) -> None:
        """Move a file or link."""
        with _plainly(self._root / new):
            (self._root / old).replace(self._root / new)

    def remove(self, name: str) -> None:
        """Take a file or link away."""
        with _plainly(self._root / name):
            (self._root / name).unlink(missing_ok=True)

    def sync(self, name: str) -> None:
        """Wait for a file's content."""
        self._fsync(self._root / name)

    def sync_folder(self, folder: str) -> None:
        """Wait for a folder's names."""
        self._fsync(self._root / folder)

    @staticmethod
    def _fsync(path: Path) -> None:
        with _plainly(path):
            sync(path)


@contextlib.contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """Failures of the file system as one sentence."""
    try:
        yield
    except OSError as error:
        raise HardwareError(
            f"cannot use {path}: {error.strerror}; the folder must be writable (run as root) and the disk not full"
        ) from error
