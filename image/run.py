"""Run the programs that do the work, with a clean environment and one sentence when they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from image.errors import ImageError, ToolError

LIBRARIES = ("gcc", "libc6-dev", "libssl-dev", "libc6-dev-armhf-cross")  # what the kernel's own tools are built with
LAST_LINES = 15
# What the host's environment says (PYTHON..., LANG, proxies aside) leaks into emulated programs and into the image.
KEPT = ("PATH", "HOME", "http_proxy", "https_proxy", "no_proxy", "APT_CONFIG")
TOOLS = {  # program: Debian package
    "mmdebstrap": "mmdebstrap",
    "arch-test": "arch-test",
    "qemu-arm-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
    "arm-linux-gnueabihf-gcc": "gcc-arm-linux-gnueabihf",
    "make": "make",
    "bc": "bc",
    "bison": "bison",
    "flex": "flex",
    "dtc": "device-tree-compiler",
    "cpp": "cpp",
    "depmod": "kmod",
    "cpio": "cpio",
    "zstd": "zstd",
    "xz": "xz-utils",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "bmaptool": "bmap-tools",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}


def run(
    words: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> str:
    """Run a program.

    Args:
        words: the program and its arguments.
        folder: to run in.
        environment: more variables than the few that are passed on.
        stdin: its input.

    Returns:
        Its standard output.

    Raises:
        ToolError: there is no such program.
        ImageError: it failed; the message ends with its last lines.
    """
    program = str(words[0])
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    variables = {**kept, "PATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(environment or {})}
    try:
        done = subprocess.run(
            [str(word) for word in words], cwd=folder, env=variables, input=stdin, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise ToolError(f"{program} is missing; on Debian: apt-get install {TOOLS.get(program, program)}") from error
    if done.returncode:
        lines = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise ImageError(f"{program} ended with {done.returncode}:\n" + "\n".join(f"    {line}" for line in lines))
    return done.stdout.decode(errors="replace")


def require_tools() -> None:
    """Everything that a build calls is there, and we may use it.

    Raises:
        ToolError: naming the packages that are missing, or the right.
    """
    if os.geteuid() != 0:
        raise ToolError("the image is built by root (it has files of many owners): run `sudo make image`")
    path = "/usr/sbin:/sbin:" + os.environ.get("PATH", "/usr/bin:/bin")
    absent = sorted({package for program, package in TOOLS.items() if shutil.which(program, path=path) is None})
    if absent:
        raise ToolError(f"missing: {', '.join(absent)}; on Debian: apt-get install {' '.join(absent)}")
