/* layout.h: the shared memory between the PRU firmware and the host. This is its only definition.
 *
 * Included by sampler.S through the C preprocessor, and read by `python -m rpmu.acquire.generate_layout`, which writes
 * rpmu/acquire/layout.py (a test fails when the two differ). So this file holds #define lines with one number or one
 * sum of earlier names each, and comments; nothing else.
 *
 * All of it lies in the 12 kB shared RAM of the PRUSS (PRU address 0x10000, ARM address 0x4A310000). Little-endian.
 * Every field is an aligned 32-bit word, except the samples, which are packed 16-bit pairs; the host reads everything
 * with aligned 32-bit accesses. Offsets are in bytes.
 *
 *   0x0000  status      the PRU writes, the host reads
 *   0x0100  parameters  the host writes, the PRU reads
 *   0x0180  PPS events  4 slots of 128 bytes, the PRU writes
 *   0x0380  ring        blocks of samples, the PRU writes
 *
 * Words: a *scan* is one pass of the ADC sequencer through all steps (60 kHz as shipped); a *sample* is one decimated
 * output per channel (12 kHz); a *block* is BLOCK_SAMPLES samples; the *counter* is the IEP counter, 5 ns a tick.
 *
 * Rules. One writer, one reader; the writer never waits. STATUS_SAMPLES_WRITTEN (STATUS_EVENTS_WRITTEN) is written after
 * the sample (event) is there, has been checked, and the header of its block says what it has to: sample n (from 0) lies
 * in block n / BLOCK_SAMPLES, and block b in slot b modulo STATUS_RING_BLOCKS. While a block is open, its header holds
 * SEQ, FIRST_SCAN, COUNTER, EPOCH, and in BAD_SCANS what is known by now; the rest comes when it is closed, and then
 * STATUS_BLOCKS_WRITTEN. A counted sample is good: the ADC had not latched, and the counter agreed with the scans (or
 * BAD_SCANS says otherwise, from before the first touched sample is counted until the block ends).
 * If the ADC has to be restarted, the open block is given up: STATUS_SAMPLES_WRITTEN goes back to its first sample, then
 * STATUS_EPOCH moves, then the slot is written anew. What was counted and read of it remains good.
 * A reader copies, then reads STATUS_SAMPLES_WRITTEN and STATUS_EPOCH again: if the open block is now RING_BLOCKS or
 * more further, the slot was being written over; if the epoch is another, that of the open block may have been.
 * Within a block samples are exactly STATUS_DECIMATION scans apart; whatever breaks that (ADC restart) starts a new
 * block and, if the ADC restarted, a new epoch.
 *
 * The RAM is not zeroed by anyone: a host clears STATUS_MAGIC before it starts the core and waits for LAYOUT_MAGIC; the
 * firmware takes the PARAMS_COMMAND_SEQ that it finds at boot as already answered. STATUS_COMMAND_ACK follows a command
 * when its outcome is known (START: running or fault). START zeroes all counters but HEARTBEAT and EPOCH, also from
 * STATE_RUNNING; the counter of the IEP runs on, so that the time is carried from one run to the next. 32-bit counts
 * wrap; the slot of a block is counted without the wrap.
 */
#ifndef RPMU_LAYOUT_H
#define RPMU_LAYOUT_H

#define LAYOUT_VERSION 3
#define LAYOUT_MAGIC 0x554D5052             /* "RPMU" */

/* ---- where things lie ---- */
#define PRU_SHARED_RAM 0x00010000           /* PRU-local address of the shared RAM */
#define SHARED_RAM_BYTES 0x3000
#define STATUS_OFFSET 0x0000
#define PARAMS_OFFSET 0x0100
#define EVENTS_OFFSET 0x0180
#define RING_OFFSET 0x0380

