/* peripherals.c: CFG, CTRL of both cores, and the IEP timer. Sources: TRM (SPRUH73) chapter 4.
 *
 * Counters are not counted: CYCLE, STALL and the IEP count are computed from the core's clock when somebody reads them.
 * A setting that the chip has and this model does not do is a fault, never silence.
 */
#include "internal.h"

void peripherals_reset(Emulator *e)
{
    e->cfg.syscfg = 0x1A;       /* STANDBY_INIT set, smart standby, smart idle */
    e->cfg.cgr = 0x24924;
    e->iep.global_config = 0x550; /* both increments 5, stopped */
    e->ecap.next_edge = NEVER;
}

/* ---- CFG ---- */

/* Which bits software can change; 0 for a register that is not modelled, and what must stay 0 to be modelled. */
static uint32_t *cfg_register(Cfg *cfg, uint32_t offset, uint32_t *writable, uint32_t *unsupported)
{
    *writable = UINT32_MAX;
    *unsupported = 0;
    switch (offset) {
    case 0x04: *writable = 0x3F; return &cfg->syscfg;
    case 0x08: *unsupported = 3; return &cfg->gpcfg[0]; /* parallel capture, 28-bit shift, MII inputs */
    case 0x0C: *unsupported = 3; return &cfg->gpcfg[1];
    case 0x10: return &cfg->cgr;
    case 0x14: return &cfg->isrp;
    case 0x18: return &cfg->isp;
    case 0x28: *unsupported = 3; return &cfg->pmao; /* address offset of the master ports */
    case 0x2C: return &cfg->mii_rt;
    case 0x30: *writable = 1; return &cfg->iepclk; /* both clocks are 200 MHz */
    case 0x34: *writable = 3; return &cfg->spp;
    case 0x40: return &cfg->pin_mx;
    default: return NULL;
    }
}

bool cfg_access(Emulator *e, uint32_t offset, uint32_t *value, bool write)
{
    uint32_t writable, unsupported;
    uint32_t *target = cfg_register(&e->cfg, offset, &writable, &unsupported);
    if (offset == 0 && !write) {
        *value = 0x47000000;
        return true;
    }
    if (target == NULL)
        return false;
    if (write && (*value & unsupported)) {
        fault_set(e, FAULT_NOT_MODELLED, 0x26000 + offset, "CFG offset 0x%X = 0x%08X chooses a mode that is not modelled", offset,
                  *value);
        return false;
    }
    if (write)
        *target = (*target & ~writable) | (*value & writable);
    else
        *value = *target;
    return true;
}

/* ---- CTRL ---- */

enum {
    CONTROL_NOT_RESET = 1 << 0,
    CONTROL_ENABLE = 1 << 1,
    CONTROL_SLEEPING = 1 << 2,
    CONTROL_COUNTER = 1 << 3,
    CONTROL_SINGLE_STEP = 1 << 8,
    CONTROL_RUNNING = 1 << 15,
};

static uint32_t saturated(uint32_t start, uint64_t elapsed)
{
    return elapsed >= UINT32_MAX - start ? UINT32_MAX : start + (uint32_t)elapsed; /* both counters stop at the top */
}

static bool counts(const Core *core)
{
    return core->running && (core->control & CONTROL_COUNTER);
}

/* CYCLE and STALL up to `now` into their values, and go on counting from there if they do. */
static void counters_update(Core *core, uint64_t now)
{
    if (core->counting && now > core->cycle_base) {
        core->cycle_value = saturated(core->cycle_value, now - core->cycle_base);
        core->stall_value = saturated(core->stall_value, core->stalls - core->stall_base);
    }
    core->cycle_base = now;
    core->stall_base = core->stalls;
    core->counting = counts(core);
}

void ctrl_set_running(Core *core, bool running, uint64_t now)
{
    counters_update(core, now);
    if (running && !core->running) {
        if (core->cycle < now)
            core->cycle = now;
        core->sleeping = false;
        idle_mark(core);
    }
    core->running = running;
    core->control = running ? core->control | CONTROL_ENABLE : core->control & ~(uint32_t)CONTROL_ENABLE;
    core->counting = counts(core);
}

