/* registers.h: what the firmware keeps in registers and in its own RAM, and the few macros of its dialect. */
#ifndef RPMU_REGISTERS_H
#define RPMU_REGISTERS_H

/* ---- registers ----
 * r4 to r11 and r26 to r29 are scratch (r25 too: R25 to R29 are the multiplier's). A routine says what it takes and
 * gives; what lives across routines has a name:
 */
#define PIN r0.b3                           /* R31 bit of the second PPS input, or NO_PIN */
#define HIGH_WATER r1.b0                    /* most words found in the FIFO during this block */
#define BLOCK_LEFT r1.b1                    /* samples still to come in this block */
#define DISCARD r1.b2                       /* outputs of the decimator to throw away after a (re)start */
#define SHIFT r1.b3                         /* PARAMS_OUTPUT_SHIFT */
#define PPS_INDEX r2.b0                     /* where the next PPS sample goes in the history */
#define PPS_POST r2.b1                      /* scans until the event that is being recorded is complete; 0: none is */
#define PPS_SETTLE r2.b2                    /* scans until the history is of one piece again */
#define FLAGS r2.b3
#define INNER_LINK r3.w0                    /* return address of a routine called by a routine */
#define LINK r3.w2                          /* return address of a routine called from the main flow */
#define HEARTBEAT r12
#define SAMPLES r13                         /* STATUS_SAMPLES_WRITTEN */
#define REF_COUNTER r14                     /* the counter when scan REF_SCAN was found, whose number is certain: */
#define REF_SCAN r15                        /* from these two, scans are numbered anew after a restart or a slip */
#define STATUS r16                          /* addresses */
#define PARAMS r17
#define ADC r18
#define FIFO r19
#define SAMPLE_AT r20                       /* where the next sample goes */
#define SCAN r21                            /* number of the newest scan */
#define NOW r22                             /* the counter after the last look at the FIFO that found what it wanted */
#define CHANNELS r23.b0                     /* analog channels; also the tag of the PPS step */
#define WORDS r23.b1                        /* FIFO words in a scan: CHANNELS + 1 */
#define PHASE r23.b2                        /* scans until the next sample */
#define DECIMATION r23.b3
#define SINCE r24                           /* the counter at the last whole scan or (re)start: the stall watch */

#define NO_PIN 0xFF                         /* the low byte of PPS_PIN_NONE */

#define FLAG_MEASURING 0                    /* the scan length is being measured: scans are only counted */
#define FLAG_ADC_ON 1                       /* the ADC's registers can be reached */
#define FLAG_RESTARTED 2                    /* the next scan is the first after a restart */
#define FLAG_SLIPPED 3                      /* the next scan is the first after a tag slip */
#define FLAG_ARMED 4                        /* PPS: the ADC has seen low, the next high sample is an edge */
#define FLAG_PIN 5                          /* PPS: the R31 input is watched */
#define FLAG_PIN_LOW 6                      /* PPS: it was low at PIN_LOW_AT */
#define FLAG_FRESH 7                        /* a look was in vain since the last scan: the newest was found as it came */

