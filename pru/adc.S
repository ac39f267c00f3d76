/* adc.S: TSC_ADC_SS: reach it, set its steps up, start it, stop it, and restart it after an error.
 *
 * Reading the FIFO when it is empty, or leaving it until it is full, latches the module (TRM, chapter 12): disabling
 * it, waiting for its sequencer, clearing the flags and enabling it again is the only cure: see `restart`.
 */

/* Open the way out of the PRUSS, switch the module's clock on, and see whether it answers. */
adc_connect:
    clr  FLAGS, FLAGS, FLAG_ADC_ON
    lbco r4, CFG, CFG_SYSCFG, 4
    clr  r4, r4, SYSCFG_STANDBY_INIT_BIT
    sbco r4, CFG, CFG_SYSCFG, 4

    ldi32 r5, CLOCK_ADDRESS
    ldi  r6, CLOCK_POLLS
    ldi  r4, CLOCK_ADC_ENABLE
    sbbo r4, r5, CLOCK_ADC, 4
1:  lbbo r4, r5, CLOCK_ADC, 4
    and  r4.w2, r4.w2, 3                    // IDLEST
    jump_eq r4.w2, 0, 2f
    beat
    sub  r6, r6, 1
    jump_ne r6, 0, 1b
    jmp  adc_absent
2:  lbbo r4, ADC, ADC_REVISION, 4
    sbbo r4, STATUS, STATUS_ADC_REVISION, 4
    ldi  r5, ADC_REVISION_HIGH
    jump_ne r4.w2, r5, adc_absent
    set  FLAGS, FLAGS, FLAG_ADC_ON
    jmp  LINK
adc_absent:
    ldi  r4, FAULT_ADC_ABSENT
    jmp  fault

/* Steps 1 to WORDS: the analog channels, then the PPS, each as often as it comes. The sequencer is idle by now. */
adc_configure:
    ldi  r4, ADC_NO_IDLE
    sbbo r4, ADC, ADC_SYSCONFIG, 4
    ldi  r4, ADC_IRQ_ALL                    // no interrupts and no DMA, whoever had the module before
    sbbo r4, ADC, ADC_IRQENABLE_CLR, 4
    ldi  r4, 3
    sbbo r4, ADC, ADC_DMAENABLE_CLR, 4
    lbbo r4, PARAMS, PARAMS_ADC_CLKDIV, 4
    sbbo r4, ADC, ADC_CLKDIV, 4

    add  r26, PARAMS, PARAMS_AIN
    add  r27, ADC, ADC_STEPCONFIG1
    mov  r28.b0, WORDS
    ldi32 r6, ADC_STEP_CONTINUOUS
1:  lbbo r4, r26, 0, 4
    lsl  r4, r4, ADC_STEP_INPUT_SHIFT
    or   r4, r4, r6
    lbbo r5, r26, PARAMS_STEP_DELAY - PARAMS_AIN, 4
    sbbo r4, r27, 0, 8                      // STEPCONFIG and STEPDELAY
    add  r26, r26, 4
    add  r27, r27, 8
    sub  r28.b0, r28.b0, 1
    jump_ne r28.b0, 0, 1b
    jmp  LINK

/* Switch the steps off. Keeps r4 and r5. */
adc_off:
    ldi  r6, 0
    sbbo r6, ADC, ADC_STEPENABLE, 4
    ldi  r6, ADC_CTRL_CONFIGURE
    sbbo r6, ADC, ADC_CTRL, 4
    jmp  INNER_LINK

/* The same, and wait for the sequencer: it finishes what it is at. */
adc_stop:
    jal  INNER_LINK, adc_off
    lbco r6, IEP, IEP_COUNT, 4
    ldi32 r7, MAX_SCAN_TICKS
1:  lbbo r4, ADC, ADC_ADCSTAT, 4
    jump_eq r4.b0, ADC_ADCSTAT_IDLE, 2f
    lbco r5, IEP, IEP_COUNT, 4
    sub  r5, r5, r6
    jump_le r5, r7, 1b
    ldi  r4, FAULT_ADC_BUSY
    jmp  fault
2:  jmp  LINK

/* Empty the FIFO, clear the flags and let the sequencer run: a new epoch. The first scan must come within the stall
 * watch, counted from here. */
adc_start:
    lbbo r4, ADC, ADC_FIFO0COUNT, 4
    and  r4.b0, r4.b0, 0x7F
1:  jump_eq r4.b0, 0, 2f
    lbbo r5, FIFO, 0, 4
    sub  r4.b0, r4.b0, 1
    jmp  1b
2:  ldi  r4, ADC_IRQ_ALL
    sbbo r4, ADC, ADC_IRQSTATUS, 4
    ldi  r4, ADC_CTRL_RUN
    sbbo r4, ADC, ADC_CTRL, 4
    lbco r4, DRAM0, STEP_MASK, 4
    sbbo r4, ADC, ADC_STEPENABLE, 4

    lbco r4, DRAM0, EPOCH, 4
    add  r4, r4, 1
    sbco r4, DRAM0, EPOCH, 4
    sbbo r4, STATUS, STATUS_EPOCH, 4
    lbco SINCE, IEP, IEP_COUNT, 4
    jmp  LINK

/* ---- errors ---- */

/* Nothing whole came for STALL_TICKS: is the module latched, or just silent? */
stalled:
    lbbo r4, ADC, ADC_IRQSTATUS_RAW, 4
    and  r5, r4, ADC_IRQ_ERRORS
    jump_ne r5, 0, adc_error
    sbbo r4, STATUS, STATUS_ADC_STATUS, 4
    count_up STATUS_STALLS, r4
    jmp  restart

/* r4 is IRQSTATUS_RAW with one of the error bits. */
adc_error:
    sbbo r4, STATUS, STATUS_ADC_STATUS, 4
    jump_clear r4, ADC_IRQ_OVERRUN_BIT, 1f
    count_up STATUS_OVERRUNS, r5
1:  jump_clear r4, ADC_IRQ_UNDERFLOW_BIT, restart
    count_up STATUS_UNDERFLOWS, r5

/* Stop, empty, start. The open block is given up; the scan numbers go on where the counter says (scan.S). */
restart:
    count_up STATUS_RESTARTS, r4
    lbco r4, DRAM0, TRIES, 4
    add  r4, r4, 1
    sbco r4, DRAM0, TRIES, 4
    jump_gt r4, RESTARTS_BEFORE_FAULT, adc_silent
    jal  LINK, adc_stop
    jump_set FLAGS, FLAG_MEASURING, 1f
    set  FLAGS, FLAGS, FLAG_RESTARTED
    jal  LINK, give_up_block
    jal  LINK, fresh_pipeline
    jal  LINK, expect_no_edge
    jal  LINK, adc_start
    jmp  next
1:  jmp  measure_from_start
adc_silent:
    ldi  r4, FAULT_ADC_SILENT
    jmp  fault
