"""Which way to the PRU this machine has: remoteproc first, it is the kernel's own; UIO second."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rpmu.acquire.link import PruLink
from rpmu.acquire.remoteproc import RemoteprocLink
from rpmu.acquire.uio import UioLink
from rpmu.errors import HardwareError

Backend = Literal["auto", "remoteproc", "uio"]


def detect_link(backend: Backend = "auto", root: Path = Path("/")) -> PruLink:
    """The PRU link of this machine.

    Args:
        backend: which one to use, or "auto" for the first that is there.
        root: root of the file system; tests give one of their own.

    Raises:
        HardwareError: there is no PRU; the message says what is missing and what to do.
    """
    links: dict[str, RemoteprocLink | UioLink] = {"remoteproc": RemoteprocLink(root=root), "uio": UioLink(root=root)}
    for name, link in links.items():
        if backend == name or (backend == "auto" and link.present()):
            return link  # one that was asked for says itself what it misses
    raise HardwareError(
        "no PRU found: neither /sys/class/remoteproc has an entry named 4a334000.pru nor /sys/class/uio a device at "
        "0x4a300000; on a BeagleBone Black load the modules pruss and pru_rproc, on any other machine use `rpmu twin`"
    )
