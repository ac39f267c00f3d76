"""Carry out what `rpmu-setup.txt` asks for: texts of system files, and the PMU's configuration by its own machinery.

First everything is worked out and checked, then it is written; each file is the old one or the new one whenever the
power goes, and doing all of it again changes nothing.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from rpmu import config
from rpmu.config.disk import RealDisk, put
from rpmu.config.edit import assign, parse_assignment
from rpmu.config.locate import Path as Key
from rpmu.errors import InputError
from rpmu.update.system import NAMESPACE

from .setup_file import NAME, Assignment, Setup, SetupError, Static

NETWORK = "etc/systemd/network/50-rpmu-setup.network"
TIME_SERVERS = "etc/chrony/sources.d/rpmu-setup.sources"
FIREWALL = "etc/rpmu/nftables.conf"
SIGNER = f'publisher namespaces="{NAMESPACE}" {{key}}\n'
EVERYWHERE = 'server.listen=["0.0.0.0:4712"]'
NOBODY = {4: "127.0.0.1", 6: "::1"}


def system_files(setup: Setup, root: Path) -> dict[str, str | None]:
    """Files of the system that the setup decides, by their path from the root; None for those that must go.

    Args:
        setup: what is asked for.
        root: of the file system, for what is there now.
    """
    files: dict[str, str | None] = {}
    if setup.hostname is not None:
        files["etc/hostname"] = f"{setup.hostname}\n"
        files["etc/hosts"] = f"127.0.0.1 localhost\n127.0.1.1 {setup.hostname}\n::1 localhost ip6-localhost\n"
    if setup.address is not None or setup.dns:
        files[NETWORK] = network_file(setup)
    if setup.ntp:
        files[TIME_SERVERS] = "".join(f"server {server} iburst\n" for server in setup.ntp)
    if setup.admin_keys:
        files["etc/rpmu/admin_keys"] = "".join(f"{key}\n" for key in setup.admin_keys)
    if setup.update_keys:
        files["etc/rpmu/update_signers"] = "".join(SIGNER.format(key=key) for key in setup.update_keys)
    if setup.login_keys:
        files["etc/rpmu/login_keys"] = "".join(f"{key}\n" for key in setup.login_keys)
    firewall = root / FIREWALL
    if setup.access and firewall.is_file():
        files[FIREWALL] = firewall_file(firewall.read_text(encoding="utf-8"), setup.access)
    return {name: text for name, text in files.items() if text != _present(root / name)}


def network_file(setup: Setup) -> str | None:
    """What systemd-networkd is told; None where the image's own file (DHCP) says it already."""
    lines = [f"DNS={server}" for server in setup.dns]
    if isinstance(setup.address, Static):
        lines.insert(0, f"Address={setup.address.address}")
        if setup.address.gateway is not None:
            lines.append(f"Gateway={setup.address.gateway}")
    elif setup.dns:
        lines.insert(0, "DHCP=yes")
    else:
        return None
    return (
        "# from rpmu-setup.txt\n[Match]\nType=ether\n\n[Network]\nLinkLocalAddressing=yes\n" + "\n".join(lines) + "\n"
    )


def firewall_file(text: str, access: tuple[str, ...]) -> str:
    """The packet filter's rules with other networks for PDCs."""
    networks = [ipaddress.ip_network(network) for network in access]
    for version in (4, 6):
        chosen = [str(network) for network in networks if network.version == version] or [NOBODY[version]]
        define = f"define pdc_v{version} = {{ {', '.join(chosen)} }}"
        text = re.sub(rf"^define pdc_v{version} = .*$", define, text, flags=re.MULTILINE)
    return text


def configuration(setup: Setup, present: str) -> str:
    """The PMU's configuration file with the settings of the setup.

    Args:
        setup: what is asked for.
        present: the file as it is.

    Raises:
        SetupError: a value breaks the configuration's rules; each sentence names the line of the setup file.
    """
    text = present
    problems: list[str] = []
    lines: dict[Key, Assignment] = {}
    for wish in setup.assignments:
        try:
            key, value = parse_assignment(f"{wish.setting}={wish.value}")
            text = assign(text, key, value)
            lines[key] = wish
        except InputError as error:
            problems.append(f"{NAME}:{wish.line}: {wish.key}: {error}")
    if setup.access and _listens_to_itself_only(present):
        text = assign(text, *parse_assignment(EVERYWHERE))
    if problems:
        raise SetupError(problems)
    try:
        config.parse(text.encode(), "the configuration")
    except config.ConfigError as error:
        raise SetupError([_sentence(problem, lines) for problem in error.problems]) from error
    return text


def _sentence(problem: config.Problem, lines: dict[Key, Assignment]) -> str:
    wish = lines.get(problem.path)
    if wish is None:
        return f"{NAME}: with these settings the configuration would be wrong: {problem.sentence('rpmu.toml')}"
    return f"{NAME}:{wish.line}: {wish.key} {problem.text}"


def _listens_to_itself_only(text: str) -> bool:
    try:
        listen = config.parse(text.encode()).server.listen
    except config.ConfigError:
        return False
    return all(address.startswith(("127.", "[::1]", "localhost")) for address in listen)


def _present(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def write(files: dict[str, str | None], root: Path) -> None:
    """Put the files into place."""
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink(missing_ok=True)
        else:
            put(RealDisk(path.parent), path.name, text.encode())
