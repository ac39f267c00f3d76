"""What is handed out with the image: compressed form, block map, list of files with hashes, checksums."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from image.run import run

SUMS = "SHA256SUMS"


def build(image: Path, tree: Path, folder: Path) -> None:
    """Make the files beside an image.

    Args:
        image: of the card.
        tree: root file system that is in it.
        folder: gets the files.
    """
    (folder / f"{image.name}.files").write_text(file_list(tree))
    run(["bmaptool", "create", "--output", folder / f"{image.name}.bmap", image])
    packed = folder / f"{image.name}.xz"
    run(["sh", "-c", f"xz -T0 -3 --stdout '{image}' >'{packed}'"])
    files = sorted([image, *folder.iterdir()], key=lambda path: path.name)
    (folder / SUMS).write_text("".join(f"{_sha256(path)}  {path.name}\n" for path in files))


def file_list(tree: Path) -> str:
    """Every entry of a folder: mode, owner, and the content's SHA-256 or the link's target.

    Two images of one lock file and one checkout have the same list, whatever their file systems' own books say.
    """
    lines = []
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        content = "-"
        if stat.S_ISREG(status.st_mode):
            content = _sha256(path)
        elif stat.S_ISLNK(status.st_mode):
            content = f"-> {path.readlink()}"
        name = path.relative_to(tree)
        lines.append(f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid} {content} /{name}\n")
    return "".join(lines)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
