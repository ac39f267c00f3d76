"""The root file system of Debian's packages alone, as a tar file: mmdebstrap, with package scripts run by qemu-user.

Nothing of rpmu is in it, so it is built anew only with a new lock file (about four minutes).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from image.archive import local_repository
from image.errors import ImageError, ToolError
from image.run import run

BINFMT = Path("/proc/sys/fs/binfmt_misc")
TAR = "root.tar"
LEFT_OUT = (  # a board has no reader for them; the licences stay
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/bash-completion/*",
)


def allow_foreign_programs() -> None:
    """Let this machine run programs of armhf (binfmt_misc with qemu-user-static).

    Raises:
        ToolError: it cannot.
    """
    if not (BINFMT / "register").exists():
        try:
            run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT])
        except ImageError as error:
            raise ToolError(
                f"cannot mount binfmt_misc on {BINFMT}, without which no package script of the board runs here "
                "(in a container: start it with --privileged, or mount it on the host)"
            ) from error
    if not (BINFMT / "qemu-arm").exists():
        run(["update-binfmts", "--enable", "qemu-arm"])
    try:
        run(["arch-test", "armhf"])
    except ImageError as error:
        raise ToolError("programs of armhf do not run here although qemu-user-static is installed") from error


def build(files: Sequence[Path], names: Sequence[str], release: str, epoch_s: int, folder: Path) -> None:
    """Make the tar file.

    Args:
        files: packages, all of them; nothing else is fetched.
        names: of those that were asked for; the others follow.
        release: of Debian.
        epoch_s: time stamp of everything.
        folder: gets it.
    """
    allow_foreign_programs()
    with tempfile.TemporaryDirectory() as repository:
        local_repository(files, release, Path(repository))
        run(
            [
                "mmdebstrap",
                "--mode=root",
                "--architectures=armhf",
                "--variant=essential",
                "--format=tar",
                f"--include={','.join(names)}",
                "--aptopt=APT::Install-Recommends false",
                "--dpkgopt=force-unsafe-io",
                *(f"--dpkgopt={option}" for option in LEFT_OUT),
                release,
                folder / TAR,
                f"deb [trusted=yes] copy:{repository} ./",
            ],
            environment={"SOURCE_DATE_EPOCH": str(epoch_s)},
        )
