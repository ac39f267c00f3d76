/* internal.h: the state of the emulator and the calls between its files. Contract of the whole: emulator.h. */
#ifndef RPMU_EMULATOR_INTERNAL_H
#define RPMU_EMULATOR_INTERNAL_H

#include "emulator.h"

#define TICKS_PER_CYCLE 3u
#define TICKS_PER_BUS_CLOCK 25u /* 24 MHz */
#define NEVER UINT64_MAX

#define IRAM_WORDS 2048u
#define DRAM_BYTES 0x2000u
#define SHARED_BYTES 0x3000u
#define MAX_PROBES 8

/* ---- decode.c: one instruction word, taken apart once when it is loaded ---- */

typedef enum Operation {
    OP_ADD, OP_ADC, OP_SUB, OP_SUC, OP_LSL, OP_LSR, OP_RSB, OP_RSC,
    OP_AND, OP_OR, OP_XOR, OP_NOT, OP_MIN, OP_MAX, OP_CLR, OP_SET, /* in the order of the encoding */
    OP_JMP, OP_JAL, OP_LDI, OP_LMBD, OP_HALT, OP_SLP, OP_LOOP,
    OP_XIN, OP_XOUT, OP_XCHG,
    OP_QBNEVER, OP_QBLT, OP_QBEQ, OP_QBLE, OP_QBGT, OP_QBNE, OP_QBGE, OP_QBA, /* by the bits GT, EQ, LT */
    OP_QBBC, OP_QBBS,
    OP_LOAD, OP_STORE,
    OP_ILLEGAL, OP_NOT_LOADED,
} Operation;

enum { /* Instruction.flags: what needs a look before or after the instruction */
    READS_R31 = 1,
    WRITES_R31 = 2,
    WRITES_MAC_OPERANDS = 4,
    PROBED = 8,
    CLOSES_IDLE_LOOP = 16,
};

/* Operand value = (register >> shift) & mask; operand 2 adds `immediate`, with mask 0 where there is no register. */
typedef struct Instruction {
    uint8_t operation, flags;
    uint8_t rd, rs1, rs2;
    uint8_t rd_shift, rs1_shift, rs2_shift;
    uint8_t rd_bits, rs1_bits;
    int16_t offset;            /* branches: words from here; LOOP: to its end */
    uint32_t rd_mask;          /* in place */
    uint32_t rs1_mask, rs2_mask;
    uint32_t immediate;
    uint8_t length;            /* loads, stores, XFR: bytes, or 0 for the count in a byte of R0: */
    uint8_t count_byte;
    uint8_t constant;          /* loads, stores: constant table entry, or NO_CONSTANT */
    uint8_t device;            /* XFR */
    uint8_t shifted;           /* SXIN, SXOUT, SXCHG */
    uint32_t word;
} Instruction;

#define NO_CONSTANT 0xFF

Instruction decode(uint32_t word);

static inline uint32_t transfer_length(const Instruction *i, const uint32_t *r)
{
    return i->length ? i->length : (r[0] >> (8 * i->count_byte)) & 0xFF;
}

/* ---- growing sequences of (time, level) ---- */

typedef struct Edges {
    double *time, *level;
    size_t head, count, capacity;
} Edges;

bool edges_append(Edges *edges, const double *time, const double *level, size_t count, double earliest);
void edges_free(Edges *edges);

/* ---- prng.c: xoshiro256++, one stream per purpose ---- */

typedef struct Random {
    uint64_t state[4];
    double spare;
    bool has_spare;
} Random;

void random_seed(Random *random, uint64_t seed, uint64_t stream);
uint64_t random_bits(Random *random);
double random_gaussian(Random *random);

/* ---- core.c ---- */

typedef struct Mac {
    uint32_t mode, product[2], operand[2];
    uint64_t accumulator;
    uint64_t operands_changed; /* instruction count at which R28 or R29 last changed ... */
    uint32_t previous[2];      /* ... and their values before */
} Mac;

