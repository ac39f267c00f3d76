/* bus.c: the memory map, who may go where, and what it costs.
 *
 *   00000 own DRAM      20000 INTC      26000 CFG       30000 eCAP      44E00400 CM_WKUP (ADC clock gate)
 *   02000 other DRAM    22000 CTRL0     2E000 IEP       (host only:     44E0D000 TSC_ADC_SS
 *   10000 shared RAM    24000 CTRL1                     34000, 38000    4A300000 the PRUSS from outside
 *                                                       IRAM0, IRAM1)   DDR window
 *
 * Everything else is a fault that names the address. Devices have 32-bit registers; parts of a register may be read,
 * and written where the register has no side effects (CFG, CTRL, eCAP). A read outside the PRUSS reaches its target
 * half-way through its latency, everything else when it is issued. Costs: BusTiming in emulator.h.
 */
#include "internal.h"

#include <string.h>

#define GLOBAL_BASE 0x4A300000u
#define GLOBAL_BYTES 0x00080000u
#define ADC_BASE 0x44E0D000u
#define CM_WKUP_BASE 0x44E00400u
#define CM_WKUP_ADC_TSC_CLKCTRL 0xBCu

enum { STANDBY_INIT = 1 << 4 }; /* CFG SYSCFG: the OCP port is closed */

typedef enum Target {
    NOTHING, RAM, INTC, CTRL0, CTRL1, CFG, IEP, ECAP, PRUSS_GLOBAL, ADC, CM_WKUP, DDR, IRAM0, IRAM1,
} Target;

typedef struct Place {
    Target target;
    uint32_t offset;           /* within the target */
    uint8_t *ram;              /* RAM and DDR: the byte itself ... */
    uint32_t room;             /* ... and how many follow */
} Place;

static Place ram_place(Target target, uint8_t *base, uint32_t size, uint32_t offset)
{
    return (Place){.target = target, .offset = offset, .ram = base + offset, .room = size - offset};
}

/* `view`: 0 or 1 for a core (which sees its own DRAM at 0), 0 for the host. */
static Place locate(Emulator *e, uint32_t address, int view)
{
    if (address < DRAM_BYTES)
        return ram_place(RAM, e->dram[view], DRAM_BYTES, address);
    if (address < 2 * DRAM_BYTES)
        return ram_place(RAM, e->dram[1 - view], DRAM_BYTES, address - DRAM_BYTES);
    if (address - 0x10000u < SHARED_BYTES)
        return ram_place(RAM, e->shared, SHARED_BYTES, address - 0x10000u);
    if (address - e->ddr_base < e->ddr_bytes)
        return ram_place(DDR, e->ddr, e->ddr_bytes, address - e->ddr_base);
    static const struct {
        uint32_t start, bytes;
        Target target;
    } DEVICES[] = {
        {ADC_BASE, 0x1000, ADC},     {0x20000, 0x2000, INTC}, {0x22000, 0x2000, CTRL0},   {0x24000, 0x2000, CTRL1},
        {0x26000, 0x2000, CFG},      {0x2E000, 0x1000, IEP},  {0x30000, 0x2000, ECAP},    {CM_WKUP_BASE, 0x100, CM_WKUP},
        {GLOBAL_BASE, GLOBAL_BYTES, PRUSS_GLOBAL},            {0x34000, 0x2000, IRAM0},   {0x38000, 0x2000, IRAM1},
    };
    for (size_t k = 0; k < sizeof DEVICES / sizeof DEVICES[0]; k++)
        if (address - DEVICES[k].start < DEVICES[k].bytes)
            return (Place){.target = DEVICES[k].target, .offset = address - DEVICES[k].start};
    return (Place){.target = NOTHING};
}

static bool is_external(Target target)
{
    return target == ADC || target == CM_WKUP || target == DDR || target == PRUSS_GLOBAL;
}

/* ---- cost ---- */

static uint32_t words_touched(uint32_t address, uint32_t bytes)
{
    return (address % 4 + bytes + 3) / 4;
}

static uint32_t external_jitter(Emulator *e)
{
    uint32_t most = e->bus.external_jitter;
    return most == 0 ? 0 : (uint32_t)(random_bits(&e->jitter) % (most + 1u));
}

static uint32_t read_cost(Emulator *e, Target target, uint32_t words)
{
    const BusTiming *bus = &e->bus;
    switch (target) {
    case CFG:
    case INTC: return bus->cfg_read * words;
    case CTRL0:
    case CTRL1:
    case ECAP: return bus->ctrl_read * words;
    case IEP: return bus->iep_read * words;
    case ADC: return bus->adc_read * words + external_jitter(e);
    case CM_WKUP: return bus->prcm_read * words + external_jitter(e);
    case PRUSS_GLOBAL: return bus->l3_read * words + external_jitter(e);
    case DDR: return bus->ddr_read + words - 1 + external_jitter(e);
    default: return bus->local_ram_read + words - 1;
    }
}

