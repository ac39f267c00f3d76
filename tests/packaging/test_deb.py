"""The Debian package: it builds, the same twice, holds what it should, and works with Debian's three packages only."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rpmu import __version__
from rpmu.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
BUILD = [sys.executable, str(ROOT / "debian/build_deb.py")]
pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb (a Debian system)")

EXPECTED = {
    "/etc/rpmu/nftables.conf",
    "/etc/rpmu/rpmu.toml",
    "/etc/ssh/sshd_config.d/60-rpmu-admin.conf",
    "/etc/sudoers.d/rpmu-admin",
    "/usr/bin/rpmu",
    "/usr/bin/rpmu-admin-shell",
    "/usr/lib/firmware/rpmu-sampler.elf",
    "/usr/lib/python3/dist-packages/rpmu/acquire/firmware/sampler.elf",
    "/usr/lib/python3/dist-packages/rpmu/acquire/firmware/SHA256SUMS",
    "/usr/lib/python3/dist-packages/rpmu/calibrate/profiles/reference-a-120v.toml",
    "/usr/lib/python3/dist-packages/rpmu/cli/run.py",
    f"/usr/lib/python3/dist-packages/rpmu-{__version__}.dist-info/METADATA",
    "/usr/lib/systemd/system/rpmu-config.service",
    "/usr/lib/systemd/system/rpmu-config-guard.path",
    "/usr/lib/systemd/system/rpmu-config-guard.service",
    "/usr/lib/systemd/system/rpmu-pru.service",
    "/usr/lib/systemd/system/rpmu.service",
    "/usr/lib/systemd/system/rpmu-firewall.service",
    "/usr/lib/systemd/system/rpmu-update-recover.service",
    "/usr/lib/systemd/system/rpmu-update@.service",
    "/usr/lib/systemd/system.conf.d/50-rpmu-watchdog.conf",
    "/usr/lib/systemd/journald.conf.d/50-rpmu-journal.conf",
    "/usr/lib/sysusers.d/rpmu.conf",
    "/usr/lib/tmpfiles.d/rpmu.conf",
    "/usr/lib/udev/rules.d/70-rpmu.rules",
    "/usr/share/doc/rpmu/copyright",
    "/usr/share/doc/rpmu/install.md",
    "/usr/share/man/man1/rpmu.1.gz",
}

# Refuses every module that is neither the package's, Python's own nor one of the three.
GUARD = """
import sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("scipy", "matplotlib", "soundfile", "pyarrow", "hatchling"):
            raise ImportError(f"{name} is not on a board")
