"""Checks of the board below the daemon: kernel, device tree, modules, PRU, firmware, and the pins."""

from __future__ import annotations

import hashlib
import re

from rpmu.acquire import layout
from rpmu.acquire.link import IMAGE_FOLDER, SHARED_RAM_ARM_ADDRESS
from rpmu.acquire.mapping import uio_maps
from rpmu.acquire.remoteproc import CORE_NAMES, FIRMWARE_NAME
from rpmu.acquire.uio import UioLink
from rpmu.doctor.finding import Finding, fail, ok, warn
from rpmu.doctor.pins import PinReader, read_pin
from rpmu.doctor.subject import Subject
from rpmu.errors import HardwareError

TESTED_KERNEL = (6, 12)  # Debian 13's; its modules of the PRU are what the package is made for
FIX_READINGS, FIX_INTERVAL_S = 50, 0.05


def hardware(subject: Subject) -> Finding:
    """Whether this is the board at all."""
    if subject.on_board:
        return ok("board", subject.board)
    what = subject.board or "no device tree: a PC or a virtual machine"
    if subject.status is not None:
        return ok("board", f"{what}, but a daemon runs (a twin, or a replay)")
    return warn("board", f"{what}; this is no BeagleBone", "run `rpmu twin` for the whole PMU without hardware")


def kernel(subject: Subject) -> Finding | None:
    """Its release."""
    release = subject.text("proc/sys/kernel/osrelease")
    if not subject.on_board:
        return None
    number = re.match(r"(\d+)\.(\d+)", release)
    if number and (int(number[1]), int(number[2])) >= TESTED_KERNEL:
        return ok("kernel", release)
    return warn("kernel", release or "unknown", "prefer Debian 13's 6.12, which rpmu's PRU modules are made for")


def device_tree(subject: Subject) -> Finding | None:
    """Whether the PRU subsystem is in it and enabled."""
    if not subject.on_board:
        return None
    nodes = sorted((subject.root / "proc/device-tree").rglob("pruss@*"))
    if not nodes:
        return fail("device tree", "it has no pruss node", "boot with rpmu's merged device tree (docs/install.md)")
    path = nodes[0].relative_to(subject.root)
    state = subject.text(f"{path}/status").strip("\0") or "okay"
    if state not in ("okay", "ok"):
        return fail("device tree", f"/{path} is {state}", "enable the pruss node (docs/install.md)")
    return ok("device tree", f"/{path} is enabled")


def pru_modules(subject: Subject) -> Finding | None:
    """Whether the kernel drives the PRU."""
    if not subject.on_board:
        return None
    wanted = ("pruss", "irq_pruss_intc", "pru_rproc")
    missing = [name for name in wanted if not subject.exists(f"sys/module/{name}")]
    if not missing:
        return ok("PRU modules", ", ".join(wanted))
    if subject.exists("sys/module/uio_pruss"):
        return ok("PRU modules", "uio_pruss")
    return fail(
        "PRU modules",
        f"not loaded: {', '.join(missing)}",
        "`systemctl start rpmu-pru`; if modprobe does not find them, build them for this kernel (docs/install.md)",
    )


def pru_core(subject: Subject) -> Finding | None:
    """State of PRU0."""
    for folder in sorted((subject.root / "sys/class/remoteproc").glob("remoteproc*")):
        path = folder.relative_to(subject.root)
        if subject.text(f"{path}/name") == CORE_NAMES[0]:
            return _core_state(subject, folder.name, subject.text(f"{path}/state"), subject.text(f"{path}/firmware"))
    if not subject.on_board:
        return None
    if UioLink(root=subject.root).present():
        return ok("PRU core", "reached through UIO")
    return fail("PRU core", f"no remoteproc entry named {CORE_NAMES[0]}", "see PRU modules and device tree")


def _core_state(subject: Subject, name: str, state: str, firmware: str) -> Finding:
    evidence = f"{name} is {state or 'unreadable'} with firmware {firmware or '(none)'}"
    if state in ("running", "attached"):
        if firmware == FIRMWARE_NAME:
            return ok("PRU core", evidence)
        return fail("PRU core", evidence, f"another program has the PRU: stop it; rpmu loads {FIRMWARE_NAME} itself")
    if state == "crashed" or subject.status is not None:
        return fail("PRU core", evidence, "`dmesg | grep -i pru`, then `systemctl restart rpmu`")
    return warn("PRU core", evidence, "it starts with the daemon: `systemctl start rpmu`")


