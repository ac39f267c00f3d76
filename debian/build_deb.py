#!/usr/bin/env python3
"""Build the Debian package of the daemon: `python3 debian/build_deb.py OUTPUT_FOLDER`, or `make deb`.

The package is pure Python (architecture all, so the same file serves armhf and a PC): rpmu without the digital twin,
with units, udev rules, users, the forced command, a commented default configuration and a manual page made from the
command line's own parsers. Only dpkg-deb is needed. All times are that of the last commit (SOURCE_DATE_EPOCH), so the
same commit gives the same file.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from man_page import manual  # noqa: E402  beside this file

from rpmu import __version__, config  # noqa: E402  of this checkout, not an installed one
from rpmu.update.system import NAMESPACE  # noqa: E402

PACKAGE_FOLDER = "usr/lib/python3/dist-packages"
LEFT_OUT = ("twin", "cli/twin.py")  # needs a C compiler and scipy; no board needs it
SCRIPTS = {"rpmu": "rpmu.cli.main", "rpmu-admin-shell": "rpmu.remote.shell"}
FILES = {  # in the checkout: in the package
    "systemd/rpmu.service": "usr/lib/systemd/system/rpmu.service",
    "systemd/rpmu-pru.service": "usr/lib/systemd/system/rpmu-pru.service",
    "systemd/rpmu-config.service": "usr/lib/systemd/system/rpmu-config.service",
    "systemd/rpmu-config-guard.path": "usr/lib/systemd/system/rpmu-config-guard.path",
    "systemd/rpmu-config-guard.service": "usr/lib/systemd/system/rpmu-config-guard.service",
    "systemd/rpmu-update@.service": "usr/lib/systemd/system/rpmu-update@.service",
    "systemd/rpmu-update-recover.service": "usr/lib/systemd/system/rpmu-update-recover.service",
    "systemd/rpmu-firewall.service": "usr/lib/systemd/system/rpmu-firewall.service",
    "systemd/50-rpmu-watchdog.conf": "usr/lib/systemd/system.conf.d/50-rpmu-watchdog.conf",
    "systemd/50-rpmu-journal.conf": "usr/lib/systemd/journald.conf.d/50-rpmu-journal.conf",
    "systemd/nftables.conf": "etc/rpmu/nftables.conf",
    "systemd/70-rpmu.rules": "usr/lib/udev/rules.d/70-rpmu.rules",
    "systemd/sysusers.conf": "usr/lib/sysusers.d/rpmu.conf",
    "systemd/tmpfiles.conf": "usr/lib/tmpfiles.d/rpmu.conf",
    "systemd/sshd.conf": "etc/ssh/sshd_config.d/60-rpmu-admin.conf",
    "systemd/sudoers": "etc/sudoers.d/rpmu-admin",
    "rpmu/acquire/firmware/sampler.elf": "usr/lib/firmware/rpmu-sampler.elf",
    "debian/lintian-overrides": "usr/share/lintian/overrides/rpmu",
    "debian/copyright": "usr/share/doc/rpmu/copyright",
    "docs/install.md": "usr/share/doc/rpmu/install.md",
}
DEPENDS = (
    "python3 (>= 3.11)",
    "python3-numpy (>= 1:1.24)",
    "python3-serial (>= 3.5)",
    "python3-nmea2 (>= 1.15)",
    "systemd",
    "udev",
    "kmod",
    "procps",  # kill, by which systemd tells the daemon to reload
)
CONTROL = """\
Package: rpmu
Version: {version}
Architecture: all
Maintainer: rpmu developers <rpmu@example.org>
Installed-Size: {kilobytes}
Depends: {depends}
Recommends: openssh-server, sudo, nftables, python3-libgpiod
Section: net
Priority: optional
Description: open residential phasor measurement unit
 Measures synchrophasors, frequency and ROCOF at a wall outlet with a BeagleBone
 Black and a GPS receiver, and serves them as IEEE C37.118.2.
 .
 This is the daemon with its tools, without the digital twin.
