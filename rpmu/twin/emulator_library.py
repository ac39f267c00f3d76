"""The C library of the PRU emulator as ctypes sees it: structures and signatures of `emulator/emulator.h`.

Only `rpmu/twin/pruss.py` uses this. A structure here and in the header must have the same fields in the same order.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from rpmu.errors import HardwareError

LIBRARY = Path(__file__).with_name("_emulator.so")
REBUILD = "delete it and run 'make emulator', or reinstall rpmu"

_HANDLE, _INT, _UINT32, _SIZE, _DOUBLE = (
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint32,
    ctypes.c_size_t,
    ctypes.c_double,
)


class CBus(ctypes.Structure):
    """BusTiming."""

    _fields_ = [
        (name, ctypes.c_uint32)
        for name in (
            *("local_ram_read", "local_ram_write", "cfg_read", "ctrl_read", "iep_read", "local_device_write"),
            *("adc_read", "prcm_read", "l3_read", "ddr_read", "external_write", "external_jitter"),
        )
    ]


class CAdc(ctypes.Structure):
    """AdcErrors; the INL table goes beside it."""

    _fields_ = [
        ("vref_v", ctypes.c_double),
        ("offset_lsb", ctypes.c_double),
        ("gain", ctypes.c_double),
        ("noise_lsb_rms", ctypes.c_double),
        ("extra_clocks_per_scan", ctypes.c_uint32),
        ("extra_clock_per_average", ctypes.c_uint32),
    ]


class CFault(ctypes.Structure):
    """Fault."""

    _fields_ = [
        ("kind", ctypes.c_int32),
        ("core", ctypes.c_int32),
        ("pc", ctypes.c_uint32),
        ("address", ctypes.c_uint32),
        ("cycle", ctypes.c_uint64),
        ("message", ctypes.c_char * 240),
    ]


class CProbe(ctypes.Structure):
    """Probe."""

    _fields_ = [
        ("visits", ctypes.c_uint64),
        ("last_cycle", ctypes.c_uint64),
        ("max_gap", ctypes.c_uint64),
        ("max_gap_cycle", ctypes.c_uint64),
        ("total_gap", ctypes.c_uint64),
        ("max_gap_pc", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class CStatistics(ctypes.Structure):
    """Statistics."""

    _fields_ = [
        ("instructions", ctypes.c_uint64 * 2),
        ("stall_cycles", ctypes.c_uint64 * 2),
        ("conversions", ctypes.c_uint64),
        ("overruns", ctypes.c_uint64),
        ("underflows", ctypes.c_uint64),
        ("words_dropped", ctypes.c_uint64),
        ("words_read", ctypes.c_uint64),
        ("protected_writes", ctypes.c_uint64),
        ("fifo_high_water", ctypes.c_uint64),
        ("count_reads", CProbe),
    ]


_F64 = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
_U32 = np.ctypeslib.ndpointer(np.uint32, flags="C_CONTIGUOUS")
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "create": (_HANDLE, (ctypes.POINTER(CBus), ctypes.POINTER(CAdc), _F64, _SIZE, _UINT32, _UINT32, ctypes.c_uint64)),
    "destroy": (None, (_HANDLE,)),
    "load": (ctypes.c_bool, (_HANDLE, _INT, _U32, _SIZE)),
    "start": (None, (_HANDLE, _INT, _UINT32)),
    "stop": (None, (_HANDLE, _INT)),
    "running": (ctypes.c_bool, (_HANDLE, _INT)),
    "skip_waiting": (None, (_HANDLE, ctypes.c_bool)),
    "run": (ctypes.c_bool, (_HANDLE, ctypes.c_uint64)),
    "cycle": (ctypes.c_uint64, (_HANDLE,)),
    "fault": (ctypes.POINTER(CFault), (_HANDLE,)),
    "host_fault": (ctypes.POINTER(CFault), (_HANDLE,)),
    "register": (_UINT32, (_HANDLE, _INT, _INT)),
    "set_register": (None, (_HANDLE, _INT, _INT, _UINT32)),
    "memory": (_HANDLE, (_HANDLE, _INT, ctypes.POINTER(_SIZE))),
    "share": (None, (_HANDLE, _HANDLE)),
    "filter": (None, (_F64, _F64, _SIZE, _F64, _F64, _F64, _SIZE)),
    "host_read": (ctypes.c_bool, (_HANDLE, _UINT32, ctypes.POINTER(_UINT32))),
    "host_write": (ctypes.c_bool, (_HANDLE, _UINT32, _UINT32)),
    "add_waveform": (
        ctypes.c_bool,
        (_HANDLE, _INT, _DOUBLE, _DOUBLE, _F64, _SIZE),
    ),
    "add_pulses": (ctypes.c_bool, (_HANDLE, _INT, _F64, _F64, _SIZE, _DOUBLE)),
    "add_pin_edges": (ctypes.c_bool, (_HANDLE, _INT, _INT, _F64, _F64, _SIZE)),
    "inject": (None, (_HANDLE, _INT, ctypes.c_uint64)),
    "statistics": (None, (_HANDLE, ctypes.POINTER(CStatistics))),
    "add_probe": (_INT, (_HANDLE, _INT, _UINT32)),
    "probe": (ctypes.c_bool, (_HANDLE, _INT, _INT, ctypes.POINTER(CProbe))),
    "reset_probes": (None, (_HANDLE,)),
}


def load_library() -> ctypes.CDLL:
    """The compiled emulator with its signatures set.

    Raises:
        HardwareError: it was not built, for want of a C compiler, or by another version or for another machine.
    """
    if not LIBRARY.exists():
        raise HardwareError(
            f"the PRU emulator is not built ({LIBRARY} is missing): install a C compiler (Debian: gcc) and run "
            "'make emulator', or reinstall rpmu"
        )
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise HardwareError(f"the PRU emulator cannot be loaded ({error}): {REBUILD}") from error
    for name, (result, arguments) in _SIGNATURES.items():
        try:
            function = getattr(library, f"emulator_{name}")
        except AttributeError:
            raise HardwareError(
                f"the PRU emulator {LIBRARY} was built from another version of rpmu (it has no emulator_{name}): "
                f"{REBUILD}"
            ) from None
        function.restype, function.argtypes = result, arguments
    return library
