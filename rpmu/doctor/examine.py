"""Every check in the order of the signal, and what the whole comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rpmu.doctor import board, host
from rpmu.doctor.finding import Finding, Level
from rpmu.doctor.running import examine_running
from rpmu.doctor.subject import Subject
from rpmu.errors import HardwareError

Check = Callable[[Subject], Finding | list[Finding] | None]

CHECKS: tuple[Check, ...] = (
    board.hardware,
    board.kernel,
    board.device_tree,
    board.pru_modules,
    board.pru_core,
    board.firmware,
    board.shared_memory,
    board.adc_driver,
    board.receiver_port,
    board.fix_pin,
    board.watchdog,
    host.configuration,
    host.certificate,
    host.packages,
    host.emulator,
    host.disk,
    host.network,
    host.ports,
    host.listens_outside,
    host.destinations,
    examine_running,
)


def examine(subject: Subject) -> list[Finding]:
    """Carry out every check that applies to the machine."""
    findings: list[Finding] = []
    for check in CHECKS:
        found = check(subject)
        if found is not None:
            findings += found if isinstance(found, list) else [found]
    return findings


def exit_code(subject: Subject, findings: Iterable[Finding]) -> int:
    """0 nothing failed, 1 something did, 4 neither a board nor a running daemon."""
    if not subject.on_board and subject.status is None:
        return HardwareError.exit_code
    return int(any(finding.level is Level.FAIL for finding in findings))
