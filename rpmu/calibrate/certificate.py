"""Certificates on disk: one TOML file each, hashed, numbered, never overwritten.

The hash is over the content (every table but `[site]` and `[integrity]`, rendered again), so comments and layout may
change and numbers may not. A history is a folder of `certificate-0001.toml`, `certificate-0002.toml`, ...; each names
its predecessor's hash, so that a missing or exchanged one shows. Needs no scipy: the daemon reads these.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from rpmu.calibrate.record import Adc, Channel, Device, Issue, Point, Reference, Site, Temperature, Uncertainty
from rpmu.calibrate.record import Verification as VerificationPoint
from rpmu.calibrate.tables import read_table, refuse_unknown, render_table
from rpmu.errors import InputError

SCHEMA = 1
SERIAL_FILE = Path("/proc/device-tree/serial-number")
_SINGLE = {
    "device": Device,
    "certificate": Issue,
    "reference": Reference,
    "uncertainty": Uncertainty,
    "adc": Adc,
    "temperature": Temperature,
}
_LISTS = {"channel": Channel, "point": Point, "verification": VerificationPoint}
_NAME = re.compile(r"certificate-(\d{4,})\.toml")


@dataclass(frozen=True)
class Certificate:
    """What is known of one device, how, and how well."""

    device: Device
    certificate: Issue
    reference: Reference
    uncertainty: Uncertainty
    channel: tuple[Channel, ...]
    adc: Adc = field(default_factory=Adc)
    temperature: Temperature = field(default_factory=Temperature)
    point: tuple[Point, ...] = ()
    verification: tuple[VerificationPoint, ...] = ()
    site: Site = field(default_factory=Site)

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.channel]
        if not names or len(set(names)) < len(names):
            raise InputError(f"a certificate needs one or more channels of different names, but has {names}")
        if self.certificate.valid_until_utc < self.certificate.date_utc:
            raise InputError("[certificate] valid_until_utc lies before date_utc")
        if len(self.uncertainty.band_hz) != 2 or self.uncertainty.band_hz[0] >= self.uncertainty.band_hz[1]:
            raise InputError("[uncertainty] band_hz must be two rising frequencies, such as [55.0, 65.0]")

    @property
    def content(self) -> str:
        """All tables under the hash, as canonical TOML."""
        parts = [f"schema = {SCHEMA}\n"]
        parts += [render_table(f"[{name}]", getattr(self, name)) for name in _SINGLE]
        parts += [render_table(f"[[{name}]]", item) for name in _LISTS for item in getattr(self, name)]
        return "\n".join(parts)

    @property
    def sha256(self) -> str:
        """Hash of the content."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def identity(self) -> str:
        """By what a running daemon says that it works with this certificate."""
        return f"certificate {self.sha256[:16]}"

    def render(self) -> str:
        """The whole file."""
        site = "# Site data: not under the hash, yours to edit.\n" + render_table("[site]", self.site)
        return "\n".join([self.content, site, f'[integrity]\nsha256 = "{self.sha256}"\n'])

    def expired(self, today: date) -> bool:
        """Whether it no longer holds on this day."""
        return today > self.certificate.valid_until_utc

    def refuse_other(self, serial: str, channels: tuple[str, ...]) -> None:
        """Refuse to be used for another device, or for other channels.

        Raises:
            InputError: it was made for another one.
        """
        if serial != self.device.serial:
            raise InputError(
                f"the certificate is for the device with serial {self.device.serial!r}, but this one is {serial!r}; "
                "calibrate this device, or set [calibration] serial if the board tells no or a wrong one"
            )
        missing = [name for name in channels if name not in {channel.name for channel in self.channel}]
        if missing:
            have = ", ".join(channel.name for channel in self.channel)
            raise InputError(f"the certificate has no channel {', '.join(missing)} (it has {have}); calibrate again")

    def channel_named(self, name: str) -> Channel:
        """The channel of that name.

        Raises:
            InputError: there is none.
        """
        for channel in self.channel:
            if channel.name == name:
                return channel
        raise InputError(f"the certificate has no channel {name}")


