"""qemu-arm with the counting plugin, and the target's Python to run in it. Prepared once, kept in .cache/."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
CACHE = REPOSITORY / ".cache" / "bench-target"
SUITE = "trixie"
PACKAGES = ("python3-numpy", "python3-serial", "python3-nmea2")  # the daemon's Depends in debian/control
QEMU_MAJOR = 7  # the plugin speaks version 1 of QEMU's interface
BASE = 1 << 32  # where the guest's address 0 lies in QEMU's own address space
TIMEOUT_S = 1200

Counts = dict[int, tuple[int, int, int]]  # section: marks, instructions, macs


class UnavailableError(Exception):
    """The emulator or the target's Python is not to be had here; says why and what would help."""


@dataclass(frozen=True)
class Emulator:
    """Ready to run.

    Attributes:
        root: the target's file system.
        plugin: counter.c, built.
    """

    root: Path
    plugin: Path

    @classmethod
    def prepare(cls) -> Emulator:
        """Unpack and build what is not in the cache yet.

        Raises:
            UnavailableError: something is missing here.
        """
        _check_qemu()
        CACHE.mkdir(parents=True, exist_ok=True)
        return cls(_unpacked(), _plugin())

    @property
    def folder(self) -> Path:
        """For recordings and configurations."""
        return CACHE

    @property
    def description(self) -> dict[str, str]:
        """Versions of what is counted."""
        packages = dict(line.split() for line in (self.root / "packages").read_text().splitlines())
        names = ("python3.13", "python3-numpy", "libblas3", "libc6")
        return {name: packages[name] for name in names if name in packages}

    def count(self, job: dict[str, Any]) -> tuple[Counts, list[dict[str, Any]]]:
        """Run the guest twice, the second time counted: the first, cut short, compiles every module.

        Returns:
            Counts by section, and per case what the guest says that it saw.
        """
        self._run(job | {"cases": [case | {"until_s": 0.3} for case in job["cases"][:1]]})
        counts = CACHE / "counts.txt"
        said = self._run(job, "-plugin", f"{self.plugin},out={counts}")
        lines = [[int(word) for word in line.split()] for line in counts.read_text().splitlines()]
        return {line[0]: (line[1], line[2], line[3]) for line in lines}, json.loads(said)

    def _run(self, job: dict[str, Any], *options: str) -> str:
        done = subprocess.run(
            self._command(job, *options),
            env=self._environment,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=TIMEOUT_S,
        )
        return done.stdout

    def memory(self, job: dict[str, Any]) -> int:
        """Resident bytes of the guest at the end of a job, the emulator's own not among them."""
        command = self._command(job, "-B", hex(BASE))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env=self._environment, cwd=REPOSITORY, text=True, **pipes) as guest:
            assert guest.stdout is not None
            assert guest.stdin is not None
            guest.stdout.readline()
            resident = _resident(Path(f"/proc/{guest.pid}/smaps").read_text())
            guest.stdin.write("\n")
            guest.stdin.close()
            guest.stdout.read()
        return resident

    def _command(self, job: dict[str, Any], *options: str) -> list[str]:
        file = CACHE / "job.json"
        file.write_text(json.dumps(job))
        script = [str(self.root / "usr/bin/python3"), "-m", "benchmarks.target.guest", str(file)]
        return ["qemu-arm", "-cpu", "cortex-a8", *options, "-L", str(self.root), *script]

    @property
    def _environment(self) -> dict[str, str]:
        """Nothing of the host's: it would be part of what is counted."""
        libraries = self.root / "usr/lib/arm-linux-gnueabihf"
        return {
            "LD_LIBRARY_PATH": f"{libraries}/blas:{libraries}/lapack",  # else by links that update-alternatives makes
            "PYTHONHASHSEED": "0",
            "PYTHONPYCACHEPREFIX": str(CACHE / "pycache"),
        }


def _check_qemu() -> None:
    if shutil.which("qemu-arm") is None:
        raise UnavailableError("qemu-arm is missing: apt-get install qemu-user")
    version = subprocess.run(["qemu-arm", "--version"], capture_output=True, text=True, check=True).stdout
    major = re.search(r"version (\d+)", version)
    if major is None or int(major[1]) != QEMU_MAJOR:
        raise UnavailableError(f"the plugin is written for QEMU {QEMU_MAJOR} (Debian 12), but here is {version[:40]!r}")


def _plugin() -> Path:
    source = HERE / "counter.c"
    plugin = CACHE / f"counter-{_hash(source)}.so"
    if not plugin.exists():
        if shutil.which("gcc") is None:
            raise UnavailableError("gcc is missing: apt-get install gcc")
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", str(plugin), str(source)]
        subprocess.run(command, check=True)
    return plugin


def _unpacked() -> Path:
    script = HERE / "unpack-python"
    root = CACHE / f"root-{_hash(script, SUITE, *PACKAGES)}"
    if not root.exists():
        print(f"== unpacking Python of Debian {SUITE} for armhf into {root}", flush=True)
        done = subprocess.run(
            [str(script), str(root), SUITE, *PACKAGES], stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise UnavailableError(done.stderr.strip().splitlines()[-1])
    return root


def _hash(file: Path, *more: str) -> str:
    return hashlib.sha256(file.read_bytes() + " ".join(more).encode()).hexdigest()[:12]


def _resident(smaps: str) -> int:
    """Bytes in memory of the mappings that are the guest's."""
    total, inside = 0, False
    for line in smaps.splitlines():
        mapping = re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line)
        if mapping:
            inside = BASE <= int(mapping[1], 16) < 2 * BASE
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total
