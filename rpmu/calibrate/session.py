"""A calibration in progress, as a JSON file: every reading is on disk before the next is asked for.

Interrupt it and start the same command again: what is there is not measured again. The file is the raw data whose
hash the certificate carries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rpmu.calibrate.fit import Reading
from rpmu.errors import InputError
from rpmu.mid_scale import MidScale

SCHEMA = 1
NEAR_HZ, NEAR_SHARE = 0.02, 0.005  # within these, a reading is at a planned point


@dataclass(frozen=True)
class Target:
    """A point of the plan.

    Attributes:
        frequency_hz: of the signal; None for whatever the line has.
        voltage_v: RMS volts; None for whatever there is.
        verify: keep it out of the fit.
    """

    frequency_hz: float | None
    voltage_v: float | None
    verify: bool = False


@dataclass(frozen=True)
class Entry:
    """One reading of one channel; see `Reading`.

    Attributes:
        divided: the converter's reference was divided out.
        dc_counts: the converter's mid-scale at the time; None where the PMU did not tell.
        u_dc_counts: see `MidScale`.
    """

    channel: str
    frequency_hz: float
    voltage_v: float
    real: float
    imag: float
    sigma: float
    verify: bool = False
    divided: bool = False
    dc_counts: float | None = None
    u_dc_counts: float = 0.0

    @property
    def mid_scale(self) -> MidScale | None:
        """The mid-scale at the time; None where the PMU did not tell."""
        return None if self.dc_counts is None else MidScale(self.dc_counts, self.u_dc_counts)

    @property
    def reading(self) -> Reading:
        """For the fit."""
        return Reading(self.frequency_hz, self.voltage_v, complex(self.real, self.imag), self.sigma)


@dataclass
class Session:
    """The file.

    Attributes:
        path: of the file.
        about: what must stay the same when it is continued: method, serial, profile, ...
        entries: readings so far.
    """

    path: Path
    about: Mapping[str, Any]
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, about: Mapping[str, Any]) -> Session:
        """Begin, or continue what is there.

        Raises:
            InputError: the file is of another calibration, or none at all.
        """
        if not path.exists():
            return cls(path, dict(about))
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = cls(path, content["about"], [Entry(**entry) for entry in content["entries"]])
            said = content["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: is not a calibration session ({error}); name another --session") from error
        if said != found.content_sha256:
            raise InputError(
                f"{path}: the readings do not match their sha256, so the file was changed by hand or damaged; name "
                "another --session and measure again"
            )
        for key, value in about.items():
            if found.about.get(key) != value:
                raise InputError(
                    f"{path}: was begun with {key} {found.about.get(key)!r}, not {value!r}; continue it with the same, "
                    "or name another --session"
                )
        return found

    def add(
        self,
        readings: Mapping[str, Reading],
        verify: bool,
        divided: bool = False,
        mid_scales: Mapping[str, MidScale] | None = None,
    ) -> None:
        """Add the readings of one point and put the file on disk."""
        for channel, r in readings.items():
            h, rest = r.response, (mid_scales or {}).get(channel)
            told = (None, 0.0) if rest is None else (rest.counts, rest.u_counts)
            entry = Entry(channel, r.frequency_hz, r.voltage_v, h.real, h.imag, r.sigma, verify, divided, *told)
            self.entries.append(entry)
        entries = [asdict(entry) for entry in self.entries]
        content = {"schema": SCHEMA, "about": self.about, "entries": entries, "sha256": self.content_sha256}
        draft = self.path.with_name(self.path.name + ".new")
        try:
            draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error

    def remaining(self, plan: list[Target]) -> list[Target]:
        """The points of the plan that no reading stands for yet."""
        names = {entry.channel for entry in self.entries}
        free = [entry for entry in self.entries if entry.channel == min(names)]
        left = []
        for target in plan:
            match = next((entry for entry in free if _stands_for(entry, target)), None)
            if match is None:
                left.append(target)
            else:
                free.remove(match)
        return left

    @property
    def channels(self) -> list[str]:
        """Names of the channels, in the order they were read."""
        return list(dict.fromkeys(entry.channel for entry in self.entries))

    @property
    def content_sha256(self) -> str:
        """Hash of what was read, whatever the layout of the file."""
        content = json.dumps([self.about, [asdict(entry) for entry in self.entries]], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def kept_name(self) -> str:
        """Name of its copy beside the certificate."""
        return f"readings-{self.sha256[:12]}.json"

    def keep_copy(self, path: Path) -> None:
        """Copy the file to where it stays.

        Raises:
            InputError: it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}") from error

    def put_aside(self) -> None:
        """Rename the file of what is finished, so that the same command begins anew."""
        self.path.replace(self.path.with_suffix(".done.json"))

    @property
    def sha256(self) -> str:
        """Hash of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def _stands_for(entry: Entry, target: Target) -> bool:
    frequency = target.frequency_hz is None or abs(entry.frequency_hz - target.frequency_hz) <= NEAR_HZ
    level = target.voltage_v is None or abs(entry.voltage_v / target.voltage_v - 1) <= NEAR_SHARE
    return frequency and level and entry.verify == target.verify
