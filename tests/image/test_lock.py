"""The lock file: its form, the committed one, and what is said when the archive has moved on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from image.errors import LockError
from image.lock import Lock, Package, missing, parse, render
from image.plan import LOCK_FILE, Plan, wanted

SHA = "ab" * 32
LIBC = Package("root", "libc6", "2.41-12+deb13u4", "armhf", 2260832, SHA)
CHRONY = Package("root", "chrony", "1:4.6.1-3", "armhf", 7, SHA)
LOCK = Lock(date(2026, 1, 31), (CHRONY, LIBC))


def test_a_lock_file_reads_back_as_it_was_written():
    assert parse(render(LOCK), "packages.lock") == LOCK


def test_the_date_is_the_time_stamp_of_the_image():
    assert LOCK.epoch_s == 1769817600  # 2026-01-31 00:00 UTC


def test_a_file_is_named_as_apt_names_it():
    assert CHRONY.file_name == "chrony_1%3a4.6.1-3_armhf.deb"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("date 2026-01-31\n", "", "packages.lock: no line `date YYYY-MM-DD`"),
        ("2026-01-31", "yesterday", "packages.lock:3: 'date yesterday' is not"),
        ("root libc6", "elsewhere libc6", "packages.lock:5: the use 'elsewhere' of libc6 cannot be right"),
        ("libc6 2.41", "LIBC 2.41", "the package 'LIBC'"),
        ("2.41-12+deb13u4", "2.41;rm", "the version '2.41;rm'"),
        ("2.41-12+deb13u4 armhf", "2.41-12+deb13u4 amd64", "the architecture 'amd64'"),
        ("2260832", "-1", "the size '-1'"),
        (SHA, SHA[1:], "the SHA-256"),
        ("root libc6 2.41-12+deb13u4", "root libc6", "packages.lock:5: 5 words"),
        ("root libc6 2.41-12+deb13u4", "root chrony 9", "packages.lock:5: chrony is there twice"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_place(old, new, said):
    text = render(LOCK)
    assert old in text
    at_libc = text.rindex(old) if old == SHA else text.index(old)
    with pytest.raises(LockError) as caught:
        parse(text[:at_libc] + new + text[at_libc + len(old) :], "packages.lock")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pattern_must_name_one_package():
    assert LOCK.the("lib.*") == LIBC
    with pytest.raises(LockError, match="one package 'x', but has none"):
        LOCK.the("x")
    with pytest.raises(LockError, match="but has chrony, libc6"):
        LOCK.the(".*")


def test_the_committed_lock_file_covers_the_package_list(tmp_path):
    lock = Plan(tell=print, cache=tmp_path).lock()
    assert missing(lock, (*wanted().root, "u-boot-omap", "busybox-static")) == []
    assert lock.the(r"linux-image-\d.*").version == lock.the(r"linux-source-.*").version
    assert lock.the(r"linux-image-\d.*").version == lock.the(r"linux-headers-\d.*-armmp").version


def test_no_host_name_is_in_the_committed_files():
    text = LOCK_FILE.read_text() + LOCK_FILE.with_name("packages.toml").read_text()
    assert "http" not in text
    assert "://" not in text


def test_a_package_the_lock_file_lacks_is_named(tmp_path):
    plan = Plan(tell=print, cache=tmp_path)
    plan.wanted = replace(plan.wanted, root=(*plan.wanted.root, "no-such-package"))
    with pytest.raises(
        LockError, match=r"names no-such-package, which the lock file lacks: renew it with `make image-"
    ):
        plan.lock()
