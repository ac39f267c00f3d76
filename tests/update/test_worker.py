"""Updates with the real dpkg and ssh-keygen in a folder: who is let in, the way back, the power going at any step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rpmu.update import worker
from rpmu.update.system import System
from rpmu.update.worker import INSTALLED, INSTALLING, REFUSED, RETURNED, STUCK, UNFINISHED, State, Updater
from tests.update.rig import MISSING, key, machine, package, signed

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)} (Debian: dpkg, openssh-client)")


class Health:
    """What the daemon would be like."""

    def __init__(self, complaint="", reason=""):
        self._complaint, self._reason = complaint, reason
        self.seen = []

    def note(self):
        return self._reason

    def complaint(self):
        self.seen.append("asked")
        return self._complaint


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Keys, and packages signed in several ways."""
    folder = tmp_path_factory.mktemp("made")
    ours, theirs = key(folder, "publisher"), key(folder, "stranger")
    one, two, three = (package(folder, version) for version in ("1.0", "1.1", "1.2"))
    return {
        "signers": f'publisher namespaces="rpmu-update" {ours.with_suffix(".pub").read_text()}',
        "one": one,
        "two": signed(two, ours),
        "three": signed(three, ours),
        "old": signed(one, ours),
        "stranger": signed(two, theirs),
        "other purpose": signed(two, ours, "file"),
        "other package": signed(package(folder, "9.0", "doctor"), ours),
        "no package": signed(ours.with_suffix(".pub"), ours),
    }


class Board:
    """A machine in a folder with version 1.0 on it."""

    def __init__(self, folder: Path, made):
        self.root = machine(folder / "root")
        self.folder = folder / "updates"
        (self.folder / "incoming").mkdir(parents=True)
        self.signers = folder / "signers"
        self.signers.write_text(made["signers"])
        self.system = System(self.root)
        assert self.system.install(made["one"]) == ""
        (self.root / "etc/rpmu/setting").write_text("mine")
        self.said = []

    def updater(self, health=None, system=None):
        return Updater(self.folder, system or self.system, health or Health(), self.signers, self.said.append)

    def send(self, content):
        (self.folder / "incoming/bundle").write_bytes(content)

    def version(self):
        """What is installed, by every sign of it."""
        versions = {self.system.installed(), (self.root / "usr/lib/rpmu/version").read_text()}
        versions |= {path.name.removeprefix("only-") for path in (self.root / "usr/lib/rpmu").glob("only-*")}
        assert len(versions) == 1, versions
        assert (self.root / "etc/rpmu/setting").read_text() == "mine", "what the owner wrote stays"
        return versions.pop()

    def left(self):
        return {path.name for path in self.folder.iterdir()} | {
            path.name for path in (self.folder / "incoming").iterdir()
        }


@pytest.fixture
def board(tmp_path, made):
    return Board(tmp_path, made)


def test_update_and_rollback_and_back(board, made):
    board.send(made["two"])
    state = board.updater().install()
    assert (state.phase, state.signer, state.previous) == (INSTALLED, "publisher", "1.0")
    assert board.version() == "1.1"
    assert board.left() == {"incoming", "previous.deb", "state.json"}
    state = board.updater().rollback()
    assert (state.phase, state.old, state.new, state.previous) == (INSTALLED, "1.1", "1.0", "1.1")
    assert board.version() == "1.0"
    assert board.updater().rollback().phase == INSTALLED
    assert board.version() == "1.1"
    assert board.said[-1] == "1.1 is installed; 1.0 is kept for a rollback"


def test_what_was_sent_outlives_the_look_for_an_interrupted_update(board, made):
    """As the unit does it: first the recovery, then the job."""
    for content, version in ((made["two"], "1.1"), (made["three"], "1.2")):
        board.send(content)
        assert worker.carry_out("install", board.updater()).phase == INSTALLED
        assert board.version() == version
    assert worker.carry_out("rollback", board.updater()).phase == INSTALLED
    assert board.version() == "1.1"
    number = board.updater().state().number
    assert worker.carry_out("recover", board.updater()).number == number, "nothing to do"
    assert board.left() == {"incoming", "previous.deb", "state.json"}


