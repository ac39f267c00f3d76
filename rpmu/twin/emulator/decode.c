/* decode.c: instruction words to operations.
 *
 * The top three bits choose the family: 0 ALU, 1 everything without a common shape (jumps, LDI, LMBD, HALT, XFR, LOOP,
 * SLP), 2 and 3 compare and branch, 6 bit test and branch, 7 LBBO/SBBO, 4 LBCO/SBCO. A register operand is a number
 * (5 bits) and a selector (3 bits) of the byte, half word or word. Decoding happens once per loaded word.
 *
 * PASM and the GNU assembler differ in two encodings (MOV of a byte as AND or OR, the unused bit of QBA); both run.
 */
#include "internal.h"

static const uint8_t SELECTOR_SHIFT[8] = {0, 8, 16, 24, 0, 8, 16, 0};
static const uint8_t SELECTOR_BITS[8] = {8, 8, 8, 8, 16, 16, 16, 32};

static uint32_t field(uint32_t word, int shift, int bits)
{
    return (word >> shift) & ((1u << bits) - 1u);
}

static uint32_t mask_of(int bits)
{
    return bits == 32 ? UINT32_MAX : (1u << bits) - 1u;
}

static void decode_destination(Instruction *i)
{
    uint32_t selector = field(i->word, 5, 3);
    i->rd = (uint8_t)field(i->word, 0, 5);
    i->rd_shift = SELECTOR_SHIFT[selector];
    i->rd_bits = SELECTOR_BITS[selector];
    i->rd_mask = mask_of(i->rd_bits) << i->rd_shift;
    if (i->rd == 31)
        i->flags |= WRITES_R31;
    if (i->rd == 28 || i->rd == 29)
        i->flags |= WRITES_MAC_OPERANDS;
}

static void decode_source1(Instruction *i)
{
    uint32_t selector = field(i->word, 13, 3);
    i->rs1 = (uint8_t)field(i->word, 8, 5);
    i->rs1_shift = SELECTOR_SHIFT[selector];
    i->rs1_bits = SELECTOR_BITS[selector];
    i->rs1_mask = mask_of(i->rs1_bits);
    if (i->rs1 == 31)
        i->flags |= READS_R31;
}

/* Operand 2: a register, or (IO bit 24) an immediate of `immediate_bits` starting at `immediate_shift`. */
static void decode_source2(Instruction *i, int immediate_shift, int immediate_bits)
{
    if (field(i->word, 24, 1)) {
        i->rs2 = 32;
        i->immediate = field(i->word, immediate_shift, immediate_bits);
        return;
    }
    uint32_t selector = field(i->word, 21, 3);
    i->rs2 = (uint8_t)field(i->word, 16, 5);
    i->rs2_shift = SELECTOR_SHIFT[selector];
    i->rs2_mask = mask_of(SELECTOR_BITS[selector]);
    if (i->rs2 == 31)
        i->flags |= READS_R31;
}

static void decode_branch_offset(Instruction *i)
{
    uint32_t raw = field(i->word, 25, 2) << 8 | field(i->word, 0, 8);
    i->offset = (int16_t)(raw >= 512 ? (int)raw - 1024 : (int)raw);
}

/* 0 to 123 are 1 to 124 bytes; 124 to 127 take the count from a byte of R0. */
static void decode_length(Instruction *i, uint32_t length)
{
    if (length >= 124)
        i->count_byte = (uint8_t)(length - 124);
    else
        i->length = (uint8_t)(length + 1);
}