static uint32_t write_cost(const Emulator *e, Target target, uint32_t words)
{
    if (is_external(target))
        return e->bus.external_write + words - 1;
    return (target == RAM ? e->bus.local_ram_write : e->bus.local_device_write) + words - 1;
}

/* ---- devices, one register at a time ---- */

static bool clock_gate(Emulator *e, uint32_t offset, uint32_t *value, bool write, uint64_t now)
{
    enum { MODULE_ENABLED = 2, IDLE_STATUS_DISABLED = 3 << 16 };
    if (offset != CM_WKUP_ADC_TSC_CLKCTRL)
        return false;
    if (write)
        adc_set_clock(e, (*value & 3) == MODULE_ENABLED, now);
    else
        *value = e->adc.clock_on ? MODULE_ENABLED : IDLE_STATUS_DISABLED;
    return true;
}

static bool iram_word(Emulator *e, int index, uint32_t offset, uint32_t *value, bool write)
{
    Core *core = &e->core[index];
    if (core->running) {
        fault_set(e, FAULT_ADDRESS, offset, "the instruction memory of a running core is not accessible");
        return false;
    }
    if (write)
        core->iram[offset / 4] = decode(*value);
    else
        *value = core->iram[offset / 4].word;
    return true;
}

/* `offset` is aligned to 4, except for eCAP's 16-bit registers. */
static bool device_access(Emulator *e, Place place, int bytes, uint32_t *value, bool write, uint64_t now, uint32_t pc)
{
    switch (place.target) {
    case INTC: return intc_access(e, place.offset, value, write, now);
    case CTRL0: return ctrl_access(e, 0, place.offset, value, write, now);
    case CTRL1: return ctrl_access(e, 1, place.offset, value, write, now);
    case CFG: return cfg_access(e, place.offset, value, write);
    case IEP: return iep_access(e, place.offset, value, write, now);
    case ECAP: return ecap_access(e, place.offset, bytes, value, write, now);
    case ADC: return adc_access(e, place.offset, value, write, now, pc);
    case CM_WKUP: return clock_gate(e, place.offset, value, write, now);
    case IRAM0: return iram_word(e, 0, place.offset, value, write);
    case IRAM1: return iram_word(e, 1, place.offset, value, write);
    default: return false;
    }
}

static const char *target_name(Target target)
{
    static const char *const NAMES[] = {"nothing", "RAM", "INTC", "CTRL of PRU0", "CTRL of PRU1", "CFG", "IEP", "eCAP",
                                        "PRUSS", "TSC_ADC_SS", "CM_WKUP", "DDR", "IRAM of PRU0", "IRAM of PRU1"};
    return NAMES[target];
}

static void no_such_register(Emulator *e, Place place, uint32_t address, uint32_t bytes, bool write)
{
    const char *verb = write ? "write" : "read";
    if (place.target == NOTHING)
        fault_set(e, FAULT_ADDRESS, address, "%s of %u bytes at 0x%08X: nothing is mapped there", verb, bytes, address);
    else
        fault_set(e, FAULT_ADDRESS, address, "%s of %u bytes at 0x%08X: %s has no such register at offset 0x%X", verb, bytes,
                  address, target_name(place.target), place.offset);
}

/* Part of a register, or a whole one. */
static bool register_access(Emulator *e, Place place, uint8_t *data, uint32_t bytes, bool write, uint64_t now, uint32_t pc)
{
    uint32_t lane = place.offset % 4, value = 0;
    if (place.target == ECAP) { /* 16-bit registers side by side */
        memcpy(&value, data, write ? bytes : 0);
        if (!ecap_access(e, place.offset, (int)bytes, &value, write, now))
            return false;
        memcpy(data, &value, write ? 0 : bytes);
        return true;
    }
    place.offset -= lane;
    bool whole = bytes == 4;
    bool plain = place.target == CFG || place.target == CTRL0 || place.target == CTRL1;
    if (write && !whole && !plain) {
        fault_set(e, FAULT_ADDRESS, 0, "write of %u bytes into a register of %s: write whole 32-bit words", bytes,
                  target_name(place.target));
        return false;
    }
    if (!write || !whole)
        if (!device_access(e, place, 4, &value, false, now, pc))
            return false;
    if (!write) {
        memcpy(data, (uint8_t *)&value + lane, bytes);
        return true;
    }
    memcpy((uint8_t *)&value + lane, data, bytes);
    return device_access(e, place, 4, &value, true, now, pc);
}