def test_a_version_that_does_worse_is_undone(board, made):
    board.send(made["two"])
    health = Health("no frames flow")
    state = board.updater(health).install()
    assert state.phase == RETURNED
    assert "1.0 is installed again, because 1.1 failed: no frames flow" in state.message
    assert health.seen == ["asked", "asked"], "the old one is examined too"
    assert board.version() == "1.0"
    assert board.left() == {"incoming", "state.json"}


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("stranger", "not by a key"),
        ("other purpose", "not by a key"),
        ("old", "version 1.0 is not newer than 1.0"),
        ("other package", "no Debian package of rpmu"),
        ("no package", "no Debian package of rpmu"),
    ],
)
def test_refused(board, made, what, why):
    board.send(made[what])
    state = board.updater().install()
    assert state.phase == REFUSED
    assert why in state.message
    assert board.version() == "1.0"
    assert board.left() == {"incoming", "state.json"}


def test_one_changed_bit_is_refused(board, made):
    content = bytearray(made["two"])
    content[-100] ^= 1
    board.send(bytes(content))
    assert "not by a key" in board.updater().install().message
    assert board.version() == "1.0"


def test_without_trusted_keys_or_signature_or_anything(board, made):
    assert "nothing to install came in" in board.updater().install().message
    board.send(made["two"][400:])
    assert "no signature" in board.updater().install().message
    board.send(made["two"])
    board.signers.unlink()
    assert "no key is trusted" in board.updater().install().message
    assert "no previous version" in board.updater().rollback().message
    assert board.version() == "1.0"


def test_what_the_spool_folder_holds_is_not_followed(board, made, tmp_path):
    (tmp_path / "elsewhere").write_bytes(made["two"])
    (board.folder / "incoming/bundle").symlink_to(tmp_path / "elsewhere")
    assert "nothing to install came in" in board.updater().install().message
    assert board.version() == "1.0"


def test_a_bundle_without_end_is_refused(board, monkeypatch):
    monkeypatch.setattr(worker, "MAX_BUNDLE_BYTES", 1000)
    board.send(b"x" * 1001)
    assert "at most 1000 bytes" in board.updater().install().message


def test_a_daemon_that_should_not_be_disturbed_is_not(board, made):
    board.send(made["two"])
    assert (
        board.updater(Health(reason="the time is in holdover")).install().message == "refused: the time is in holdover"
    )
    assert board.version() == "1.0"


def test_no_room_is_seen_before_dpkg_starts(board, made, monkeypatch):
    monkeypatch.setattr("rpmu.update.system.SPARE_BYTES", 1 << 60)
    board.send(made["two"])
    assert "MB free, but an update needs" in board.updater().install().message
    assert board.version() == "1.0"


def test_a_package_that_does_not_install_is_undone(board, made):
    class Failing(System):
        def install(self, package):
            return "dpkg says: error" if package.name == "new.deb" else super().install(package)

    board.send(made["two"])
    assert "1.1 failed: dpkg says: error" in board.updater(system=Failing(board.root)).install().message
    assert board.version() == "1.0"


def test_if_going_back_fails_the_next_start_tries_again(board, made):
    class Failing(System):
        def install(self, package):
            return "dpkg says: error" if package.name == "fallback.deb" else super().install(package)

    board.send(made["two"])
    state = board.updater(Health("no frames flow"), Failing(board.root)).install()
    assert state.phase == STUCK
    assert board.version() == "1.1"
    assert board.updater().recover().phase == RETURNED
    assert board.version() == "1.0"


class PowerCutError(Exception):
    """The machine is off."""


class Power:
    """Goes at the nth operation, counted over everything that changes the disk."""

    def __init__(self, lasts):
        self.left = lasts

    def step(self):
        self.left -= 1
        if self.left < 0:
            raise PowerCutError


