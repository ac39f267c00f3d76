/* adc.c: TSC_ADC_SS: registers, sequencer, FIFOs. Source: TRM (SPRUH73) chapter 12; what it leaves open is a parameter.
 *
 * The sequencer goes through the enabled steps in rising order, then starts over. One step takes, in ADC clocks,
 *
 *     open delay | 1 + sample delay | 13 conversion | 1
 *                                   ^ sampling instant
 *                                                 ^ word enters the FIFO
 *
 * so 15 at least. Averaging repeats the middle two parts. Nothing happens between two "ready" instants that anyone
 * could see, so the model jumps from one to the next whenever somebody looks (adc_advance).
 *
 * Overrun (a word for a full FIFO) and underflow (a read of an empty one) latch the module: no word enters a FIFO until
 * software has disabled it, waited until it is idle, cleared the flag and enabled it again.
 */
#include "internal.h"

#include <string.h>

enum { /* CTRL */
    CTRL_ENABLE = 1 << 0,
    CTRL_STEP_ID_TAG = 1 << 1,
    CTRL_STEPS_WRITABLE = 1 << 2,
    CTRL_POWER_DOWN = 1 << 4,
};
enum { /* IRQSTATUS */
    IRQ_END_OF_SEQUENCE = 1 << 1,
    IRQ_FIFO0_THRESHOLD = 1 << 2,
    IRQ_FIFO0_OVERRUN = 1 << 3,
    IRQ_FIFO0_UNDERFLOW = 1 << 4,
    IRQ_OUT_OF_RANGE = 1 << 8,
    IRQ_LATCHING = 0xD8, /* overrun and underflow of both FIFOs; FIFO1's bits are three further up */
    IRQ_ALL = 0x7FF,
};
enum { ADC_SYSTEM_EVENT = 53, CONVERSION_CLOCKS = 13, END_CLOCKS = 1, FIFO_WORDS = 64 };
#define ALL_STEPS 0x1FFFEu

void adc_reset(Adc *adc)
{
    memset(adc, 0, sizeof *adc);
}

static uint64_t clock_ticks(const Adc *adc)
{
    return (uint64_t)TICKS_PER_BUS_CLOCK * ((adc->clkdiv & 0xFFFF) + 1);
}

static void raise(Emulator *e, uint32_t flags)
{
    Adc *adc = &e->adc;
    adc->raw |= flags;
    bool line = (adc->raw & adc->enabled) != 0;
    if (line && !e->intc.adc_line)
        intc_raise(e, ADC_SYSTEM_EVENT);
    e->intc.adc_line = line;
}

/* ---- sequencer ---- */

static int next_step(uint32_t steps)
{
    for (int step = 1; step <= 16; step++)
        if (steps >> step & 1)
            return step;
    return 0;
}

/* Clocks from the first sampling instant of a step to its last, with averaging. */
static uint64_t averaging_clocks(const Emulator *e, int step)
{
    uint32_t conversions = 1u << (e->adc.step_config[step - 1] >> 2 & 7);
    uint32_t sample_delay = e->adc.step_delay[step - 1] >> 24;
    return (uint64_t)(conversions - 1) * (14 + sample_delay + e->analog.errors.extra_clock_per_average);
}

static bool step_is_modelled(Emulator *e, int step)
{
    uint32_t config = e->adc.step_config[step - 1];
    const char *what = (config & 3) > 1              ? "hardware-triggered"
                       : (config >> 2 & 7) > 4       ? "reserved averaging in"
                       : (config >> 25 & 1)          ? "differential"
                       : (config >> 19 & 15) > 8     ? "an input beyond VREFN in"
                                                     : NULL;
    if (what != NULL)
        fault_set(e, FAULT_NOT_MODELLED, 0, "ADC step %d: %s conversion is not modelled (STEPCONFIG 0x%08X)", step, what, config);
    return what == NULL;
}

/* Begin the next step of the scan at `start` (on an ADC clock edge). */
static void begin_step(Emulator *e, uint64_t start)
{
    Adc *adc = &e->adc;
    int step = next_step(adc->pending);
    if (!step_is_modelled(e, step))
        return;
    adc->pending &= ~(1u << step);
    adc->step = step;
    uint32_t delay = adc->step_delay[step - 1];
    uint64_t clocks = (delay & 0x3FFFF) + 1u + (delay >> 24) + averaging_clocks(e, step) + CONVERSION_CLOCKS;
    adc->ready = start + clocks * clock_ticks(adc);
}

