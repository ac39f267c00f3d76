"""The administrator's part of an update: hand over the bundle, start the worker, tell what it does.

It runs as rpmu-admin, which may start exactly two units. What it writes into the spool folder is believed in nothing.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from rpmu.errors import HardwareError, InputError, RpmuError
from rpmu.update.worker import FOLDER, MAX_BUNDLE_BYTES, SIGNATURE_END, State

START = "systemctl start rpmu-update@{job}.service"
LOOK_S = 0.5


def bundle_of(package: Path) -> bytes:
    """A package file with its signature, FILE.sig, in front.

    Raises:
        InputError: one of the two cannot be read, or the signature is none, or all is too long.
    """
    signature = package.with_name(package.name + ".sig")
    try:
        content = signature.read_bytes() + package.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename}: {error.strerror}; an update is a package with its signature beside it "
            "(make deb SIGN=KEY)"
        ) from error
    return checked(content, str(package))


def checked(bundle: bytes, name: str) -> bytes:
    """The bundle, if it may be one.

    Raises:
        InputError: it is too long, or begins with no signature.
    """
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise InputError(f"{name} has {len(bundle)} bytes, but an update has at most {MAX_BUNDLE_BYTES}")
    if not bundle.startswith(b"-----BEGIN SSH SIGNATURE-----\n") or SIGNATURE_END not in bundle:
        raise InputError(f"{name} has no signature of ssh-keygen: sign it (make deb SIGN=KEY)")
    return bundle


def read_state(folder: Path = FOLDER) -> State:
    """How far the last update is.

    Raises:
        HardwareError: the folder may not be read.
    """
    try:
        return State(**json.loads((folder / "state.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, TypeError) as error:
        raise HardwareError(f"cannot read the state of updates in {folder}: {error}") from error


def hand_over(bundle: bytes, folder: Path = FOLDER) -> None:
    """Put a bundle where the worker looks for it.

    Raises:
        HardwareError: it cannot be written.
    """
    try:
        (folder / "incoming/bundle").write_bytes(bundle)
    except OSError as error:
        (folder / "incoming/bundle").unlink(missing_ok=True)
        raise HardwareError(
            f"cannot write to {folder}/incoming: {error.strerror}; be rpmu-admin or root, and have 20 MB free"
        ) from error


def carry_out(job: str, start: str, tell: Callable[[str], None], folder: Path = FOLDER) -> State:
    """Start the worker and tell its steps until it ends.

    Args:
        job: install or rollback.
        start: command line that starts a job and waits for its end, with {job} in it.
        tell: gets the lines.
        folder: of the worker.

    Raises:
        RpmuError: it did not start.
    """
    before = told = read_state(folder)
    words = shlex.split(start.format(job=job))
    try:
        worker = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise HardwareError(f"cannot run {words[0]}: {error.strerror}") from error
    ended = False
    while not ended:
        ended = worker.poll() is not None
        now = read_state(folder)
        if now != told:
            tell(now.message)
            told = now
        if not ended:
            time.sleep(LOOK_S)
    complaint = worker.communicate()[1].decode(errors="replace").strip()
    if told.number == before.number and told.phase == before.phase:
        raise RpmuError(f"the update did not start: {complaint or 'see journalctl -u rpmu-update@' + job}")
    return told
