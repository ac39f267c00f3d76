/* sampler.S: the firmware of PRU0. It turns the AM335x's ADC into a stream of evenly spaced samples with PPS edges.
 *
 * Theory of operation
 *
 * The ADC's sequencer runs freely: step 1 converts the first analog channel, and so on, the last step converts the PPS;
 * then it starts again, 60 000 scans a second as shipped, paced by the crystal alone. Nothing in here times a sample.
 * The firmware only has to carry the words from the ADC's FIFO to the shared RAM before the FIFO (64 words, 533 us) is
 * full, and must never be wrong about the number of a scan, because that number is the time axis of everything later.
 *
 *   boot -> idle -> START -> check parameters -> bring the ADC up -> measure the scan length -> run
 *             ^                                                                                  |
 *             +----------------------------- STOP, or a fault ----------------------------------+
 *
 * The run loop looks at FIFO0COUNT until a whole scan is there, reads its words and checks that each carries the tag of
 * its step (scan.S). Scans in which an input has left its range are counted. Every analog channel goes through a
 * third-order CIC filter that is decimated to 12 kHz and stored in the open block of the ring (samples.S); the PPS goes
 * into a short history, and an edge publishes the raw samples around it (pps.S). Between two scans there is time for a
 * look at the mailbox of commands and at the second PPS input.
 *
 * What can go wrong is counted, mended and visible (adc.S, scan.S). An overrun or underflow latches the ADC: it is
 * restarted, and the scans since the last good one are counted with the IEP timer, which runs from the same crystal. A
 * word out of order is a lost or doubled one: the firmware goes on at the next step-1 word and asks the timer how many
 * scans are missing. Every wait has an end. Nobody waits for the reader.
 *
 * The host's side of all this is layout.h. Names of registers and of the private RAM are in registers.h, the chip's
 * registers in hardware.h. Time is in ticks of the counter: 5 ns, as is one instruction. A load from the ADC takes 41
 * to 60 of them, which is most of what the firmware spends.
 */
#include "layout.h"
#include "hardware.h"
#include "registers.h"

#define FIRMWARE_VERSION 0x00010003         /* major << 16 | minor */

    .section .init0, "ax"                   /* first in the image: UIO loaders start at word 0 */
    .global _start
_start:
    jmp  boot

    .text

/* ---- boot: trust nothing that is in a register, in RAM or in the PRUSS ---- */

boot:
    ldi  r4, 0
    ldi32 r5, CTRL0_ADDRESS                 // put the constants where hardware.h says
    sbbo r4, r5, CTRL_CTBIR0, 4
    sbbo r4, r5, CTRL_CTBIR1, 4
    sbco r4, IEP, IEP_CMP_CFG, 4
    ldi  r4, IEP_COUNT_BY_ONE
    sbco r4, IEP, IEP_GLOBAL_CFG, 4

    ldi32 STATUS, PRU_SHARED_RAM + STATUS_OFFSET
    ldi32 PARAMS, PRU_SHARED_RAM + PARAMS_OFFSET
    ldi32 ADC, ADC_ADDRESS
    ldi32 FIFO, ADC_FIFO_ADDRESS
    ldi  FLAGS, 0
    ldi  HEARTBEAT, 0

    mov  r26, STATUS
    ldi  r27, STATUS_BYTES
    jal  LINK, clear
    ldi  r4, 0
    sbco r4, DRAM0, EPOCH, 4
    lbbo r4, PARAMS, PARAMS_COMMAND_SEQ, 4  // whatever is in the mailbox is from before: answered
    sbco r4, DRAM0, LAST_SEQ, 4
    ldi  r4, LAYOUT_VERSION
    ldi32 r5, FIRMWARE_VERSION
    sbbo r4, STATUS, STATUS_LAYOUT_VERSION, 8
    ldi  r4, FAULT_NONE
    ldi  r5, STATE_IDLE
    jal  LINK, report
    ldi32 r4, LAYOUT_MAGIC
    sbbo r4, STATUS, STATUS_MAGIC, 4
    jmp  idle

/* Zero r27 bytes (whole words) at address r26. */
clear:
    ldi  r4, 0
1:  sbbo r4, r26, 0, 4
    add  r26, r26, 4
    sub  r27, r27, 4
    jump_ne r27, 0, 1b
    jmp  LINK

/* ---- idle, also after a fault: only the heart beats, and a command is awaited ---- */

idle:
    ldi  r5, IDLE_PAUSE
1:  sub  r5, r5, 1
    jump_ne r5, 0, 1b
    beat
    lbbo r4, PARAMS, PARAMS_COMMAND_SEQ, 4
    lbco r5, DRAM0, LAST_SEQ, 4
    jump_eq r4, r5, idle

/* ---- commands: a new sequence number, r4, was found in the mailbox ---- */

command:
    sbco r4, DRAM0, LAST_SEQ, 4
    lbbo r4, PARAMS, PARAMS_COMMAND, 4
    jump_eq r4, COMMAND_STOP, stop
    jump_ne r4, COMMAND_START, refuse
    jmp  start

stop:
    jump_clear FLAGS, FLAG_ADC_ON, 1f       // before the first START the ADC is out of reach
    jal  LINK, adc_stop
1:  ldi  r4, FAULT_NONE
    ldi  r5, STATE_IDLE
    jal  LINK, report
    jmp  idle

refuse:
    ldi  r4, FAULT_PARAMS

/* Give up with the code in r4; the next START tries again. */
fault:
    ldi  r5, STATE_FAULT
    jump_clear FLAGS, FLAG_ADC_ON, 1f
    jal  INNER_LINK, adc_off
1:  jal  LINK, report
    jmp  idle

/* Write fault r4 and state r5, then acknowledge the command: its outcome is known. */
report:
    sbbo r4, STATUS, STATUS_FAULT, 4
    sbbo r5, STATUS, STATUS_STATE, 4
    lbco r4, DRAM0, LAST_SEQ, 4
    sbbo r4, STATUS, STATUS_COMMAND_ACK, 4
    jmp  LINK

/* ---- for remoteproc: no resources wanted. Older kernels refuse an image that does not say so. ---- */

    .section .resource_table, "aw"
    .word 1, 0, 0, 0                        // version, entries, reserved

    .text
#include "start.S"
#include "adc.S"
#include "scan.S"
#include "samples.S"
#include "pps.S"
