"""What is said when Debian's archive is not what the lock file expects; apt's own words stand in for the archive."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest

from image import archive
from image.archive import Archive, Mirrors, host_mirrors, local_repository
from image.errors import ArchiveError, ImageError, ToolError
from image.lock import Package

CONTENT = b"a package"
PACKAGE = Package("boot", "demo", "1:1.0-1", "armhf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
PRINTED = """\
Reading package lists...
'http://192.0.2.1/debian/pool/main/d/demo/demo_1.0-1_armhf.deb' demo_1%3a1.0-1_armhf.deb 9 SHA256:{sha256}
'http://192.0.2.1/debian/pool/main/l/lib/lib_2_all.deb' lib_2_all.deb 7 SHA256:{sha256}
"""


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """An archive whose apt answers what is put into it, by the verb."""
    answers = {"update": "", "download": "", "install": PRINTED.format(sha256=PACKAGE.sha256)}

    def run(words, folder=None, **_):
        answer = answers[words[1]]
        if isinstance(answer, bytes):
            (folder / PACKAGE.file_name).write_bytes(answer)
            return ""
        if answer.startswith(("E:", "W:")):
            raise ImageError(f"apt-get ended with 100:\n    {answer}")
        return answer

    monkeypatch.setattr(archive, "run", run)
    mirrors = Mirrors("http://192.0.2.1/debian", "http://192.0.2.1/debian-security")
    return Archive(tmp_path, "armhf", ("trixie", "trixie-security"), mirrors), answers


def test_what_is_locked_is_fetched_once(apt):
    debian, answers = apt
    answers["download"] = CONTENT
    (file,) = debian.fetch([PACKAGE])
    assert file.read_bytes() == CONTENT
    answers["download"] = "E: not again"
    assert debian.fetch([PACKAGE]) == [file]


def test_a_file_that_went_bad_in_the_cache_is_fetched_again(apt):
    debian, answers = apt
    answers["download"] = CONTENT
    (file,) = debian.fetch([PACKAGE])
    file.write_bytes(b"something")
    assert debian.fetch([PACKAGE])[0].read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "E: Version '1:1.0-1' for 'demo' was not found",
            "the archive no longer has what is locked, Version '1:1.0-1' for 'demo' was not found: "
            "renew it with `make image-lock`",
        ),
        (
            "E: Unable to locate package demo",
            "the archive no longer has what is locked, Unable to locate package demo: renew it with `make image-lock`",
        ),
        (
            b"another",
            "demo 1:1.0-1 of the archive is not the file that was locked: renew it with `make image-lock`",
        ),
    ],
)
def test_an_archive_that_moved_on_is_one_sentence(apt, said, expected):
    debian, answers = apt
    answers["download"] = said
    with pytest.raises(ArchiveError) as caught:
        debian.fetch([PACKAGE])
    assert str(caught.value) == expected


def test_an_archive_that_cannot_be_read_is_not_called_another_version(apt):
    debian, answers = apt
    answers["update"] = "E: Failed to fetch .../InRelease  Could not connect"
    answers["download"] = "E: Unable to locate package demo"
    with pytest.raises(
        ArchiveError, match=r"lists cannot all be read .*Could not connect.*, and Unable to locate"
    ) as caught:
        debian.fetch([PACKAGE])
    assert "image-lock" not in str(caught.value)


def test_apts_answer_becomes_packages(apt):
    debian, _ = apt
    assert debian.resolve("boot", ["demo"]) == [PACKAGE, Package("boot", "lib", "2", "all", 7, PACKAGE.sha256)]


def test_the_suites_come_from_the_mirrors(apt, tmp_path):
    lines = (tmp_path / "sources.list").read_text().splitlines()
    assert lines[0].endswith("http://192.0.2.1/debian trixie main")
    assert lines[1].endswith("http://192.0.2.1/debian-security trixie-security main")


@pytest.mark.parametrize(
    ("variables", "known", "expected"),
    [
        ({}, "Debian|http://192.0.2.1/d/\n", Mirrors("http://192.0.2.1/d/", "http://192.0.2.1/d/")),
        (
            {},
            "Debian|http://192.0.2.1/debian/\nDebian-Security|http://192.0.2.2/s/\nOther|http://192.0.2.3/\n",
            Mirrors("http://192.0.2.1/debian/", "http://192.0.2.2/s/"),
        ),
        (
            {"MIRROR": "http://192.0.2.9/debian"},
            "Debian|http://192.0.2.1/debian/\nDebian-Security|http://192.0.2.2/s/\n",
            Mirrors("http://192.0.2.9/debian", "http://192.0.2.9/debian-security"),
        ),
    ],
)
def test_where_the_archive_is_the_hosts_apt_knows(monkeypatch, variables, known, expected):
    monkeypatch.setattr(archive, "run", lambda *_: known)
    for name in ("MIRROR", "SECURITY_MIRROR"):
        monkeypatch.setenv(name, variables.get(name, ""))
    assert host_mirrors() == expected


def test_a_host_that_knows_no_debian_is_asked_for_a_mirror(monkeypatch):
    monkeypatch.setattr(archive, "run", lambda *_: "Ubuntu|http://192.0.2.1/ubuntu\n")
    monkeypatch.setenv("MIRROR", "")
    with pytest.raises(ToolError, match="knows no Debian mirror: name one, as in `make image MIRROR="):
        host_mirrors()


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb (a Debian system)")
def test_a_local_repository_names_every_file_with_its_hash(tmp_path):
    tree = tmp_path / "tree/DEBIAN"
    tree.mkdir(parents=True)
    (tree / "control").write_text("Package: demo\nVersion: 1\nArchitecture: all\nMaintainer: m\nDescription: d\n")
    file = tmp_path / "demo_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", tree.parent, file], check=True, capture_output=True)
    repository = tmp_path / "repository"
    repository.mkdir()
    local_repository([file], "trixie", repository)
    index = (repository / "Packages").read_text()
    assert "Package: demo\nVersion: 1\n" in index
    assert f"SHA256: {hashlib.sha256(file.read_bytes()).hexdigest()}\n" in index
    release = (repository / "Release").read_text()
    assert "Codename: trixie\n" in release
    assert hashlib.sha256(index.encode()).hexdigest() in release
    assert (repository / "demo_1_all.deb").read_bytes() == file.read_bytes()
