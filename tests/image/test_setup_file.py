"""rpmu-setup.txt: what people and their editors write, and one sentence for each line that cannot be right."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

import image
from image.board.setup_file import MAX_BYTES, SetupError, Static, parse

BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()
KEY = f"ssh-ed25519 {BLOB}"
WHOLE = f"""\
# a comment
hostname = Cellar-1
address = 192.0.2.10/24   # in the rack
gateway = 192.0.2.1
dns = 192.0.2.1, 192.0.2.2
ntp = time.example.org
admin_key = {KEY} me@desk #2
admin_key = {KEY} you@desk
update_key = {KEY} publisher
login_key = {KEY}
station = CELLAR
idcode = 17
nominal_frequency = 50
access = 192.0.2.0/24, 198.51.100.7
allow_uncalibrated = yes
"""


def problems(text):
    with pytest.raises(SetupError) as caught:
        parse(text if isinstance(text, bytes) else text.encode())
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


def test_every_setting_is_read():
    setup = parse(WHOLE.encode())
    assert setup.hostname == "cellar-1"
    assert isinstance(setup.address, Static)
    assert str(setup.address.address) == "192.0.2.10/24"
    assert str(setup.address.gateway) == "192.0.2.1"
    assert setup.dns == ("192.0.2.1", "192.0.2.2")
    assert setup.ntp == ("time.example.org",)
    assert setup.admin_keys == (f"{KEY} me@desk #2", f"{KEY} you@desk")
    assert setup.update_keys == (f"{KEY} publisher",)
    assert setup.login_keys == (KEY,)
    assert setup.access == ("192.0.2.0/24", "198.51.100.7/32")
    assert [(wish.setting, wish.value) for wish in setup.assignments] == [
        ("station.name", "CELLAR"),
        ("station.idcode", "17"),
        ("station.nominal_frequency_hz", "50"),
        ("station.reporting_rate_per_s", "50"),
        ("calibration.allow_uncalibrated", "true"),
        ("server.access", '["192.0.2.0/24", "198.51.100.7/32"]'),
    ]


def test_the_file_on_a_new_card_asks_for_nothing():
    content = (Path(image.__file__).parent / "setup.txt").read_bytes()
    assert parse(content) == parse(b"")


def test_every_setting_of_the_new_card_is_one_and_is_right_as_the_example_says():
    text = (Path(image.__file__).parent / "setup.txt").read_text()
    examples = [line[2:] for line in text.splitlines() if line.startswith("# ") and " = " in line]
    whole = "\n".join(examples).replace("ssh-ed25519 AAAA...", KEY)
    setup = parse(whole.encode())
    assert len(setup.assignments) == 6
    assert setup.admin_keys
    assert setup.login_keys
    assert setup.update_keys
    assert setup.ntp == ("192.0.2.1",)


def test_the_example_of_the_installation_page_is_right():
    page = (Path(image.__file__).parents[1] / "docs/install.md").read_text()
    section = page.partition("Who it is: rpmu-setup.txt")[2].partition("\n## ")[0]
    lines = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    setup = parse("\n".join(lines).replace("ssh-ed25519 AAAA...", KEY).encode())
    assert setup.hostname == "rpmu-cellar"
    assert setup.admin_keys == (f"{KEY} me@desk",)
    assert [wish.value for wish in setup.assignments][:2] == ["CELLAR", "17"]


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("CELLAR", "“CELLAR”").encode(),
        lambda text: text.replace("station =", "  STATION=").encode(),
    ],
    ids=["byte order mark", "carriage returns", "old Mac", "UTF-16", "curly quotes", "capitals"],
)
def test_what_editors_do_is_forgiven(encode):
    setup, plain = parse(encode(WHOLE)), parse(WHOLE.encode())
    assert setup == plain


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hello", "rpmu-setup.txt:1: 'hello' is not `key = value`; put a # in front of a comment"),
        ("hostnam = a", "rpmu-setup.txt:1: 'hostnam' is no setting of this file; did you mean hostname?"),
        ("zzz = a", "rpmu-setup.txt:1: 'zzz' is no setting of this file; there are: hostname, address,"),
        ("station =", "rpmu-setup.txt:1: station has no value; give it one, or put a # in front"),
        ("station = A\nstation = B", "rpmu-setup.txt:2: station is there twice (line 1 has it too)"),
        ("hostname = my board", "hostname is 'my board', but must be 1 to 63 letters"),
        ("hostname = -x", "hostname is '-x', but must be"),
        ("address = 192.0.2.10", "address is '192.0.2.10', but must be dhcp, or an address with its prefix"),
        ("address = 192.0.2.300/24", "address is '192.0.2.300/24', but must be"),
        ("gateway = 192.0.2.1", "gateway goes with a fixed address only"),
        ("address = dhcp\ngateway = 192.0.2.1", "gateway goes with a fixed address only"),
        ("address = 192.0.2.9/24\ngateway = 10.0.0.1", "gateway is '10.0.0.1', but must be an address in 192.0.2.0/24"),
        ("dns = one.example", "dns has 'one.example', which is none; for example: dns = 192.0.2.1"),
        ("ntp = a b$", "ntp has 'b$', which is none"),
        ("access = 192.0.2.0/33", "access has '192.0.2.0/33', which is none; for example: access = 192.0.2.0/24"),
        ("allow_uncalibrated = perhaps", "allow_uncalibrated is 'perhaps', but must be yes or no"),
        (
            "admin_key = ssh-ed25519 AAAA me",
            "admin_key 'ssh-ed25519 AAAA me' is no public key; it must be one whole line",
        ),
        (f"login_key = ssh-rsa {BLOB}", "is no public key"),
        (f"admin_key = ssh-ed25519 {BLOB[:20]}", "is no public key"),
        ("admin_key = -----BEGIN OPENSSH PRIVATE KEY-----", "is no public key"),
    ],
)
def test_a_wrong_line_is_one_sentence(line, said):
    (problem,) = problems(line)
    assert said in problem
    assert problem.startswith("rpmu-setup.txt:")


def test_all_problems_come_at_once_in_the_order_of_the_lines():
    found = problems("idcod = 1\nhostname = a b\nnonsense\naccess = x, y\n")
    assert [problem.split(":")[1] for problem in found] == ["1", "2", "3", "4", "4"]


def test_a_file_that_is_no_text_or_too_long_is_refused():
    assert "rpmu-setup.txt:2: this is not UTF-8 text" in problems(b"# a\nstation = \xff\xfa")[0]
    assert problems(b"#" * (MAX_BYTES + 1)) == [
        f"rpmu-setup.txt has {MAX_BYTES + 1} bytes, but may have at most {MAX_BYTES}"
    ]