/* Out of idle, if there is a reason to. */
static void start_scan(Emulator *e, uint64_t tick)
{
    Adc *adc = &e->adc;
    bool on = adc->clock_on && (adc->control & CTRL_ENABLE) && !(adc->control & CTRL_POWER_DOWN);
    if (adc->step != 0 || !on || !(adc->step_enable & ALL_STEPS))
        return;
    if (tick < adc->idle_from)
        tick = adc->idle_from;
    uint64_t period = clock_ticks(adc);
    adc->pending = adc->step_enable & ALL_STEPS;
    begin_step(e, (tick + period - 1) / period * period);
}

static void push(Emulator *e, int fifo_index, uint32_t word)
{
    Adc *adc = &e->adc;
    Fifo *fifo = &adc->fifo[fifo_index];
    if (adc->latched) {
        e->statistics.words_dropped++;
        return;
    }
    if (fifo->count == FIFO_WORDS) {
        adc->latched = true;
        e->statistics.overruns++;
        e->statistics.words_dropped++;
        raise(e, IRQ_FIFO0_OVERRUN << (3 * fifo_index));
        return;
    }
    fifo->word[(fifo->head + fifo->count++) % FIFO_WORDS] = word;
    if (fifo->count > e->statistics.fifo_high_water)
        e->statistics.fifo_high_water = fifo->count;
    if (fifo->count > fifo->threshold)
        raise(e, IRQ_FIFO0_THRESHOLD << (3 * fifo_index));
}

/* Sample and convert; averaged results lose their extra bits, as on the chip. */
static uint32_t convert(Emulator *e, int step)
{
    Adc *adc = &e->adc;
    uint32_t config = adc->step_config[step - 1];
    uint32_t conversions = 1u << (config >> 2 & 7);
    uint64_t period = clock_ticks(adc);
    uint64_t last = adc->ready - CONVERSION_CLOCKS * period;
    uint64_t spacing = conversions > 1 ? averaging_clocks(e, step) / (conversions - 1) * period : 0;
    uint32_t sum = 0;
    for (uint32_t k = 0; k < conversions; k++)
        sum += analog_convert(e, config >> 19 & 15, last - (conversions - 1 - k) * spacing);
    e->statistics.conversions += conversions;
    return sum / conversions;
}

static void deliver(Emulator *e, int step, uint32_t code)
{
    Adc *adc = &e->adc;
    uint32_t config = adc->step_config[step - 1];
    uint32_t tag = adc->control & CTRL_STEP_ID_TAG ? (uint32_t)(step - 1) << 16 : 0;
    if ((config >> 27 & 1) && (code < (adc->range & 0xFFF) || code > (adc->range >> 16 & 0xFFF)))
        raise(e, IRQ_OUT_OF_RANGE);
    if (adc->drop > 0) {
        adc->drop--;
        e->statistics.words_dropped++;
        return;
    }
    push(e, config >> 26 & 1, tag | code);
    if (adc->duplicate > 0) {
        adc->duplicate--;
        push(e, config >> 26 & 1, tag | code);
    }
}

static void finish_step(Emulator *e)
{
    Adc *adc = &e->adc;
    int step = adc->step;
    uint32_t code = convert(e, step);
    if (e->fault.kind != FAULT_NONE)
        return;
    deliver(e, step, code);
    if ((adc->step_config[step - 1] & 1) == 0)
        adc->step_enable &= ~(1u << step); /* one-shot */
    adc->step = 0;
    adc->idle_from = adc->ready + END_CLOCKS * clock_ticks(adc);
    bool enabled = (adc->control & CTRL_ENABLE) != 0;
    if (enabled && adc->pending) {
        begin_step(e, adc->idle_from);
        return;
    }
    adc->pending = 0;
    if (!enabled)
        return; /* disabled: the conversion is finished, then idle */
    raise(e, IRQ_END_OF_SEQUENCE);
    adc->idle_from += e->analog.errors.extra_clocks_per_scan * clock_ticks(adc);
    start_scan(e, adc->idle_from);
}

