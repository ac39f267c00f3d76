"""Debian's archive, seen through an apt of our own: another release and architecture than the host's.

Where the archive is, the host's apt knows (or MIRROR says). Its signatures are checked with the host's Debian keys, and
every file against the lock file besides.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from image.errors import ArchiveError, ImageError, ToolError
from image.lock import RENEW, Package
from image.run import run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
URI_LINE = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")
CONFIGURATION = """\
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::ForceHash "sha256";
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


@dataclass(frozen=True)
class Mirrors:
    """Where Debian's archive is.

    Attributes:
        main: of releases and updates.
        security: of security updates.
    """

    main: str
    security: str

    def of(self, suite: str) -> str:
        """The one that has a suite."""
        return self.security if suite.endswith("-security") else self.main


def host_mirrors() -> Mirrors:
    """MIRROR and SECURITY_MIRROR of the environment, or what the host's own apt uses for Debian.

    Raises:
        ToolError: neither says anything.
    """
    targets = run(["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"])
    known = dict(line.partition("|")[::2] for line in reversed(targets.splitlines()))
    named = os.environ.get("MIRROR")
    main = named or known.get("Debian")
    if not main:
        raise ToolError("this machine's apt knows no Debian mirror: name one, as in `make image MIRROR=http://...`")
    beside = re.sub(r"/debian/?$", "/debian-security", main)
    security = None if named else known.get("Debian-Security")
    return Mirrors(main, os.environ.get("SECURITY_MIRROR") or security or beside)


class Archive:
    """An apt of its own.

    Args:
        folder: for its lists and what it fetches.
        architecture: of the packages.
        suites: of the archive.
        mirrors: where they are.
    """

    def __init__(self, folder: Path, architecture: str, suites: Sequence[str], mirrors: Mirrors) -> None:
        self._folder = folder
        for name in ("lists/partial", "cache/archives/partial", "debs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        lines = (f"deb [signed-by={KEYRING}] {mirrors.of(suite)} {suite} main\n" for suite in suites)
        (folder / "sources.list").write_text("".join(lines))
        settings = folder / "apt.conf"
        settings.write_text(CONFIGURATION.format(folder=folder, architecture=architecture))
        self._environment = {"APT_CONFIG": str(settings)}

    def update(self) -> str:
        """Fetch the package lists.

        Returns:
            What went wrong, in one line; empty if nothing did. apt goes on with the lists that it could read.
        """
        try:
            run(["apt-get", "update", "-qq", "--error-on=any"], environment=self._environment)
        except ImageError as error:
            complaints = [line.strip() for line in str(error).splitlines() if line.strip().startswith(("E:", "W:"))]
            return (complaints or [str(error)])[0]
        return ""

    def resolve(self, use: str, names: Iterable[str]) -> list[Package]:
        """Packages with all that they depend on, in the archive's newest versions.

        Args:
            use: to note in them.
            names: of packages, or apt's patterns.

        Raises:
            ImageError: apt cannot satisfy the dependencies.
        """
        output = run(["apt-get", "install", "-y", "--print-uris", *names], environment=self._environment)
        found = [match for line in output.splitlines() if (match := URI_LINE.match(line))]
        return [_from_line(use, match) for match in found]

    def newest(self, use: str, names: Iterable[str]) -> list[Package]:
        """Packages alone, without what they depend on."""
        wanted = set(names)
        return [package for package in self.resolve(use, names) if package.name in wanted]

    def fetch(self, packages: Iterable[Package]) -> list[Path]:
        """The files of locked packages.

        Raises:
            ArchiveError: it is out of reach, or has another version or another file.
        """
        folder = self._folder / "debs"
        wanted = tuple(packages)
        absent = [package for package in wanted if not _is_locked(package, folder / package.file_name)]
        if absent:
            complaint = self.update()
            self._download(absent, complaint)
        for package in absent:
            if not _is_locked(package, folder / package.file_name):
                raise ArchiveError(
                    f"{package.name} {package.version} of the archive is not the file that was locked: {RENEW}"
                )
        return [folder / package.file_name for package in wanted]

    def _download(self, packages: Sequence[Package], complaint: str) -> None:
        words = [f"{package.name}={package.version}" for package in packages]
        try:
            run(["apt-get", "download", "-qq", *words], folder=self._folder / "debs", environment=self._environment)
        except ImageError as error:
            lost = re.search(r"E: (Version '\S+' for '\S+' was not found|Unable to locate package \S+)", str(error))
            if lost is None:
                raise ArchiveError(f"packages of the lock file cannot be fetched; {complaint or error}") from error
            if complaint:
                raise ArchiveError(f"the archive's lists cannot all be read ({complaint}), and {lost[1]}") from error
            raise ArchiveError(f"the archive no longer has what is locked, {lost[1]}: {RENEW}") from error


def _from_line(use: str, match: re.Match[str]) -> Package:
    name, version, architecture = match["file"].removesuffix(".deb").split("_")
    version = version.replace("%3a", ":")
    return Package(use, name, version, architecture, int(match["size"]), match["sha256"])


def _is_locked(package: Package, file: Path) -> bool:
    if not file.is_file() or file.stat().st_size != package.size_bytes:
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == package.sha256


def local_repository(files: Iterable[Path], release: str, folder: Path) -> None:
    """Make a repository of files, for an installer that shall see nothing else.

    Args:
        files: Debian packages.
        release: that it claims to be.
        folder: gets links to them, and their index.
    """
    stanzas = []
    for file in sorted(files):
        (folder / file.name).symlink_to(file)
        content = file.read_bytes()
        control = run(["dpkg-deb", "--field", file]).strip()
        sha256 = hashlib.sha256(content).hexdigest()
        stanzas.append(f"{control}\nFilename: ./{file.name}\nSize: {len(content)}\nSHA256: {sha256}\n")
    index = "\n".join(stanzas).encode()
    (folder / "Packages").write_bytes(index)
    sums = f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    (folder / "Release").write_text(f"Suite: {release}\nCodename: {release}\n{sums}")
