"""`rpmu-first-boot.service`: at every start, before the network and the daemon; what is done already is left alone.

The card's first partition is mounted only while this runs, so that no power cut later can hurt it: a person's last way
in is the file on it. What came of the file is written beside it, where that person will look.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rpmu.config.disk import RealDisk, put

from . import apply, host_keys
from .setup_file import MAX_BYTES, NAME, Setup, SetupError, parse

RESULT = "rpmu-setup-result.txt"
FLASH_REQUEST = "rpmu-flash-emmc.txt"
STATE = Path("/run/rpmu-image")
APPLY = ("setpriv", "--reuid=rpmu-admin", "--regid=rpmu", "--init-groups", "/usr/bin/rpmu", "config", "apply", "-")
OPTIONS = ("--confirm-within", "0", "--reload", "")


@dataclass
class Board:
    """The file system of a board, and the one command that is needed.

    Attributes:
        root: of the file system; another folder in tests.
        apply_command: puts the configuration on its standard input into force.
    """

    root: Path = Path("/")
    apply_command: tuple[str, ...] = (*APPLY, *OPTIONS)

    @property
    def applied(self) -> Path:
        """Where the hash of the file that was applied last is kept."""
        return self.root / "data/first-boot/applied"

    def configuration(self) -> str:
        """The configuration in force, or the one to begin with."""
        current = self.root / "var/lib/rpmu/config/current"
        return (current if current.exists() else self.root / "etc/rpmu/rpmu.toml").read_text(encoding="utf-8")

    def apply_configuration(self, text: str) -> None:
        """Put a configuration into force.

        Raises:
            SetupError: it was refused.
        """
        done = subprocess.run(self.apply_command, input=text.encode(), capture_output=True, check=False)
        if done.returncode:
            reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
            raise SetupError([f"{NAME}: the configuration was not taken: {reason}"])


def run(board: Board, content: bytes) -> tuple[str, bool]:
    """Apply a setup file if it is another than last time.

    Args:
        board: to apply it to.
        content: of the file.

    Returns:
        What to tell the person, and whether all is well.
    """
    digest = hashlib.sha256(content).hexdigest()
    try:
        setup = parse(content)
        if board.applied.is_file() and board.applied.read_text().strip() == digest:
            return _report(board, f"{NAME} is in force."), True
        _carry_out(board, setup)
    except SetupError as error:
        said = "".join(f"{problem}\n" for problem in error.problems)
        return f"{NAME} was NOT applied; the board goes on with what it had.\n\n{said}", False
    put(RealDisk(board.applied.parent), board.applied.name, f"{digest}\n".encode())
    return _report(board, f"{NAME} is in force."), True


def _carry_out(board: Board, setup: Setup) -> None:
    present = board.configuration()
    wanted = apply.configuration(setup, present)
    files = apply.system_files(setup, board.root)
    if wanted != present:
        board.apply_configuration(wanted)
    apply.write(files, board.root)
    if setup.hostname is not None:
        (board.root / "proc/sys/kernel/hostname").write_text(setup.hostname)


def _report(board: Board, sentence: str) -> str:
    """The sentence, and the board's fingerprints: they say to SSH that it is this board."""
    lines = [sentence, "", f"host name: {(board.root / 'etc/hostname').read_text().strip()}"]
    for key in sorted((board.root / "etc/ssh").glob("ssh_host_*_key.pub")):
        done = subprocess.run(["ssh-keygen", "-lf", key], capture_output=True, text=True, check=False)
        lines.append(f"SSH host key: {done.stdout.strip()}")
    return "\n".join(lines) + "\n"


@contextmanager
def _mounted(partition: str, folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "vfat", "-o", "ro,nosuid,nodev,noexec", partition, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=False)


def _tell(folder: Path, text: str) -> None:
    """Leave the result on the card; what it says already is not written again."""
    result = folder / RESULT
    content = text.replace("\n", "\r\n").encode()
    if result.is_file() and result.read_bytes() == content:
        return
    subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
    put(RealDisk(folder), RESULT, content)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


def main() -> int:
    """Make the board its own; returns the exit code."""
    board = Board()
    made = host_keys.ensure(board.root / "etc/ssh")
    if made:
        print(f"new SSH host keys: {', '.join(made)}")
    disk = (STATE / "disk").read_text().strip()
    if not disk:
        print(f"the root is on no partitioned disk, so there is no {NAME}")
        return 0
    first = f"{disk}p1" if disk[-1].isdigit() else f"{disk}1"
    with _mounted(first, STATE / "card") as folder:
        if (folder / FLASH_REQUEST).is_file():
            (STATE / "flash-emmc").touch()
        if not (folder / NAME).is_file():
            print(f"the card has no {NAME}: nothing to set up")
            return 0
        with (folder / NAME).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text, good = run(board, content)
        print(text, end="")
        _tell(folder, text)
    return 0 if good else 3


if __name__ == "__main__":
    sys.exit(main())