class QuickSystem:
    """A package is a file with its version in it, and so is what is installed."""

    def __init__(self, folder, power):
        self._file, self._power = folder / "installed", power

    def installed(self):
        return self._file.read_text().removesuffix(" half")

    def version(self, package):
        return package.read_text()

    def newer(self, version, than):
        return version > than

    def signer(self, package, signature, signers):
        return "publisher"

    def check_room(self, package):
        pass

    def repack(self, target):
        target.write_text(self.installed())

    def install(self, package):
        self._power.step()
        self._file.write_text(package.read_text() + " half")
        self._power.step()
        self._file.write_text(package.read_text())
        self._power.step()
        return ""


@pytest.mark.parametrize("job", ["install", "rollback"])
@pytest.mark.parametrize("healthy", [True, False])
def test_the_power_may_go_at_any_step(tmp_path, monkeypatch, job, healthy):
    """What comes back is a whole version that is known to work, and nothing is left lying about."""
    monkeypatch.setattr(os, "sync", lambda: None)
    cuts = [cut_after(at, tmp_path / str(at), monkeypatch, job, healthy) for at in range(45)]
    assert cuts[0], "the first step is one"
    assert not cuts[-1], "all steps were tried"


def cut_after(at, folder, monkeypatch, job, healthy):
    """One attempt with a power cut before its nth step; False if it ended before."""
    (folder / "incoming").mkdir(parents=True)
    power = Power(1000)
    known, new = ("1.0", "1.1") if job == "install" else ("1.1", "1.0")
    (folder / "installed").write_text(known)
    (folder / "previous.deb").write_text("1.0")
    (folder / "incoming/bundle").write_bytes(worker.SIGNATURE_END + b"1.1")
    updater = Updater(folder, QuickSystem(folder, power), Health("" if healthy else "no frames flow"), say=str)
    cut = False
    with monkeypatch.context() as patch:
        for name in ("write_text", "replace", "rename", "unlink"):
            patch.setattr(Path, name, stepping(getattr(Path, name), power))
        patch.setattr(worker.shutil, "rmtree", stepping(worker.shutil.rmtree, power))
        power.left = at
        try:
            updater.install() if job == "install" else updater.rollback()
        except PowerCutError:
            cut = True
        power.left = 1000
    state = Updater(folder, QuickSystem(folder, power), Health(), say=str).recover()
    assert state.phase not in UNFINISHED
    assert (folder / "installed").read_text() == (new if state.phase == INSTALLED and healthy else known), at
    assert (folder / "previous.deb").read_text() == (known if state.phase == INSTALLED and healthy else "1.0"), at
    left = {path.name for path in folder.iterdir()}
    assert left <= {"incoming", "installed", "previous.deb", "state.json"}, at
    return cut


def stepping(function, power):
    """The function, behind a step."""

    def wrapped(*words, **named):
        power.step()
        return function(*words, **named)

    return wrapped


def test_the_copied_program_needs_nothing_else(board, made, tmp_path):
    """As the recovery unit runs it: from its folder, without the installed package."""
    board.send(made["two"])

    class Off(System):
        def install(self, package):
            super().install(package)
            raise PowerCutError

    with pytest.raises(PowerCutError):
        board.updater(system=Off(board.root)).install()
    assert json.loads((board.folder / "state.json").read_text())["phase"] == INSTALLING
    program = (
        "import sys; from pathlib import Path; import rpmu; from rpmu.update import worker; "
        "assert Path(rpmu.__file__).parent.parent == Path.cwd(), rpmu.__file__; "
        "assert not [name for name in sys.modules if name.startswith('numpy')]; "
        f"machine = worker.System(Path({str(board.root)!r})); "
        f"worker.FOLDER = Path({str(board.folder)!r}); worker.System = lambda at_boot: machine; "
        "sys.exit(worker.main(['recover']))"
    )
    words = [sys.executable, "-E", "-s", "-B", "-c", program]
    done = subprocess.run(words, cwd=board.folder / "recover", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "1.0 is installed again" in done.stdout
    assert board.version() == "1.0"
    assert not (board.folder / "recover").exists()


def test_one_at_a_time(tmp_path):
    with worker.alone(tmp_path) as first, worker.alone(tmp_path) as second:
        assert (first, second) == (True, False)


def test_state_survives_as_it_is(board):
    state = State(3, INSTALLED, "1", "2", "me", "1", "fine")
    updater = board.updater()
    updater._note(state)
    assert updater.state() == state
