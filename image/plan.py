"""Which step needs what: the whole build, from the package list to the card."""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from image import card, initramfs, kernel, release, root, tree
from image.archive import Archive, host_mirrors
from image.cache import Cache, default_folder
from image.errors import ImageError, LockError
from image.lock import RENEW, Lock, missing, parse, render
from image.run import require_tools, run

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
LOCK_FILE = HERE / "packages.lock"
IMAGE = "rpmu.img"
Made = list[str | bytes | Path]


@dataclass(frozen=True)
class Wanted:
    """The package list.

    Attributes:
        release: of Debian.
        architecture: of the board.
        suites: of the archive.
        root: packages of the root file system.
        boot: packages that are unpacked beside it.
    """

    release: str
    architecture: str
    suites: tuple[str, ...]
    root: tuple[str, ...]
    boot: tuple[str, ...]


def wanted() -> Wanted:
    """The committed package list."""
    table = tomllib.loads((HERE / "packages.toml").read_text(encoding="utf-8"))
    return Wanted(
        release=table["release"],
        architecture=table["architecture"],
        **{key: tuple(table[key]) for key in ("suites", "root", "boot")},
    )


class Plan:
    """All steps over one cache.

    Args:
        tell: gets a line about each step that really runs.
        cache: its folder; None for the usual one.
    """

    def __init__(self, tell: Callable[[str], None], cache: Path | None = None) -> None:
        self.wanted = wanted()
        self.cache = Cache(cache or default_folder(), tell)
        self._tell = tell

    def lock(self) -> Lock:
        """The committed lock file.

        Raises:
            LockError: it is missing or wrong, or lacks a package of the list.
        """
        try:
            lock = parse(LOCK_FILE.read_text(encoding="utf-8"), str(LOCK_FILE.relative_to(CHECKOUT)))
        except FileNotFoundError as error:
            raise LockError(f"{LOCK_FILE} is missing: make it with `make image-lock`") from error
        absent = missing(lock, self.wanted.root)
        if absent:
            raise LockError(f"the package list names {', '.join(absent)}, which the lock file lacks: {RENEW}")
        return lock

    def renew_lock(self, suites: Sequence[str] | None = None) -> Path:
        """Write a lock file with the archive's newest versions.

        Args:
            suites: of the archive; None for those of the package list.

        Raises:
            ImageError: the archive cannot be read whole.
        """
        archive = self._archive(suites)
        complaint = archive.update()
        if complaint:
            raise ImageError(
                f"the archive's lists cannot all be read, so the lock file stays as it is; {complaint} "
                f'(with SUITES="{self.wanted.release}" the updates since the last point release are left out)'
            )
        packages = archive.resolve("root", ["?essential", *self.wanted.root])
        boot = archive.resolve("boot", self.wanted.boot)
        kernel = r"linux-(image|headers)-.*|linux-source-.*"
        packages += [p for p in boot if p.name in self.wanted.boot or re.fullmatch(kernel, p.name)]
        LOCK_FILE.write_text(render(Lock(datetime.now(UTC).date(), tuple(packages))), encoding="utf-8")
        return LOCK_FILE

    def _archive(self, suites: Sequence[str] | None = None) -> Archive:
        folder = self.cache.folder / "archive"
        return Archive(folder, self.wanted.architecture, suites or self.wanted.suites, host_mirrors())

    def root(self) -> Path:
        """Tar file of Debian's packages alone."""
        require_tools()
        lock = self.lock()
        packages = lock.of("root")
        made_of: Made = ["root 1", *(package.line() for package in packages), *self.wanted.root, *root.LEFT_OUT]

        def build(folder: Path) -> None:
            files = self._archive().fetch(packages)
            root.build(files, self.wanted.root, self.wanted.release, lock.epoch_s, folder)

        return self.cache.step("root", made_of, build) / root.TAR

    def kernel(self) -> Path:
        """Debian's kernel, the modules it lacks, and the sources of its device tree."""
        lock, recipe = self.lock(), HERE / "modules"
        packages = {
            "image": lock.the(r"linux-image-\d.*"),
            "headers": lock.the(r"linux-headers-\d.*-armmp"),
            "source": lock.the(r"linux-source-.*"),
        }
        made_of: Made = ["kernel 1", *(package.line() for package in packages.values()), recipe, HERE / "kernel.py"]

        def build(folder: Path) -> None:
            files = self._archive().fetch(packages.values())
            kernel.build(dict(zip(packages, files, strict=True)), recipe, folder)

        return self.cache.step("kernel", made_of, build)

    def device_tree(self) -> Path:
        """The board's device tree."""
        built, sources = self.kernel(), CHECKOUT / "hardware/device-tree"
        name = kernel.DEVICE_TREE
        step = self.cache.step(
            "device-tree",
            ["device-tree 1", built.name, sources],
            lambda folder: kernel.device_tree(built, sources, folder / name),
        )
        return step / name

    def initramfs(self) -> Path:
        """One initramfs for board and emulator."""
        lock, built, init = self.lock(), self.kernel(), HERE / "initramfs-init"
        packages = [lock.the("busybox-static"), lock.the("e2fsck-static")]
        made_of: Made = [
            str(lock.date),
            built.name,
            init,
            HERE / "initramfs.py",
            *(package.line() for package in packages),
        ]

        def build(folder: Path) -> None:
            initramfs.build(self._archive().fetch(packages), built, init, lock.epoch_s, folder)

        return self.cache.step("initramfs", made_of, build) / initramfs.FILE

    def package(self) -> Path:
        """The Debian package of rpmu, of this checkout."""
        with tempfile.TemporaryDirectory() as work:
            file = Path(run([sys.executable, CHECKOUT / "debian/build_deb.py", work]).strip())
            content = file.read_bytes()

        def build(folder: Path) -> None:
            (folder / file.name).write_bytes(content)

        return self.cache.step("package", [content], build) / file.name

    def tree(self) -> Path:
        """The root file system as a folder; not to be changed, it is in the cache."""
        parts = tree.Parts(
            self.root(), self.package(), self.kernel(), self.initramfs(), self.device_tree(), HERE, card.SIGNATURE
        )
        made_of: Made = [parts.debian.parent.name, parts.package, parts.kernel.name, parts.initramfs.parent.name]
        made_of += [parts.device_tree.parent.name, HERE / "tree.py", HERE / "files", HERE / "board", card.SIGNATURE]
        return self.cache.step("tree", made_of, lambda folder: tree.build(parts, folder))

    def boot_files(self) -> dict[str, Path]:
        """What an emulator needs: `kernel`, `initramfs`, `image` (the whole card), `tree` (the root as a folder)."""
        return {
            "kernel": self.kernel() / kernel.KERNEL,
            "initramfs": self.initramfs(),
            "image": self.image() / IMAGE,
            "tree": self.tree(),
        }

    def image(self) -> Path:
        """Folder with the card's image."""
        lock, filled = self.lock(), self.tree()
        boot = lock.the("u-boot-omap")
        made_of: Made = [filled.name, boot.line(), HERE / "card.py", HERE / "setup.txt"]

        def build(folder: Path) -> None:
            """Unpack the boot loader, fill the partitions, join all of it."""
            with tempfile.TemporaryDirectory(dir=folder) as work:
                loader = Path(work) / "u-boot"
                (file,) = self._archive().fetch([boot])
                run(["dpkg-deb", "--extract", file, loader])
                stages = loader / "usr/lib/u-boot/am335x_evm"
                places = {number: Path(work) / f"p{number}" for number in card.LABELS}
                sizes = {part.number: part.size for part in card.PARTITIONS}
                setup = (HERE / "setup.txt").read_bytes()
                card.fat({"rpmu-setup.txt": setup}, lock.epoch_s, places[1])
                card.ext4(filled, card.LABELS[2], sizes[2], lock.epoch_s, places[2])
                card.ext4(None, card.LABELS[4], sizes[4], lock.epoch_s, places[4])
                card.assemble(stages / "MLO", stages / "u-boot.img", places, folder / IMAGE)

        return self.cache.step("image", made_of, build)

    def release(self, output: Path) -> list[Path]:
        """The image with what goes with it: compressed, block map, list of its files, checksums.

        Args:
            output: folder to put it in; made if need be.

        Returns:
            The files there.
        """
        image, filled = self.image(), self.tree()

        def build(folder: Path) -> None:
            release.build(image / IMAGE, filled, folder)

        finished = self.cache.step("release", [image.name, filled.name, HERE / "release.py"], build)
        output.mkdir(parents=True, exist_ok=True)
        for source in (image / IMAGE, *sorted(finished.iterdir())):
            run(["cp", "--sparse=always", source, output / source.name])
        return sorted(output.iterdir())