static bool write_control(Core *core, uint32_t value, uint64_t now)
{
    Emulator *e = core->emulator;
    if (value & CONTROL_SINGLE_STEP) {
        fault_set(e, FAULT_NOT_MODELLED, 0, "single step (CTRL bit 8) is not modelled");
        return false;
    }
    counters_update(core, now);
    bool reset = !(value & CONTROL_NOT_RESET);
    core->control = (value & 0xFFFF000A) | (reset ? 0 : CONTROL_NOT_RESET);
    if (reset) { /* soft reset: PC to PCTR_RST_VAL, then the bit sets itself */
        core->pc = value >> 16;
        core->loop_end = NO_LOOP;
        core->carry = 0;
        core->control |= CONTROL_NOT_RESET;
    }
    ctrl_set_running(core, (value & CONTROL_ENABLE) != 0, now);
    return true;
}

static uint32_t read_control(const Core *core)
{
    return core->control | CONTROL_NOT_RESET | (core->running ? CONTROL_RUNNING : 0u) |
           (core->sleeping ? CONTROL_SLEEPING : 0u);
}

/* General registers and constant table, for a debugger, while the core stands still. */
static bool debug_access(Core *core, uint32_t offset, uint32_t *value, bool write)
{
    if (core->running) {
        fault_set(core->emulator, FAULT_ADDRESS, offset, "the registers of a running core are not accessible");
        return false;
    }
    if (offset >= 0x480) {
        if (write)
            return false;
        *value = ctrl_constant(core, (int)(offset - 0x480) / 4);
        return true;
    }
    uint32_t *r = &core->r[(offset - 0x400) / 4];
    if (write)
        *r = *value;
    else
        *value = *r;
    return true;
}

static bool read_ctrl(Core *core, uint32_t offset, uint32_t *value, uint64_t now)
{
    counters_update(core, now);
    switch (offset) {
    case 0x00: *value = read_control(core); return true;
    case 0x04: *value = core->pc; return true;
    case 0x08: *value = core->wakeup_enable; return true;
    case 0x0C: *value = core->cycle_value; return true;
    case 0x10: /* a load under way is counted as a whole; the chip's STALL never passes CYCLE */
        *value = core->stall_value < core->cycle_value ? core->stall_value : core->cycle_value;
        return true;
    case 0x20: *value = core->block_index[0]; return true;
    case 0x24: *value = core->block_index[1]; return true;
    case 0x28: *value = core->pointer[0]; return true;
    case 0x2C: *value = core->pointer[1]; return true;
    default: return false;
    }
}

bool ctrl_access(Emulator *e, int index, uint32_t offset, uint32_t *value, bool write, uint64_t now)
{
    Core *core = &e->core[index];
    if (offset >= 0x400 && offset < 0x500)
        return debug_access(core, offset, value, write);
    if (!write)
        return read_ctrl(core, offset, value, now);
    switch (offset) {
    case 0x00: return write_control(core, *value, now);
    case 0x08: core->wakeup_enable = *value; return true;
    case 0x0C: /* clears both counters, but only while they stand (py-uio's reading; the other is not relied on) */
        counters_update(core, now);
        if (!core->counting)
            core->cycle_value = core->stall_value = 0;
        return true;
    case 0x20: core->block_index[0] = *value & 0x00FF00FF; return true;
    case 0x24: core->block_index[1] = *value & 0x00FF00FF; return true;
    case 0x28: core->pointer[0] = *value; return true;
    case 0x2C: core->pointer[1] = *value; return true;
    default: return false;
    }
}