void adc_advance(Emulator *e, uint64_t tick)
{
    Adc *adc = &e->adc;
    while (adc->step != 0 && adc->ready <= tick && e->fault.kind == FAULT_NONE)
        finish_step(e);
}

/* FIFO0COUNT changes when a step's word is ready, and when somebody reads the FIFO. */
bool adc_quiet_read(Emulator *e, uint32_t offset, uint64_t now, QuietRead *out)
{
    const Adc *adc = &e->adc;
    if (offset != 0xE4 || !adc->clock_on || (adc->step != 0 && adc->ready <= now * TICKS_PER_CYCLE))
        return false;
    out->value = adc->fifo[0].count;
    out->last_cycle = adc->step == 0 ? NEVER : (adc->ready - 1) / TICKS_PER_CYCLE;
    out->probe = &e->statistics.count_reads;
    return true;
}

double adc_earliest_sample(const Emulator *e)
{
    const Adc *adc = &e->adc;
    uint64_t tick = e->cycle * TICKS_PER_CYCLE;
    if (adc->step != 0) { /* a conversion under way is evaluated when it is ready, at instants that may be past */
        uint64_t first = adc->ready - (CONVERSION_CLOCKS + averaging_clocks(e, adc->step)) * clock_ticks(adc);
        tick = first < tick ? first : tick;
    }
    return (double)tick / TICKS_PER_CYCLE;
}

void adc_set_clock(Emulator *e, bool on, uint64_t now)
{
    adc_advance(e, now * TICKS_PER_CYCLE);
    e->adc.clock_on = on;
    if (!on)
        e->adc.step = 0;
    else
        start_scan(e, now * TICKS_PER_CYCLE);
}

/* ---- registers ---- */

static uint32_t read_fifo(Emulator *e, int index)
{
    Adc *adc = &e->adc;
    Fifo *fifo = &adc->fifo[index];
    if (fifo->count == 0) {
        adc->latched = true;
        e->statistics.underflows++;
        raise(e, IRQ_FIFO0_UNDERFLOW << (3 * index));
        return 0;
    }
    uint32_t word = fifo->word[fifo->head];
    fifo->head = (fifo->head + 1) % FIFO_WORDS;
    fifo->count--;
    e->statistics.words_read++;
    return word;
}

static uint32_t status(const Adc *adc, uint64_t tick)
{
    enum { STEP_IDLE = 16, BUSY = 1 << 5 };
    if (adc->step != 0)
        return (uint32_t)(adc->step - 1) | BUSY;
    return tick < adc->idle_from ? STEP_IDLE | BUSY : STEP_IDLE;
}

static void write_control(Emulator *e, uint32_t value, uint64_t tick)
{
    Adc *adc = &e->adc;
    adc->control = value & 0x3FF;
    if (!(value & CTRL_ENABLE))
        return;
    if (adc->cleared)
        adc->latched = false;
    adc->cleared = false;
    start_scan(e, tick);
}

static void clear_flags(Adc *adc, uint32_t flags, uint64_t tick)
{
    adc->raw &= ~flags;
    bool idle = adc->step == 0 && tick >= adc->idle_from && !(adc->control & CTRL_ENABLE);
    if (adc->latched && idle && !(adc->raw & IRQ_LATCHING))
        adc->cleared = true;
}

static bool read_register(Emulator *e, uint32_t offset, uint32_t *value, uint64_t tick, uint32_t pc)
{
    const Adc *adc = &e->adc;
    switch (offset) {
    case 0x00: *value = 0x47300001; return true;
    case 0x10: *value = adc->sysconfig; return true;
    case 0x24: *value = adc->raw; return true;
    case 0x28: *value = adc->raw & adc->enabled; return true;
    case 0x2C:
    case 0x30: *value = adc->enabled; return true;
    case 0x38:
    case 0x3C: *value = adc->dma_enabled; return true;
    case 0x40: *value = adc->control; return true;
    case 0x44: *value = status(adc, tick); return true;
    case 0x48: *value = adc->range; return true;
    case 0x4C: *value = adc->clkdiv; return true;
    case 0x54: *value = adc->step_enable; return true;
    case 0xE4: probe_visit(&e->statistics.count_reads, tick / TICKS_PER_CYCLE, pc); *value = adc->fifo[0].count; return true;
    case 0xE8: *value = adc->fifo[0].threshold; return true;
    case 0xEC: *value = adc->fifo[0].dma_level; return true;
    case 0xF0: *value = adc->fifo[1].count; return true;
    case 0xF4: *value = adc->fifo[1].threshold; return true;
    case 0xF8: *value = adc->fifo[1].dma_level; return true;
    case 0x100: *value = read_fifo(e, 0); return true;
    case 0x200: *value = read_fifo(e, 1); return true;
    default: return false;
    }
}