/* ---- DRAM0 ---- */
#define RAW 0x00                            /* 7 words: the newest scan as read; address 0, so that RAW + 4k is 4k */
#define NEXT_RAW 0x20                       /* 7 words: the scan that waits while missing ones are substituted */
#define HIGH_LEVEL 0x40                     /* PARAMS_PPS_HIGH, */
#define LOW_LEVEL 0x44                      /* PARAMS_PPS_LOW (read together) */
#define ROUNDING 0x48                       /* half a unit of the output, ahead of the shift */
#define STEP_MASK 0x4C                      /* STEPENABLE while running */
#define LAST_SEQ 0x50                       /* PARAMS_COMMAND_SEQ of the command under way or done */
#define EPOCH 0x54
#define TRIES 0x58                          /* restarts since the last whole scan */
#define SCAN_TICKS 0x5C                     /* counter ticks per scan, rounded */
#define STALL_TICKS 0x60
#define SAMPLE_TICKS 0x64                   /* from one sample to the next, */
#define EXPECTED_TICKS 0x68                 /* and from REF_SCAN to the newest (read together) */
#define MEASURE_SCANS 0x6C
#define MEASURE_START 0x70
#define BLOCKS 0x78                         /* STATUS_BLOCKS_WRITTEN */
#define BLOCK_AT 0x7C                       /* the open block, */
#define BLOCK_SIZE 0x80                     /* its size, */
#define RING_END 0x84                       /* and where the last slot ends (read together) */
#define END_SCAN 0x88                       /* scan number of the open block's last sample if nothing got lost */
#define BAD_SCANS 0x8C                      /* substituted in the open block, the last of them, */
#define LAST_BAD_SCAN 0x90
#define CARRIED_BAD 0x94                    /* the previous block's that are still in the filter (read together) */
#define EVENTS 0x98                         /* STATUS_EVENTS_WRITTEN */
#define EDGE_COUNTER 0x9C                   /* the counter at the PPS crossing */
#define PIN_EDGE_AT 0xA0                    /* the counter at the last edge of the pin */
#define GRID_OFFSET 0xA4                    /* ticks by which scans come later than on the grid of START */
#define MISSING 0xA8                        /* scans still to be substituted, */
#define FOUND 0xAC                          /* and the FIFO words found with the one after them */
#define PIN_LOW_AT 0xB0                     /* the counter at the last look that saw the pin low */
#define PIN_TICKS 0xB4                      /* so long after a scan the next one cannot be there yet */
#define PIN_UNTIL 0xB8                      /* the counter by when the pin's next edge should have come */
#define PIN_REACH 0xBC                      /* nearer than this, it is waited for (the four read together) */
#define WATCHED 0xC0                        /* PARAMS_WATCHED, */
#define LOWEST 0xC4                         /* PARAMS_LOWEST, */
#define RANGE 0xC8                          /* and how far above it PARAMS_HIGHEST lies (read together) */

#define CIC 0x100                           /* per channel 3 integrators, then 3 comb delays */
#define CIC_CHANNEL_BYTES 24
#define CIC_BYTES CIC_CHANNEL_BYTES * MAX_CHANNELS
#define HISTORY 0x200                       /* 64 PPS samples of 16 bits, and the same 64 once more */
#define HISTORY_SAMPLES 64

/* ---- choices ---- */
#define LOOKS 64                            /* looks at the FIFO between two looks at everything else */
#define FIFO_SUSPICIOUS 32                  /* words: far behind, so ask the ADC whether the FIFO has overrun */
#define FIFO_DEPTH 64
#define MEASURE_WARM_UP 8                   /* scans ahead of the measurement */
#define PIN_MARGIN 180                      /* ticks ahead of the next scan at which looking at the FIFO begins again */
#define PIN_EXPECT_TICKS 2000               /* the pin's next edge comes within this of where the last two say: 10 us */
#define PIN_SECOND 200000000                /* ticks of a second, give or take ... */
#define PIN_SECOND_TOLERANCE 50000          /* ... 250 ppm, more than any crystal is off */
#define IDLE_PAUSE 1000                     /* turns of two cycles between looks at the mailbox while idle: 10 us */
#define CLOCK_POLLS 2000                    /* reads of the clock gate before the ADC counts as absent: 0.9 ms */

#ifdef __ASSEMBLER__
/* Compare and jump in the order in which one reads it (QBxx names its second operand first). */
.macro jump_lt a, b, target
    qbgt \target, \a, \b
.endm
.macro jump_le a, b, target
    qbge \target, \a, \b
.endm
.macro jump_gt a, b, target
    qblt \target, \a, \b
.endm
.macro jump_ge a, b, target
    qble \target, \a, \b
.endm
.macro jump_eq a, b, target
    qbeq \target, \a, \b
.endm
.macro jump_ne a, b, target
    qbne \target, \a, \b
.endm
.macro jump_set flags, bit, target
    qbbs \target, \flags, \bit
.endm
.macro jump_clear flags, bit, target
    qbbc \target, \flags, \bit
.endm

.macro beat                                 /* still alive */
    add  HEARTBEAT, HEARTBEAT, 1
    sbbo HEARTBEAT, STATUS, STATUS_HEARTBEAT, 4
.endm

.macro count_up field, scratch              /* one more in a counter of the status */
    lbbo \scratch, STATUS, \field, 4
    add  \scratch, \scratch, 1
    sbbo \scratch, STATUS, \field, 4
.endm

.macro multiply                             /* r27:r26 = r28 * r29; the product needs a cycle */
    nop
    xin  0, r26, 8
.endm
#endif

#endif
