"""`rpmu-setup.txt`: the file on the card that a person edits on any PC.

Lines of `key = value`, and comments. Whatever an editor does to a text is forgiven: byte order marks, UTF-16, carriage
returns, quotes of any shape. What the lines say is not: each one that cannot be right is answered by one sentence, and
with a single such line nothing of the file is applied.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import difflib
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

NAME = "rpmu-setup.txt"
MAX_BYTES = 1 << 16
HOSTNAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)
SERVER = re.compile(r"[A-Za-z0-9.:-]{1,253}")
KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
QUOTES = "\"'“”„‘’«»"


class SetupError(Exception):
    """The file is wrong.

    Attributes:
        problems: one sentence each.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Assignment:
    """A line that sets something in the PMU's configuration.

    Attributes:
        line: number of the line.
        key: of the line.
        setting: `section.key` of the configuration.
        value: as TOML spells it.
    """

    line: int
    key: str
    setting: str
    value: str


@dataclass(frozen=True)
class Static:
    """A fixed address of the board.

    Attributes:
        address: with its network.
        gateway: None for none.
    """

    address: ipaddress.IPv4Interface | ipaddress.IPv6Interface
    gateway: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None


@dataclass(frozen=True)
class Setup:
    """What the file asks for; None and () stand for what it does not mention.

    Attributes:
        hostname: of the board.
        address: "dhcp" or a fixed one.
        dns: servers.
        ntp: servers.
        admin_keys: public keys of `rpmu-admin`.
        update_keys: public keys whose signature makes an update welcome.
        login_keys: public keys of `root`.
        access: networks that may have data.
        assignments: to the PMU's configuration.
    """

    hostname: str | None = None
    address: Static | str | None = None
    dns: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    admin_keys: tuple[str, ...] = ()
    update_keys: tuple[str, ...] = ()
    login_keys: tuple[str, ...] = ()
    access: tuple[str, ...] = ()
    assignments: tuple[Assignment, ...] = ()


@dataclass
class _Reading:
    """What has been read of a file so far."""

    file: str
    lines: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def complain(self, line: int, key: str, text: str) -> None:
        self.problems.append(f"{self.file}:{line}: {key} {text}")

    def one(self, key: str) -> tuple[int, str] | None:
        """The line of a key that may stand once."""
        lines = self.lines.get(key, [])
        for number, _ in lines[1:]:
            self.complain(number, key, f"is there twice (line {lines[0][0]} has it too); take one of them away")
        return lines[0] if lines else None

    def words(self, key: str, check: Callable[[str], str | None], example: str) -> tuple[str, ...]:
        """The list of a key: separated by commas or blanks, each item in its usual form."""
        found = self.one(key)
        if found is None:
            return ()
        words = re.split(r"[,;\s]+", found[1].strip(" ,;"))
        good = [check(word) for word in words]
        for word, result in zip(words, good, strict=True):
            if result is None:
                self.complain(found[0], key, f"has '{word}', which is none; for example: {key} = {example}")
        return tuple(result for result in good if result is not None)


def parse(content: bytes, file: str = NAME) -> Setup:
    """Read the file.

    Args:
        content: its bytes.
        file: its name in messages.

    Raises:
        SetupError: with a sentence for each line that is wrong.
    """
    reading = _Reading(file)
    _read_lines(_text(content, file), reading)
    address = _address(reading)
    access = reading.words("access", _network, "192.0.2.0/24, 198.51.100.7")
    setup = Setup(
        hostname=_hostname(reading),
        address=address,
        dns=reading.words("dns", _ip, "192.0.2.1"),
        ntp=reading.words("ntp", _server, "192.0.2.1"),
        admin_keys=_keys(reading, "admin_key"),
        update_keys=_keys(reading, "update_key"),
        login_keys=_keys(reading, "login_key"),
        access=access,
        assignments=_assignments(reading, access),
    )
    if reading.problems:
        raise SetupError(sorted(reading.problems, key=lambda problem: int(problem[len(file) + 1 :].split(":")[0])))
    return setup


def _text(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise SetupError([f"{file} has {len(content)} bytes, but may have at most {MAX_BYTES}"])
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SetupError([f"{file}:{line}: this is not UTF-8 text; save the file as UTF-8 or plain ASCII"]) from error


def _read_lines(text: str, reading: _Reading) -> None:
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        key = key.strip().lower()
        if not equals:
            reading.complain(number, f"'{line[:40]}'", "is not `key = value`; put a # in front of a comment")
        elif key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(KEYS)}"
            reading.complain(number, f"'{key}'", f"is no setting of this file; {hint}")
        else:
            comment = r"$" if key.endswith("_key") else r"\s#.*$"  # the name in a public key may have a #
            value = re.sub(comment, "", value).strip().strip(QUOTES).strip()
            if value:
                reading.lines.setdefault(key, []).append((number, value))
            else:
                reading.complain(number, key, "has no value; give it one, or put a # in front of the line")


