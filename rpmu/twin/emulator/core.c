/* core.c: one PRU core, instruction after instruction.
 *
 * There is no pipeline: an instruction costs one cycle, a load or store what the bus asks. What only some instructions
 * need (inputs in R31, events written to R31, the multiplier's view of R28 and R29, probes) hangs on flags set when the
 * word was decoded, so that the others pay one test for it.
 */
#include "internal.h"

#include <string.h>

void core_reset(Core *core)
{
    memset(core->r, 0, sizeof core->r);
    core->loop_end = NO_LOOP;
    for (uint32_t k = 0; k < IRAM_WORDS; k++)
        core->iram[k].operation = OP_NOT_LOADED;
    core->next_edge = NEVER;
}

/* ---- R31: inputs when read, system events when written ---- */

static void pins_advance(Core *core)
{
    core->next_edge = NEVER;
    for (int bit = 0; bit < 30; bit++) {
        Edges *edges = &core->edges[bit];
        while (edges->head < edges->count && edges->time[edges->head] <= (double)core->cycle) {
            bool high = edges->level[edges->head++] != 0.0;
            core->pins = (core->pins & ~(1u << bit)) | (uint32_t)high << bit;
        }
        if (edges->head < edges->count && edges->time[edges->head] < (double)core->next_edge)
            core->next_edge = (uint64_t)edges->time[edges->head];
    }
}

uint32_t core_read_r31(Core *core)
{
    if (core->cycle >= core->next_edge)
        pins_advance(core);
    return core->pins | intc_r31_bits(core->emulator, core->cycle);
}

/* Bit 5 is the strobe, bits 3-0 choose system event 16 to 31. */
static void core_write_r31(Core *core, uint32_t value)
{
    if (value & 0x20)
        intc_raise(core->emulator, 16 + (int)(value & 0xF));
}

bool core_wakes(Core *core)
{
    return (core_read_r31(core) & core->wakeup_enable) != 0;
}

/* ---- what flagged instructions need ---- */

void probe_visit(Probe *probe, uint64_t cycle, uint32_t pc)
{
    if (probe->visits++ > 0) {
        uint64_t gap = cycle - probe->last_cycle;
        probe->total_gap += gap;
        if (gap > probe->max_gap) {
            probe->max_gap = gap;
            probe->max_gap_cycle = cycle;
            probe->max_gap_pc = pc;
        }
    }
    probe->last_cycle = cycle;
}

void probe_repeat(Probe *probe, uint64_t visits, uint64_t gap, uint32_t pc)
{
    if (visits == 0)
        return;
    if (gap > probe->max_gap) {
        probe->max_gap = gap;
        probe->max_gap_cycle = probe->last_cycle + gap;
        probe->max_gap_pc = pc;
    }
    probe->visits += visits;
    probe->total_gap += visits * gap;
    probe->last_cycle += visits * gap;
}

static void before(Core *core, const Instruction *i)
{
    if (i->flags & CLOSES_IDLE_LOOP)
        idle_skip(core, i);
    if (i->flags & READS_R31)
        core->r[31] = core_read_r31(core);
    if (i->flags & WRITES_MAC_OPERANDS) {
        core->mac.operands_changed = core->instructions;
        core->mac.previous[0] = core->r[28];
        core->mac.previous[1] = core->r[29];
    }
    if (i->flags & PROBED)
        for (int k = 0; k < core->probe_count; k++)
            if (core->probe_pc[k] == core->pc)
                probe_visit(&core->probe[k], core->cycle, core->pc);
}

/* ---- loads and stores ---- */

uint32_t core_memory_address(const Core *core, const Instruction *i)
{
    const uint32_t *r = core->r;
    uint32_t base = i->constant == NO_CONSTANT ? r[i->rs1] : ctrl_constant(core, i->constant);
    return base + ((r[i->rs2] >> i->rs2_shift) & i->rs2_mask) + i->immediate;
}

/* The register file is the little-endian bytes of R0, R1, ... one after the other. Returns cycles; 0 bytes cost one. */
static uint32_t load_or_store(Core *core, const Instruction *i)
{
    uint32_t length = transfer_length(i, core->r);
    uint32_t first = i->rd * 4u + i->rd_shift;
    uint32_t address = core_memory_address(core, i);
    if (length == 0)
        return 1;
    if (first + length > 128) {
        fault_set(core->emulator, FAULT_INSTRUCTION, address, "transfer of %u bytes from R%u.b%u runs past R31", length,
                  i->rd, i->rd_shift);
        return 1;
    }
    bool touches_r31 = first + length > 124;
    uint8_t *data = (uint8_t *)core->r + first;
    if (i->operation == OP_STORE) {
        if (touches_r31)
            core->r[31] = core_read_r31(core);
        return bus_write(core, address, data, length);
    }
    if (touches_r31)
        core->r[31] = 0;
    uint32_t cycles = bus_read(core, address, data, length);
    if (touches_r31)
        core_write_r31(core, core->r[31]);
    return cycles;
}

static uint32_t leftmost_bit(uint32_t value, int bits, uint32_t wanted)
{
    for (int k = bits - 1; k >= 0; k--)
        if (((value >> k) & 1) == (wanted & 1))
            return (uint32_t)k;
    return 32;
}

/* Returns the next PC: the body, or behind it for a count of 0, which only a register can hold. */
static uint32_t begin_loop(Core *core, uint32_t end, uint32_t count)
{
    core->loop_top = core->pc + 1;
    core->loop_end = count ? end : NO_LOOP;
    core->loop_count = count;
    return count ? core->loop_top : end;
}

/* The end of a loop's body, which costs nothing: back to its top, or on. */
static uint32_t end_of_loop(Core *core)
{
    if (--core->loop_count > 0)
        return core->loop_top;
    uint32_t end = core->loop_end;
    core->loop_end = NO_LOOP;
    return end;
}

