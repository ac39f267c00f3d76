"""What an update needs of the machine: dpkg to install and to pack, ssh-keygen to judge a signature.

Nothing but Python's own library: a copy of this file must work while the package itself is half exchanged.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

PACKAGE = "rpmu"
NAMESPACE = "rpmu-update"  # a signature made for another purpose does not count
SPARE_BYTES = 8 << 20  # what others may write to the disk meanwhile
AT_BOOT = "RPMU_UPDATE_AT_BOOT"  # tells postinst not to wait for a daemon that waits for us


class RefusedError(Exception):
    """The update may not be installed; nothing was changed."""


class System:
    """dpkg and ssh-keygen of this machine.

    Args:
        root: of the file system; tests give one of their own.
        at_boot: the daemon has not been started yet.
    """

    def __init__(self, root: Path = Path("/"), at_boot: bool = False) -> None:
        self._root = root
        self._admin = ("--admindir", str(root / "var/lib/dpkg"))
        self._environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        if at_boot:
            self._environment[AT_BOOT] = "1"

    def _run(self, words: Sequence[str], fed: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(words, input=fed, capture_output=True, check=False, env=self._environment)

    def installed(self) -> str:
        """The version that is installed and whole; empty if none is."""
        form = "${db:Status-Abbrev}${Version}"
        shown = self._run(["dpkg-query", *self._admin, "-W", "-f", form, PACKAGE]).stdout.decode()
        return shown[3:] if shown.startswith("ii ") else ""

    def version(self, package: Path) -> str:
        """The version in a package file.

        Raises:
            RefusedError: it is no package of rpmu.
        """
        words = ["dpkg-deb", "--show", "--showformat", "${Package} ${Version}", str(package)]
        name, _, version = self._run(words).stdout.decode(errors="replace").partition(" ")
        if name != PACKAGE or not version:
            raise RefusedError(f"what was sent is no Debian package of {PACKAGE}")
        return version

    def newer(self, version: str, than: str) -> bool:
        """Whether dpkg calls a version newer."""
        return self._run(["dpkg", "--compare-versions", version, "gt", than]).returncode == 0

    def signer(self, package: Path, signature: Path, signers: Path) -> str:
        """Who signed a package.

        Raises:
            RefusedError: nobody whom this board trusts did.
        """
        if not shutil.which("ssh-keygen"):
            raise RefusedError("ssh-keygen is not there to check the signature: install openssh-client")
        if not signers.is_file():
            raise RefusedError(f"no key is trusted: put the publisher's public key into {signers} (docs/install.md)")
        files = ["-s", str(signature), "-f", str(signers)]
        found = self._run(["ssh-keygen", "-Y", "find-principals", *files])
        names = found.stdout.decode(errors="replace").splitlines()
        content = package.read_bytes()
        for name in names if found.returncode == 0 else []:
            words = ["ssh-keygen", "-Y", "verify", *files, "-n", NAMESPACE, "-I", name]
            if self._run(words, content).returncode == 0:
                return name
        raise RefusedError(f"the signature is not by a key that {signers} trusts for {NAMESPACE}, or not of this file")

    def install(self, package: Path) -> str:
        """Install a package, whatever version is there; returns dpkg's complaint."""
        # Its file operations must be on the disk before it says so, whatever the image's builder has set.
        words = ["dpkg", "--no-force-unsafe-io", "--force-confold", "--force-downgrade"]
        words += [] if self._root == Path("/") else ["--root", str(self._root), "--force-not-root"]
        done = self._run([*words, "--install", str(package)])
        os.sync()
        if done.returncode == 0:
            return ""
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return "dpkg says: " + (next((line for line in lines if "error" in line), "") or "it failed").strip()

    def check_room(self, package: Path) -> None:
        """Make sure that dpkg will not stop half way.

        Raises:
            RefusedError: it might.
        """
        size = self._run(["dpkg-deb", "--field", str(package), "Installed-Size"]).stdout.decode().strip()
        needed = 2 * (int(size or 0) * 1024 + package.stat().st_size) + SPARE_BYTES
        for folder in (self._root, package.parent):
            free = shutil.disk_usage(folder).free
            if free < needed:
                raise RefusedError(f"{folder} has {free >> 20} MB free, but an update needs {needed >> 20} MB")

    def repack(self, target: Path) -> None:
        """Pack what is installed into a package file: its files as they are now, its scripts and fields.

        Raises:
            RefusedError: there is no room, or dpkg-deb fails.
        """
        tree = target.with_suffix(".tree")
        shutil.rmtree(tree, ignore_errors=True)
        try:
            self._fill(tree)
            done = self._run(["dpkg-deb", "-Zgzip", "--build", str(tree), str(target)])
        except OSError as error:
            raise RefusedError(f"cannot pack the present version to return to: {error.strerror}") from error
        finally:
            shutil.rmtree(tree, ignore_errors=True)
        if done.returncode:
            raise RefusedError(f"cannot pack the present version to return to: {done.stderr.decode().strip()[-200:]}")

    def _fill(self, tree: Path) -> None:
        control = tree / "DEBIAN"
        control.mkdir(parents=True, mode=0o755)
        tree.chmod(0o755)
        listed = self._run(["dpkg-query", *self._admin, "-L", PACKAGE]).stdout.decode().splitlines()
        for name in listed:
            source, copy = self._root / name.lstrip("/"), tree / name.lstrip("/")
            if name == "/." or not os.path.lexists(source):
                continue  # the root itself; or a configuration file that was taken away on purpose
            if source.is_dir() and not source.is_symlink():
                copy.mkdir(exist_ok=True)
            else:
                shutil.copy2(source, copy, follow_symlinks=False)
            _like(source, copy)
        info = self._run(["dpkg-query", *self._admin, "--control-path", PACKAGE]).stdout.decode().split()
        for path in map(Path, info):
            shutil.copy2(path, control / path.name.removeprefix(f"{PACKAGE}."))
        status = self._run(["dpkg-query", *self._admin, "-s", PACKAGE]).stdout.decode()
        (control / "control").write_text(_fields(status), encoding="utf-8")


def _like(source: Path, copy: Path) -> None:
    """Owner and rights of the original."""
    info = source.lstat()
    os.chown(copy, info.st_uid, info.st_gid, follow_symlinks=False)
    if not copy.is_symlink():
        copy.chmod(stat.S_IMODE(info.st_mode))


def _fields(status: str) -> str:
    """The record that dpkg keeps of a package without the fields that only records have."""
    kept: list[str] = []
    wanted = True
    for line in status.strip().splitlines():
        if not line.startswith(" "):
            wanted = line.split(":")[0] not in ("Status", "Conffiles", "Config-Version")
        if wanted:
            kept.append(line)
    return "\n".join(kept) + "\n"
