"""The lock file: every package of the image with version, size and SHA-256, one a line.

    date 2026-01-31
    root  libc6  2.41-12  armhf  2260832  4fc6fe...

The date stands in all time stamps of the image. The same lock file gives the same packages or none: what the archive no
longer offers is an error, not a newer version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from image.errors import LockError

HEAD = """\
# Packages of the image, made by `make image-lock` from image/packages.toml; not to be edited by hand.
# use, package, version, architecture, bytes, SHA-256
"""
USES = ("root", "boot")
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
VERSION = re.compile(r"[A-Za-z0-9.+:~-]+")
SHA256 = re.compile(r"[0-9a-f]{64}")
RENEW = "renew it with `make image-lock`"


@dataclass(frozen=True, order=True)
class Package:
    """One locked package.

    Attributes:
        use: one of USES.
        name: of the package.
        version: with epoch.
        architecture: `armhf` or `all`.
        size_bytes: of the file.
        sha256: of the file, in hexadecimal digits.
    """

    use: str
    name: str
    version: str
    architecture: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """As apt calls the file."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"

    def line(self) -> str:
        """Its line of the lock file."""
        return f"{self.use} {self.name} {self.version} {self.architecture} {self.size_bytes} {self.sha256}\n"


@dataclass(frozen=True)
class Lock:
    """A whole lock file.

    Attributes:
        date: when it was made.
        packages: sorted.
    """

    date: date
    packages: tuple[Package, ...]

    @property
    def epoch_s(self) -> int:
        """Midnight UTC of the date, in s since 1970: the time stamp of every file."""
        return int(datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC).timestamp())

    def of(self, *uses: str) -> tuple[Package, ...]:
        """Packages of some uses."""
        return tuple(package for package in self.packages if package.use in uses)

    def the(self, pattern: str) -> Package:
        """The one package whose name matches a regular expression.

        Raises:
            LockError: none does, or several do.
        """
        found = [package for package in self.packages if re.fullmatch(pattern, package.name)]
        if len(found) != 1:
            names = ", ".join(package.name for package in found) or "none"
            raise LockError(f"the lock file must have one package '{pattern}', but has {names}: {RENEW}")
        return found[0]


def render(lock: Lock) -> str:
    """The file's text."""
    return HEAD + f"date {lock.date}\n" + "".join(package.line() for package in sorted(lock.packages))


def parse(text: str, file: str) -> Lock:
    """Read a lock file.

    Args:
        text: of the file.
        file: its name, for messages.

    Raises:
        LockError: it is not one.
    """
    made: date | None = None
    packages: dict[tuple[str, str], Package] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words[0] == "date" and made is None:
            made = _date(words[1:], f"{file}:{number}")
            continue
        package = _package(words, f"{file}:{number}")
        if (package.use, package.name) in packages:
            raise LockError(f"{file}:{number}: {package.name} is there twice: {RENEW}")
        packages[package.use, package.name] = package
    if made is None or not packages:
        raise LockError(f"{file}: {'no line `date YYYY-MM-DD`' if made is None else 'no packages'}: {RENEW}")
    return Lock(made, tuple(sorted(packages.values())))


def _date(words: list[str], place: str) -> date:
    try:
        return date.fromisoformat(" ".join(words))
    except ValueError as error:
        raise LockError(f"{place}: 'date {' '.join(words)}' is not `date YYYY-MM-DD`: {RENEW}") from error


def _package(words: list[str], place: str) -> Package:
    if len(words) != 6:
        raise LockError(f"{place}: {len(words)} words instead of use, package, version, architecture, bytes, SHA-256")
    use, name, version, architecture, size, sha256 = words
    rules: tuple[tuple[str, str, bool], ...] = (
        ("the use", use, use in USES),
        ("the package", name, bool(NAME.fullmatch(name))),
        ("the version", version, bool(VERSION.fullmatch(version))),
        ("the architecture", architecture, architecture in ("armhf", "all")),
        ("the size", size, size.isascii() and size.isdigit()),
        ("the SHA-256", sha256, bool(SHA256.fullmatch(sha256))),
    )
    for what, got, good in rules:
        if not good:
            raise LockError(f"{place}: {what} '{got}' of {name} cannot be right: {RENEW}")
    return Package(use, name, version, architecture, int(size), sha256)


def missing(lock: Lock, wanted: Iterable[str]) -> list[str]:
    """Names of the package list that the lock file does not have."""
    return sorted(set(wanted) - {package.name for package in lock.packages})
