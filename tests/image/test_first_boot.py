"""The first boot on a folder in place of the board's root, with the real `rpmu config` in it."""

from __future__ import annotations

import base64
import shutil
import sys
from pathlib import Path

import pytest

from image.board import host_keys
from image.board.apply import FIREWALL, NETWORK
from image.board.first_boot import Board, run
from rpmu import config

ROOT = Path(__file__).parents[2]
BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()
KEY = f"ssh-ed25519 {BLOB} me@desk"
SETUP = f"""\
hostname = cellar
address = 192.0.2.10/24
gateway = 192.0.2.1
dns = 192.0.2.1
ntp = 192.0.2.5
admin_key = {KEY}
update_key = {KEY}
login_key = {KEY}
station = CELLAR
idcode = 17
nominal_frequency = 50
access = 192.0.2.0/24
allow_uncalibrated = yes
""".encode()


@pytest.fixture
def board(tmp_path):
    """A new board."""
    root = tmp_path / "root"
    for folder in ("etc/rpmu", "etc/ssh", "data", "var/lib/rpmu/config", "proc/sys/kernel"):
        (root / folder).mkdir(parents=True)
    (root / "etc/hostname").write_text("rpmu\n")
    (root / "etc/rpmu/rpmu.toml").write_text(config.render(config.default()))
    shutil.copyfile(ROOT / "systemd/nftables.conf", root / FIREWALL)
    store = str(root / "var/lib/rpmu/config")
    words = (
        sys.executable,
        "-m",
        "rpmu",
        "config",
        "apply",
        "-",
        "--confirm-within",
        "0",
        "--reload",
        "",
        "--store",
        store,
    )
    return Board(root=root, apply_command=words)


def tree(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def in_force(board):
    return config.parse(board.configuration().encode())


def test_a_setup_file_reaches_all_it_names(board):
    text, good = run(board, SETUP)
    assert good
    assert text.startswith("rpmu-setup.txt is in force.\n\nhost name: cellar\n")
    root = board.root
    assert (root / "proc/sys/kernel/hostname").read_text() == "cellar"
    assert "127.0.1.1 cellar" in (root / "etc/hosts").read_text()
    network = (root / NETWORK).read_text()
    assert "\nAddress=192.0.2.10/24\nDNS=192.0.2.1\nGateway=192.0.2.1\n" in network
    assert (root / "etc/chrony/sources.d/rpmu-setup.sources").read_text() == "server 192.0.2.5 iburst\n"
    assert (root / "etc/rpmu/admin_keys").read_text() == (root / "etc/rpmu/login_keys").read_text() == f"{KEY}\n"
    assert (root / "etc/rpmu/update_signers").read_text() == f'publisher namespaces="rpmu-update" {KEY}\n'
    effective = in_force(board)
    assert (effective.station.name, effective.station.idcode) == ("CELLAR", 17)
    assert (effective.station.nominal_frequency_hz, effective.station.reporting_rate_per_s) == (50, 50)
    assert effective.server.access == ("192.0.2.0/24",)
    assert effective.server.listen == ("0.0.0.0:4712",)
    assert effective.calibration.allow_uncalibrated


def test_the_packet_filter_lets_in_whom_the_pmu_lets_in(board):
    run(board, b"access = 198.51.100.0/24 2001:db8::/32\n")
    text = (board.root / FIREWALL).read_text()
    assert "\ndefine pdc_v4 = { 198.51.100.0/24 }\n" in text
    assert "\ndefine pdc_v6 = { 2001:db8::/32 }\n" in text
    assert "define admin_v4 = { 10.0.0.0/8" in text  # SSH stays as it was
    run(board, b"access = 192.0.2.7\n")
    assert "\ndefine pdc_v6 = { ::1 }\n" in (board.root / FIREWALL).read_text()


def test_a_second_start_changes_nothing(board):
    run(board, SETUP)
    before = tree(board.root)
    board.apply_command = ("false",)
    assert run(board, SETUP)[1]
    assert tree(board.root) == before


def test_what_was_configured_since_stays(board):
    run(board, SETUP)
    board.apply_configuration(board.configuration().replace("idcode = 17", "idcode = 18"))
    assert run(board, SETUP)[1]
    assert in_force(board).station.idcode == 18


def test_after_a_power_cut_before_the_end_it_is_done_again(board):
    run(board, SETUP)
    before = tree(board.root)
    board.applied.unlink()
    assert run(board, SETUP)[1]
    assert tree(board.root) == before  # in particular, no second revision of the configuration


def test_a_changed_file_is_taken_and_what_it_leaves_out_stays(board):
    run(board, SETUP)
    run(board, b"idcode = 18\naddress = dhcp\n")
    effective = in_force(board)
    assert (effective.station.name, effective.station.idcode) == ("CELLAR", 18)
    assert not (board.root / NETWORK).exists()
    assert (board.root / "etc/hostname").read_text() == "cellar\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"idcode = 70000", "rpmu-setup.txt:2: idcode is 70000, but must be"),
        (b"idcode = seven", "rpmu-setup.txt:2: idcode is"),
        (b"station = A name that is far too long", "rpmu-setup.txt:2: station is"),
        (b"reporting_rate = 7", "rpmu-setup.txt:2: reporting_rate is 7, but must be one of"),
        (b"nominal_frequency = 55", "rpmu-setup.txt:2: nominal_frequency is 55, but must be"),
        (b"dns = x", "rpmu-setup.txt:2: dns has 'x'"),
    ],
)
def test_one_wrong_line_and_nothing_is_changed(board, line, said):
    before = tree(board.root)
    text, good = run(board, b"hostname = cellar\n" + line + b"\n")
    assert not good
    assert text.startswith("rpmu-setup.txt was NOT applied; the board goes on with what it had.\n")
    assert said in text
    assert tree(board.root) == before


def test_a_configuration_that_is_refused_later_is_said_too(board):
    board.apply_command = ("sh", "-c", "echo no room >&2; exit 1")
    before = tree(board.root)
    text, good = run(board, SETUP)
    assert not good
    assert "rpmu-setup.txt: the configuration was not taken: no room" in text
    assert tree(board.root) == before


def test_a_listening_address_that_somebody_chose_is_kept(board):
    path = board.root / "etc/rpmu/rpmu.toml"
    path.write_text(path.read_text().replace('"127.0.0.1:4712"', '"192.0.2.10:4713"'))
    run(board, b"access = 192.0.2.0/24\n")
    assert in_force(board).server.listen == ("192.0.2.10:4713",)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs the package openssh-client")
def test_host_keys_are_made_once_and_again_where_a_power_cut_left_them_empty(tmp_path):
    assert host_keys.ensure(tmp_path) == ["ed25519", "ecdsa"]
    first = tree(tmp_path)
    assert set(first) == {f"ssh_host_{kind}_key{end}" for kind in ("ed25519", "ecdsa") for end in ("", ".pub")}
    assert (tmp_path / "ssh_host_ecdsa_key").stat().st_mode & 0o077 == 0
    assert host_keys.ensure(tmp_path) == []
    (tmp_path / "ssh_host_ecdsa_key").write_bytes(b"")
    assert host_keys.ensure(tmp_path) == ["ecdsa"]
    second = tree(tmp_path)
    assert second["ssh_host_ed25519_key"] == first["ssh_host_ed25519_key"]
    assert second["ssh_host_ecdsa_key"] != first["ssh_host_ecdsa_key"]