/* ---- instructions that stop or wait; each returns false where the core does not go on to the next word ---- */

static bool halt(Core *core)
{
    ctrl_set_running(core, false, core->cycle + 1);
    return false;
}

static bool sleep_or_wake(Core *core, const Instruction *i)
{
    if (i->immediate && core_wakes(core))
        return true;
    core->sleeping = true;
    return false;
}

static bool bad_instruction(Core *core, const Instruction *i)
{
    if (i->operation == OP_NOT_LOADED)
        fault_set(core->emulator, FAULT_INSTRUCTION, core->pc * 4, "execution ran into a word that was never loaded");
    else
        fault_set(core->emulator, FAULT_INSTRUCTION, core->pc * 4, "0x%08X is not an instruction of this core", i->word);
    return false;
}

#define A ((r[i->rs1] >> i->rs1_shift) & i->rs1_mask)
#define B (((r[i->rs2] >> i->rs2_shift) & i->rs2_mask) + i->immediate)
#define PUT(value) (r[i->rd] = (r[i->rd] & ~i->rd_mask) | (((uint32_t)(value) << i->rd_shift) & i->rd_mask))
#define PUT_CARRY(wide)                                \
    do {                                               \
        uint64_t result = (wide);                      \
        core->carry = (result >> i->rd_bits) & 1;      \
        PUT(result);                                   \
    } while (0)
#define BRANCH(condition) next = (condition) ? pc + (uint32_t)i->offset : pc + 1
#define STAYS(call)          \
    do {                     \
        if (!(call))         \
            next = core->pc; \
    } while (0)

/* Run one instruction; its cost is added to the core's clock. */
static inline void step(Core *core)
{
    uint32_t *r = core->r;
    uint32_t pc = core->pc, next = pc + 1, cost = 1;
    if (pc >= IRAM_WORDS) {
        fault_set(core->emulator, FAULT_INSTRUCTION, pc * 4, "the program counter left the instruction memory");
        return;
    }
    const Instruction *i = &core->iram[pc];
    if (i->flags)
        before(core, i);
    switch (i->operation) {
    case OP_ADD: PUT_CARRY((uint64_t)A + B); break;
    case OP_ADC: PUT_CARRY((uint64_t)A + B + core->carry); break;
    case OP_SUB: PUT_CARRY((uint64_t)A - B); break;
    case OP_SUC: PUT_CARRY((uint64_t)A - B - core->carry); break;
    case OP_RSB: PUT_CARRY((uint64_t)B - A); break;
    case OP_RSC: PUT_CARRY((uint64_t)B - A - core->carry); break;
    case OP_LSL: PUT(A << (B & 31)); break;
    case OP_LSR: PUT(A >> (B & 31)); break;
    case OP_AND: PUT(A & B); break;
    case OP_OR: PUT(A | B); break;
    case OP_XOR: PUT(A ^ B); break;
    case OP_NOT: PUT(~A); break;
    case OP_MIN: PUT(A < B ? A : B); break;
    case OP_MAX: PUT(A > B ? A : B); break;
    case OP_CLR: PUT(A & ~(1u << (B & 31))); break;
    case OP_SET: PUT(A | 1u << (B & 31)); break;
    case OP_LDI: PUT(i->immediate); break;
    case OP_LMBD: PUT(leftmost_bit(A, i->rs1_bits, B)); break;
    case OP_JMP: next = B & 0xFFFF; break;
    case OP_JAL: next = B & 0xFFFF; PUT(pc + 1); break;
    case OP_QBLT: BRANCH(B < A); break;
    case OP_QBEQ: BRANCH(B == A); break;
    case OP_QBLE: BRANCH(B <= A); break;
    case OP_QBGT: BRANCH(B > A); break;
    case OP_QBNE: BRANCH(B != A); break;
    case OP_QBGE: BRANCH(B >= A); break;
    case OP_QBA: BRANCH(true); break;
    case OP_QBNEVER: break;
    case OP_QBBC: BRANCH(!(A >> (B & 31) & 1)); break;
    case OP_QBBS: BRANCH(A >> (B & 31) & 1); break;
    case OP_LOAD:
    case OP_STORE: cost = load_or_store(core, i); core->stalls += cost - 1; break;
    case OP_XIN:
    case OP_XOUT:
    case OP_XCHG: STAYS(xfr_execute(core, i)); break;
    case OP_LOOP: next = begin_loop(core, pc + (uint32_t)i->offset, B & 0xFFFF); break;
    case OP_SLP: STAYS(sleep_or_wake(core, i)); break;
    case OP_HALT: STAYS(halt(core)); break;
    default: STAYS(bad_instruction(core, i)); break;
    }
    if (i->flags & WRITES_R31)
        core_write_r31(core, r[31] & i->rd_mask);
    if (next == core->loop_end)
        next = end_of_loop(core);
    core->pc = next;
    core->cycle += cost;
    core->instructions++;
}

/* A sleeping core only looks for its wake-up events. */
static void doze(Core *core, uint64_t until)
{
    if (!core->iram[core->pc].immediate) { /* SLP 0: for good */
        core->cycle = until;
        return;
    }
    while (core->cycle < until && core->sleeping) {
        if (core_wakes(core)) {
            core->sleeping = false;
            core->pc++;
        }
        core->cycle++;
    }
}

void core_run(Core *core, uint64_t until)
{
    Emulator *e = core->emulator;
    e->active = core->index;
    core->until = until;
    while (core->cycle < until && core->running && e->fault.kind == FAULT_NONE) {
        if (core->sleeping)
            doze(core, until);
        else
            step(core);
    }
    e->active = -1;
}
