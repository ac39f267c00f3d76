/* idle.c: waiting loops, skipped instead of executed turn by turn.
 *
 * Firmware spends most of its time in loops that look at one thing until it changes, and in an emulation they are most
 * of the work. A loop is recognised when a core starts if its body holds nothing but
 *
 *     one SUB of 1 from a register or a part of it, which the closing QBNE compares with 0;
 *     branches out of it, on other registers or on an input bit of R31;
 *     at most one load of a word.
 *
 * When such a loop comes to its closing branch, as many turns are skipped as cannot differ from the last one: the
 * counter lasts, no input changes its level, the word loaded stays what it is (bus_quiet_read tells until when), and no
 * branch leads out. Cycles, instructions, stalls, the counter and what counts the loads are moved on by just as much.
 * At least one whole turn is always left to be executed, so that whatever a turn leaves behind is left by a real one.
 * So nothing that can be observed differs, to the cycle: tests/pru/test_emulator_idle.py compares.
 */
#include "internal.h"

enum { LONGEST_BODY = 6 };

typedef struct Turn {          /* of one loop, as it would be executed now */
    uint32_t cycles, instructions;
    uint32_t load_at;          /* cycles from the closing branch to the load */
    const Instruction *load;   /* or NULL */
    bool reads_pins;
} Turn;

/* ---- recognition ---- */

static bool counts_down(const Instruction *i)
{
    return i->operation == OP_SUB && i->flags == 0 && i->rs2 == 32 && i->immediate == 1 && i->rd == i->rs1 &&
           i->rd_shift == i->rs1_shift && i->rd_bits == i->rs1_bits;
}

static bool tests_an_input(const Instruction *i)
{
    return (i->operation == OP_QBBS || i->operation == OP_QBBC) && i->rs1 == 31 && i->rs1_bits == 32 && i->rs2 != 31;
}

/* Whether `i`, `at` words into a body of `length`, branches out of it on what only a load or an input can change. */
static bool leads_out(const Instruction *i, int at, int length, int counter)
{
    int target = at + i->offset;
    if (i->operation < OP_QBNEVER || i->operation > OP_QBBS || (target >= 0 && target <= length))
        return false;
    return i->rs1 != counter && i->rs2 != counter && (!(i->flags & READS_R31) || tests_an_input(i));
}

static bool loads_a_word(const Instruction *i, int counter)
{
    return i->operation == OP_LOAD && !(i->flags & READS_R31) && i->length == 4 && i->rd_shift == 0 && i->rd != counter &&
           i->rd < 28 && i->rd != i->rs1 && i->rd != i->rs2 && i->rs1 != counter && i->rs2 != counter;
}

static bool is_idle_body(const Instruction *body, int length, const Instruction *closing)
{
    int counters = 0, loads = 0;
    for (int k = 0; k < length; k++) {
        const Instruction *i = &body[k];
        if (counts_down(i) && i->rd == closing->rs1 && i->rd_shift == closing->rs1_shift && i->rd_bits == closing->rs1_bits)
            counters++;
        else if (loads_a_word(i, closing->rs1))
            loads++;
        else if (!leads_out(i, k, length, closing->rs1))
            return false;
    }
    return counters == 1 && loads <= 1;
}

void idle_mark(Core *core)
{
    for (int pc = 0; pc < (int)IRAM_WORDS; pc++) {
        Instruction *i = &core->iram[pc];
        i->flags &= (uint8_t)~CLOSES_IDLE_LOOP;
        bool candidate = i->operation == OP_QBNE && i->rs2 == 32 && i->immediate == 0 && !(i->flags & READS_R31) &&
                         i->offset < 0 && -i->offset <= LONGEST_BODY && pc + i->offset >= 0;
        if (candidate && is_idle_body(i + i->offset, -i->offset, i))
            i->flags |= CLOSES_IDLE_LOOP;
    }
}

/* ---- skipping ---- */