sys.meta_path.insert(0, Guard())
"""


@pytest.fixture(scope="module")
def deb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deb")
    done = subprocess.run([*BUILD, str(folder)], capture_output=True, text=True, check=True, timeout=300)
    path = Path(done.stdout.strip())
    assert path.name == f"rpmu_{__version__}_all.deb"
    return path


@pytest.fixture(scope="module")
def installed(deb, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], check=True)
    return root


def python(installed, *words):
    """Run Python with the installed package in front, away from the checkout."""
    packages = installed / "usr/lib/python3/dist-packages"
    program = f"{GUARD}\nsys.path.insert(0, {str(packages)!r})\n{words[0]}"
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *words[1:]], cwd="/", capture_output=True, text=True, timeout=120
    )


def field(deb, name):
    return subprocess.run(["dpkg-deb", "-f", str(deb), name], capture_output=True, text=True, check=True).stdout.strip()


def test_control(deb):
    assert field(deb, "Version") == __version__
    assert field(deb, "Architecture") == "all"
    depends = field(deb, "Depends")
    for package in ("python3-numpy", "python3-serial", "python3-nmea2"):
        assert package in depends
    assert "scipy" not in depends


def test_contents(deb):
    listing = subprocess.run(["dpkg-deb", "-c", str(deb)], capture_output=True, text=True, check=True).stdout
    lines = [line.split(maxsplit=5) for line in listing.splitlines()]
    names = {line[5].removeprefix(".").split(" -> ")[0] for line in lines}
    assert names >= EXPECTED
    assert not [name for name in names if "twin" in name or "__pycache__" in name or name.endswith(".so")]
    assert {line[1] for line in lines} == {"root/root"}
    assert {line[3] for line in lines} == {lines[0][3]}, "one time for all"


def test_configuration_files_are_kept_on_upgrade(deb, tmp_path):
    subprocess.run(["dpkg-deb", "-e", str(deb), str(tmp_path)], check=True)
    listed = set((tmp_path / "conffiles").read_text().split())
    assert listed == {name for name in EXPECTED if name.startswith("/etc/")}
    for script in ("postinst", "prerm", "postrm"):
        assert (tmp_path / script).stat().st_mode & stat.S_IXUSR
        subprocess.run(["sh", "-n", str(tmp_path / script)], check=True)


def commands_of_postinst(deb, folder, **environment):
    """What postinst asks of the system, on one that runs systemd."""
    subprocess.run(["dpkg-deb", "-e", str(deb), str(folder)], check=True)
    commands = folder / "commands"
    commands.mkdir()
    for name in (
        "systemctl",
        "deb-systemd-invoke",
        "deb-systemd-helper",
        "systemd-sysusers",
        "systemd-tmpfiles",
        "udevadm",
    ):
        (commands / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"{folder}/log"\n')
        (commands / name).chmod(0o755)
    script = (folder / "postinst").read_text().replace("/run/systemd/system", str(commands))
    words = ["sh", "-c", script.replace("py3compile -p rpmu", ":"), "postinst", "configure"]
    subprocess.run(words, env={"PATH": f"{commands}:/usr/bin:/bin", **environment}, check=True)
    return (folder / "log").read_text().splitlines()


def test_a_mended_version_starts_although_the_one_before_had_failed_too_often(deb, tmp_path):
    calls = commands_of_postinst(deb, tmp_path)
    assert calls.index("systemctl reset-failed rpmu.service") < calls.index("deb-systemd-invoke restart rpmu.service")
    assert "deb-systemd-invoke reload ssh.service" in calls


def test_at_boot_it_waits_for_no_unit_that_waits_for_the_recovery(deb, tmp_path):
    calls = commands_of_postinst(deb, tmp_path, RPMU_UPDATE_AT_BOOT="1")
    assert "systemctl daemon-reload" in calls
    assert [call for call in calls if call.startswith(("systemctl", "deb-systemd-invoke"))] == [
        "systemctl daemon-reload"
    ]


def test_lintian_has_nothing_to_say(deb):
    if shutil.which("lintian") is None:
        pytest.skip("needs lintian (Debian package lintian)")
    words = ["lintian", "--allow-root", "--fail-on", "error,warning", str(deb)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_sudo_would_take_its_file(installed):
    assert stat.S_IMODE((installed / "etc/sudoers.d/rpmu-admin").stat().st_mode) == 0o440


def test_the_same_commit_gives_the_same_file(deb, tmp_path):
    subprocess.run([*BUILD, str(tmp_path)], capture_output=True, check=True, timeout=300)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (deb, tmp_path / deb.name)}
    assert len(digests) == 1


def test_it_imports_with_debians_three_packages(installed):
    program = (
        "import rpmu.cli.main as main, rpmu.cli.run, rpmu.daemon, rpmu.remote.shell, rpmu\n"
        "import importlib.metadata\n"
        "assert rpmu.__file__.startswith(sys.path[0]), rpmu.__file__\n"
        "assert not [name for name in sys.modules if name.startswith(('scipy', 'rpmu.twin'))]\n"
        "print(importlib.metadata.version('rpmu'))"
    )
    done = python(installed, program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == __version__


MAIN = "from rpmu.cli.main import main; sys.exit(main())"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "twin"])
def test_every_command_starts(installed, name):
    done = python(installed, MAIN, name, "--help")
    assert done.returncode == 0, done.stderr


def test_the_daemon_without_a_board_says_so(installed):
    done = python(installed, MAIN, "run")
    assert done.returncode == 4, done.stderr
    assert "no PRU found" in done.stderr


def test_the_twin_is_no_command_there(installed):
    assert python(installed, MAIN, "twin").returncode == 2
    assert "twin" not in python(installed, MAIN, "--help").stdout.split("options:")[0].replace("rpmu twin", "")
    assert python(installed, MAIN, "doctor").returncode in (0, 1, 4)


def test_the_default_configuration_is_valid(installed):
    done = python(installed, MAIN, "config", "check", str(installed / "etc/rpmu/rpmu.toml"))
    assert done.returncode == 0, done.stderr


def test_the_manual_page_has_every_command(installed):
    page = gzip.decompress((installed / "usr/share/man/man1/rpmu.1.gz").read_bytes()).decode()
    for name in set(COMMANDS) - {"twin"}:
        assert f"\n.SS rpmu {name}" in page
    assert ".SS rpmu config apply" in page
    if shutil.which("man") is None:
        pytest.skip("needs man (Debian package man-db) to format the page")
    shown = subprocess.run(
        ["man", "--warnings", "-l", "-"],
        input=page,
        capture_output=True,
        text=True,
        timeout=60,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert "config apply" in shown.stdout