static void decode_memory(Instruction *i, bool constant_table)
{
    i->operation = field(i->word, 28, 1) ? OP_LOAD : OP_STORE;
    i->rd = (uint8_t)field(i->word, 0, 5);
    i->rd_shift = (uint8_t)field(i->word, 5, 2); /* first byte within the register */
    i->rs1 = (uint8_t)field(i->word, 8, 5);
    i->constant = constant_table ? i->rs1 : NO_CONSTANT;
    decode_source2(i, 16, 8);
    uint32_t length = field(i->word, 25, 3) << 4 | field(i->word, 13, 3) << 1 | field(i->word, 7, 1);
    decode_length(i, length);
    if (i->operation == OP_LOAD)
        i->flags |= WRITES_MAC_OPERANDS; /* perhaps: the cost of asking later is nothing beside the load */
    if (!constant_table && i->rs1 == 31)
        i->flags |= READS_R31;
}

static void decode_xfr(Instruction *i)
{
    static const uint8_t OPERATIONS[4] = {OP_ILLEGAL, OP_XIN, OP_XOUT, OP_XCHG};
    i->operation = OPERATIONS[field(i->word, 23, 2)];
    i->device = (uint8_t)field(i->word, 15, 8);
    i->shifted = (uint8_t)field(i->word, 14, 1);
    i->rd = (uint8_t)field(i->word, 0, 5);
    i->rd_shift = (uint8_t)field(i->word, 5, 2);
    uint32_t length = field(i->word, 7, 7);
    decode_length(i, length);
    if (i->operation != OP_XOUT && i->device != 0)
        i->flags |= WRITES_MAC_OPERANDS; /* perhaps; device 0 is the multiplier itself, behind R25 to R27 */
}

static void decode_loop(Instruction *i)
{
    i->operation = OP_LOOP; /* ILOOP (bit 15) differs only for a debugger's interrupts */
    i->offset = (int16_t)field(i->word, 0, 8);
    decode_source2(i, 16, 8);
    if (i->rs2 == 32)
        i->immediate += 1; /* 1 to 256 are encoded as 0 to 255 */
}

static void decode_other(Instruction *i)
{
    switch (field(i->word, 25, 4)) {
    case 0:
        i->operation = OP_JMP;
        decode_source2(i, 8, 16);
        break;
    case 1:
        i->operation = OP_JAL;
        decode_destination(i);
        decode_source2(i, 8, 16);
        break;
    case 2:
        i->operation = OP_LDI;
        decode_destination(i);
        i->immediate = field(i->word, 8, 16);
        break;
    case 3:
        i->operation = OP_LMBD;
        decode_destination(i);
        decode_source1(i);
        decode_source2(i, 16, 8);
        break;
    case 5:
        i->operation = OP_HALT;
        break;
    case 7:
        decode_xfr(i);
        break;
    case 8:
        decode_loop(i);
        break;
    case 15:
        i->operation = OP_SLP;
        i->immediate = field(i->word, 23, 1); /* wake on event */
        break;
    default: /* SCAN, MVIx and RFI belong to other cores */
        i->operation = OP_ILLEGAL;
    }
}

Instruction decode(uint32_t word)
{
    Instruction i = {.word = word, .rs2 = 32};
    switch (word >> 29) {
    case 0:
        i.operation = (uint8_t)(OP_ADD + field(word, 25, 4));
        decode_destination(&i);
        decode_source1(&i);
        decode_source2(&i, 16, 8);
        break;
    case 1:
        decode_other(&i);
        break;
    case 2:
    case 3:
        i.operation = (uint8_t)(OP_QBNEVER + field(word, 27, 3));
        decode_source1(&i);
        decode_source2(&i, 16, 8);
        decode_branch_offset(&i);
        break;
    case 6: {
        uint32_t condition = field(word, 27, 2);
        i.operation = condition == 1 ? OP_QBBC : condition == 2 ? OP_QBBS : OP_ILLEGAL;
        decode_source1(&i);
        decode_source2(&i, 16, 8);
        decode_branch_offset(&i);
        break;
    }
    case 7:
        decode_memory(&i, false);
        break;
    case 4:
        decode_memory(&i, true);
        break;
    default:
        i.operation = OP_ILLEGAL;
    }
    return i;
}