static bool write_register(Emulator *e, uint32_t offset, uint32_t value, uint64_t tick)
{
    Adc *adc = &e->adc;
    switch (offset) {
    case 0x10: adc->sysconfig = value & 0xC; return true;
    case 0x24: raise(e, value & IRQ_ALL); return true;
    case 0x28: clear_flags(adc, value & IRQ_ALL, tick); break;
    case 0x2C: adc->enabled |= value & IRQ_ALL; break;
    case 0x30: adc->enabled &= ~value; break;
    case 0x38: adc->dma_enabled |= value & 3; return true;
    case 0x3C: adc->dma_enabled &= ~value; return true;
    case 0x40: write_control(e, value, tick); return true;
    case 0x48: adc->range = value & 0x0FFF0FFF; return true;
    case 0x4C: adc->clkdiv = value & 0xFFFF; return true;
    case 0x54: adc->step_enable = value & 0x1FFFF; start_scan(e, tick); return true;
    case 0xE8: adc->fifo[0].threshold = value & 0x3F; return true;
    case 0xEC: adc->fifo[0].dma_level = value & 0x3F; return true;
    case 0xF4: adc->fifo[1].threshold = value & 0x3F; return true;
    case 0xF8: adc->fifo[1].dma_level = value & 0x3F; return true;
    default: return false;
    }
    raise(e, 0); /* the interrupt line follows */
    return true;
}

/* IDLECONFIG, the charge step (accepted, takes no time) and the 16 steps, behind the write protection of CTRL.2. */
static uint32_t *step_register(Adc *adc, uint32_t offset)
{
    if (offset >= 0x64 && offset < 0xE4)
        return offset % 8 == 4 ? &adc->step_config[(offset - 0x64) / 8] : &adc->step_delay[(offset - 0x64) / 8];
    return offset == 0x58   ? &adc->idle_config
           : offset == 0x5C ? &adc->charge_config
           : offset == 0x60 ? &adc->charge_delay
                            : NULL;
}

bool adc_access(Emulator *e, uint32_t offset, uint32_t *value, bool write, uint64_t now, uint32_t pc)
{
    Adc *adc = &e->adc;
    uint64_t tick = now * TICKS_PER_CYCLE;
    if (!adc->clock_on) {
        fault_set(e, FAULT_CLOCK_GATED, 0x44E0D000u + offset,
                  "%s of TSC_ADC_SS offset 0x%X while its clock is off: write 2 to CM_WKUP_ADC_TSC_CLKCTRL (0x44E004BC) first",
                  write ? "write" : "read", offset);
        return false;
    }
    adc_advance(e, tick);
    uint32_t *step = step_register(adc, offset);
    if (step == NULL)
        return write ? write_register(e, offset, *value, tick) : read_register(e, offset, value, tick, pc);
    if (!write)
        *value = *step;
    else if (adc->control & CTRL_STEPS_WRITABLE)
        *step = *value;
    else
        e->statistics.protected_writes++;
    return true;
}

/* ---- injected faults ---- */

static void force(Emulator *e, uint32_t flag, uint64_t *counter)
{
    e->adc.latched = true;
    (*counter)++;
    raise(e, flag);
}

void emulator_inject(Emulator *e, int event, uint64_t amount)
{
    Adc *adc = &e->adc;
    switch (event) {
    case ADC_FORCE_OVERRUN: force(e, IRQ_FIFO0_OVERRUN, &e->statistics.overruns); break;
    case ADC_FORCE_UNDERFLOW: force(e, IRQ_FIFO0_UNDERFLOW, &e->statistics.underflows); break;
    case ADC_DROP_WORDS: adc->drop += amount; break;
    case ADC_DUPLICATE_WORDS: adc->duplicate += amount; break;
    case ADC_STALL: adc->ready += amount * TICKS_PER_CYCLE; break;
    default: break;
    }
}
