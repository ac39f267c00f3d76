/* ecap.c: the eCAP of the PRUSS in capture mode: a 32-bit counter of 5 ns and four registers that take it at edges.
 *
 * ECCTL1: bits 0, 2, 4, 6 choose the falling edge for captures 1 to 4, bits 1, 3, 5, 7 reset the counter after them,
 * bit 8 enables loading. ECCTL2: bit 0 one-shot, bits 2-1 last capture, bit 3 re-arm, bit 4 counter runs. Flags in
 * ECFLG: 0 interrupt, 1 to 4 captures, 5 counter overflow. APWM and the prescaler are faults. Source: TRM chapter 15.3.
 */
#include "internal.h"

enum { LOAD_ENABLE = 1 << 8, ONE_SHOT = 1 << 0, REARM = 1 << 3, RUN = 1 << 4, APWM = 1 << 9 };
enum { FLAG_INTERRUPT = 1 << 0, FLAG_OVERFLOW = 1 << 5, ECAP_SYSTEM_EVENT = 15 };

static void raise_flag(Emulator *e, uint32_t flag)
{
    Ecap *ecap = &e->ecap;
    ecap->flags |= flag;
    if ((ecap->flags & ecap->interrupt_enable & ~(uint32_t)FLAG_INTERRUPT) && !(ecap->flags & FLAG_INTERRUPT)) {
        ecap->flags |= FLAG_INTERRUPT;
        intc_raise(e, ECAP_SYSTEM_EVENT);
    }
}

/* Count up to cycle `now`. */
static void count_to(Emulator *e, uint64_t now)
{
    Ecap *ecap = &e->ecap;
    if (now <= ecap->base)
        return;
    uint64_t clocks = now - ecap->base;
    ecap->base = now;
    if (!(ecap->control2 & RUN))
        return;
    if (ecap->count + clocks > UINT32_MAX)
        raise_flag(e, FLAG_OVERFLOW);
    ecap->count += (uint32_t)clocks;
}

static void capture(Emulator *e, bool rising)
{
    Ecap *ecap = &e->ecap;
    int k = ecap->next;
    bool wants_falling = ecap->control1 >> (2 * k) & 1;
    if (!(ecap->control1 & LOAD_ENABLE) || !ecap->armed || rising == wants_falling)
        return;
    ecap->capture[k] = ecap->count;
    if (ecap->control1 >> (2 * k + 1) & 1)
        ecap->count = 0;
    int last = (int)(ecap->control2 >> 1 & 3);
    if (k == last && (ecap->control2 & ONE_SHOT))
        ecap->armed = false;
    ecap->next = k == last ? 0 : k + 1;
    raise_flag(e, 2u << k);
}

void ecap_update(Emulator *e, uint64_t now)
{
    Ecap *ecap = &e->ecap;
    if (now >= ecap->next_edge) {
        Edges *edges = &ecap->edges;
        while (edges->head < edges->count && edges->time[edges->head] <= (double)now) {
            double time = edges->time[edges->head];
            bool level = edges->level[edges->head++] != 0.0;
            count_to(e, (uint64_t)time + ((double)(uint64_t)time < time)); /* the first clock at or after the edge */
            if (level != ecap->level)
                capture(e, level);
            ecap->level = level;
        }
        ecap->next_edge = edges->head < edges->count ? (uint64_t)edges->time[edges->head] : NEVER;
    }
    count_to(e, now);
}

static bool write_ecap(Emulator *e, uint32_t offset, uint32_t value)
{
    Ecap *ecap = &e->ecap;
    switch (offset) {
    case 0x00: ecap->count = value; return true;
    case 0x04: ecap->phase = value; return true;
    case 0x08:
    case 0x0C:
    case 0x10:
    case 0x14: ecap->capture[(offset - 8) / 4] = value; return true;
    case 0x28:
        ecap->control1 = value & 0xFFFF;
        if (value >> 9 & 0x1F)
            fault_set(e, FAULT_NOT_MODELLED, 0x30028, "the eCAP prescaler (ECCTL1 0x%04X) is not modelled", value);
        return true;
    case 0x2A:
        ecap->control2 = value & 0xFFF7;
        if (value & REARM) {
            ecap->armed = true;
            ecap->next = 0;
        }
        if (!(value & ONE_SHOT))
            ecap->armed = true;
        if (value & APWM)
            fault_set(e, FAULT_NOT_MODELLED, 0x3002A, "APWM mode of eCAP (ECCTL2 0x%04X) is not modelled", value);
        return true;
    case 0x2C: ecap->interrupt_enable = value & 0xFE; return true;
    case 0x2E: return true; /* read-only */
    case 0x30: ecap->flags &= ~value; return true;
    case 0x32: raise_flag(e, value & 0xFE); return true;
    default: return false;
    }
}

static bool read_ecap(const Ecap *ecap, uint32_t offset, uint32_t *value)
{
    switch (offset) {
    case 0x00: *value = ecap->count; return true;
    case 0x04: *value = ecap->phase; return true;
    case 0x08:
    case 0x0C:
    case 0x10:
    case 0x14: *value = ecap->capture[(offset - 8) / 4]; return true;
    case 0x28: *value = ecap->control1; return true;
    case 0x2A: *value = ecap->control2; return true;
    case 0x2C: *value = ecap->interrupt_enable; return true;
    case 0x2E: *value = ecap->flags; return true;
    case 0x30:
    case 0x32: *value = 0; return true;
    case 0x5C: *value = 0x44D22100; return true;
    default: return false;
    }
}

/* 32-bit registers up to 0x14 and at 0x5C, 16-bit ones between; 4 bytes at a 16-bit register reach its neighbour too. */
bool ecap_access(Emulator *e, uint32_t offset, int bytes, uint32_t *value, bool write, uint64_t now)
{
    bool narrow = offset >= 0x28 && offset < 0x34;
    if (bytes != 4 && !(narrow && bytes == 2))
        return false;
    if (offset % (narrow ? 2 : 4) != 0)
        return false;
    ecap_update(e, now);
    if (!narrow || bytes == 2)
        return write ? write_ecap(e, offset, *value) : read_ecap(&e->ecap, offset, value);
    if (write)
        return write_ecap(e, offset, *value & 0xFFFF) && write_ecap(e, offset + 2, *value >> 16);
    uint32_t high = 0;
    bool found = read_ecap(&e->ecap, offset, value) && read_ecap(&e->ecap, offset + 2, &high);
    *value |= high << 16;
    return found;
}