KEYS = (
    *("hostname", "address", "gateway", "dns", "ntp", "admin_key", "update_key", "login_key"),
    *("station", "idcode", "nominal_frequency", "reporting_rate", "access", "allow_uncalibrated"),
)


def _hostname(reading: _Reading) -> str | None:
    found = reading.one("hostname")
    if found is None:
        return None
    if not HOSTNAME.fullmatch(found[1]):
        allowed = "1 to 63 letters a to z, digits and hyphens, no hyphen at an end, for example: hostname = rpmu-cellar"
        reading.complain(found[0], "hostname", f"is '{found[1]}', but must be {allowed}")
    return found[1].lower()


def _address(reading: _Reading) -> Static | str | None:
    found, gate = reading.one("address"), reading.one("gateway")
    static = None
    if found is not None and found[1].lower() != "dhcp":
        try:
            static = Static(ipaddress.ip_interface(found[1]))
        except ValueError:
            static = None
        if static is None or "/" not in found[1]:
            allowed = "dhcp, or an address with its prefix, for example: address = 192.0.2.10/24"
            reading.complain(found[0], "address", f"is '{found[1]}', but must be {allowed}")
            return None
    if gate is None:
        return static if static is not None or found is None else "dhcp"
    if static is None:
        reading.complain(
            gate[0], "gateway", "goes with a fixed address only; add one, for example: address = 192.0.2.10/24"
        )
        return None
    gateway = _ip(gate[1])
    if gateway is None or ipaddress.ip_address(gateway) not in static.address.network:
        reading.complain(gate[0], "gateway", f"is '{gate[1]}', but must be an address in {static.address.network}")
        return None
    return Static(static.address, ipaddress.ip_address(gateway))


def _ip(word: str) -> str | None:
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        return None


def _network(word: str) -> str | None:
    try:
        return str(ipaddress.ip_network(word, strict=False))
    except ValueError:
        return None


def _server(word: str) -> str | None:
    return word if SERVER.fullmatch(word) else None


def _keys(reading: _Reading, key: str) -> tuple[str, ...]:
    good = []
    for number, value in reading.lines.get(key, []):
        words = value.split()
        if len(words) >= 2 and words[0] in KEY_TYPES and _is_key(words[0], words[1]):
            good.append(" ".join(words))
        else:
            shown = value if len(value) <= 40 else f"{value[:37]}..."
            form = "must be one whole line of a .pub file: ssh-ed25519 AAAA... name"
            reading.complain(number, key, f"'{shown}' is no public key; it {form}")
    return tuple(dict.fromkeys(good))


def _is_key(kind: str, text: str) -> bool:
    """Whether the second word is a key of the first word's type (which it repeats inside)."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + length] == kind.encode() and len(blob) >= 4 + length + 32


def _assignments(reading: _Reading, access: tuple[str, ...]) -> tuple[Assignment, ...]:
    """What goes into the PMU's configuration, whose own rules say whether the values are right."""
    given = {key: reading.one(key) for key in ("station", "idcode", "nominal_frequency", "reporting_rate")}
    if given["reporting_rate"] is None:
        given["reporting_rate"] = given["nominal_frequency"]  # right at 50 and at 60
    settings = {
        "station": "station.name",
        "idcode": "station.idcode",
        "nominal_frequency": "station.nominal_frequency_hz",
        "reporting_rate": "station.reporting_rate_per_s",
    }
    result = [Assignment(found[0], key, settings[key], found[1]) for key, found in given.items() if found is not None]
    uncalibrated, permitted = reading.one("allow_uncalibrated"), reading.one("access")
    if uncalibrated is not None:
        value = {"yes": "true", "true": "true", "no": "false", "false": "false"}.get(uncalibrated[1].lower())
        if value is None:
            reading.complain(uncalibrated[0], "allow_uncalibrated", f"is '{uncalibrated[1]}', but must be yes or no")
        else:
            key = "allow_uncalibrated"
            result.append(Assignment(uncalibrated[0], key, "calibration.allow_uncalibrated", value))
    if permitted is not None and access:
        networks = "[" + ", ".join(f'"{network}"' for network in access) + "]"
        result.append(Assignment(permitted[0], "access", "server.access", networks))
    return tuple(result)
