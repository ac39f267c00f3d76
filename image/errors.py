"""How a build of the image fails: one sentence, an exit code, no traceback."""

from __future__ import annotations


class ImageError(Exception):
    """The image cannot be built; the message says what, and how to go on."""

    exit_code = 1


class LockError(ImageError):
    """The lock file is wrong, or Debian's archive no longer has what it names."""

    exit_code = 3


class ArchiveError(ImageError):
    """Debian's archive is out of reach, or no longer has what the lock file names."""

    exit_code = 5


class ToolError(ImageError):
    """This machine lacks a tool or a right."""

    exit_code = 4
