"""Debian's kernel as it is, the four drivers that it leaves out, and the board's device tree with our part merged in.

The drivers come from Debian's source of the same kernel version and are built as external modules against its
configuration and symbol versions. The compiler is the host's, older than the kernel's own; that the configuration does
not change by it in anything but the toolchain's own marks is checked.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from image.errors import ImageError
from image.run import run

CROSS = "arm-linux-gnueabihf-"
KERNEL = "vmlinuz"
DEVICE_TREE = "rpmu-am335x-boneblack.dtb"
DTS = "arch/arm/boot/dts/ti/omap"
SOURCES = (
    "drivers/soc/ti/pruss.c",
    "drivers/soc/ti/pruss.h",
    "drivers/irqchip/irq-pruss-intc.c",
    "drivers/remoteproc/pru_rproc.c",
    "drivers/remoteproc/pru_rproc.h",
    "drivers/remoteproc/remoteproc_internal.h",
    "drivers/remoteproc/remoteproc_elf_helpers.h",
    "drivers/uio/uio_pdrv_genirq.c",
)
MODULES = ("pruss", "irq-pruss-intc", "pru_rproc", "uio_pdrv_genirq")
# What describes compiler, assembler and linker, and debugging information, which external modules do without.
TOOLCHAIN = re.compile(r"(CC|GCC|CLANG|AS|LD|LLD|RUSTC|PAHOLE|DEBUG_INFO)_\w+")
SETTING = re.compile(r"CONFIG_(\w+)")


def build(packages: Mapping[str, Path], recipe: Path, folder: Path) -> None:
    """Make kernel, modules and the sources of the device tree.

    Args:
        packages: files of `image`, `headers` and `source`.
        recipe: folder with the Kbuild file.
        folder: gets vmlinuz, version, modules/ (what goes to /usr/lib/modules) and source/ (device trees).
    """
    with tempfile.TemporaryDirectory() as work:
        parts = {name: Path(work) / name for name in packages}
        for name, file in packages.items():
            run(["dpkg-deb", "--extract", file, parts[name]])
        (kernel,) = (parts["image"] / "boot").glob("vmlinuz-*")
        version = kernel.name.removeprefix("vmlinuz-")
        shutil.copyfile(kernel, folder / KERNEL)
        (folder / "version").write_text(version + "\n")
        shutil.copytree(parts["image"] / "usr/lib/modules", folder / "modules", symlinks=True)

        tree = _source_tree(parts["source"], Path(work))
        _prepare(tree, next((parts["headers"] / "usr/src").iterdir()), version)
        built = _modules(tree, recipe, Path(work) / "modules")
        extra = folder / "modules" / version / "updates"
        extra.mkdir()
        for name in MODULES:
            run([f"{CROSS}strip", "--strip-debug", "-o", extra / f"{name}.ko", built / f"{name}.ko"])
        for part in (DTS, "include/dt-bindings"):
            shutil.copytree(tree / part, folder / "source" / part)
        for loose in (tree / "arch/arm/boot/dts").glob("*.dtsi"):
            shutil.copyfile(loose, folder / "source/arch/arm/boot/dts" / loose.name)


def _source_tree(package: Path, work: Path) -> Path:
    (archive,) = (package / "usr/src").glob("linux-source-*.tar.xz")
    run(["tar", "-xf", archive, "-C", work])
    return work / archive.name.removesuffix(".tar.xz")


def _make(tree: Path, *words: str | Path) -> None:
    # LOCALVERSION= keeps the build from adding marks of its own to the version
    common = ("make", "-s", f"-j{os.cpu_count()}", "-C", tree, "ARCH=arm", f"CROSS_COMPILE={CROSS}", "LOCALVERSION=")
    run([*common, *words], environment={"KBUILD_BUILD_TIMESTAMP": "@0"})


def _prepare(tree: Path, headers: Path, version: str) -> None:
    """Give the sources the configuration of the packaged kernel."""
    before = (headers / ".config").read_text()
    (tree / ".config").write_text(before)
    shutil.copyfile(headers / "Module.symvers", tree / "Module.symvers")
    base = re.match(r"\d+\.\d+\.\d+", version)
    (tree / "localversion").write_text(version[base.end() :] if base else version)
    _make(tree, "olddefconfig")
    changed = changed_settings(before, (tree / ".config").read_text())
    if changed:
        raise ImageError(f"this compiler would build the modules with another configuration: {', '.join(changed)}")
    _make(tree, "modules_prepare")


def changed_settings(before: str, after: str) -> list[str]:
    """Names of kernel settings that differ, those of the toolchain left aside."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    touched = [line for line in lines if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    names = {match[1] for line in touched if (match := SETTING.search(line))}
    return sorted(name for name in names if not TOOLCHAIN.fullmatch(name))


def _modules(tree: Path, recipe: Path, folder: Path) -> Path:
    shutil.copytree(recipe, folder)
    for source in SOURCES:
        shutil.copyfile(tree / source, folder / Path(source).name)
    # Without debugging information, which has the folder's name and is hashed into the module before it is stripped.
    _make(tree, f"M={folder}", "KCFLAGS=-g0", "modules")
    return folder


def device_tree(kernel: Path, sources: Path, target: Path) -> None:
    """Compile the board's tree with our part in it, and with the symbols that overlays need.

    Args:
        kernel: result of `build`.
        sources: folder with rpmu-am335x-boneblack.dts.
        target: the file to write.
    """
    source = kernel / "source"
    dts = source / DTS
    words: list[str | Path] = [
        "cpp",
        "-nostdinc",
        "-undef",
        "-x",
        "assembler-with-cpp",
        "-I",
        dts,
        "-I",
        source / "include",
    ]
    text = run([*words, sources / DEVICE_TREE.replace(".dtb", ".dts")])
    run(["dtc", "-q", "-@", "-i", dts, "-I", "dts", "-O", "dtb", "-o", target, "-"], stdin=text.encode())
