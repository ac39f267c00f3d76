"""The board under test: the image's card as it is, a person's setup file on it, and the twin as its hardware.

Nothing of the root file system is touched. What the test adds lies where a board's own things lie, on the data
partition (in the overlay of /etc).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image import card
from rpmu import config
from rpmu.config.edit import assign, parse_assignment
from rpmu.serve.status_socket import BOARD_SOCKET
from tests.target.hardware import IN_ETC
from tests.target.machine import Machine
from tests.target.wait import PATIENCE_S, until
from tests.update.rig import key

ROOT = Path(__file__).parents[2]
IDCODE = 17
MORE_ROOM = 128 << 20  # of the card, beyond the image
SETUP = """\
hostname = rpmu-test
admin_key = {admin}
update_key = {publisher}
station = CELLAR
idcode = {idcode}
access = 10.0.2.0/24
allow_uncalibrated = yes
"""
# Changes are announced for 10 s, not a minute.
SETTINGS = ("gps.device=/dev/pmu-gnss", "server.notice_s=10")
LOOK = f"""\
import socket
line = socket.socket(socket.AF_UNIX)
line.settimeout(60)
line.connect("{BOARD_SOCKET}")
while content := line.recv(65536):
    print(content.decode(), end="")
"""


def newer_package(deb: Path, folder: Path, version: str, changes: Mapping[str, str] | None = None) -> Path:
    """The same package under another version, with some files of rpmu exchanged."""
    tree = folder / f"tree-{version}"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines()
    control.write_text("".join(f"Version: {version}\n" if x.startswith("Version:") else f"{x}\n" for x in lines))
    package = tree / "usr/lib/python3/dist-packages/rpmu"
    (package / "__init__.py").write_text(f'"""rpmu of a test."""\n\n__version__ = "{version}"\n')
    for name, content in (changes or {}).items():
        (package / name).write_text(content)
    target = folder / f"rpmu_{version}_all.deb"
    words = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, target]
    subprocess.run(words, check=True, capture_output=True)
    return target


@dataclass
class Board:
    """The board, and the PC beside it.

    Attributes:
        folder: of the PC: keys, disks, logs.
        machine: the emulator.
    """

    folder: Path
    machine: Machine

    @classmethod
    def made(cls, folder: Path, files: Mapping[str, str], stays: bool = False) -> Board:
        """With a card of its own, as somebody has prepared it.

        Args:
            folder: empty.
            files: what `python -m image paths` tells.
            stays: whether the machine outlives this process.
        """
        admin, publisher = key(folder, "admin"), key(folder, "publisher")
        key(folder, "stranger")
        disk = folder / "card.img"
        subprocess.run(["cp", "--sparse=always", files["image"], disk], check=True)
        os.truncate(disk, card.CARD_SIZE + MORE_ROOM)
        setup = folder / "rpmu-setup.txt"
        public = {path.name: path.with_suffix(".pub").read_text().strip() for path in (admin, publisher)}
        setup.write_text(SETUP.format(**public, idcode=IDCODE))
        parts = {part.number: part for part in card.PARTITIONS}
        subprocess.run(["mcopy", "-o", "-i", f"{disk}@@{parts[1].start}", setup, "::rpmu-setup.txt"], check=True)
        _settle_data(folder / "data")
        card.ext4(folder / "data", card.LABELS[4], parts[4].size, 0, folder / "data.img")
        words = [f"if={folder}/data.img", f"of={disk}", "bs=1M", f"seek={parts[4].start >> 20}", "conv=notrunc"]
        subprocess.run(["dd", "status=none", *words], check=True)
        for name in ("kernel", "initramfs"):
            shutil.copyfile(files[name], folder / name)
        board = cls.of(folder, stays)
        board._make_ssh(admin)
        return board

    @classmethod
    def of(cls, folder: Path, stays: bool) -> Board:
        """The board that was made in a folder, switched off or running."""
        return cls(folder, Machine(folder, folder / "kernel", folder / "initramfs", folder / "card.img", stays))

    @classmethod
    def kept(cls, folder: Path, files: Mapping[str, str]) -> Board:
        """The one that an earlier run has left running in a folder; made and switched on there if need be."""
        if (folder / "bin/ssh").exists():
            board = cls.of(folder, stays=True)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            board = cls.made(folder, files, stays=True)
        if not board.machine.attach():
            board.machine.start()
        return board

    def _make_ssh(self, admin: Path) -> None:
        """What a person has in ~/.ssh/config, and an ssh that reads it."""
        options = {
            "HostName": "127.0.0.1",
            "HostKeyAlias": "board",
            "Port": self.machine.ssh_port,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "StrictHostKeyChecking": "accept-new",
            "ConnectTimeout": 300,
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        both = "".join(f"    {name} {value}\n" for name, value in options.items())
        keys = {"board": admin, "board-with-a-strange-key": self.folder / "stranger"}
        hosts = (f"Host {host}\n    IdentityFile {path}\n{both}" for host, path in keys.items())
        (self.folder / "ssh_config").write_text("".join(hosts))
        ssh = self.folder / "bin/ssh"
        ssh.parent.mkdir()
        ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.folder}/ssh_config "$@"\n')
        ssh.chmod(0o755)

    # ---- the PC ----

    def rpmu(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`rpmu --host board ...` on the PC."""
        with self.started(*words) as process:
            out, error = process.communicate(timeout=2 * PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    def started(self, *words: str) -> subprocess.Popen[str]:
        """Likewise, without waiting for its end."""
        environment = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        line = [sys.executable, "-m", "rpmu", "--host", "board", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            line, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def ssh(self, *words: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """The ssh of the PC."""
        line = [self.folder / "bin/ssh", "-T", *words]
        return subprocess.run(line, input=content, capture_output=True, timeout=PATIENCE_S, check=False)

    def status(self) -> dict[str, Any] | None:
        """The daemon's status as its socket gives it, which costs less than `rpmu status`; None if none answers."""
        done = self.machine.run(f"python3 -I -S -c {shlex.quote(LOOK)}")
        return None if done.code else json.loads(done.out)

    def locked(self) -> dict[str, Any]:
        """Wait until the time is locked and frames flow."""

        def look() -> dict[str, Any] | None:
            status = self.status()
            good = status is not None and status["time"]["state"] == "locked" and status["server"]["frames_published"]
            return status if good else None

        return until("the time lock", look)


def _settle_data(folder: Path) -> None:
    """The data partition before its first use: what the test needs in /etc."""
    etc = folder / "etc/upper"
    for name, content in IN_ETC.items():
        _put(etc / name, content)
    text = config.render(config.default())
    for setting in SETTINGS:
        text = assign(text, *parse_assignment(setting))
    _put(etc / "rpmu/rpmu.toml", text)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
