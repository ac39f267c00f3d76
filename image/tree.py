"""The board's root file system as a folder: Debian's packages, the rpmu package, kernel, and the image's settings.

The files of `image/files` lie in it at their places. Units are switched on and off with the host's systemctl, which
works on any folder. Nothing is left that would be the same on every board: host keys, machine id, random seed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from image import root
from image.kernel import KERNEL
from image.run import run

ENABLED = (  # besides what the packages switch on themselves
    "rpmu-first-boot.service",
    "rpmu-flash-emmc.service",
    "rpmu-grow-data.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "rpmu-firewall.service",
    "ssh.service",
    "chrony.service",
)
MASKED = (  # they would write where the root is read-only, or wait for a network that need not be there
    "systemd-networkd-wait-online.service",
    "getty@tty1.service",
    "systemd-update-done.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-firstboot.service",
    "fstrim.timer",
    "systemd-machine-id-commit.service",
    "ldconfig.service",
    "e2scrub_reap.service",
    "e2scrub_all.timer",
    "dpkg-db-backup.timer",
)
BOARD_PROGRAMS = "usr/lib/python3/dist-packages/rpmu_image"
OWN_TO_A_BOARD = ("etc/ssh/ssh_host_*", "var/lib/systemd/random-seed", "var/lib/dbus/machine-id", "var/log/*")
OWN_TO_A_BUILD = ("etc/apt/sources.list",)  # where the builder's temporary repository was
# With it, Python notes a hash of the source in its compiled form, not its time. It is not 0: users that are made on day
# 0 have, to login, a password that has expired, and SSH lets nobody in.
REPRODUCIBLE = {"SOURCE_DATE_EPOCH": "86400"}
EXTLINUX = """\
default rpmu
timeout 10
label rpmu
    linux /boot/vmlinuz
    initrd /boot/initrd.img
    fdt /boot/rpmu-am335x-boneblack.dtb
    append root=PARTUUID={signature}-02 ro console=ttyO0,115200n8 panic=10
"""


@dataclass(frozen=True)
class Parts:
    """What the root file system is made of.

    Attributes:
        debian: tar file of Debian's packages.
        package: rpmu's Debian package.
        kernel: result of `image.kernel.build`.
        initramfs: file.
        device_tree: file.
        own: folder with `files` and `board`.
        signature: of the card's partition table, eight hexadecimal digits.
    """

    debian: Path
    package: Path
    kernel: Path
    initramfs: Path
    device_tree: Path
    own: Path
    signature: str


def build(parts: Parts, folder: Path) -> None:
    """Fill a folder with the root file system."""
    run(["tar", "-xf", parts.debian, "-C", folder, "--numeric-owner", "--xattrs", "--xattrs-include=*"])
    version = (parts.kernel / "version").read_text().strip()
    shutil.copytree(parts.kernel / "modules", folder / "usr/lib/modules", symlinks=True)
    run(["depmod", "-b", folder, version])
    boot = folder / "boot"
    for source in (parts.kernel / KERNEL, parts.initramfs, parts.device_tree):
        shutil.copyfile(source, boot / source.name)
    (boot / "extlinux").mkdir()
    (boot / "extlinux/extlinux.conf").write_text(EXTLINUX.format(signature=parts.signature))
    _install(parts.package, folder)
    shutil.copytree(parts.own / "files", folder, dirs_exist_ok=True, symlinks=True, copy_function=_copy)
    shutil.copytree(parts.own / "board", folder / BOARD_PROGRAMS, ignore=shutil.ignore_patterns("__pycache__"))
    run(["chroot", folder, "python3", "-m", "compileall", "-q", f"/{BOARD_PROGRAMS}"], environment=REPRODUCIBLE)
    _settle(folder)
    run(["systemctl", f"--root={folder}", "enable", *ENABLED])
    run(["systemctl", f"--root={folder}", "mask", *MASKED])
    run(["systemctl", f"--root={folder}", "set-default", "multi-user.target"])


def _copy(source: str, target: str) -> str:
    """As root has files: not with the rights that the checkout's umask gave."""
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    return target


def _install(package: Path, folder: Path) -> None:
    """Let the board's own dpkg install rpmu, so that its database knows it."""
    root.allow_foreign_programs()
    inside = folder / package.name
    shutil.copyfile(package, inside)
    run(
        ["chroot", folder, "dpkg", "--force-unsafe-io", "--install", f"/{package.name}"],
        environment={**REPRODUCIBLE, "DEBIAN_FRONTEND": "noninteractive"},
    )
    inside.unlink()


def _settle(folder: Path) -> None:
    """Take away what each board must make for itself, and give the rest its neutral form."""
    for pattern in (*OWN_TO_A_BOARD, *OWN_TO_A_BUILD):
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (folder / "etc/machine-id").write_text("")  # empty: systemd makes one and keeps it in the overlay of /etc
    (folder / "var/lib/dbus/machine-id").symlink_to("/etc/machine-id")
    (folder / "etc/hostname").write_text("rpmu\n")
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 rpmu\n::1 localhost ip6-localhost\n")
    resolver = folder / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("/run/systemd/resolve/stub-resolv.conf")
    for name in ("data", "var/lib/rpmu", "var/lib/rpmu-update", "var/lib/chrony"):
        (folder / name).mkdir(exist_ok=True)