/* ---- status: the PRU writes ---- */
#define STATUS_MAGIC 0x00                   /* LAYOUT_MAGIC once the firmware has initialised itself */
#define STATUS_LAYOUT_VERSION 0x04
#define STATUS_FIRMWARE_VERSION 0x08        /* major << 16 | minor */
#define STATUS_STATE 0x0C                   /* STATE_* */
#define STATUS_FAULT 0x10                   /* FAULT_* when the state is STATE_FAULT */
#define STATUS_HEARTBEAT 0x14               /* counts up at least once a millisecond in every state */
#define STATUS_COMMAND_ACK 0x18             /* PARAMS_COMMAND_SEQ of the last command that was carried out or refused */
#define STATUS_ADC_REVISION 0x1C            /* REVISION register of TSC_ADC_SS, the probe that it is clocked */
#define STATUS_MEASURED_SCANS 0x20          /* scans timed at start ... */
#define STATUS_MEASURED_CYCLES 0x24         /* ... and the counter ticks they took: the real scan length */
#define STATUS_CIC_ORDER 0x28
#define STATUS_CIC_DELAY_HALF_SCANS 0x2C    /* group delay of the decimator, in half scans: order * (decimation - 1) */
#define STATUS_DECIMATION 0x30              /* scans per sample */
#define STATUS_BLOCK_BYTES 0x34             /* BLOCK_HEADER_BYTES + 2 * channels * BLOCK_SAMPLES */
#define STATUS_RING_BLOCKS 0x38             /* slots in the ring */
#define STATUS_BLOCKS_WRITTEN 0x3C          /* blocks closed; free running, written last */
#define STATUS_SAMPLES_WRITTEN 0x40         /* BLOCKS_WRITTEN * BLOCK_SAMPLES and what the open block holds by now */
#define STATUS_EVENTS_WRITTEN 0x44          /* free running; written last */
#define STATUS_EPOCH 0x48                   /* counts the starts of the ADC sequencer, from 1; START does not zero it */
#define STATUS_SCANS 0x4C                   /* scan number of the newest complete scan, from 0 at START */
#define STATUS_OVERRUNS 0x50                /* FIFO overruns seen (each latches the module; the firmware restarts it) */
#define STATUS_UNDERFLOWS 0x54              /* FIFO underflows seen (likewise) */
#define STATUS_TAG_SLIPS 0x58               /* times that a word was not of the expected step; each mended at once */
#define STATUS_STALLS 0x5C                  /* restarts because the ADC delivered nothing for STALL_SCANS scans */
#define STATUS_RESTARTS 0x60                /* restarts of the sequencer, whatever the cause */
#define STATUS_LOST_SCANS 0x64              /* scans between blocks that are in no block, plus the substituted ones */
#define STATUS_FIFO_HIGH_WATER 0x68         /* most words ever found in FIFO0 */
#define STATUS_ADC_STATUS 0x6C              /* IRQSTATUS_RAW as last read */
#define STATUS_MAX_WORK_CYCLES 0x70         /* longest time from a look at the FIFO that found a scan to the next one */
#define STATUS_EVENTS_DROPPED 0x74          /* PPS events given up because a restart or a substituted scan hit them */
#define STATUS_COUNT_SLIPS 0x78             /* restarts because a sample's scans did not agree with the counter */
#define STATUS_SUBSTITUTED 0x7C             /* scans substituted; counted ahead of any sample that they touch */
#define STATUS_CLIPPED 0x80                 /* scans in which an input left its range; counted ahead of what they touch */
#define STATUS_BYTES 0x84

#define STATE_IDLE 1                        /* initialised, waits for START */
#define STATE_MEASURING 2                   /* ADC runs, scan length being measured */
#define STATE_RUNNING 3
#define STATE_FAULT 4                       /* see STATUS_FAULT; a new START is accepted */

#define FAULT_NONE 0
#define FAULT_PARAMS 1                      /* a parameter or the command is out of its range */
#define FAULT_ADC_ABSENT 2                  /* REVISION is not that of TSC_ADC_SS: no clock, or not this chip */
#define FAULT_ADC_BUSY 3                    /* the sequencer did not become idle */
#define FAULT_ADC_SILENT 4                  /* RESTARTS_BEFORE_FAULT restarts in a row and not one whole scan */

