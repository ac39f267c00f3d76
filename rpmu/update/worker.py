"""The privileged part of an update: check the signature, install, examine, and go back if the board is worse off.

    incoming/bundle   what the administrator sent, signature before package; written by rpmu-admin, believed in nothing
    new.deb           the package under examination
    fallback.deb      what is installed, packed again from its files just before they change
    recover/          a copy of this program; it is there exactly as long as there is something to mend
    state.json        how far it is; replaced as a whole
    previous.deb      what `rollback` returns to

The way back is on the disk before dpkg starts, and outside of what dpkg changes: a copy of this program, which needs
nothing but Python's own library, and a package that needs nothing but dpkg. After a power cut the recovery unit runs
that copy before the daemon starts, and the version that is known to work is installed again. An update is final only
when `state.json` says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import rpmu
from rpmu.durable import sync
from rpmu.update.system import RefusedError, System

SIGNATURE_END = b"-----END SSH SIGNATURE-----\n"
MAX_BUNDLE_BYTES = 16 << 20  # some twenty times the package
FOLDER = Path("/var/lib/rpmu-update")
SIGNERS = Path("/etc/rpmu/update_signers")

INSTALLING, CHECKING, RETURNING, STUCK = "installing", "checking", "returning", "stuck"
INSTALLED, RETURNED, REFUSED, NEVER = "installed", "returned", "refused", "never"
# what the recovery consists of
PROGRAM = ("__init__.py", "durable.py", "update/__init__.py", "update/system.py", "update/worker.py")
UNFINISHED = (INSTALLING, CHECKING, RETURNING, STUCK)


@dataclass(frozen=True)
class State:
    """How far the last update is.

    Attributes:
        number: of the update, counted.
        phase: one of the words above.
        old: version before.
        new: version that was to be installed.
        signer: whose key signed it.
        previous: version that a rollback returns to, empty if there is none.
        message: one sentence for people.
    """

    number: int = 0
    phase: str = NEVER
    old: str = ""
    new: str = ""
    signer: str = ""
    previous: str = ""
    message: str = "no update was ever installed"


class Health(Protocol):
    """Compares the daemon after with the daemon before."""

    def note(self) -> str:
        """Remember how the daemon is; returns why it should not be disturbed now, if so."""

    def complaint(self) -> str:
        """Wait until it does as well as before; returns what is missing, if anything is."""


class Updater:
    """One update after the other in one folder.

    Args:
        folder: where its files are.
        system: what installs.
        health: what examines.
        signers: public keys of those who may publish, in the form of ssh-keygen's allowed signers.
        say: gets a line about each step.
    """

    def __init__(
        self,
        folder: Path,
        system: System,
        health: Health,
        signers: Path = SIGNERS,
        say: Callable[[str], None] = print,
    ) -> None:
        self._folder = folder
        self._system = system
        self._health = health
        self._signers = signers
        self._say = say

    def install(self) -> State:
        """Install what came in, or refuse it."""
        return self._attempt(self._admitted)

    def rollback(self) -> State:
        """Return to the version before the last update; another rollback undoes that."""
        return self._attempt(self._kept)

    def _attempt(self, package: Callable[[], tuple[str, str]]) -> State:
        """Change the version, if a package may be installed and there is a way back; else say why not."""
        try:
            state = self._prepare(*package())
        except RefusedError as error:
            return self._refuse(str(error))
        except OSError as error:
            return self._refuse(f"cannot write to {self._folder}: {error.strerror}")
        return self._change(state)

    def _admitted(self) -> tuple[str, str]:
        """The package that came in as new.deb: its version, and who signed it.

        Raises:
            RefusedError: it may not be installed.
        """
        new, signature = self._folder / "new.deb", self._folder / "new.deb.sig"
        content = self._received()
        end = content.find(SIGNATURE_END) + len(SIGNATURE_END)
        if end < len(SIGNATURE_END):
            raise RefusedError("no signature comes before the package: send it by `rpmu --host BOARD update FILE`")
        signature.write_bytes(content[:end])
        new.write_bytes(content[end:])
        signer = self._system.signer(new, signature, self._signers)
        version, present = self._system.version(new), self._system.installed()
        if not self._system.newer(version, present):
            raise RefusedError(f"version {version} is not newer than {present}, which is installed")
        return version, signer

    def _kept(self) -> tuple[str, str]:
        """The previous package as new.deb, likewise."""
        previous = self._folder / "previous.deb"
        if not previous.is_file():
            raise RefusedError("there is no previous version: no update was installed on this board")
        shutil.copyfile(previous, self._folder / "new.deb")
        return self._system.version(previous), "the board itself"

    def recover(self) -> State:
        """Finish, or undo, what a power cut left."""
        state = self.state()
        if state.phase in UNFINISHED:
            return self._return(f"the update to {state.new} was interrupted")
        self._tidy(state)
        return state

    def state(self) -> State:
        """How far the last update is."""
        try:
            return State(**json.loads((self._folder / "state.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return State()

    def _received(self) -> bytes:
        """The bundle, which is taken away; whatever lies there in its place is not followed."""
        path = self._folder / "incoming/bundle"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise RefusedError(f"nothing to install came in: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RefusedError("what came in is no file")
            content = file.read(MAX_BUNDLE_BYTES + 1)
        self._remove("incoming/bundle")
        if len(content) > MAX_BUNDLE_BYTES:
            raise RefusedError(f"an update has at most {MAX_BUNDLE_BYTES} bytes")
        return content

    def _prepare(self, version: str, signer: str) -> State:
        """Have the way back on the disk.

        Raises:
            RefusedError: there is none, or the daemon should not be disturbed now.
        """
        present = self._system.installed()
        if not present:
            raise RefusedError("the present version is not wholly installed: mend it first (dpkg --configure -a)")
        if reason := self._health.note():
            raise RefusedError(reason)
        self._system.check_room(self._folder / "new.deb")
        self._system.repack(self._folder / "fallback.deb")
        sync(self._folder / "fallback.deb")
        self._copy_program()
        last = self.state()
        message = f"installing {version}"
        return self._note(State(last.number + 1, INSTALLING, present, version, signer, last.previous, message))

    def _copy_program(self) -> None:
        """This program and nothing else of rpmu, complete from the moment that it has its name."""
        fresh, source = self._folder / "recover.new", Path(rpmu.__file__).parent
        shutil.rmtree(fresh, ignore_errors=True)
        for name in PROGRAM:
            copy = fresh / "rpmu" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, copy)
        os.sync()
        fresh.rename(self._folder / "recover")
        sync(self._folder)

    def _change(self, state: State) -> State:
        """Install new.deb, and stay with it only if the daemon does as well as before."""
        complaint = self._system.install(self._folder / "new.deb")
        if not complaint:
            state = self._note(replace(state, phase=CHECKING, message=f"{state.new} is in place; examining the daemon"))
            complaint = self._health.complaint()
        if complaint:
            return self._return(complaint)
        message = f"{state.new} is installed; {state.old} is kept for a rollback"
        return self._settle(replace(state, phase=INSTALLED, previous=state.old, message=message))

    def _return(self, why: str) -> State:
        """Install again what was there before."""
        state = self._note(replace(self.state(), phase=RETURNING, message=f"{why}; going back"))
        complaint = self._system.install(self._folder / "fallback.deb")
        if complaint:
            message = f"{why}, and going back to {state.old} failed: {complaint}; the next start tries again"
            return self._note(replace(state, phase=STUCK, message=message))
        after = self._health.complaint()
        message = f"{state.old} is installed again, because {state.new} failed: {why}"
        message += f"; even so, {after}" if after else ""
        return self._settle(replace(state, phase=RETURNED, message=message))

    def _refuse(self, why: str) -> State:
        """Nothing was changed, and the way back is not needed."""
        state = self.state()
        state = replace(state, number=state.number + 1, phase=REFUSED, message=f"refused: {why}")
        return self._settle(state)

    def _settle(self, state: State) -> State:
        self._note(state)
        self._tidy(state)
        return state

    def _tidy(self, state: State) -> None:
        """Remove what is not needed any more; the recovery last, so that it can do this again.

        What came in stays: it may be waiting for the attempt that follows a recovery.
        """
        fallback = self._folder / "fallback.deb"
        if state.phase == INSTALLED and fallback.exists():
            fallback.replace(self._folder / "previous.deb")
        self._remove("fallback.deb", "new.deb", "new.deb.sig", "state.new")
        for name in ("fallback.tree", "recover.new", "recover.old"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        sync(self._folder)
        if (program := self._folder / "recover").exists():
            program.rename(gone := self._folder / "recover.old")
            shutil.rmtree(gone)

    def _note(self, state: State) -> State:
        """Put the state on the disk and tell it."""
        path = self._folder / "state.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(state)) + "\n", encoding="utf-8")
        fresh.chmod(0o644)  # the folder is open to the administrators only
        sync(fresh)
        fresh.replace(path)
        sync(self._folder)
        self._say(state.message)
        return state

    def _remove(self, *names: str) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)


class NoHealth:
    """Where the daemon does not run yet, or cannot be asked."""

    def note(self) -> str:
        """Nothing to remember."""
        return ""

    def complaint(self) -> str:
        """Nothing to compare with."""
        return ""


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether no other update is going on; none begins meanwhile."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def main(words: Sequence[str]) -> int:
    """`install`, `rollback` or `recover`; 0 unless the board needs a person."""
    job = words[0]
    at_boot = job == "recover"
    health: Health = NoHealth()
    if not at_boot:
        from rpmu.update.daemon_health import DaemonHealth  # now: later it would be another version's

        health = DaemonHealth(float(words[1]))
    with alone(FOLDER) as free:
        if not free:
            print("another update is going on")
            return 0 if at_boot else 1
        state = carry_out(job, Updater(FOLDER, System(at_boot=at_boot), health))
    return 1 if state.phase == STUCK else 0


def carry_out(job: str, updater: Updater) -> State:
    """One of the three jobs; an earlier update that was cut short comes first.

    Args:
        job: install, rollback or recover.
        updater: for it.
    """
    state = updater.recover()
    if job == "recover" or state.phase == STUCK:
        return state
    return updater.install() if job == "install" else updater.rollback()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
