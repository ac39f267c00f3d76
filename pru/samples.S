/* samples.S: from raw scans to blocks of samples in the ring.
 *
 * Each analog channel goes through a cascaded integrator-comb filter of order 3: three integrators at the scan rate,
 * three differences at the sample rate, in 32-bit arithmetic that may wrap in between (Hogenauer 1981). Gain
 * decimation^3, delay 3 (decimation - 1) / 2 scans, exactly. The filter is 3 decimation - 2 scans long, so after a
 * start from zero its first two outputs are not whole and are thrown away, not published.
 */

/* Scan number SCAN in RAW, from `scan_numbered` or `substitute`; called by LINK. */
store_scan:
    sbbo SCAN, STATUS, STATUS_SCANS, 4
    lbco r5, DRAM0, WATCHED, 12             // r5 channels, r6 lowest count, r7 range above it
    ldi  r27, RAW
watch:                                      // here: decimated, a single clipped scan would not stand out any more
    jump_eq r5, 0, filter
    lbbo r4, r27, 0, 4
    sub  r4.w0, r4.w0, r6.w0                // wraps if below
    jump_gt r4.w0, r7.w0, clipped
    add  r27, r27, 4
    sub  r5, r5, 1
    jmp  watch
clipped:
    count_up STATUS_CLIPPED, r4
filter:
    ldi  r26, CIC
    ldi  r27, RAW
    mov  r28.b0, CHANNELS
    sub  PHASE, PHASE, 1
    jump_eq PHASE, 0, sample

integrate:                                  // one channel: r5, r6, r7 are its integrators
    lbbo r4, r27, 0, 4
    lbbo r5, r26, 0, 12
    add  r5, r5, r4.w0                      // the tag is in the upper half
    add  r6, r6, r5
    add  r7, r7, r6
    sbbo r5, r26, 0, 12
    add  r26, r26, CIC_CHANNEL_BYTES
    add  r27, r27, 4
    sub  r28.b0, r28.b0, 1
    jump_ne r28.b0, 0, integrate
    jmp  store_pps

sample:
    mov  PHASE, DECIMATION
    mov  r29, SAMPLE_AT
    lbco r25, DRAM0, ROUNDING, 4
comb:                                       // one channel: as above, r8, r9, r10 are the delays of its combs
    lbbo r4, r27, 0, 4
    lbbo r5, r26, 0, CIC_CHANNEL_BYTES
    add  r5, r5, r4.w0
    add  r6, r6, r5
    add  r7, r7, r6
    sub  r11, r7, r8
    mov  r8, r7
    sub  r4, r11, r9
    mov  r9, r11
    sub  r11, r4, r10
    mov  r10, r4
    sbbo r5, r26, 0, CIC_CHANNEL_BYTES
    add  r11, r11, r25
    lsr  r11, r11, SHIFT
    sbbo r11, r29, 0, 2
    add  r26, r26, CIC_CHANNEL_BYTES
    add  r27, r27, 4
    add  r29, r29, 2
    sub  r28.b0, r28.b0, 1
    jump_ne r28.b0, 0, comb

    jump_eq DISCARD, 0, 1f
    sub  DISCARD, DISCARD, 1                // not whole yet: the next one overwrites it
    jmp  store_pps
1:  jal  INNER_LINK, check_sample
    jump_ne BLOCK_LEFT, BLOCK_SAMPLES, 2f
    jal  INNER_LINK, open_block
2:  lbco r4, DRAM0, BLOCK_AT, 4
    lbco r8, DRAM0, BAD_SCANS, 12           // r8 substituted in this block, r10 from before
    add  r8, r8, r10
    sbbo r8, r4, BLOCK_BAD_SCANS, 4
    mov  SAMPLE_AT, r29
    add  SAMPLES, SAMPLES, 1
    sub  BLOCK_LEFT, BLOCK_LEFT, 1
    jump_eq BLOCK_LEFT, 0, 3f
    jump_clear FLAGS, FLAG_FRESH, store_pps // not checked: the next one that is counts it too
    sbbo SAMPLES, STATUS, STATUS_SAMPLES_WRITTEN, 4
    jmp  store_pps
3:  jal  INNER_LINK, close_block
    jmp  store_pps

/* A sample has been stored, of scan SCAN. Nobody may read it yet: the ADC may have latched meanwhile, or the sample may
 * have taken another time than its scans should (a scan that vanished whole leaves no slip of the tags, nor does a
 * pause). Then the block is given up. In a backlog there is no telling the time: the next sample's will. */
check_sample:
    lbbo r4, ADC, ADC_IRQSTATUS_RAW, 4
    and  r5, r4, ADC_IRQ_ERRORS
    jump_eq r5, 0, 1f
    jmp  adc_error