def firmware(subject: Subject) -> Finding:
    """Whether the image is the shipped one, here and where the kernel takes it from."""
    sums = dict(line.split()[::-1] for line in (IMAGE_FOLDER / "SHA256SUMS").read_text().splitlines())
    for name, expected in sums.items():
        if hashlib.sha256((IMAGE_FOLDER / name).read_bytes()).hexdigest() != expected:
            return fail("firmware", f"{IMAGE_FOLDER / name} is not the one of SHA256SUMS", "reinstall rpmu")
    installed = subject.root / "lib/firmware" / FIRMWARE_NAME
    if installed.is_file() and hashlib.sha256(installed.read_bytes()).hexdigest() != sums["sampler.elf"]:
        return fail("firmware", f"{installed} is of another version", "reinstall the package rpmu, or delete the file")
    return ok("firmware", f"sampler.elf {sums['sampler.elf'][:12]}" + (", installed" if installed.is_file() else ""))


def shared_memory(subject: Subject) -> Finding | None:
    """The way to the ring."""
    if not subject.on_board:
        return None
    maps = uio_maps(subject.root / "sys/class/uio", subject.root / "dev")
    for uio in maps:
        end = uio.address + uio.size
        if uio.address <= SHARED_RAM_ARM_ADDRESS and end >= SHARED_RAM_ARM_ADDRESS + layout.SHARED_RAM_BYTES:
            return ok("shared memory", f"{uio.device.name} map {uio.index} at {uio.address:#x}")
    return warn(
        "shared memory",
        "no UIO node shows it: only /dev/mem is left, which the user rpmu may not open",
        "add the generic-uio node to the device tree, or the drop-in for CAP_SYS_RAWIO (docs/install.md)",
    )


def adc_driver(subject: Subject) -> Finding | None:
    """Whether the kernel leaves the ADC alone."""
    if not subject.on_board:
        return None
    rivals = [name for name in ("ti_am335x_tscadc", "ti_am335x_adc") if subject.exists(f"sys/module/{name}")]
    if not rivals:
        return ok("ADC driver", "the kernel leaves the ADC to the PRU")
    return fail(
        "ADC driver", f"the kernel drives the ADC too ({', '.join(rivals)})", f"`modprobe -r {' '.join(rivals[::-1])}`"
    )


def receiver_port(subject: Subject) -> Finding | None:
    """Whether the receiver's serial port exists."""
    device = subject.config.gps.device
    if subject.exists(device):
        return ok("GPS port", device)
    if not subject.on_board:
        return None
    ports = sorted(path.name for pattern in ("ttyO*", "ttyS*") for path in (subject.root / "dev").glob(pattern))
    return fail(
        "GPS port",
        f"{device} does not exist; there are {', '.join(ports) or 'no serial ports'}",
        "enable UART4 in the device tree, install the udev rule, or set [gps] device",
    )


def fix_pin(subject: Subject) -> Finding | None:
    """The receiver's FIX output: it blinks every second without a fix, and is quiet with one."""
    if subject.fix_pin is None:
        return None
    reader: PinReader = subject.read_pin or read_pin
    try:
        levels = reader(subject.fix_pin, FIX_READINGS, FIX_INTERVAL_S)
    except HardwareError as error:
        return warn("FIX pin", str(error), "name the pin as on the header (--fix-pin P9_12), or go by NMEA")
    if blinks(levels, FIX_INTERVAL_S):
        return warn("FIX pin", f"{subject.fix_pin} blinks: the receiver has no fix", "give the antenna more sky")
    return ok("FIX pin", f"{subject.fix_pin} is quiet: the receiver has a fix, or the pin is not wired")


def blinks(levels: list[bool], interval_s: float) -> bool:
    """Whether a FIX output says "no fix": high or low for about a second each (Adafruit Ultimate GPS).

    With a fix it is low but for a pulse of 200 ms every 15 s, so a high level that lasts longer is none.

    Args:
        levels: readings.
        interval_s: between two of them.
    """
    longest = run = 0
    for level in levels:
        run = run + 1 if level else 0
        longest = max(longest, run)
    return longest * interval_s > 0.4 and not all(levels)


def watchdog(subject: Subject) -> Finding | None:
    """The hardware's, which restarts a board that hangs."""
    if not subject.on_board:
        return None
    for folder in sorted((subject.root / "sys/class/watchdog").glob("watchdog*")):
        path = folder.relative_to(subject.root)
        state = subject.text(f"{path}/state")
        if state == "active":
            return ok("watchdog", f"{folder.name} is active, {subject.text(f'{path}/timeout') or '?'} s")
        remedy = "set RuntimeWatchdogSec=30s in /etc/systemd/system.conf and restart"
        return warn("watchdog", f"{folder.name} is {state or 'of unknown state'}: nobody feeds it", remedy)
    return warn("watchdog", "there is none", "load the module omap_wdt early: U-Boot's watchdog bites after 60 s")
