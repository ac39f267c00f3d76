/* start.S: from a START command to the running loop: check parameters, bring the ADC up, measure the scan length. */

start:
    ldi  r4, STATE_MEASURING
    sbbo r4, STATUS, STATUS_STATE, 4
    jal  LINK, check_settings
    jal  LINK, check_range
    jal  LINK, check_steps
    jal  LINK, zero_counters
    jal  LINK, lay_out_ring
    jal  LINK, adc_connect
    jal  LINK, adc_stop
    jal  LINK, adc_configure
    ldi  FLAGS, 1 << FLAG_ADC_ON | 1 << FLAG_MEASURING
    jmp  measure_from_start

/* ---- parameters ---- */

/* Check all but the steps, and move them where the run loop wants them. The ranges are layout.h's; what is out of range
 * is refused, not mended. */
check_settings:
    lbbo r4, PARAMS, PARAMS_CHANNELS, 32    // r4 channels, clkdiv, decimation, shift, high, low, pin, r11 measure scans
    sub  r26, r4, 1
    jump_ge r26, MAX_CHANNELS, refuse_far
    jump_lt r5, MIN_ADC_CLKDIV, refuse_far
    jump_ne r5.w2, 0, refuse_far
    sub  r26, r6, 1
    jump_ge r26, MAX_DECIMATION, refuse_far
    jump_gt r7, 31, refuse_far
    ldi  r26, 4095
    jump_gt r8, r26, refuse_far
    jump_ge r9, r8, refuse_far              // without hysteresis noise would make edges
    ldi  r26, MAX_MEASURE_SCANS
    jump_gt r11, r26, refuse_far
    ldi  r26, MIN_MEASURE_SCANS
    jump_lt r11, r26, refuse_far

    mov  CHANNELS, r4.b0
    add  WORDS, CHANNELS, 1
    mov  DECIMATION, r6.b0
    mov  SHIFT, r7.b0
    sbco r8, DRAM0, HIGH_LEVEL, 8
    sbco r11, DRAM0, MEASURE_SCANS, 4
    ldi  r26, 2                             // STEPENABLE: bits 1 to WORDS
    lsl  r26, r26, WORDS
    sub  r26, r26, 2
    sbco r26, DRAM0, STEP_MASK, 4
    ldi  r26, 1
    lsl  r26, r26, SHIFT
    lsr  r26, r26, 1
    sbco r26, DRAM0, ROUNDING, 4

    mov  PIN, r10.b0
    ldi32 r26, PPS_PIN_NONE
    jump_eq r10, r26, 1f
    jump_gt r10, MAX_PPS_PIN, refuse_far

1:  ldi  r25, 0                             // plain multiplication, no accumulation
    xout 0, r25, 1
    mov  r28, r6                            // full scale at the output: 4095 * decimation^3, rounded and shifted,
    mov  r29, r6                            // must fit the 16 bits of a sample
    multiply
    mov  r28, r26
    multiply
    lsl  r27, r26, 12
    sub  r27, r27, r26
    lbco r26, DRAM0, ROUNDING, 4
    add  r27, r27, r26
    lsr  r27, r27, SHIFT
    jump_ne r27.w2, 0, refuse_far
    jmp  LINK

refuse_far:
    jmp  refuse

/* Check what the inputs may range over, and keep it such that one comparison tells a count that lies outside. */
check_range:
    lbbo r4, PARAMS, PARAMS_WATCHED, 12     // r4 channels, r5 lowest, r6 highest
    jump_gt r4, CHANNELS, refuse_far
    ldi  r26, 4095
    jump_gt r6, r26, refuse_far
    jump_gt r5, r6, refuse_far
    sub  r6, r6, r5
    sbco r4, DRAM0, WATCHED, 12
    jmp  LINK

/* Check analog input and delays of every step in use. */
check_steps:
    add  r26, PARAMS, PARAMS_AIN
    mov  r27.b0, WORDS
    ldi32 r6, ADC_STEP_DELAY_RESERVED
1:  lbbo r4, r26, 0, 4
    jump_gt r4, MAX_AIN, refuse_far
    lbbo r4, r26, PARAMS_STEP_DELAY - PARAMS_AIN, 4
    and  r4, r4, r6
    jump_ne r4, 0, refuse_far
    add  r26, r26, 4
    sub  r27.b0, r27.b0, 1
    jump_ne r27.b0, 0, 1b
    jmp  LINK

/* ---- a fresh beginning in the shared RAM ---- */

/* All counters start at 0, but for the heartbeat and the epoch, which tell a START from a wrap. */
zero_counters:
    zero &r4, 32
    sbbo r4, STATUS, STATUS_MEASURED_SCANS, 32
    sbbo r4, STATUS, STATUS_BLOCKS_WRITTEN, STATUS_EPOCH - STATUS_BLOCKS_WRITTEN
    sbbo r4, STATUS, STATUS_SCANS, 32
    sbbo r4, STATUS, STATUS_ADC_STATUS, STATUS_BYTES - STATUS_ADC_STATUS
    sbbo r4, STATUS, STATUS_FAULT, 4
    sbco r4, DRAM0, BLOCKS, 4
    sbco r4, DRAM0, EVENTS, 4
    sbco r4, DRAM0, TRIES, 4
    sbco r4, DRAM0, GRID_OFFSET, 4
    jmp  LINK

