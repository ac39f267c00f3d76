/* emulator.h: the PRU subsystem of the AM335x and its ADC, as a library.
 *
 * One `Emulator` is one PRU-ICSS (two cores, memories, CFG, CTRL, INTC, IEP, eCAP), the TSC_ADC_SS with its clock gate,
 * a window of DDR, and the analog world at the pins. It runs a firmware image unchanged.
 *
 * Time. One PRU cycle is 5 ns; cycle 0 is the creation. Inside, time is counted in *ticks* of 1/3 cycle (600 MHz), in
 * which a PRU cycle (3), the 24 MHz bus clock (25) and every ADC clock (25 * (CLKDIV + 1)) are whole numbers, so that
 * nothing drifts. An instruction costs one cycle, a load or store what `BusTiming` says.
 *
 * Faults. Whatever the chip would answer with a hang, a bus error or silence (unmapped address, closed OCP port, gated
 * clock, unknown instruction) stops the run: emulator_run() returns false and emulator_fault() tells kind, core, PC,
 * address and a sentence. A fault is final for this Emulator.
 *
 * Threads. None inside. Memory returned by emulator_memory() may be read and written, as aligned 32-bit words, by
 * another thread during emulator_run(); every other call must wait until it has returned.
 *
 * Sources: AM335x TRM (SPRUH73) chapters 4 and 12; the instruction encoding as the GNU assembler writes it.
 */
#ifndef RPMU_EMULATOR_H
#define RPMU_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Emulator Emulator;

/* Cycles per access. A load of w words costs `read + (w - 1)` in local memory and DDR, `w * read` from a device. */
typedef struct BusTiming {
    uint32_t local_ram_read;   /* both DRAMs and shared RAM, first word */
    uint32_t local_ram_write;
    uint32_t cfg_read;         /* CFG and INTC */
    uint32_t ctrl_read;        /* CTRL and eCAP */
    uint32_t iep_read;
    uint32_t local_device_write;
    uint32_t adc_read;         /* TSC_ADC_SS through the L4_WKUP port */
    uint32_t prcm_read;        /* CM_WKUP */
    uint32_t l3_read;          /* the PRUSS itself through its global address */
    uint32_t ddr_read;
    uint32_t external_write;   /* posted: L3, L4, DDR */
    uint32_t external_jitter;  /* 0 to this many cycles more on each read outside the PRUSS, uniform, seeded */
} BusTiming;

/* What the converter does to the voltage, and the open questions of its sequencer. Errors in LSB of 12 bits. */
typedef struct AdcErrors {
    double vref_v;
    double offset_lsb;
    double gain;
    double noise_lsb_rms;      /* Gaussian, before quantisation, independent from sample to sample */
    uint32_t extra_clocks_per_scan;        /* ADC clocks of the pass through idle; not documented */
    uint32_t extra_clock_per_average;      /* 0: 14 + sample delay per further conversion, 1: 15 + sample delay */
} AdcErrors;

typedef enum FaultKind {
    FAULT_NONE = 0,
    FAULT_INSTRUCTION,         /* not an instruction of this core, or not loaded */
    FAULT_ADDRESS,             /* nothing there, or not accessible that way */
    FAULT_PORT_CLOSED,         /* OCP port in standby: CFG SYSCFG.STANDBY_INIT is set */
    FAULT_CLOCK_GATED,         /* module clock off in CM_WKUP */
    FAULT_NOT_MODELLED,        /* the chip can do this, the model cannot */
    FAULT_ANALOG,              /* a pin was sampled outside the voltages supplied */
} FaultKind;

typedef struct Fault {
    int32_t kind;              /* FaultKind */
    int32_t core;              /* 0, 1, or -1 for the host */
    uint32_t pc;               /* word address of the instruction */
    uint32_t address;
    uint64_t cycle;
    char message[240];
} Fault;

/* Times between successive visits of one place, in cycles. */
typedef struct Probe {
    uint64_t visits;
    uint64_t last_cycle;
    uint64_t max_gap;
    uint64_t max_gap_cycle;    /* when the longest gap ended */
    uint64_t total_gap;
    uint32_t max_gap_pc;       /* where it ended */
    uint32_t reserved;
} Probe;

typedef struct Statistics {
    uint64_t instructions[2];
    uint64_t stall_cycles[2];  /* spent waiting for loads and stores */
    uint64_t conversions;
    uint64_t overruns;
    uint64_t underflows;
    uint64_t words_dropped;    /* conversions whose word did not reach a FIFO */
    uint64_t words_read;
    uint64_t protected_writes; /* step registers written while CTRL.2 was 0: ignored, as on the chip */
    uint64_t fifo_high_water;
    Probe count_reads;         /* reads of FIFO0COUNT */
} Statistics;

