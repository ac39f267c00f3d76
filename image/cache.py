"""Steps whose results are kept: a folder per step, named after a hash of everything it was made of.

A result appears by renaming a finished folder, so a build that was killed leaves nothing that looks like one. Two
builds at a time (of two checkouts) wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEEP = 3  # results of one step: this one, and what another checkout or an earlier lock file uses
KEEP_S = 7200.0  # and whatever somebody may still be reading


def default_folder() -> Path:
    """Where caches of rpmu are: $XDG_CACHE_HOME/rpmu, or ~/.cache/rpmu."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "rpmu" / "image"


class Cache:
    """A folder of results.

    Args:
        folder: made if need be.
        tell: gets a line about each step that really runs.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._tell = tell

    def step(self, name: str, made_of: Iterable[str | bytes | Path], build: Callable[[Path], None]) -> Path:
        """The result of a step, from the cache or built now.

        Args:
            name: of the step.
            made_of: texts, and files or folders (their content and modes), that it depends on.
            build: fills the empty folder that it gets.

        Returns:
            The folder with the result.
        """
        result = self.folder / f"{name}-{digest(made_of)}"
        with self._alone(name):
            if not result.is_dir():
                self._tell(f"== {name}")
                start_s = time.monotonic()
                work = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".new", dir=self.folder))
                try:
                    work.chmod(0o755)
                    build(work)
                    work.rename(result)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
                self._tell(f"   {name}: {time.monotonic() - start_s:.0f} s")
            os.utime(result)
            self._prune(name)
        return result

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with (self.folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _prune(self, name: str) -> None:
        """Forget the results that were not used for longest."""
        results = [(path.stat().st_mtime, path) for path in self.folder.glob(f"{name}-" + "[0-9a-f]" * 16)]
        for used_s, old in sorted(results, reverse=True)[KEEP:]:
            if used_s < time.time() - KEEP_S:
                shutil.rmtree(old, ignore_errors=True)


def digest(made_of: Iterable[str | bytes | Path]) -> str:
    """Sixteen hexadecimal digits that stand for the content."""
    total = hashlib.sha256()
    for part in made_of:
        for piece in _pieces(part):
            total.update(len(piece).to_bytes(8, "big") + piece)
    return total.hexdigest()[:16]


def _pieces(part: str | bytes | Path) -> Iterator[bytes]:
    if isinstance(part, Path):
        for path in [part, *sorted(part.rglob("*"))]:
            if path.is_symlink():
                yield f"{path.relative_to(part)} is {path.readlink()}".encode()
            elif path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(part)).encode()
                yield f"{path.stat().st_mode:o}".encode() + path.read_bytes()
    else:
        yield part.encode() if isinstance(part, str) else part
