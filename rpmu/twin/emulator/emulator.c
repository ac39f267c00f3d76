/* emulator.c: creation, loading, the run loop over both cores, and the calls of emulator.h that belong to no device.
 *
 * The cores share memory and devices, so with both running the one that is behind in time runs until it has caught up;
 * a lone core runs to the end in one go. Devices have no loop of their own: they are brought up to date whenever
 * something looks at them, and at the end of a run.
 */
#include "internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_NOISE = 1, STREAM_JITTER = 2 };

Emulator *emulator_create(const BusTiming *bus, const AdcErrors *adc, const double *inl_lsb, size_t inl_count,
                          uint32_t ddr_base, uint32_t ddr_bytes, uint64_t seed)
{
    Emulator *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->ddr = calloc(1, ddr_bytes + 1u);
    e->analog.inl = malloc((inl_count + 1) * sizeof *e->analog.inl);
    if (e->ddr == NULL || e->analog.inl == NULL) {
        emulator_destroy(e);
        return NULL;
    }
    for (int k = 0; k < 2; k++) {
        e->core[k].index = k;
        e->core[k].emulator = e;
        core_reset(&e->core[k]);
    }
    if (inl_count)
        memcpy(e->analog.inl, inl_lsb, inl_count * sizeof *inl_lsb);
    e->analog.inl_count = inl_count;
    e->analog.errors = *adc;
    e->shared = e->own_shared;
    e->bus = *bus;
    e->ddr_base = ddr_base;
    e->ddr_bytes = ddr_bytes;
    e->active = -1;
    e->skip_waiting = true;
    random_seed(&e->analog.noise, seed, STREAM_NOISE);
    random_seed(&e->jitter, seed, STREAM_JITTER);
    peripherals_reset(e);
    adc_reset(&e->adc);
    return e;
}

void emulator_destroy(Emulator *e)
{
    if (e == NULL)
        return;
    for (int k = 0; k < 2; k++)
        for (int bit = 0; bit < 30; bit++)
            edges_free(&e->core[k].edges[bit]);
    edges_free(&e->ecap.edges);
    analog_free(&e->analog);
    free(e->ddr);
    free(e);
}

void fault_set(Emulator *e, FaultKind kind, uint32_t address, const char *format, ...)
{
    Fault *fault = &e->fault;
    if (fault->kind != FAULT_NONE)
        return;
    fault->kind = kind;
    fault->core = e->active;
    fault->address = address;
    fault->pc = e->active >= 0 ? e->core[e->active].pc : 0;
    fault->cycle = e->active >= 0 ? e->core[e->active].cycle : e->cycle;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->message, sizeof fault->message, format, arguments);
    va_end(arguments);
}

/* ---- loading and control ---- */

bool emulator_load(Emulator *e, int core, const uint32_t *words, size_t count)
{
    Core *c = &e->core[core];
    if (c->running || count > IRAM_WORDS)
        return false;
    for (uint32_t k = 0; k < IRAM_WORDS; k++)
        c->iram[k] = k < count ? decode(words[k]) : (Instruction){.operation = OP_NOT_LOADED, .rs2 = 32};
    for (int k = 0; k < c->probe_count; k++)
        c->iram[c->probe_pc[k]].flags |= PROBED;
    return true;
}

void emulator_start(Emulator *e, int core, uint32_t entry_word)
{
    e->core[core].pc = entry_word & 0xFFFF;
    e->core[core].loop_end = NO_LOOP;
    ctrl_set_running(&e->core[core], true, e->cycle);
}

void emulator_stop(Emulator *e, int core)
{
    ctrl_set_running(&e->core[core], false, e->cycle);
}

bool emulator_running(const Emulator *e, int core)
{
    return e->core[core].running;
}

/* ---- time ---- */

void emulator_skip_waiting(Emulator *e, bool skip)
{
    e->skip_waiting = skip;
}

