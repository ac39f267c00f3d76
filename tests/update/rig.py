"""Signed packages of a tiny rpmu, and a folder where dpkg can install them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from rpmu.update.system import NAMESPACE

CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: nobody <nobody@example.org>
Installed-Size: 1
Description: a package for tests
 Of two lines.
"""
MISSING = [tool for tool in ("dpkg", "dpkg-deb", "ssh-keygen") if shutil.which(tool) is None]


def package(folder: Path, version: str, name="rpmu") -> Path:
    """A package with one file that tells its version, one that only it has, and one for configuration."""
    tree = folder / f"tree-{name}-{version}"
    for file in ("usr/lib/rpmu/version", f"usr/lib/rpmu/only-{version}", "etc/rpmu/setting"):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(version)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(CONTROL.format(name=name, version=version))
    (tree / "DEBIAN/conffiles").write_text("/etc/rpmu/setting\n")
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    target = folder / f"{name}_{version}_all.deb"
    words = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(target)]
    subprocess.run(words, check=True, capture_output=True)
    return target


def key(folder: Path, name: str) -> Path:
    """A fresh SSH key."""
    path = folder / name
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(words, check=True, capture_output=True)
    return path


def signed(deb: Path, with_key: Path, namespace=NAMESPACE) -> bytes:
    """Signature and package, as they are sent."""
    signature = deb.with_name(deb.name + ".sig")
    signature.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(with_key), str(deb)]
    subprocess.run(words, check=True, capture_output=True)
    return signature.read_bytes() + deb.read_bytes()


def machine(root: Path) -> Path:
    """A folder that dpkg takes for a machine."""
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    return root
