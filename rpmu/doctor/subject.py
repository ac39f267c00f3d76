"""What the doctor examines: a file system, a configuration, and the status of the daemon if one runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpmu.config import Config
from rpmu.doctor.pins import PinReader


@dataclass(frozen=True)
class Subject:
    """One machine at one moment.

    Attributes:
        root: root of its file system.
        config: its configuration, or the default one if the file is missing or wrong.
        config_file: where that came from.
        config_problem: what is wrong with the file; empty if nothing.
        status: of the running daemon as `rpmu status --json` shows it; None if none answers.
        fix_pin: name of the pin with the receiver's FIX output; None if it is not wired.
        read_pin: reads a pin.
    """

    root: Path
    config: Config
    config_file: Path
    config_problem: str = ""
    status: Mapping[str, Any] | None = None
    fix_pin: str | None = None
    read_pin: PinReader | None = field(default=None, compare=False)

    @property
    def board(self) -> str:
        """Model of the board as the device tree names it; empty where there is no device tree."""
        return self.text("proc/device-tree/model").strip("\0 ")

    @property
    def on_board(self) -> bool:
        """Whether this is a BeagleBone, or something else with the same chip's PRU."""
        return "BeagleBone" in self.board or "AM335x" in self.board

    def text(self, path: str) -> str:
        """Content of a file below the root, stripped; empty if it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return ""

    def exists(self, path: str) -> bool:
        """Whether a path below the root exists; leading slashes do not matter."""
        return (self.root / path.lstrip("/")).exists()
