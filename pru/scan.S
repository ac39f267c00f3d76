/* scan.S: the run loop: wait for a scan, read it, keep its number right.
 *
 * A scan that comes in order is the one after the last, and costs nothing more. After a restart or a slip of the tags
 * the number comes from the counter: scan = REF_SCAN + (counter - REF_COUNTER) / ticks per scan, rounded. REF is the
 * last scan whose number is certain: the first after a (re)start, then that of each sample that took the time it should
 * (samples.S). It is never taken from a backlog, so it is right within a small part of a scan.
 */

/* ---- between two scans ---- */

next:
    beat
    lbbo r4, PARAMS, PARAMS_COMMAND_SEQ, 4
    lbco r5, DRAM0, LAST_SEQ, 4
    jump_eq r4, r5, 1f
    jmp  command
1:  lbbo r26, ADC, ADC_FIFO0COUNT, 4
    jump_ge r26.b0, WORDS, found            // there already: who knows since when
    set  FLAGS, FLAGS, FLAG_FRESH
    ldi  r27.b0, LOOKS
look:
    lbbo r26, ADC, ADC_FIFO0COUNT, 4
    jump_ge r26.b0, WORDS, found
    sub  r27.b0, r27.b0, 1
    jump_ne r27.b0, 0, look

    lbco r4, IEP, IEP_COUNT, 4
    sub  r4, r4, SINCE
    lbco r5, DRAM0, STALL_TICKS, 4
    jump_le r4, r5, next
    jmp  stalled

/* ---- a whole scan is there: r26.b0 words ---- */

/* Read the word of one step. If it is not of that step, `slip` wants it in r11. */
.macro read_step register, tag
    lbbo \register, FIFO, 0, 4
    mov  r11, \register
    jump_ne r11.b2, \tag, slip
.endm

found:
    lbco NOW, IEP, IEP_COUNT, 4
    max  HIGH_WATER, HIGH_WATER, r26.b0
    jump_ge r26.b0, FIFO_SUSPICIOUS, suspicious
read_scan:
    read_step r4, 0
read_on:
    read_step r5, 1
    jump_eq WORDS, 2, scan_read
    read_step r6, 2
    jump_eq WORDS, 3, scan_read
    read_step r7, 3
    jump_eq WORDS, 4, scan_read
    read_step r8, 4
    jump_eq WORDS, 5, scan_read
    read_step r9, 5
    jump_eq WORDS, 6, scan_read
    read_step r10, 6

scan_read:
    sub  r26.b0, r26.b0, WORDS              // words left behind it
    jump_set FLAGS, FLAG_MEASURING, measure_far
    jump_set FLAGS, FLAG_RESTARTED, renumber
    jump_set FLAGS, FLAG_SLIPPED, renumber
    sbco r4, DRAM0, RAW, 28
    add  SCAN, SCAN, 1

/* RAW is scan number SCAN. */
scan_numbered:
    mov  SINCE, NOW
    ldi  r4, 0
    sbco r4, DRAM0, TRIES, 4
    jump_lt r26.b0, WORDS, 1f
    clr  FLAGS, FLAGS, FLAG_FRESH           // a backlog
1:  jal  LINK, store_scan
    lbco r4, IEP, IEP_COUNT, 4
    sub  r4, r4, NOW
    lbbo r5, STATUS, STATUS_MAX_WORK_CYCLES, 4
    jump_le r4, r5, 2f
    sbbo r4, STATUS, STATUS_MAX_WORK_CYCLES, 4

2:  jump_clear FLAGS, FLAG_FRESH, next      // behind: the FIFO comes first
    clr  FLAGS, FLAGS, FLAG_FRESH
    jump_clear FLAGS, FLAG_PIN, next
    jal  LINK, watch_pin
    jmp  next

measure_far:
    jmp  measure_scan

/* So many words are only found after something kept this core from working. Has the FIFO overrun? */
suspicious:
    lbbo r4, ADC, ADC_IRQSTATUS_RAW, 4
    and  r5, r4, ADC_IRQ_ERRORS
    jump_eq r5, 0, read_scan
    jmp  adc_error

/* ---- a word out of order (r11) ---- */

/* Go on at the next word of step 1; that scan gets its number from the counter. */
slip:
    count_up STATUS_TAG_SLIPS, r4
    jump_set FLAGS, FLAG_MEASURING, restart_far
    set  FLAGS, FLAGS, FLAG_SLIPPED
1:  jump_eq r11.b2, 0, 2f
    ldi  r28.b0, 1
    jal  LINK, wait_for_words
    lbbo r11, FIFO, 0, 4
    jmp  1b
2:  mov  r4, r11
    mov  r28.b0, CHANNELS
    jal  LINK, wait_for_words
    add  r26.b0, r26.b0, 1                  // the one in r4 was also found
    jmp  read_on

restart_far:
    jmp  restart

