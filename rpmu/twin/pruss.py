"""The PRU subsystem and its ADC in emulation: the C library of `rpmu/twin/emulator` behind one class.

`Pruss` runs a firmware image against the AM335x as the TRM describes it, cycle by cycle: both cores, their memories,
CFG, CTRL, INTC, IEP, eCAP, TSC_ADC_SS with its clock gate, and a window of DDR. Time is in PRU cycles of 5 ns since
creation. Voltages are supplied ahead of time and sampled where the sequencer samples. What the chip would answer with
a hang or with silence is a `PruFault`. The contract of every call is in `rpmu/twin/emulator/emulator.h`.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from rpmu.errors import InputError
from rpmu.twin.emulator_library import CAdc, CBus, CFault, CProbe, CStatistics, load_library
from rpmu.twin.pruss_values import AdcErrors, AdcEvent, BusTiming, ProbeResult, PruFault, Statistics

__all__ = ["ECAP_PIN", "AdcErrors", "AdcEvent", "BusTiming", "ProbeResult", "PruFault", "Pruss", "Statistics"]

ECAP_PIN = 2  # in place of a core number in set_pin_edges

_FAULT_KINDS = ("none", "instruction", "address", "port_closed", "clock_gated", "not_modelled", "analog")
_COUNTERS = (
    *("conversions", "overruns", "underflows", "words_dropped", "words_read", "protected_writes"),
    "fifo_high_water",
)


def _floats(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"a sequence of numbers is needed, not an array of shape {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"number {np.argmin(np.isfinite(array))} of {len(array)} is not finite")
    return array


def _probe_result(probe: CProbe) -> ProbeResult:
    gaps = max(probe.visits - 1, 0)
    mean = probe.total_gap / gaps if gaps else 0.0
    return ProbeResult(probe.visits, probe.max_gap, probe.max_gap_cycle, probe.max_gap_pc, mean)


class Pruss:
    """One emulated PRU-ICSS with TSC_ADC_SS.

    The memoryviews stay valid as long as this object lives and may be used from another thread while `run_until` runs;
    the other methods wait for it.

    Args:
        bus: cycles per access.
        adc: errors of the converter.
        seed: of the ADC's noise and the bus jitter; the same seed gives the same run.
        ddr_base: bus address of the DDR window.
        ddr_bytes: its size.

    Attributes:
        shared_ram: 12 kB, PRU address 0x10000; memoryview of 32-bit words (format "I"), writable.
        dram0: 8 kB, PRU0's address 0; likewise.
        dram1: 8 kB, PRU1's address 0; likewise.
        ddr: the DDR window; likewise.
    """

    def __init__(
        self,
        bus: BusTiming | None = None,
        adc: AdcErrors | None = None,
        seed: int = 0,
        ddr_base: int = 0x9E000000,
        ddr_bytes: int = 256 * 1024,
    ) -> None:
        bus, adc = bus or BusTiming(), adc or AdcErrors()
        self._library = load_library()
        self._lock = threading.Lock()
        inl = _floats(adc.inl_lsb)
        c_bus = CBus(*(getattr(bus, field.name) for field in fields(bus)))
        c_adc = CAdc(
            adc.vref_v,
            adc.offset_lsb,
            adc.gain,
            adc.noise_lsb_rms,
            adc.extra_clocks_per_scan,
            int(adc.averaging_extra_clock),
        )
        self._handle = self._library.emulator_create(c_bus, c_adc, inl, len(inl), ddr_base, ddr_bytes, seed)
        if not self._handle:
            raise MemoryError("no memory for the PRU emulator")
        self._memory_owner = _Owner(self._library, self._handle)
        self.dram0, self.dram1, self.shared_ram, self.ddr = (self._memory(index) for index in range(4))

    def _memory(self, index: int) -> memoryview:
        size = ctypes.c_size_t()
        address = self._library.emulator_memory(self._handle, index, ctypes.byref(size))
        block = (ctypes.c_uint32 * (size.value // 4)).from_address(address)
        block.owner = self._memory_owner  # type: ignore[attr-defined]  # keeps the emulator alive as long as the view
        return memoryview(block).cast("B").cast("I")

    def share(self, memory: memoryview) -> None:
        """Let the shared RAM be memory that another process sees too; `shared_ram` shows it from then on.

        Args:
            memory: 12 KB in whole words, writable; its content is replaced by what the shared RAM holds.

        Raises:
            InputError: it has another size.
        """
        if memory.nbytes != self.shared_ram.nbytes:
            raise InputError(f"the shared RAM has {self.shared_ram.nbytes} bytes, not {memory.nbytes}")
        block = (ctypes.c_uint32 * (memory.nbytes // 4)).from_buffer(memory)
        with self._lock:
            self._library.emulator_share(self._handle, ctypes.addressof(block))
        self._shared = block  # keeps it mapped
        self.shared_ram = memory

    # ---- firmware ----

    def load(self, core: int, image: bytes) -> None:
        """Copy a raw image to the instruction memory of a stopped core.

        Args:
            core: 0 or 1.
            image: little-endian 32-bit words, at most 8192 bytes.

        Raises:
            InputError: the image does not fit, is not whole words, or the core runs.
        """
        self._check_core(core)
        if len(image) % 4 or len(image) > 8192:
            raise InputError(f"a PRU image is at most 8192 bytes of whole 32-bit words, this one has {len(image)}")
        words = np.frombuffer(image, "<u4").astype(np.uint32)
        with self._lock:
            if not self._library.emulator_load(self._handle, core, words, len(words)):
                raise InputError(f"PRU{core} runs: stop it before loading an image")

    def start(self, core: int, entry_word: int = 0) -> None:
        """Let a core run from `entry_word` at the next `run_until`."""
        self._check_core(core)
        with self._lock:
            self._library.emulator_start(self._handle, core, entry_word)

    def stop(self, core: int) -> None:
        """Stop a core where it is."""
        self._check_core(core)
        with self._lock:
            self._library.emulator_stop(self._handle, core)

    def running(self, core: int) -> bool:
        """Whether a core is enabled (it is not after HALT)."""
        self._check_core(core)
        return bool(self._library.emulator_running(self._handle, core))

    def run_until(self, cycle: int) -> None:
        """Run to PRU cycle `cycle` since creation; returns at once if that has passed.

        Raises:
            InputError: a negative cycle.
            PruFault: the run ended in a fault; it is final.
        """
        if cycle < 0:
            raise InputError(f"cannot run until cycle {cycle}: time starts at 0")
        with self._lock:
            if not self._library.emulator_run(self._handle, cycle):
                raise self._fault(self._library.emulator_fault(self._handle).contents)

    def skip_waiting(self, skip: bool) -> None:
        """Whether waiting loops are skipped ahead (they are, from the start) or executed turn by turn.

        No result differs; tests compare, and a probe on an instruction of such a loop has it executed, too.
        """
        self._library.emulator_skip_waiting(self._handle, skip)

    @property
    def cycle(self) -> int:
        """PRU cycles of 5 ns since creation."""
        return int(self._library.emulator_cycle(self._handle))

    @staticmethod
    def _fault(fault: CFault) -> PruFault:
        message = fault.message.decode("ascii")
        return PruFault(_FAULT_KINDS[fault.kind], fault.core, fault.pc, fault.address, fault.cycle, message)

    @staticmethod
    def _check_core(core: int) -> None:
        if core not in (0, 1):
            raise InputError(f"there is no PRU{core}: the cores are 0 and 1")

    # ---- the host's view ----

    def read_word(self, address: int) -> int:
        """Read a word as the host does, side effects included.

        Args:
            address: offset from 0x4A300000 (IRAM included), or a bus address of the ADC, CM_WKUP or the DDR window.

        Raises:
            PruFault: nothing is there, or the ADC's clock is off.
        """
        value = ctypes.c_uint32()
        with self._lock:
            if not self._library.emulator_host_read(self._handle, address, ctypes.byref(value)):
                raise self._fault(self._library.emulator_host_fault(self._handle).contents)
        return value.value

    def write_word(self, address: int, value: int) -> None:
        """Write a word as the host does; addresses and errors as for `read_word`."""
        with self._lock:
            if not self._library.emulator_host_write(self._handle, address, value):
                raise self._fault(self._library.emulator_host_fault(self._handle).contents)

    def register(self, core: int, name: int | str) -> int:
        """General register 0 to 31 of a core, or "pc" or "carry"."""
        index = self._register_index(core, name)
        return int(self._library.emulator_register(self._handle, core, index))

    def set_register(self, core: int, name: int | str, value: int) -> None:
        """Set a register of a stopped core; names as for `register`."""
        index = self._register_index(core, name)
        self._library.emulator_set_register(self._handle, core, index, value)

    def _register_index(self, core: int, name: int | str) -> int:
        self._check_core(core)
        index = {"pc": 32, "carry": 33}.get(name, -1) if isinstance(name, str) else name
        if not 0 <= index <= 33:
            raise InputError(f'PRU{core} has no register {name!r}: 0 to 31, "pc" and "carry"')
        return index

    # ---- the analog and digital world ----

    def set_waveform(self, ain: int, start_cycle: float, step_cycles: float, volts: npt.ArrayLike) -> None:
        """Supply the smooth part of an input's voltage; consecutive calls append.

        The voltage between the points is a six-point Lagrange interpolation, so the span that can be sampled begins
        two points after the first and ends two points before the last one supplied so far. A call that starts one
        step after the last point, with the same step, continues it. A different step starts a new piece: let it
        overlap the old one by six points.

        Args:
            ain: analog input, 0 to 7.
            start_cycle: PRU cycle of the first point; may be negative.
            step_cycles: distance of the points.
            volts: float64[n] at the pin.

        Raises:
            InputError: no such input, or the points lie before what was supplied earlier.
        """
        self._check_input(ain)
        values = _floats(volts)
        if not step_cycles > 0:
            raise InputError(f"AIN{ain}: the step must be positive, not {step_cycles}")
        with self._lock:
            if not self._library.emulator_add_waveform(
                self._handle, ain, start_cycle, step_cycles, values, len(values)
            ):
                raise InputError(
                    f"AIN{ain}: a waveform from cycle {start_cycle} starts before the one already supplied"
                )

    def set_pulses(self, ain: int, edge_cycles: npt.ArrayLike, levels_v: npt.ArrayLike, tau_cycles: float) -> None:
        """Append level changes that reach an input through an RC; added to the smooth part if there is one.

        Before the first edge the pin is at 0 V.

        Args:
            ain: analog input, 0 to 7.
            edge_cycles: float64[n], rising; not before what was sampled already.
            levels_v: float64[n], the level driven from that edge on.
            tau_cycles: time constant; 0 for a step.

        Raises:
            InputError: no such input, or the edges are out of order or too late.
        """
        self._check_input(ain)
        edges, levels = self._check_edges(f"AIN{ain}", edge_cycles, levels_v)
        with self._lock:
            if not self._library.emulator_add_pulses(self._handle, ain, edges, levels, len(edges), tau_cycles):
                raise InputError(f"AIN{ain}: pulse edges must rise in time and lie after what was sampled already")

    def set_pin_edges(self, core: int, bit: int, edge_cycles: npt.ArrayLike, levels: npt.ArrayLike) -> None:
        """Append level changes of an input bit of R31, or of the eCAP pin (core `ECAP_PIN`, bit 0).

        Args:
            core: 0, 1 or `ECAP_PIN`.
            bit: 0 to 29.
            edge_cycles: float64[n], rising, not before now; seen from the first cycle at or after them.
            levels: 0 is low, everything else high.

        Raises:
            InputError: no such pin, or the edges are out of order or in the past.
        """
        if not (core in (0, 1) and 0 <= bit < 30) and (core, bit) != (ECAP_PIN, 0):
            raise InputError(f"there is no input pin with core {core}, bit {bit}")
        edges, values = self._check_edges(f"pin {bit} of PRU{core}", edge_cycles, levels)
        with self._lock:
            if not self._library.emulator_add_pin_edges(self._handle, core, bit, edges, values, len(edges)):
                raise InputError(f"pin {bit} of PRU{core}: edges must rise in time and not lie in the past")

    @staticmethod
    def _check_input(ain: int) -> None:
        if not 0 <= ain <= 7:
            raise InputError(f"there is no analog input AIN{ain}: the inputs are 0 to 7")

    @staticmethod
    def _check_edges(
        what: str, edge_cycles: npt.ArrayLike, levels: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        edges, values = _floats(edge_cycles), _floats(levels)
        if len(edges) != len(values):
            raise InputError(f"{what}: {len(edges)} edges but {len(values)} levels")
        return edges, values

    # ---- faults and measurements ----

    def inject(self, event: AdcEvent, amount: int = 1) -> None:
        """Make the ADC misbehave now; see `AdcEvent`."""
        with self._lock:
            self._library.emulator_inject(self._handle, int(event), amount)

    def statistics(self) -> Statistics:
        """Counters since creation."""
        raw = CStatistics()
        with self._lock:
            self._library.emulator_statistics(self._handle, ctypes.byref(raw))
        counters = {name: getattr(raw, name) for name in _COUNTERS}
        return Statistics(
            tuple(raw.instructions), tuple(raw.stall_cycles), **counters, count_reads=_probe_result(raw.count_reads)
        )

    def add_probe(self, core: int, pc: int) -> int:
        """Watch an instruction (word address); at most 8 per core. Returns the number to ask `probe` with."""
        self._check_core(core)
        with self._lock:
            index = int(self._library.emulator_add_probe(self._handle, core, pc))
        if index < 0:
            raise InputError(f"PRU{core}: no probe at word {pc}: there are 2048 words and at most 8 probes")
        return index

    def probe(self, core: int, index: int) -> ProbeResult:
        """Times between the visits of a watched instruction."""
        raw = CProbe()
        with self._lock:
            if not self._library.emulator_probe(self._handle, core, index, ctypes.byref(raw)):
                raise InputError(f"PRU{core} has no probe {index}")
        return _probe_result(raw)

    def reset_probes(self) -> None:
        """Forget the distances seen so far, FIFO0COUNT's included."""
        with self._lock:
            self._library.emulator_reset_probes(self._handle)


class _Owner:
    """Frees the C object when the last view of its memory is gone."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._destroy = library.emulator_destroy
        self._handle = handle

    def __del__(self) -> None:
        self._destroy(self._handle)
