/* intc.c: the interrupt controller of the PRUSS: 64 system events, 10 channels, 10 host interrupts.
 *
 * An event is raised by a device or by a core writing R31; enabled, it shows on the host interrupt that its channel is
 * mapped to. Hosts 0 and 1 are bits 30 and 31 of R31, hosts 2 to 9 go to the ARM. The subset: status, enable, maps,
 * global and host enable, and the indexed registers. Nesting, polarity, type and priorities are not modelled.
 */
#include "internal.h"

void intc_raise(Emulator *e, int event)
{
    e->intc.raw |= 1ull << event;
}

bool intc_host_pending(const Intc *intc, int host)
{
    uint64_t pending = intc->raw & intc->enabled;
    if (!(intc->global_enable & 1) || !(intc->host_enable >> host & 1))
        return false;
    for (; pending; pending &= pending - 1) {
        int event = __builtin_ctzll(pending);
        if (intc->host[intc->channel[event]] == host)
            return true;
    }
    return false;
}

uint32_t intc_r31_bits(Emulator *e, uint64_t now)
{
    Intc *intc = &e->intc;
    if (intc->enabled == 0)
        return 0;
    if (e->adc.clock_on)
        adc_advance(e, now * TICKS_PER_CYCLE);
    iep_update(e, now);
    ecap_update(e, now);
    return (uint32_t)intc_host_pending(intc, 0) << 30 | (uint32_t)intc_host_pending(intc, 1) << 31;
}

/* 64-bit event sets appear as two registers. */
static void write_half(uint64_t *set, uint32_t offset, uint32_t value, bool clear)
{
    uint64_t bits = (uint64_t)value << (offset & 4 ? 32 : 0);
    *set = clear ? *set & ~bits : *set | bits;
}

static uint32_t half(uint64_t set, uint32_t offset)
{
    return (uint32_t)(set >> (offset & 4 ? 32 : 0));
}

static bool map_access(uint8_t *entries, uint32_t count, uint32_t first, uint32_t *value, bool write)
{
    uint32_t read = 0;
    for (uint32_t k = 0; k < 4 && first + k < count; k++) {
        if (write)
            entries[first + k] = *value >> (8 * k) & 0xF;
        read |= (uint32_t)entries[first + k] << (8 * k);
        if (entries[first + k] > 9)
            return false;
    }
    *value = read;
    return true;
}

static bool write_intc(Intc *intc, uint32_t offset, uint32_t value)
{
    uint64_t event = 1ull << (value & 63);
    uint32_t host = value < 10 ? 1u << value : 0;
    switch (offset) {
    case 0x04: return value == 0; /* CR: no nesting */
    case 0x10: intc->global_enable = value & 1; return true;
    case 0x20: intc->raw |= event; return true;
    case 0x24: intc->raw &= ~event; return true;
    case 0x28: intc->enabled |= event; return true;
    case 0x2C: intc->enabled &= ~event; return true;
    case 0x34: intc->host_enable |= host; return true;
    case 0x38: intc->host_enable &= ~host; return true;
    case 0x200:
    case 0x204: write_half(&intc->raw, offset, value, false); return true;
    case 0x280:
    case 0x284: write_half(&intc->raw, offset, value, true); return true;
    case 0x300:
    case 0x304: write_half(&intc->enabled, offset, value, false); return true;
    case 0x380:
    case 0x384: write_half(&intc->enabled, offset, value, true); return true;
    case 0xD00:
    case 0xD04: return value == UINT32_MAX; /* SIPR: active high is the only polarity modelled */
    case 0xD80:
    case 0xD84: return value == 0;          /* SITR: level */
    case 0x1500: intc->host_enable = value & 0x3FF; return true;
    default: return false;
    }
}

static bool read_intc(const Intc *intc, uint32_t offset, uint32_t *value)
{
    switch (offset) {
    case 0x00: *value = 0x4E82A900; return true;
    case 0x04: *value = 0; return true;
    case 0x10: *value = intc->global_enable; return true;
    case 0x200:
    case 0x204: *value = half(intc->raw, offset); return true;
    case 0x280:
    case 0x284: *value = half(intc->raw & intc->enabled, offset); return true;
    case 0x300:
    case 0x304: *value = half(intc->enabled, offset); return true;
    case 0xD00:
    case 0xD04: *value = UINT32_MAX; return true;
    case 0xD80:
    case 0xD84: *value = 0; return true;
    case 0x1500: *value = intc->host_enable; return true;
    default: return false;
    }
}

bool intc_access(Emulator *e, uint32_t offset, uint32_t *value, bool write, uint64_t now)
{
    Intc *intc = &e->intc;
    adc_advance(e, now * TICKS_PER_CYCLE);
    iep_update(e, now);
    ecap_update(e, now);
    if (offset >= 0x400 && offset < 0x440)
        return map_access(intc->channel, 64, offset - 0x400, value, write);
    if (offset >= 0x800 && offset < 0x80C)
        return map_access(intc->host, 10, offset - 0x800, value, write);
    return write ? write_intc(intc, offset, *value) : read_intc(intc, offset, value);
}