/* A burst over registers: each is accessed once, in rising order. */
static void device_burst(Emulator *e, Place place, uint32_t address, uint8_t *data, uint32_t bytes, bool write,
                         uint64_t now, uint32_t pc)
{
    for (uint32_t done = 0; done < bytes && e->fault.kind == FAULT_NONE;) {
        Place here = place;
        here.offset += done;
        uint32_t part = 4 - here.offset % 4;
        if (part > bytes - done)
            part = bytes - done;
        if (!register_access(e, here, data + done, part, write, now, pc))
            no_such_register(e, here, address + done, part, write);
        done += part;
    }
}

/* ---- what the cores call ---- */

static bool allowed(Core *core, Place place, uint32_t address, uint32_t bytes, bool write)
{
    Emulator *e = core->emulator;
    const char *verb = write ? "write" : "read";
    bool outside = is_external(place.target) || (place.target == NOTHING && address >= 0x80000u);
    if (outside && (e->cfg.syscfg & STANDBY_INIT)) {
        fault_set(e, FAULT_PORT_CLOSED, address,
                  "%s of %u bytes at 0x%08X, outside the PRUSS, while the OCP port is closed: clear CFG SYSCFG bit 4"
                  " (STANDBY_INIT) first", verb, bytes, address);
        return false;
    }
    if (place.target == NOTHING || place.target == IRAM0 || place.target == IRAM1) {
        place.target = NOTHING; /* a core does not see instruction memory */
        no_such_register(e, place, address, bytes, write);
        return false;
    }
    if ((place.target == RAM || place.target == DDR) && bytes > place.room) {
        fault_set(e, FAULT_ADDRESS, address, "%s of %u bytes at 0x%08X runs past the end of the memory there", verb, bytes,
                  address);
        return false;
    }
    return true;
}

static uint32_t transfer(Core *core, uint32_t address, uint8_t *data, uint32_t bytes, bool write)
{
    Emulator *e = core->emulator;
    Place place = locate(e, address, core->index);
    if (!allowed(core, place, address, bytes, write))
        return 1;
    uint32_t words = words_touched(address, bytes);
    uint32_t cost = write ? write_cost(e, place.target, words) : read_cost(e, place.target, words);
    uint64_t now = core->cycle + (!write && is_external(place.target) ? cost / 2 : 0);
    if (place.target == PRUSS_GLOBAL) {
        place = locate(e, place.offset, 0);
        if (place.target == NOTHING || place.target >= PRUSS_GLOBAL || (place.ram && bytes > place.room)) {
            place.target = NOTHING;
            no_such_register(e, place, address, bytes, write);
            return 1;
        }
    }
    if (place.ram != NULL)
        memcpy(write ? place.ram : data, write ? data : place.ram, bytes);
    else
        device_burst(e, place, address, data, bytes, write, now, core->pc);
    return cost;
}

uint32_t bus_read(Core *core, uint32_t address, uint8_t *data, uint32_t bytes)
{
    return transfer(core, address, data, bytes, false);
}

uint32_t bus_write(Core *core, uint32_t address, const uint8_t *data, uint32_t bytes)
{
    return transfer(core, address, (uint8_t *)data, bytes, true);
}

bool bus_quiet_read(Core *core, uint32_t address, QuietRead *out)
{
    Emulator *e = core->emulator;
    Place place = locate(e, address, core->index);
    bool reachable = place.target == ADC && !(e->cfg.syscfg & STANDBY_INIT);
    if (!reachable || e->bus.external_jitter != 0)
        return false;
    out->cycles = read_cost(e, ADC, 1);
    out->delay = out->cycles / 2;
    return adc_quiet_read(e, place.offset, core->cycle, out);
}

/* ---- what the host calls ---- */

static bool host_access(Emulator *e, uint32_t address, uint32_t *value, bool write)
{
    Fault kept = e->fault;
    e->fault.kind = FAULT_NONE;
    Place place = locate(e, address, 0);
    if (address % 4 != 0 || place.target == PRUSS_GLOBAL)
        place = (Place){.target = NOTHING};
    if (place.ram != NULL)
        memcpy(write ? (void *)place.ram : (void *)value, write ? (void *)value : (void *)place.ram, 4);
    else
        device_burst(e, place, address, (uint8_t *)value, 4, write, e->cycle, 0);
    e->host_fault = e->fault;
    e->fault = kept;
    return e->host_fault.kind == FAULT_NONE;
}

bool emulator_host_read(Emulator *e, uint32_t address, uint32_t *value)
{
    return host_access(e, address, value, false);
}

bool emulator_host_write(Emulator *e, uint32_t address, uint32_t value)
{
    return host_access(e, address, &value, true);
}

const Fault *emulator_host_fault(const Emulator *e)
{
    return &e->host_fault;
}
