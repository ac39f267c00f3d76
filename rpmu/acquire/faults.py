"""What the firmware's faults mean and what to do about each."""

from __future__ import annotations

from rpmu.acquire import layout
from rpmu.errors import HardwareError

FAULTS = {
    layout.FAULT_PARAMS: (
        "it refused a parameter",
        "the firmware image and this version of rpmu do not fit together: load the image that rpmu ships",
    ),
    layout.FAULT_ADC_ABSENT: (
        "the ADC does not answer",
        "its module clock is off or this is no AM335x: check that the device tree leaves the ADC without a kernel "
        "driver (ti_am335x_tscadc), and look for the PRU and the ADC in `dmesg`",
    ),
    layout.FAULT_ADC_BUSY: (
        "the ADC's sequencer does not become idle",
        "something else drives the ADC: unbind the kernel driver ti_am335x_tscadc, or restart the board",
    ),
    layout.FAULT_ADC_SILENT: (
        "the ADC delivers no conversions",
        "something else drives the ADC, or its clock is off: unbind the kernel driver ti_am335x_tscadc, then restart",
    ),
}


def fault_error(code: int) -> HardwareError:
    """The firmware's fault (layout.FAULT_*), with what to do about it, as an exception to raise."""
    what, remedy = FAULTS.get(code, (f"it reports the unknown fault {code}", "load the image that rpmu ships"))
    return HardwareError(f"the PRU cannot sample: {what}; {remedy}")