1:  sbbo r4, STATUS, STATUS_ADC_STATUS, 4
    lbco r6, DRAM0, SCAN_TICKS, 16          // r6 scan, r7 stall, r8 sample, r9 expected ticks
    add  r9, r9, r8
    jump_clear FLAGS, FLAG_FRESH, 2f
    sub  r5, NOW, REF_COUNTER
    sub  r5, r5, r9
    lsr  r6, r6, 2                          // a quarter of a scan either way: many times what a look costs
    add  r5, r5, r6
    add  r6, r6, r6
    jump_gt r5, r6, count_slip
    mov  REF_COUNTER, NOW
    mov  REF_SCAN, SCAN
    ldi  r9, 0
2:  sbco r9, DRAM0, EXPECTED_TICKS, 4
    jmp  INNER_LINK

count_slip:
    count_up STATUS_COUNT_SLIPS, r4
    jmp  restart                            // numbers go on from REF, which is from before whatever went wrong

/* ---- blocks ---- */

/* The first sample of a block, from scan SCAN, has just been stored. */
open_block:
    lbco r4, DRAM0, BLOCKS, 4
    mov  r5, SCAN
    mov  r6, NOW
    lbco r7, DRAM0, EPOCH, 4
    lbco r8, DRAM0, BLOCK_AT, 4
    sbbo r4, r8, BLOCK_SEQ, 16              // BLOCK_SEQ, FIRST_SCAN, COUNTER, EPOCH
    jmp  INNER_LINK

/* The last sample of a block has been stored and checked: publish the block. */
close_block:
    /* the rest of its header: r4 to r7 are BLOCK_ADC_STATUS, FIFO_HIGH_WATER, BAD_SCANS, LOST_SCANS */
    lbbo r4, STATUS, STATUS_ADC_STATUS, 4
    mov  r5, HIGH_WATER
    lbco r8, DRAM0, BAD_SCANS, 12           // r8 substituted in this block, r9 the last of them, r10 from before
    add  r6, r8, r10
    lbbo r7, STATUS, STATUS_LOST_SCANS, 4   // lost: these, and what is missing since the last block
    add  r7, r7, r8
    add  r7, r7, SCAN
    lbco r11, DRAM0, END_SCAN, 4
    sub  r7, r7, r11
    sbbo r7, STATUS, STATUS_LOST_SCANS, 4
    lsl  r11, DECIMATION, 6
    add  r11, r11, SCAN
    sbco r11, DRAM0, END_SCAN, 4
    ldi  r10, 0                             // one near the end is still in the filter: the next block has it too
    jump_eq r8, 0, 3f
    sub  r9, SCAN, r9
    add  r11, DECIMATION, DECIMATION
    sub  r11, r11, 2
    jump_ge r9, r11, 3f
    mov  r10, r8
3:  sbco r10, DRAM0, CARRIED_BAD, 4
    lbco r8, DRAM0, BLOCK_AT, 12            // and r9 size, r10 end of the ring
    sbbo r4, r8, BLOCK_ADC_STATUS, 16
    lbbo r4, STATUS, STATUS_FIFO_HIGH_WATER, 4
    max  r4, r4, r5
    sbbo r4, STATUS, STATUS_FIFO_HIGH_WATER, 4

    /* publish, and on to the next slot */
    add  r8, r8, r9
    jump_ne r8, r10, 4f
    ldi32 r8, PRU_SHARED_RAM + RING_OFFSET
4:  sbco r8, DRAM0, BLOCK_AT, 4
    lbco r4, DRAM0, BLOCKS, 4
    add  r4, r4, 1
    sbco r4, DRAM0, BLOCKS, 4
    sbbo SAMPLES, STATUS, STATUS_SAMPLES_WRITTEN, 4
    sbbo r4, STATUS, STATUS_BLOCKS_WRITTEN, 4

/* Point to an empty block at BLOCK_AT; called by INNER_LINK, and the end of close_block. */
fresh_block:
    ldi  r4, 0
    sbco r4, DRAM0, BAD_SCANS, 4
    lbco r4, DRAM0, BLOCK_AT, 4
    add  SAMPLE_AT, r4, BLOCK_DATA
    ldi  BLOCK_LEFT, BLOCK_SAMPLES
    ldi  HIGH_WATER, 0
    jmp  INNER_LINK

/* ---- after a (re)start of the ADC ---- */

/* The samples of the open block will not be published. */
give_up_block:
    rsb  r4, BLOCK_LEFT, BLOCK_SAMPLES
    sub  SAMPLES, SAMPLES, r4
    sbbo SAMPLES, STATUS, STATUS_SAMPLES_WRITTEN, 4
    jmp  LINK

/* Nothing of before may reach a sample or an event. */
fresh_pipeline:
    mov  r11.w0, LINK
    ldi  r4, 0
    sbco r4, DRAM0, CARRIED_BAD, 4
    ldi  r26, CIC
    ldi  r27, CIC_BYTES
    jal  LINK, clear
    jal  LINK, drop_event
    jal  INNER_LINK, fresh_block
    mov  PHASE, DECIMATION
    ldi  DISCARD, CIC_ORDER - 1
    jmp  r11.w0
