"""A square wave from one of the board's PWM outputs, by the kernel's sysfs interface (Documentation/driver-api/pwm).

A channel is a folder with the files period and duty_cycle, both in ns, and enable. The BeagleBone's EHRPWM1 (48302200)
drives P9.14; it counts the same crystal as the ADC, so the wave keeps its place against the scans.
"""

from __future__ import annotations

from pathlib import Path

from rpmu.errors import HardwareError

CLASS = Path("/sys/class/pwm")
EHRPWM1 = "48302200.pwm"
CHANNEL = 0  # EHRPWM1A: P9.14
NS_PER_S = 1e9


def find_pwm(folder: Path = CLASS, device: str = EHRPWM1) -> Path:
    """The channel's folder of a PWM device, exported if it was not.

    Raises:
        HardwareError: there is no such device, or it cannot be exported.
    """
    for chip in sorted(folder.glob("pwmchip*")):
        if (chip / "device").resolve().name == device:
            return exported(chip)
    raise HardwareError(
        f"{folder} has no PWM of {device}: enable it with rpmu's device-tree overlay (docs/hardware.md), or give --pwm"
    )


def exported(chip: Path) -> Path:
    """A chip's channel, asked for if it is not there yet.

    Raises:
        HardwareError: the kernel refuses.
    """
    channel = chip / f"pwm{CHANNEL}"
    if not channel.is_dir():
        _write(chip / "export", CHANNEL)
    return channel


class SquareWave:
    """The output.

    Args:
        channel: its folder, such as /sys/class/pwm/pwmchip0/pwm0.

    Raises:
        HardwareError: there is no such folder.
    """

    def __init__(self, channel: Path) -> None:
        if not (channel / "period").exists():
            raise HardwareError(f"{channel} is no exported PWM channel: it has no file period")
        self._channel = channel

    def start(self, frequency_hz: float) -> None:
        """Half the time high, half low.

        Raises:
            HardwareError: the kernel refuses.
        """
        half_ns = round(NS_PER_S / frequency_hz / 2)
        self.stop()
        _write(self._channel / "duty_cycle", 0)  # a period shorter than the present duty cycle is refused
        _write(self._channel / "period", 2 * half_ns)
        _write(self._channel / "duty_cycle", half_ns)
        _write(self._channel / "enable", 1)

    def stop(self) -> None:
        """Low all the time.

        Raises:
            HardwareError: the kernel refuses.
        """
        _write(self._channel / "enable", 0)


def _write(file: Path, value: int) -> None:
    try:
        file.write_text(f"{value}\n", encoding="ascii")
    except OSError as error:
        raise HardwareError(f"{file}: cannot write {value}: {error.strerror}; run as root?") from error
