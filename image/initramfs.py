"""The initramfs: one for the board and for the emulator, made here without running anything of the board's.

busybox and a static e2fsck, the modules that lead to a root on eMMC, card or virtio disk, the hardware watchdog, and
`init` (initramfs-init beside this module). Debian's own generator would need minutes under emulation.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from image.run import run

FILE = "initrd.img"
WANTED = (
    *("virtio_mmio", "virtio_pci", "virtio_blk"),
    *("omap_hsmmc", "mmc_block", "sdhci-omap"),
    *("ext4", "overlay"),
    "omap_wdt",
)
# U-Boot starts the watchdog; without this the driver would stop it until systemd takes it over.
ARGUMENTS = {"omap_wdt": "early_enable=1"}
# Faster ways that want instructions of other cores; where they are missing, the plain ones serve.
UNFIT = re.compile(r".*-arm(64)?-ce|.*-neon")
APPLETS = (
    "sh",
    "mount",
    "umount",
    "mkdir",
    "cat",
    "sleep",
    "insmod",
    "switch_root",
    "ls",
    "hexdump",
    "dd",
    "ln",
    "echo",
)


def build(packages: Iterable[Path], kernel: Path, init: Path, epoch_s: int, folder: Path) -> None:
    """Make the initramfs.

    Args:
        packages: files of busybox-static and e2fsck-static.
        kernel: result of `image.kernel.build`.
        init: the script.
        epoch_s: time stamp of its files.
        folder: gets it.
    """
    with tempfile.TemporaryDirectory() as work:
        tree, unpacked = Path(work) / "tree", Path(work) / "unpacked"
        for name in ("bin", "dev", "proc", "sys", "run", "root", "modules"):
            (tree / name).mkdir(parents=True)
        for package in packages:
            run(["dpkg-deb", "--extract", package, unpacked])
        shutil.copyfile(unpacked / "usr/bin/busybox", tree / "bin/busybox")
        shutil.copyfile(unpacked / "usr/sbin/e2fsck.static", tree / "bin/e2fsck")
        for applet in APPLETS:
            (tree / "bin" / applet).symlink_to("busybox")
        shutil.copyfile(init, tree / "init")
        for program in ("bin/busybox", "bin/e2fsck", "init"):
            (tree / program).chmod(0o755)
        _put_modules(kernel, tree)
        (folder / FILE).write_bytes(_archive(tree, epoch_s))


def _put_modules(kernel: Path, tree: Path) -> None:
    """Copy the modules, uncompressed, and list them in the order in which they must be loaded."""
    version = (kernel / "version").read_text().strip()
    with tempfile.TemporaryDirectory() as root:
        lib = Path(root) / "lib/modules"
        shutil.copytree(kernel / "modules", lib, symlinks=True)
        run(["depmod", "-b", root, version])
        words = ["modprobe", "-d", root, "-S", version, "--show-depends", "--all"]
        lines = [line.split() for name in WANTED for line in run([*words, name]).splitlines()]
        order: dict[str, str] = {}
        for line in lines:
            if line[0] != "insmod":
                continue  # built in
            path = Path(line[1])
            name = path.name.removesuffix(".xz")
            if name not in order and not UNFIT.fullmatch(name.removesuffix(".ko")):
                content = path.read_bytes()
                (tree / "modules" / name).write_bytes(lzma.decompress(content) if path.suffix == ".xz" else content)
                order[name] = f"{name} {ARGUMENTS.get(name.removesuffix('.ko'), '')}".strip()
    (tree / "modules/order").write_text("".join(f"{entry}\n" for entry in order.values()))


def _archive(tree: Path, epoch_s: int) -> bytes:
    """A compressed cpio archive in a fixed order, owned by root, with fixed times and numbers."""
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    words = ["cpio", "--null", "--create", "--format=newc", "--reproducible", "--owner=0:0", "--quiet"]
    work = tree.parent / "archive"
    listing = "\0".join(names).encode() + b"\0"
    run(["sh", "-c", f"{' '.join(words)} >{work}"], folder=tree, stdin=listing)
    run(["zstd", "-q", "-19", "--no-progress", work, "-o", f"{work}.zst"])
    return Path(f"{work}.zst").read_bytes()