/* ---- parameters: the host writes, then COMMAND, then COMMAND_SEQ last ---- */
#define PARAMS_COMMAND_SEQ 0x00             /* any new value makes the PRU look at COMMAND */
#define PARAMS_COMMAND 0x04                 /* COMMAND_* */
#define PARAMS_CHANNELS 0x08                /* analog channels, 1 to MAX_CHANNELS */
#define PARAMS_ADC_CLKDIV 0x0C              /* ADC clock = 24 MHz / (value + 1); at least MIN_ADC_CLKDIV */
#define PARAMS_DECIMATION 0x10              /* 1 to MAX_DECIMATION scans per sample */
#define PARAMS_OUTPUT_SHIFT 0x14            /* right shift, rounded, that fits decimation^order * 4095 into 16 bits */
#define PARAMS_PPS_HIGH 0x18                /* counts: an edge is a PPS sample at or above this ... */
#define PARAMS_PPS_LOW 0x1C                 /* ... after one at or below this */
#define PARAMS_PPS_PIN 0x20                 /* R31 bit of the optional second PPS input; PPS_PIN_NONE for none */
#define PARAMS_MEASURE_SCANS 0x24           /* scans to time at start, MIN_ to MAX_MEASURE_SCANS */
#define PARAMS_AIN 0x28                     /* 7 words: analog input of each step, the channels first, then PPS */
#define PARAMS_STEP_DELAY 0x44              /* 7 words: STEPDELAY of each step: open delay | sample delay << 24 */
#define PARAMS_WATCHED 0x60                 /* so many channels, the first ones, are watched for leaving ... */
#define PARAMS_LOWEST 0x64                  /* ... the range of counts from this ... */
#define PARAMS_HIGHEST 0x68                 /* ... to this */
#define PARAMS_BYTES 0x6C

#define MAX_CHANNELS 6
#define MAX_STEPS 7
#define MAX_DECIMATION 16
#define MAX_AIN 7
#define MAX_PPS_PIN 16                      /* PRU0's R31 has inputs 0 to 16 */
#define MIN_MEASURE_SCANS 512               /* fewer, and the length would be too rough to check samples with */
#define MAX_MEASURE_SCANS 60000
#define MAX_SCAN_TICKS 65535                /* longest scan, counter ticks: 3.05 kHz */
#define MIN_ADC_CLKDIV 7                    /* 3 MHz, the data sheet's most */
#define CIC_ORDER 3
#define PPS_PIN_NONE 0xFFFFFFFF
#define STALL_SCANS 32                      /* scan times without a whole scan after which the ADC is restarted */
#define RESTARTS_BEFORE_FAULT 8
#define MAX_SUBSTITUTED 4                   /* scans in a row that are substituted; more than that is a restart */

#define COMMAND_START 1                     /* (re)read the parameters, probe, measure, run */
#define COMMAND_STOP 2                      /* stop the sequencer, back to STATE_IDLE */

/* ---- one PPS event ---- */
#define EVENT_SEQ 0x00                      /* number of this event, from 0; n lies in slot n modulo EVENT_SLOTS */
#define EVENT_SOURCE 0x04                   /* EVENT_SOURCE_* */
#define EVENT_EPOCH 0x08
#define EVENT_FIRST_SCAN 0x0C               /* scan number of the first raw sample; pin: newest scan at the edge */
#define EVENT_COUNTER_BEFORE 0x10           /* pin: counter at the last look that saw low. ADC: at the crossing */
#define EVENT_COUNTER_AFTER 0x14            /* pin: counter at the first look that saw high. ADC: as BEFORE */
#define EVENT_SAMPLE_COUNT 0x18             /* EVENT_SAMPLES; pin: 0 */
#define EVENT_CROSSING 0x1C                 /* index of the first raw sample at or above PARAMS_PPS_HIGH */
#define EVENT_DATA 0x20                     /* raw 12-bit PPS samples, one per scan, 16 bits each */
#define EVENT_SAMPLES 48
#define EVENT_SAMPLES_BEFORE 16             /* of them ahead of the crossing */
#define EVENT_BYTES 128
#define EVENT_SLOTS 4
#define EVENT_SOURCE_ADC 0
#define EVENT_SOURCE_PIN 1

/* ---- one block of samples ---- */
#define BLOCK_SEQ 0x00                      /* number of this block, from 0 */
#define BLOCK_FIRST_SCAN 0x04               /* newest scan in the first sample (CIC delay not taken off) */
#define BLOCK_COUNTER 0x08                  /* counter when that scan was read from the FIFO */
#define BLOCK_EPOCH 0x0C
#define BLOCK_ADC_STATUS 0x10               /* IRQSTATUS_RAW at the end of the block */
#define BLOCK_FIFO_HIGH_WATER 0x14          /* most words found in FIFO0 during the block */
#define BLOCK_BAD_SCANS 0x18                /* substituted scans that touch it (near its end: the next one too) */
#define BLOCK_LOST_SCANS 0x1C               /* STATUS_LOST_SCANS at the end of the block */
#define BLOCK_DATA 0x20                     /* [sample][channel], 16 bits each */
#define BLOCK_HEADER_BYTES 32
#define BLOCK_SAMPLES 64

#endif