/* Size of a block, number of slots, decimator: constant until the next START, and told to the host. */
lay_out_ring:
    lsl  r4, CHANNELS, 7                    // 2 bytes * BLOCK_SAMPLES
    add  r4, r4, BLOCK_HEADER_BYTES
    ldi32 r5, PRU_SHARED_RAM + RING_OFFSET
    ldi  r6, SHARED_RAM_BYTES - RING_OFFSET
    ldi  r7, 0
1:  add  r7, r7, 1                          // slots
    add  r5, r5, r4
    sub  r6, r6, r4
    jump_ge r6, r4, 1b
    sbbo r4, STATUS, STATUS_BLOCK_BYTES, 4
    sbbo r7, STATUS, STATUS_RING_BLOCKS, 4
    mov  r26, r4
    mov  r27, r5
    sbco r26, DRAM0, BLOCK_SIZE, 8          // and RING_END

    ldi  r4, CIC_ORDER
    sub  r5, DECIMATION, 1
    add  r6, r5, r5
    add  r5, r5, r6                         // order * (decimation - 1)
    mov  r6, DECIMATION
    sbbo r4, STATUS, STATUS_CIC_ORDER, 12
    jmp  LINK

/* ---- how long is a scan? ----
 * No document says what a pass of the sequencer costs beside the steps' own clocks, so it is timed: scans against
 * ticks, both from the same crystal. The loop of scan.S runs, but sends its scans here.
 */
measure_from_start:
    ldi  SCAN, 0
    jal  LINK, adc_start
    ldi32 r4, MAX_SCAN_TICKS
    sbco r4, DRAM0, STALL_TICKS, 4
    jmp  next

measure_scan:
    mov  SINCE, NOW
    add  SCAN, SCAN, 1
    jump_gt SCAN, MEASURE_WARM_UP, 1f
    sbco NOW, DRAM0, MEASURE_START, 4       // the last of the warm-up is the beginning
    jmp  next
1:  sub  r5, SCAN, MEASURE_WARM_UP
    lbco r6, DRAM0, MEASURE_START, 4
    sub  r6, NOW, r6
    jump_set r6, 30, measured               // long enough (5 s), and not one wrap of the counter more
    lbco r7, DRAM0, MEASURE_SCANS, 4
    jump_ge r5, r7, measured
    jmp  next

/* r5 scans took r6 ticks: derive what the run loop needs, and run. */
measured:
    sbbo r5, STATUS, STATUS_MEASURED_SCANS, 8
    mov  r4, r6
    mov  r6, r5
    ldi  r27, 0
    mov  r26, r4
    jal  INNER_LINK, divide                 // ticks per scan
    sbco r26, DRAM0, SCAN_TICKS, 4
    lsl  r4, r26, 5                         // STALL_SCANS of them
    sbco r4, DRAM0, STALL_TICKS, 4
    lsr  r5, r26, 1
    add  r5, r5, r26                        // a scan and a half: until the pin is looked at again at the latest
    ldi  r4, 2 * PIN_EXPECT_TICKS
    add  r5, r5, r4
    sbco r5, DRAM0, PIN_REACH, 4
    ldi  r4, PIN_MARGIN
    max  r26, r26, r4
    sub  r26, r26, r4
    sbco r26, DRAM0, PIN_TICKS, 4

    lbbo r4, STATUS, STATUS_MEASURED_CYCLES, 4
    mov  r28, DECIMATION
    mov  r29, r4
    multiply
    lbbo r6, STATUS, STATUS_MEASURED_SCANS, 4
    jal  INNER_LINK, divide
    sbco r26, DRAM0, SAMPLE_TICKS, 4

    clr  FLAGS, FLAGS, FLAG_MEASURING
    jump_eq PIN, NO_PIN, 1f
    set  FLAGS, FLAGS, FLAG_PIN
1:  jal  LINK, expect_no_edge
    ldi  SCAN, 0                            // numbers begin: this one is 0 and not stored
    ldi  REF_SCAN, 0
    add  r28, DECIMATION, DECIMATION
    jal  LINK, expect_from_here
    ldi32 r26, PRU_SHARED_RAM + RING_OFFSET
    sbco r26, DRAM0, BLOCK_AT, 4
    ldi  SAMPLES, 0
    ldi  PPS_INDEX, 0
    ldi  PPS_POST, 0
    ldi  BLOCK_LEFT, BLOCK_SAMPLES
    jal  LINK, fresh_pipeline
    lsl  r4, DECIMATION, 6                  // CIC_ORDER - 1 samples until the decimator has filled, then a block
    add  r4, r4, DECIMATION
    add  r4, r4, DECIMATION
    sbco r4, DRAM0, END_SCAN, 4
    ldi  r4, FAULT_NONE
    ldi  r5, STATE_RUNNING
    jal  LINK, report
    jmp  next

/* r26 = r27:r26 / r6, remainder in r5; takes r7. The quotient has to fit 32 bits, r6 31. */
divide:
    ldi  r5, 0
    ldi  r7, 64
1:  add  r26, r26, r26                      // r5:r27:r26 shifts left as one
    adc  r27, r27, r27
    adc  r5, r5, r5
    jump_lt r5, r6, 2f
    sub  r5, r5, r6
    or   r26, r26, 1
2:  sub  r7, r7, 1
    jump_ne r7, 0, 1b
    jmp  INNER_LINK