typedef enum Memory { MEMORY_DRAM0, MEMORY_DRAM1, MEMORY_SHARED, MEMORY_DDR } Memory;

/* Faults of the ADC that a test can inject. */
typedef enum AdcEvent {
    ADC_FORCE_OVERRUN,         /* flag set and module latched, as if the FIFO had been full */
    ADC_FORCE_UNDERFLOW,
    ADC_DROP_WORDS,            /* the next `amount` words vanish: tag slip */
    ADC_DUPLICATE_WORDS,       /* the next `amount` words arrive twice: tag slip */
    ADC_STALL,                 /* the sequencer stands still for `amount` cycles */
} AdcEvent;

/* Returns NULL without memory. `inl_lsb`: `inl_count` values spread evenly over codes 0 to 4095, added with linear
 * interpolation; count 0 for none. The same seed gives the same run. */
Emulator *emulator_create(const BusTiming *bus, const AdcErrors *adc, const double *inl_lsb, size_t inl_count,
                          uint32_t ddr_base, uint32_t ddr_bytes, uint64_t seed);
void emulator_destroy(Emulator *emulator);

/* Copy an image to the instruction memory of a stopped core; at most 2048 words. False if the core runs or it is too
 * long. Words outside the image fault when executed. */
bool emulator_load(Emulator *emulator, int core, const uint32_t *words, size_t count);
void emulator_start(Emulator *emulator, int core, uint32_t entry_word); /* registers keep their values, as on the chip */
void emulator_stop(Emulator *emulator, int core);
bool emulator_running(const Emulator *emulator, int core);

/* Whether waiting loops are skipped ahead (they are, from the start) or executed turn by turn: no result differs. */
void emulator_skip_waiting(Emulator *emulator, bool skip);

/* Run both cores until `cycle`; the last instruction may end a little later. False: see emulator_fault(). */
bool emulator_run(Emulator *emulator, uint64_t cycle);
uint64_t emulator_cycle(const Emulator *emulator);
const Fault *emulator_fault(const Emulator *emulator);

/* General register 0-31 of a core, 32 = PC, 33 = carry; `set` for tests and debuggers. */
uint32_t emulator_register(const Emulator *emulator, int core, int index);
void emulator_set_register(Emulator *emulator, int core, int index, uint32_t value);

uint8_t *emulator_memory(Emulator *emulator, int memory, size_t *bytes);
/* Let the shared RAM be these 12 KB, which another process may see too; they outlive the emulator. Content is kept. */
void emulator_share(Emulator *emulator, uint8_t *memory);

/* The host's view of the PRUSS (address = offset from 0x4A300000, IRAM included) and, from 0x44E00000, of the ADC and
 * CM_WKUP; whole words, same side effects as on the chip. False: see emulator_host_fault(); it does not end the run. */
bool emulator_host_read(Emulator *emulator, uint32_t address, uint32_t *value);
bool emulator_host_write(Emulator *emulator, uint32_t address, uint32_t value);
const Fault *emulator_host_fault(const Emulator *emulator);

/* Analog world. Voltage of an input = smooth part + pulse part; an input that is sampled needs one of them.
 * Smooth part: `count` values at start_cycle + k * step_cycles, six-point Lagrange interpolation. A call that goes on
 * where the last one ended (same step) extends it. Returns false without memory or if it neither continues nor starts
 * later. An instant can be sampled when three points lie at or before it and three after it.
 * Pulses: at each edge the driving level changes; the pin follows through an RC of time constant tau (0: at once),
 * starting at 0 V. Edges rise in time and are not earlier than what was already sampled (else false). */
bool emulator_add_waveform(Emulator *emulator, int ain, double start_cycle, double step_cycles, const double *volts,
                           size_t count);
bool emulator_add_pulses(Emulator *emulator, int ain, const double *edge_cycles, const double *levels_v, size_t count,
                         double tau_cycles);
/* Digital inputs: R31 bit of a core, or the eCAP pin with core 2 (bit 0). False as above. */
bool emulator_add_pin_edges(Emulator *emulator, int core, int bit, const double *edge_cycles, const double *levels,
                            size_t count);

void emulator_inject(Emulator *emulator, int event, uint64_t amount);
void emulator_statistics(const Emulator *emulator, Statistics *out);

/* Filter `count` samples: y = x * (b / a) in z, both of `taps` (at least 2) coefficients with a[0] = 1; `state` has
 * taps - 1 words, 0 at first, and is carried on. */
void emulator_filter(const double *b, const double *a, size_t taps, double *state, const double *x, double *y,
                     size_t count);

/* Count visits of one instruction word (at most 8 probes per core). Returns its index, or -1. */
int emulator_add_probe(Emulator *emulator, int core, uint32_t pc);
bool emulator_probe(const Emulator *emulator, int core, int index, Probe *out);
void emulator_reset_probes(Emulator *emulator);

#endif