typedef struct Core {
    uint32_t r[33];            /* r[32] is always 0 */
    uint32_t pc, carry;
    uint32_t loop_top, loop_end, loop_count; /* loop_end is NO_LOOP outside a LOOP */
    bool running, sleeping;
    uint64_t cycle, instructions, stalls;
    uint64_t until;            /* end of the run under way */
    Mac mac;
    Instruction iram[IRAM_WORDS];

    uint32_t control, wakeup_enable;         /* CTRL registers */
    uint32_t block_index[2], pointer[2];     /* CTBIR0-1, CTPPR0-1 */
    uint64_t cycle_base, stall_base;         /* CYCLE = value + time since, while the counter runs */
    uint32_t cycle_value, stall_value;
    bool counting;

    uint32_t pins;                           /* R31 inputs now */
    uint64_t next_edge;                      /* cycle of the next change of an input */
    Edges edges[30];

    int probe_count;
    uint32_t probe_pc[MAX_PROBES];
    Probe probe[MAX_PROBES];

    int index;
    Emulator *emulator;
} Core;

#define NO_LOOP UINT32_MAX

void core_reset(Core *core);
void core_run(Core *core, uint64_t until);
uint32_t core_read_r31(Core *core);
bool core_wakes(Core *core);
uint32_t core_memory_address(const Core *core, const Instruction *i);
void probe_visit(Probe *probe, uint64_t cycle, uint32_t pc);
void probe_repeat(Probe *probe, uint64_t visits, uint64_t gap, uint32_t pc); /* that many more, evenly spaced */

/* ---- idle.c ---- */

void idle_mark(Core *core);                                /* find the waiting loops of what is loaded */
void idle_skip(Core *core, const Instruction *closing);    /* ahead of the closing branch of one */

/* ---- xfr.c: wide transfers, scratchpad, multiplier ---- */

typedef struct Scratchpad {
    uint32_t bank[3][32];
    uint32_t mailbox[2][32];   /* direct connection: what core n sent to its peer */
    bool full[2];
} Scratchpad;

/* False where the instruction has to wait for the peer and be tried again. */
bool xfr_execute(Core *core, const Instruction *i);

/* ---- peripherals.c, intc.c, ecap.c ---- */

typedef struct Cfg {
    uint32_t syscfg, gpcfg[2], cgr, isrp, isp, pmao, mii_rt, iepclk, spp, pin_mx;
} Cfg;

typedef struct Iep {
    uint32_t global_config, status, count, compare_config, compare_status, compare[8];
    uint64_t updated;          /* cycle at which `count` is right */
} Iep;

typedef struct Intc {
    uint64_t raw, enabled;     /* 64 system events */
    uint8_t channel[64], host[10];
    uint32_t host_enable, global_enable;
    bool adc_line, iep_line, ecap_line;
} Intc;

typedef struct Ecap {
    uint64_t base;             /* TSCTR = count + cycles since, while it runs */
    uint32_t count, phase, capture[4], flags, interrupt_enable;
    uint32_t control1, control2;
    int next;                  /* capture register of the next edge */
    bool armed, level;
    uint64_t next_edge;
    Edges edges;
} Ecap;

/* Device registers: `now` in cycles. False where there is no such register or the access is not modelled; the
 * function has then set the fault if it had more to say than "no such register". */
void peripherals_reset(Emulator *e);
bool cfg_access(Emulator *e, uint32_t offset, uint32_t *value, bool write);
bool ctrl_access(Emulator *e, int index, uint32_t offset, uint32_t *value, bool write, uint64_t now);
bool iep_access(Emulator *e, uint32_t offset, uint32_t *value, bool write, uint64_t now);
void iep_update(Emulator *e, uint64_t now);
bool intc_access(Emulator *e, uint32_t offset, uint32_t *value, bool write, uint64_t now);
void intc_raise(Emulator *e, int event);
bool intc_host_pending(const Intc *intc, int host);
uint32_t intc_r31_bits(Emulator *e, uint64_t now);
bool ecap_access(Emulator *e, uint32_t offset, int bytes, uint32_t *value, bool write, uint64_t now);
void ecap_update(Emulator *e, uint64_t now);

void ctrl_set_running(Core *core, bool running, uint64_t now);
uint32_t ctrl_constant(const Core *core, int entry);

/* ---- analog.c ---- */