"""


def build(output: Path) -> Path:
    """Build the package; returns its path.

    Args:
        output: folder to put it in; made if need be.
    """
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _last_commit())
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"rpmu_{__version__}_all.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _fill(tree)
        _control(tree)
        _settle(tree, epoch)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
        words = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(target)]
        subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL)
    return target


def sign(package: Path, key: Path) -> Path:
    """Put the publisher's signature beside a package; ssh-keygen asks for the pass phrase or the touch of a token.

    Args:
        package: to be signed.
        key: an SSH key: private, or public with the private one in an agent.
    """
    signature = package.with_name(package.name + ".sig")
    signature.unlink(missing_ok=True)  # ssh-keygen replaces none
    words = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(package)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return signature


def _last_commit() -> str:
    words = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "1700000000"  # a tarball without git: any fixed time


def _fill(tree: Path) -> None:
    """Everything but the control files."""
    packages = tree / PACKAGE_FOLDER
    shutil.copytree(ROOT / "rpmu", packages / "rpmu", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in LEFT_OUT:
        path = packages / "rpmu" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    profiles = packages / "rpmu/calibrate/profiles"
    profiles.mkdir(exist_ok=True)
    for profile in sorted((ROOT / "calibration").glob("*.toml")):
        shutil.copyfile(profile, profiles / profile.name)
    _put(
        packages / f"rpmu-{__version__}.dist-info/METADATA",
        f"Metadata-Version: 2.1\nName: rpmu\nVersion: {__version__}\n",
    )
    for name, module in SCRIPTS.items():
        _put(
            tree / "usr/bin" / name,
            f"#!/usr/bin/python3\nimport sys\n\nfrom {module} import main\n\nsys.exit(main())\n",
        )
    for source, target in FILES.items():
        (tree / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, tree / target)
    _put(tree / "etc/rpmu/rpmu.toml", config.render(config.default()))
    _put_compressed(tree / "usr/share/man/man1/rpmu.1.gz", manual(LEFT_OUT))
    (tree / "usr/share/man/man1/rpmu-admin-shell.1.gz").symlink_to("rpmu.1.gz")
    news = f"rpmu ({__version__}) stable; urgency=medium\n\n  * See the history of the repository.\n\n"
    news += " -- rpmu developers <rpmu@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n"
    _put_compressed(tree / "usr/share/doc/rpmu/changelog.gz", news)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _put_compressed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _control(tree: Path) -> None:
    """What dpkg needs to know, and the scripts it runs."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    kilobytes = sum(-(-path.stat().st_size // 1024) for path in files)
    folder = tree / "DEBIAN"
    _put(folder / "control", CONTROL.format(version=__version__, kilobytes=kilobytes, depends=", ".join(DEPENDS)))
    names = [(path, path.relative_to(tree)) for path in files]
    _put(folder / "conffiles", "".join(f"/{name}\n" for _, name in names if name.parts[0] == "etc"))
    sums = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {name}\n" for path, name in names if name.parts[0] != "etc")
    _put(folder / "md5sums", "".join(sums))  # dpkg's own form, against accidents
    for script in ("postinst", "prerm", "postrm"):
        shutil.copyfile(HERE / script, folder / script)


def _settle(tree: Path, epoch: int) -> None:
    """Modes and times that do not depend on who builds where."""
    for path in sorted(tree.rglob("*"), reverse=True):
        program = path.parent.name == "bin" or path.name in ("postinst", "prerm", "postrm")
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or program else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    (tree / FILES["systemd/sudoers"]).chmod(0o440)
    tree.chmod(0o755)
    os.utime(tree, (epoch, epoch))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("output", type=Path, nargs="?", default=ROOT / "dist", help="folder (default: dist)")
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign it with this SSH key, for `rpmu update`")
    arguments = parser.parse_args()
    built = build(arguments.output)
    print(built)
    if arguments.sign is not None:
        print(sign(built, arguments.sign))