static void run_cores(Emulator *e, uint64_t until)
{
    Core *a = &e->core[0], *b = &e->core[1];
    while (e->fault.kind == FAULT_NONE) {
        bool a_due = a->running && a->cycle < until, b_due = b->running && b->cycle < until;
        if (!a_due && !b_due)
            return;
        Core *behind = a_due && (!b_due || a->cycle <= b->cycle) ? a : b;
        Core *other = behind == a ? b : a;
        core_run(behind, a->running && b->running && other->cycle < until ? other->cycle + 1 : until);
    }
}

bool emulator_run(Emulator *e, uint64_t cycle)
{
    if (e->fault.kind != FAULT_NONE)
        return false;
    run_cores(e, cycle);
    if (e->fault.kind == FAULT_NONE) {
        if (cycle > e->cycle)
            e->cycle = cycle;
        adc_advance(e, e->cycle * TICKS_PER_CYCLE);
        iep_update(e, e->cycle);
        ecap_update(e, e->cycle);
    }
    return e->fault.kind == FAULT_NONE;
}

uint64_t emulator_cycle(const Emulator *e)
{
    return e->cycle;
}

const Fault *emulator_fault(const Emulator *e)
{
    return &e->fault;
}

/* ---- looking inside ---- */

uint32_t emulator_register(const Emulator *e, int core, int index)
{
    const Core *c = &e->core[core];
    return index < 32 ? c->r[index] : index == 32 ? c->pc : c->carry;
}

void emulator_set_register(Emulator *e, int core, int index, uint32_t value)
{
    Core *c = &e->core[core];
    if (index < 32)
        c->r[index] = value;
    else if (index == 32)
        c->pc = value & 0xFFFF;
    else
        c->carry = value & 1;
}

uint8_t *emulator_memory(Emulator *e, int memory, size_t *bytes)
{
    switch (memory) {
    case MEMORY_DRAM0: *bytes = DRAM_BYTES; return e->dram[0];
    case MEMORY_DRAM1: *bytes = DRAM_BYTES; return e->dram[1];
    case MEMORY_SHARED: *bytes = SHARED_BYTES; return e->shared;
    default: *bytes = e->ddr_bytes; return e->ddr;
    }
}

void emulator_share(Emulator *e, uint8_t *memory)
{
    memcpy(memory, e->shared, SHARED_BYTES);
    e->shared = memory;
}

void emulator_statistics(const Emulator *e, Statistics *out)
{
    *out = e->statistics;
    for (int k = 0; k < 2; k++) {
        out->instructions[k] = e->core[k].instructions;
        out->stall_cycles[k] = e->core[k].stalls;
    }
}

int emulator_add_probe(Emulator *e, int core, uint32_t pc)
{
    Core *c = &e->core[core];
    if (c->probe_count == MAX_PROBES || pc >= IRAM_WORDS)
        return -1;
    c->probe_pc[c->probe_count] = pc;
    c->iram[pc].flags |= PROBED;
    return c->probe_count++;
}

bool emulator_probe(const Emulator *e, int core, int index, Probe *out)
{
    if (index < 0 || index >= e->core[core].probe_count)
        return false;
    *out = e->core[core].probe[index];
    return true;
}

void emulator_reset_probes(Emulator *e)
{
    for (int k = 0; k < 2; k++)
        memset(e->core[k].probe, 0, sizeof e->core[k].probe);
    memset(&e->statistics.count_reads, 0, sizeof e->statistics.count_reads);
}

bool emulator_add_pin_edges(Emulator *e, int core, int bit, const double *edge_cycles, const double *levels, size_t count)
{
    bool is_ecap = core == 2;
    Edges *edges = is_ecap ? &e->ecap.edges : &e->core[core].edges[bit];
    uint64_t *next = is_ecap ? &e->ecap.next_edge : &e->core[core].next_edge;
    if (!edges_append(edges, edge_cycles, levels, count, (double)e->cycle))
        return false;
    if (edges->head < edges->count && edges->time[edges->head] < (double)*next)
        *next = edges->time[edges->head] > 0 ? (uint64_t)edges->time[edges->head] : 0;
    return true;
}