/* Wait for r28.b0 words in the FIFO; r26.b0 and NOW as after `look`. Keeps r4. */
wait_for_words:
    beat
    lbco NOW, IEP, IEP_COUNT, 4
    sub  r5, NOW, SINCE
    lbco r6, DRAM0, STALL_TICKS, 4
    jump_gt r5, r6, stalled_far
    lbbo r26, ADC, ADC_FIFO0COUNT, 4
    jump_lt r26.b0, r28.b0, wait_for_words
    lbco NOW, IEP, IEP_COUNT, 4
    jmp  LINK
stalled_far:
    jmp  stalled

/* ---- the number of the scan in r4 to r10, from the counter ---- */

renumber:
    sbco r4, DRAM0, NEXT_RAW, 28
    sub  r4, NOW, REF_COUNTER
    jump_clear FLAGS, FLAG_RESTARTED, 0f
    lbco r5, DRAM0, GRID_OFFSET, 4          // a new grid: number it from the grid of START, not from the last one,
    add  r4, r4, r5                         // or half a scan here and there would add up
0:  mov  r9, r4
    jal  LINK, scans_in                     // since REF_SCAN: r11 (the newest in the FIFO)
    mov  r10, r11
    add  r11, r11, REF_SCAN
    mov  r5.b0, r26.b0
1:  jump_lt r5.b0, WORDS, 2f                // less those that wait behind this one
    sub  r5.b0, r5.b0, WORDS
    sub  r11, r11, 1
    jmp  1b
2:  sub  r11, r11, SCAN
    jump_set FLAGS, FLAG_RESTARTED, after_restart
    clr  FLAGS, FLAGS, FLAG_SLIPPED
    sub  r11, r11, 1                        // scans missing between the last one and this one
    jump_gt r11, MAX_SUBSTITUTED, restart_far // or fewer than none: then nothing fits

/* Put the last values in their place, so that samples stay evenly spaced; the blocks say so. */
substitute:
    jump_eq r11, 0, take_next
    sub  r11, r11, 1
    sbco r11, DRAM0, MISSING, 4
    sbco r26, DRAM0, FOUND, 4
    clr  FLAGS, FLAGS, FLAG_FRESH
    jal  LINK, drop_event
    count_up STATUS_SUBSTITUTED, r4
    add  SCAN, SCAN, 1
    lbco r4, DRAM0, BAD_SCANS, 4
    add  r4, r4, 1
    mov  r5, SCAN
    sbco r4, DRAM0, BAD_SCANS, 8            // and LAST_BAD_SCAN
    jal  LINK, store_scan
    lbco r11, DRAM0, MISSING, 4
    lbco r26, DRAM0, FOUND, 4
    jmp  substitute

/* Nothing to put in place: the gap stays a gap (samples.S counts it), and the number moves on, at least by one. r9
 * ticks since REF_SCAN on the grid of START were r10 scans; what is left over is where the new grid lies. */
after_restart:
    clr  FLAGS, FLAGS, FLAG_RESTARTED
    clr  FLAGS, FLAGS, FLAG_SLIPPED
    mov  r8, r26
    lbbo r6, STATUS, STATUS_MEASURED_SCANS, 4
    lbbo r29, STATUS, STATUS_MEASURED_CYCLES, 4
    mov  r28, r10
    multiply
    jal  INNER_LINK, divide
    sub  r9, r9, r26
    sbco r9, DRAM0, GRID_OFFSET, 4
    jump_set r11, 31, 1f
    jump_eq r11, 0, 1f
    sub  r11, r11, 1
    add  SCAN, SCAN, r11
1:  add  REF_SCAN, SCAN, 1
    add  r28, DECIMATION, DECIMATION        // this scan is already in the decimator
    sub  r28, r28, 1
    jal  LINK, expect_from_here
    mov  r26, r8
take_next:
    lbco r4, DRAM0, NEXT_RAW, 28
    sbco r4, DRAM0, RAW, 28
    add  SCAN, SCAN, 1
    jmp  scan_numbered

/* REF_SCAN has been found NOW, and r28 scans later the decimator has filled and the first block begins. */
expect_from_here:
    mov  REF_COUNTER, NOW
    lbco r29, DRAM0, SCAN_TICKS, 4
    multiply
    sbco r26, DRAM0, EXPECTED_TICKS, 4
    jmp  LINK

/* r11 = scans in r4 ticks, rounded: ticks * MEASURED_SCANS / MEASURED_CYCLES in 64 bits, so that only the measurement
 * limits it (some 50 ticks in 10 million as shipped: a tenth of a scan after a third of a second). Keeps r26.b0. */
scans_in:
    mov  r8, r26
    lbbo r5, STATUS, STATUS_MEASURED_SCANS, 8
    mov  r28, r4
    mov  r29, r5
    multiply
    lsr  r5, r6, 1
    add  r26, r26, r5
    adc  r27, r27, 0
    jal  INNER_LINK, divide
    mov  r11, r26
    mov  r26, r8
    jmp  LINK