/* The constant table of LBCO and SBCO (TRM table 4-11); entries 24 to 31 have a programmable part. */
uint32_t ctrl_constant(const Core *core, int entry)
{
    static const uint32_t FIXED[24] = {
        0x00020000, 0x48040000, 0x4802A000, 0x00030000, 0x00026000, 0x48060000, 0x48030000, 0x00028000,
        0x46000000, 0x4A100000, 0x48318000, 0x48022000, 0x48024000, 0x48310000, 0x481CC000, 0x481D0000,
        0x481A0000, 0x4819C000, 0x48300000, 0x48302000, 0x48304000, 0x00032400, 0x480C8000, 0x480CA000,
    };
    const uint32_t *index = core->block_index, *pointer = core->pointer;
    switch (entry) {
    case 24: return (index[0] & 0xF) << 8;
    case 25: return 0x00002000 | (index[0] >> 16 & 0xF) << 8;
    case 26: return 0x0002E000 | (index[1] & 0xF) << 8;
    case 27: return 0x00032000 | (index[1] >> 16 & 0xF) << 8;
    case 28: return (pointer[0] & 0xFFFF) << 8;
    case 29: return 0x49000000 | (pointer[0] >> 16) << 8;
    case 30: return 0x40000000 | (pointer[1] & 0xFFFF) << 8;
    case 31: return 0x80000000 | (pointer[1] >> 16) << 8;
    default: return FIXED[entry];
    }
}

/* ---- IEP ---- */

/* COUNT is a plain register here. Public code disagrees on how software resets it (writing 0 or all ones), so firmware
 * should do neither. Of the later chips' capture registers and of the compensation there is nothing. */

enum { IEP_ENABLE = 1, IEP_SYSTEM_EVENT = 7, COMPARE0_RESETS = 1 };

/* Mark the enabled compare registers that lie in (from, from + distance], as 33-bit distances along the count. */
static void mark_compares(Iep *iep, uint32_t from, uint64_t distance)
{
    for (int k = 0; k < 8; k++) {
        uint32_t ahead = iep->compare[k] - from; /* 0 means a whole turn away */
        if ((iep->compare_config >> (k + 1) & 1) && distance >= (ahead == 0 ? 1ull << 32 : ahead))
            iep->compare_status |= 1u << k;
    }
}

static void count_on(Iep *iep, uint64_t distance)
{
    mark_compares(iep, iep->count, distance);
    if (iep->count + distance > UINT32_MAX)
        iep->status |= 1; /* CNT_OVF */
    iep->count += (uint32_t)distance;
}

/* With CMP0_RST_CNT_EN the count goes to 0 one clock after it has reached compare 0. */
static void count_with_reset(Iep *iep, uint64_t clocks, uint32_t increment)
{
    while (clocks > 0) {
        uint64_t to_compare = iep->count <= iep->compare[0] ? (iep->compare[0] - iep->count + increment - 1) / increment
                                                            : (0x100000000ull - iep->count) / increment + 1;
        if (clocks <= to_compare) {
            count_on(iep, clocks * increment);
            return;
        }
        count_on(iep, to_compare * increment);
        iep->count = 0;
        clocks -= to_compare + 1;
    }
}

void iep_update(Emulator *e, uint64_t now)
{
    Iep *iep = &e->iep;
    uint32_t increment = iep->global_config >> 4 & 0xF;
    if (now <= iep->updated)
        return;
    uint64_t clocks = now - iep->updated;
    iep->updated = now;
    if (!(iep->global_config & IEP_ENABLE) || increment == 0)
        return;
    if ((iep->compare_config & 3) == 3)
        count_with_reset(iep, clocks, increment);
    else
        count_on(iep, clocks * increment);
    bool line = iep->compare_status != 0;
    if (line && !e->intc.iep_line)
        intc_raise(e, IEP_SYSTEM_EVENT);
    e->intc.iep_line = line;
}

static uint32_t *iep_register(Iep *iep, uint32_t offset)
{
    if (offset >= 0x48 && offset < 0x68)
        return &iep->compare[(offset - 0x48) / 4];
    switch (offset) {
    case 0x00: return &iep->global_config;
    case 0x04: return &iep->status;
    case 0x0C: return &iep->count;
    case 0x40: return &iep->compare_config;
    case 0x44: return &iep->compare_status;
    default: return NULL;
    }
}

bool iep_access(Emulator *e, uint32_t offset, uint32_t *value, bool write, uint64_t now)
{
    Iep *iep = &e->iep;
    iep_update(e, now);
    uint32_t *target = iep_register(iep, offset);
    if (target == NULL)
        return false;
    if (!write) {
        *value = *target;
    } else if (offset == 0x04 || offset == 0x44) {
        *target &= ~*value; /* write 1 to clear */
        e->intc.iep_line = iep->compare_status != 0;
    } else {
        *target = *value;
    }
    return true;
}
