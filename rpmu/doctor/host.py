"""Checks of any machine: configuration, disk, network and ports, what is installed."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rpmu import rooms
from rpmu.doctor.finding import Finding, fail, ok, warn
from rpmu.doctor.subject import Subject
from rpmu.errors import InputError
from rpmu.serve import parse_address

LITTLE_BYTES, TOO_LITTLE_BYTES = 64 << 20, 8 << 20
DATA_LOST = "run/rpmu-image/data-lost"  # written by the initramfs of the image (image/initramfs-init)
CONNECT_S = 2.0
PACKAGES = {"numpy": "numpy", "serial": "pyserial", "pynmea2": "pynmea2"}


def configuration(subject: Subject) -> Finding:
    """Whether the file is there and valid."""
    if subject.config_problem:
        step = f"mend it; `rpmu config check {subject.config_file}` says everything that is wrong"
        return fail("configuration", subject.config_problem, step)
    if not subject.config_file.is_file():
        step = f"`rpmu config show > {subject.config_file}` writes one with every setting explained"
        return warn("configuration", f"{subject.config_file} does not exist; defaults are in force", step)
    station = subject.config.station
    return ok("configuration", f"{subject.config_file}: {station.name}, IDCODE {station.idcode}")


def certificate(subject: Subject) -> Finding | None:
    """Whether the daemon will start with the configured calibration; a running one is asked instead."""
    if not subject.on_board or subject.status is not None:
        return None
    try:
        found = rooms.board_calibration(subject.config, datetime.now(UTC).date())
    except InputError as error:
        return fail("calibration", str(error), "the daemon will not start before: `rpmu calibrate --help`")
    return ok("calibration", found.origin)


def packages(_subject: Subject) -> Finding:
    """What the daemon imports."""
    missing = [project for module, project in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        step = "apt-get install python3-numpy python3-serial python3-nmea2"
        return fail("packages", f"not installed: {', '.join(missing)}", step)
    return ok("packages", ", ".join(f"{project} {_version(project)}" for project in PACKAGES.values()))


def _version(project: str) -> str:
    try:
        return metadata.version(project)
    except metadata.PackageNotFoundError:
        return "(version unknown)"


def emulator(subject: Subject) -> Finding | None:
    """Whether the digital twin can run; only of interest where there is no board."""
    if subject.on_board or importlib.util.find_spec("rpmu.twin") is None:
        return None
    from rpmu.twin.emulator_library import LIBRARY  # a board's package has no twin

    if LIBRARY.exists():
        return ok("emulator", "the PRU emulator is built: `rpmu twin` can run")
    return warn("emulator", f"{LIBRARY} is missing", "install gcc and run `make emulator`, or reinstall rpmu")


def disk(subject: Subject) -> Finding:
    """Room for configuration revisions and the journal, and whether the card's data partition holds them."""
    lost = subject.text(DATA_LOST)
    if lost:
        step = "write the card anew (docs/install.md); until then every change is lost with the power"
        return fail("disk", f"{lost}; configuration and settings are in memory only", step)
    places = (subject.root / "var/lib/rpmu", subject.root / "var/lib", subject.root)
    place = next(path for path in places if path.is_dir())
    return judge_disk(place, shutil.disk_usage(place).free)


def judge_disk(place: Path, free_bytes: int) -> Finding:
    """By the bytes that are free there."""
    evidence = f"{free_bytes >> 20} MiB free at {place}"
    step = "`journalctl --vacuum-size=16M`, `apt-get clean`, and look with `du -xh / | sort -h | tail`"
    if free_bytes < TOO_LITTLE_BYTES:
        return fail("disk", evidence, step)
    return warn("disk", evidence, step) if free_bytes < LITTLE_BYTES else ok("disk", evidence)


def network(subject: Subject) -> Finding:
    """Whether an interface has a link."""
    up: list[str] = []
    down: list[str] = []
    for folder in sorted((subject.root / "sys/class/net").glob("*")):
        if folder.name != "lo":
            state = subject.text(f"sys/class/net/{folder.name}/operstate")
            (up if state in ("up", "unknown") else down).append(folder.name)
    if up:
        return ok("network", f"up: {', '.join(up)}")
    evidence = f"no interface is up ({', '.join(down) or 'there is none'})"
    return warn("network", evidence, "plug in the cable, then `networkctl` or `ip addr`")


def ports(subject: Subject) -> list[Finding]:
    """For every address to listen on: with a daemon, that it answers; without, that the port is free."""
    if subject.config.server.transport == "udp":
        return []
    return [_port(listen, subject.status is not None) for listen in subject.config.server.listen]


def _port(listen: str, running: bool) -> Finding:
    name, address = "port", parse_address(listen)
    answers = _answers(address.host, address.port)
    if running:
        if answers:
            return ok(name, f"{listen} answers")
        return fail(name, f"{listen} does not answer, though a daemon runs", "does it run with this configuration?")
    if answers:
        step = f"`ss -ltnp 'sport = :{address.port}'` names the program; stop it, or set [server] listen"
        return fail(name, f"{listen} is in use by another program", step)
    return ok(name, f"{listen} is free")


def _answers(host: str, port: int) -> bool:
    """Whether a server listens there; the wildcard addresses are asked on loopback."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    try:
        with socket.create_connection((target, port), timeout=CONNECT_S):
            return True
    except OSError:
        return False


def listens_outside(subject: Subject) -> Finding | None:
    """Whether a PDC on another machine could connect."""
    server = subject.config.server
    if server.spontaneous or any(not _loopback(listen) for listen in server.listen):
        return None
    step = '`rpmu config set FILE server.listen=["0.0.0.0:4712"]` and an access list'
    return warn("reachable", f"listens on {', '.join(server.listen)} only: no PDC outside can connect", step)


def _loopback(listen: str) -> bool:
    host = parse_address(listen).host
    return host in ("localhost", "::1") or host.startswith("127.")


def destinations(subject: Subject) -> list[Finding]:
    """For every destination of spontaneous data: that there is a way to it."""
    return [_route(destination) for destination in subject.config.server.spontaneous]


def _route(destination: str) -> Finding:
    name, address = "PDC route", parse_address(destination)
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)  # sends nothing; asks the routing table
            return ok(name, f"{destination} by way of {probe.getsockname()[0]}")
    except OSError as error:
        return fail(name, f"{destination}: {error.strerror or error}", "`ip route get` the address; set a route or DNS")