def parse_certificate(text: str, where: str) -> Certificate:
    """A certificate from its text.

    Args:
        text: of the file.
        where: its name, for the sentences.

    Raises:
        InputError: it is not a certificate, or was changed since it was made.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: is not TOML: {error}") from error
    refuse_unknown(f"{where}: the top", content, ["schema", *_SINGLE, *_LISTS, "site", "integrity"])
    if content.get("schema") != SCHEMA:
        raise InputError(f"{where}: schema is {content.get('schema')!r}, but this version reads schema {SCHEMA}")
    try:
        certificate = _certificate(content, where)
    except InputError as error:
        sentence = str(error)
        raise InputError(sentence if sentence.startswith(where) else f"{where}: {sentence}") from error
    _check_hash(content, certificate, where)
    return certificate


def _certificate(content: Mapping[str, Any], where: str) -> Certificate:
    tables: dict[str, Any] = {}
    for name, kind in _SINGLE.items():
        tables[name] = read_table(kind, content.get(name, {}), f"{where}: [{name}]")
    for name, kind in _LISTS.items():
        rows = content.get(name, [])
        if not isinstance(rows, list):
            raise InputError(f"{where}: {name} must be a list of tables, [[{name}]]")
        tables[name] = tuple(read_table(kind, row, f"{where}: [[{name}]] {i}") for i, row in enumerate(rows, 1))
    return Certificate(**tables, site=read_table(Site, content.get("site", {}), f"{where}: [site]"))


def _check_hash(content: Mapping[str, Any], certificate: Certificate, where: str) -> None:
    integrity = content.get("integrity")
    said = integrity.get("sha256") if isinstance(integrity, Mapping) else None
    if said != certificate.sha256:
        raise InputError(
            f"{where}: the content does not match its sha256, so it was changed by hand or damaged; take the file from "
            "the history again, or calibrate again (only [site] may be edited)"
        )


def read_certificate(path: str | Path) -> Certificate:
    """The certificate in a file, or the newest in a history folder.

    Raises:
        InputError: there is none, it is not a certificate, or was changed since it was made.
    """
    path = Path(path)
    if path.is_dir():
        files = history_files(path)
        if not files:
            raise InputError(f"{path}: holds no certificate-NNNN.toml; run `rpmu calibrate` first")
        path = files[-1]
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such certificate; run `rpmu calibrate` first") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return parse_certificate(text, str(path))


def history_files(folder: Path) -> list[Path]:
    """The certificates of a history, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=lambda path: _number_of(path.name)
    )


def _number_of(name: str) -> int:
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else 0


def read_history(folder: Path) -> list[tuple[Path, Certificate]]:
    """Every certificate of a history, oldest first, with the chain from each to its predecessor checked.

    Raises:
        InputError: one is broken, or the chain is.
    """
    history: list[tuple[Path, Certificate]] = []
    previous = ""
    for path in history_files(folder):
        certificate = read_certificate(path)
        if certificate.certificate.previous_sha256 != previous:
            raise InputError(f"{path}: does not follow from the certificate before it; one is missing or was exchanged")
        history.append((path, certificate))
        previous = certificate.sha256
    return history


def check_history(folder: Path, serial: str) -> list[tuple[Path, Certificate]]:
    """The history, if a certificate of this device may be added to it.

    Raises:
        InputError: it is broken, or of another device.
    """
    history = read_history(folder)
    if history and history[-1][1].device.serial != serial:
        raise InputError(f"{folder}: is the history of {history[-1][1].device.serial!r}, not of {serial!r}")
    return history


def add_to_history(folder: Path, certificate: Certificate) -> tuple[Path, Certificate]:
    """Write a certificate as the next of a history; what is there stays.

    The file appears whole or not at all. Site data that is not given is taken over from the one before.

    Returns:
        The file, and the certificate as written (number and predecessor filled in).

    Raises:
        InputError: the history is broken, belongs to another device, or cannot be written.
    """
    history = check_history(folder, certificate.device.serial)
    last = history[-1][1] if history else None
    number = _number_of(history[-1][0].name) + 1 if history else 1
    issue = replace(certificate.certificate, number=number, previous_sha256=last.sha256 if last else "")
    site = last.site if last is not None and certificate.site == Site() else certificate.site
    final = replace(certificate, certificate=issue, site=site)
    parse_certificate(final.render(), "the new certificate")  # what could not be read again is not written
    return _write_new(folder, f"certificate-{number:04d}.toml", final), final


def _write_new(folder: Path, name: str, certificate: Certificate) -> Path:
    """Write beside, sync, then link: a link fails where a file is, a rename would replace it."""
    draft = folder / f".{name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("x", encoding="utf-8") as stream:
            stream.write(certificate.render())
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(0o644)
        os.link(draft, folder / name)
    except OSError as error:
        raise InputError(f"{folder / name}: cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return folder / name


def device_serial(configured: str | None, file: Path = SERIAL_FILE) -> str:
    """This board's serial: the configured one, or what the kernel's device tree says.

    Raises:
        InputError: neither says.
    """
    if configured is not None:
        return configured
    try:
        serial = file.read_bytes().rstrip(b"\0").decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        serial = ""
    if not serial:
        raise InputError(
            f"{file} tells no serial number (no BeagleBone?); give the one on the board's sticker with --serial, "
            "or in the configuration as [calibration] serial"
        )
    return serial