typedef struct Segment {       /* volts[k] at start + (first + k) * step */
    double start, step;
    double *volts;
    int64_t first;
    size_t count, capacity;
} Segment;

#define SEGMENTS 4

typedef struct Input {
    Segment segment[SEGMENTS]; /* oldest first */
    int segments;
    bool has_pulses;
    double level, voltage, since, tau, sampled; /* RC state at cycle `since`; newest sampling instant */
    double edge_tau;
    Edges edges;
} Input;

typedef struct Analog {
    Input input[8];
    AdcErrors errors;
    double *inl;
    size_t inl_count;
    Random noise;
} Analog;

/* The 12-bit code of input `ain` sampled at `tick`; sets the fault and returns 0 where nothing was supplied. */
uint32_t analog_convert(Emulator *e, uint32_t ain, uint64_t tick);
void analog_free(Analog *analog);

/* ---- adc.c ---- */

typedef struct Fifo {
    uint32_t word[64];
    uint32_t head, count, threshold, dma_level;
} Fifo;

typedef struct Adc {
    bool clock_on;
    uint32_t sysconfig, control, raw, enabled, dma_enabled, range, clkdiv, step_enable;
    uint32_t idle_config, charge_config, charge_delay, step_config[16], step_delay[16];
    Fifo fifo[2];
    bool latched, cleared;     /* stuck after overrun or underflow; flag cleared while disabled and idle */
    int step;                  /* 1-16 while converting, 0 when idle */
    uint32_t pending;          /* steps of this scan still to come, bit n = step n */
    uint64_t ready;            /* tick at which the running step's word is ready */
    uint64_t idle_from;        /* tick at which the sequencer is idle after its last step */
    uint64_t drop, duplicate;  /* words to lose or repeat (injected) */
} Adc;

void adc_reset(Adc *adc);
bool adc_access(Emulator *e, uint32_t offset, uint32_t *value, bool write, uint64_t now, uint32_t pc);
void adc_advance(Emulator *e, uint64_t tick);
double adc_earliest_sample(const Emulator *e); /* cycle before which nothing will be sampled any more */
void adc_set_clock(Emulator *e, bool on, uint64_t now);

/* ---- bus.c ---- */

/* What the core reads and writes: `bytes` (1-124) at `address`, to or from `data`; returns the cycles it takes. Sets
 * the fault where it cannot. */
uint32_t bus_read(Core *core, uint32_t address, uint8_t *data, uint32_t bytes);
uint32_t bus_write(Core *core, uint32_t address, const uint8_t *data, uint32_t bytes);

/* A register of which it is known how long it keeps its value, and that reading it changes nothing but a probe. */
typedef struct QuietRead {
    uint32_t value, cycles;
    uint32_t delay;            /* cycles from the beginning of the load to when it reaches the register */
    uint64_t last_cycle;       /* the last at which it reads so; NEVER if software alone changes it */
    Probe *probe;
} QuietRead;

/* False where the word at `address` is not such a register, or the load's cost not certain. */
bool bus_quiet_read(Core *core, uint32_t address, QuietRead *out);
bool adc_quiet_read(Emulator *e, uint32_t offset, uint64_t now, QuietRead *out); /* adc.c; fills in all but the cost */

/* ---- emulator.c ---- */

struct Emulator {
    Core core[2];
    uint8_t dram[2][DRAM_BYTES] __attribute__((aligned(8)));
    uint8_t own_shared[SHARED_BYTES] __attribute__((aligned(8)));
    uint8_t *shared;           /* own_shared, or what emulator_share() was given */
    uint8_t *ddr;
    uint32_t ddr_base, ddr_bytes;
    BusTiming bus;
    Scratchpad scratchpad;
    Cfg cfg;
    Iep iep;
    Intc intc;
    Ecap ecap;
    Adc adc;
    Analog analog;
    Random jitter;
    uint64_t cycle;
    bool skip_waiting;
    int active;                /* core that is executing, -1 outside */
    Fault fault, host_fault;
    Statistics statistics;
};

/* Record the first fault; `active` core and its PC are filled in. The text tells the rest. */
void fault_set(Emulator *e, FaultKind kind, uint32_t address, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