/* Bits 30 and 31 of R31 come from the interrupt controller, at any time. */
static bool may_lead_out(const Core *core, const Instruction *i, uint32_t inputs)
{
    uint32_t a = ((i->rs1 == 31 ? inputs : core->r[i->rs1]) >> i->rs1_shift) & i->rs1_mask;
    uint32_t b = ((core->r[i->rs2] >> i->rs2_shift) & i->rs2_mask) + i->immediate;
    if (i->rs1 == 31 && (b & 31) >= 30)
        return true;
    switch (i->operation) {
    case OP_QBNEVER: return false;
    case OP_QBLT: return b < a;
    case OP_QBEQ: return b == a;
    case OP_QBLE: return b <= a;
    case OP_QBGT: return b > a;
    case OP_QBNE: return b != a;
    case OP_QBGE: return b >= a;
    case OP_QBBC: return !(a >> (b & 31) & 1);
    case OP_QBBS: return a >> (b & 31) & 1;
    default: return true;
    }
}

/* What one more turn does; false if it leads out, is watched by a probe, or loads what may change any time. */
static bool look_ahead(Core *core, const Instruction *closing, Turn *turn, QuietRead *quiet)
{
    *turn = (Turn){.cycles = 1, .instructions = 1 - closing->offset};
    uint32_t inputs = core_read_r31(core);
    for (const Instruction *i = closing + closing->offset; i <= closing; i++) {
        if (i->flags & PROBED)
            return false;
        if (i == closing || i->operation == OP_SUB) {
            turn->cycles += i != closing;
        } else if (i->operation == OP_LOAD) {
            if (!bus_quiet_read(core, core_memory_address(core, i), quiet) || quiet->value != core->r[i->rd])
                return false;
            turn->load = i;
            turn->load_at = turn->cycles;
            turn->cycles += quiet->cycles;
        } else {
            if (may_lead_out(core, i, inputs))
                return false;
            turn->reads_pins = turn->reads_pins || i->rs1 == 31;
            turn->cycles++;
        }
    }
    return true;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How many whole turns fit into what is certain, one less than fit before `until`. */
static uint64_t turns_that_fit(const Core *core, const Turn *turn, const QuietRead *quiet, uint32_t counter)
{
    uint64_t room = core->until - core->cycle, turns = counter - 1u;
    if (core->until <= core->cycle || room < 2u * turn->cycles)
        return 0;
    turns = lesser(turns, room / turn->cycles - 1);
    if (turn->reads_pins)
        turns = lesser(turns, core->next_edge > core->cycle ? (core->next_edge - core->cycle) / turn->cycles : 0);
    if (turn->load != NULL) {
        uint64_t reached = core->cycle + turn->load_at + quiet->delay; /* by the load of the first turn */
        if (reached > quiet->last_cycle)
            return 0;
        if (quiet->last_cycle != NEVER)
            turns = lesser(turns, (quiet->last_cycle - reached) / turn->cycles + 1);
    }
    return turns;
}

void idle_skip(Core *core, const Instruction *closing)
{
    QuietRead quiet = {0};
    Turn turn;
    uint32_t counter = (core->r[closing->rs1] >> closing->rs1_shift) & closing->rs1_mask;
    if (!core->emulator->skip_waiting || counter < 2 || core->loop_end != NO_LOOP || !look_ahead(core, closing, &turn, &quiet))
        return;
    uint64_t turns = turns_that_fit(core, &turn, &quiet, counter);
    if (turns == 0)
        return;
    if (turn.load != NULL) {
        uint64_t first = core->cycle + turn.load_at + quiet.delay;
        uint32_t pc = (uint32_t)(turn.load - core->iram);
        probe_visit(quiet.probe, first, pc);
        probe_repeat(quiet.probe, turns - 1, turn.cycles, pc);
        core->mac.operands_changed += turns * turn.instructions;
        core->stalls += turns * (quiet.cycles - 1);
    }
    core->cycle += turns * turn.cycles;
    core->instructions += turns * turn.instructions;
    core->r[closing->rs1] -= (uint32_t)turns << closing->rs1_shift;
}
