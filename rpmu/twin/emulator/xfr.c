/* xfr.c: XIN, XOUT and XCHG: the scratchpad banks, the direct connection between the cores and the multiplier.
 *
 * Device 0 is the multiplier behind R25 to R29, 10 to 12 the scratchpad banks that both cores share, 14 the direct
 * connection, 254 and 255 the sources of ones and zeros (FILL and ZERO). The transfer moves bytes of the register file
 * to the same bytes of the device; SXIN and its sisters, and every bank access while CFG SPP.1 is set, move them to
 * registers R0[4:0] further on (TRM 4.4.1.2.4; the S forms: from memory, no other source).
 *
 * Direct connection: on the chip both cores have to execute their halves; here a sent register file waits in a mailbox,
 * XIN waits for it to fill and XOUT for it to be empty.
 */
#include "internal.h"

#include <string.h>

enum { MAC_DEVICE = 0, FIRST_BANK = 10, LAST_BANK = 12, PEER = 14, ONES = 254, ZEROS = 255 };
enum { MAC_MODE_ACCUMULATE = 1, MAC_CARRY = 2 };

/* ---- multiplier: R25 mode, R26-R27 product, R28-R29 operands ---- */

/* In multiply mode the product of the operands is there one instruction after they were written: an XIN directly
 * behind the write still sees the product of the values before it. */
static void mac_multiply(Core *core)
{
    Mac *mac = &core->mac;
    bool just_changed = mac->operands_changed + 1 == core->instructions && core->instructions > 0;
    mac->operand[0] = just_changed ? mac->previous[0] : core->r[28];
    mac->operand[1] = just_changed ? mac->previous[1] : core->r[29];
    uint64_t product = (uint64_t)mac->operand[0] * mac->operand[1];
    mac->product[0] = (uint32_t)product;
    mac->product[1] = (uint32_t)(product >> 32);
}

static void mac_accumulate(Core *core)
{
    Mac *mac = &core->mac;
    mac->operand[0] = core->r[28];
    mac->operand[1] = core->r[29];
    uint64_t sum = mac->accumulator + (uint64_t)mac->operand[0] * mac->operand[1];
    bool clear = (mac->mode & MAC_CARRY) != 0; /* written as 1 */
    bool carry = sum < mac->accumulator;
    mac->product[0] = (uint32_t)sum;
    mac->product[1] = (uint32_t)(sum >> 32);
    mac->accumulator = clear ? 0 : sum;
    mac->mode = MAC_MODE_ACCUMULATE | (carry && !clear ? MAC_CARRY : 0u);
}

static bool mac_range(Core *core, const Instruction *i, uint32_t first, uint32_t length)
{
    if (first >= 25 * 4 && first + length <= 28 * 4)
        return true;
    fault_set(core->emulator, FAULT_INSTRUCTION, 0, "the multiplier is behind R25 to R27, not R%u, %u bytes", i->rd, length);
    return false;
}

static void mac_read(Core *core, uint32_t first, uint32_t length)
{
    Mac *mac = &core->mac;
    if (!(mac->mode & MAC_MODE_ACCUMULATE))
        mac_multiply(core);
    uint32_t registers[3] = {mac->mode, mac->product[0], mac->product[1]};
    memcpy((uint8_t *)core->r + first, (uint8_t *)registers + (first - 25 * 4), length);
}

static void mac_write(Core *core, uint32_t first, uint32_t length)
{
    Mac *mac = &core->mac;
    bool was_accumulating = (mac->mode & MAC_MODE_ACCUMULATE) != 0;
    uint32_t registers[3] = {mac->mode & ~(uint32_t)MAC_CARRY, mac->product[0], mac->product[1]};
    memcpy((uint8_t *)registers + (first - 25 * 4), (uint8_t *)core->r + first, length);
    mac->product[0] = registers[1];
    mac->product[1] = registers[2];
    if (first >= 26 * 4)
        return; /* R25 untouched: no new mode, nothing accumulated */
    mac->mode = registers[0];
    if (mac->mode & MAC_MODE_ACCUMULATE) {
        mac_accumulate(core);
        return;
    }
    mac->mode &= ~(uint32_t)MAC_CARRY;
    mac->accumulator = 0;
    if (was_accumulating) { /* the operands of the accumulation are still in the multiplier for one instruction */
        mac->operands_changed = core->instructions;
        mac->previous[0] = mac->operand[0];
        mac->previous[1] = mac->operand[1];
    }
}

/* ---- banks and the peer ---- */

/* Move bytes between the register file and `device` registers, `shift` registers further on, wrapping at 32. */
static void exchange(uint32_t *r, uint32_t *device, uint32_t first, uint32_t length, uint32_t shift, Operation operation)
{
    for (uint32_t k = first; k < first + length; k++) {
        uint8_t *own = (uint8_t *)r + k;
        uint8_t *other = (uint8_t *)device + (k + 4 * shift) % 128;
        uint8_t kept = *own;
        if (operation != OP_XOUT)
            *own = *other;
        if (operation != OP_XIN)
            *other = kept;
    }
}

static bool peer_transfer(Core *core, const Instruction *i, uint32_t first, uint32_t length, uint32_t shift)
{
    Scratchpad *pad = &core->emulator->scratchpad;
    int from = i->operation == OP_XIN ? 1 - core->index : core->index;
    if (i->operation == OP_XCHG) {
        fault_set(core->emulator, FAULT_NOT_MODELLED, 0, "XCHG with the other core (device 14) is not modelled");
        return false;
    }
    if (pad->full[from] != (i->operation == OP_XIN))
        return false;
    exchange(core->r, pad->mailbox[from], first, length, shift, i->operation);
    pad->full[from] = i->operation == OP_XOUT;
    return true;
}

bool xfr_execute(Core *core, const Instruction *i)
{
    Emulator *e = core->emulator;
    uint32_t length = transfer_length(i, core->r);
    uint32_t first = i->rd * 4u + i->rd_shift;
    if (first + length > 128) {
        fault_set(e, FAULT_INSTRUCTION, 0, "transfer of %u bytes from R%u.b%u runs past R31", length, i->rd, i->rd_shift);
        return false;
    }
    uint32_t shift = i->shifted || (e->cfg.spp & 2) ? core->r[0] & 31 : 0;
    if (i->device >= FIRST_BANK && i->device <= LAST_BANK) {
        exchange(core->r, e->scratchpad.bank[i->device - FIRST_BANK], first, length, shift, i->operation);
        return true;
    }
    if (i->device == PEER)
        return peer_transfer(core, i, first, length, shift);
    if (i->device >= ONES && i->operation == OP_XIN) {
        memset((uint8_t *)core->r + first, i->device == ONES ? 0xFF : 0, length);
        return true;
    }
    if (i->device == MAC_DEVICE && i->operation != OP_XCHG) {
        if (!mac_range(core, i, first, length))
            return false;
        (i->operation == OP_XIN ? mac_read : mac_write)(core, first, length);
        return true;
    }
    fault_set(e, FAULT_INSTRUCTION, 0, "there is no XFR device %u for this instruction", i->device);
    return false;
}
