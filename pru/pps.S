/* pps.S: edges of the PPS, from the ADC and, if asked for, from an input pin.
 *
 * The ADC's PPS samples go into a ring of 64, each written twice, 64 samples apart: so the newest 48 always lie in one
 * piece. An edge is a sample at or above HIGH_LEVEL after one at or below LOW_LEVEL. When 31 more scans have come, the
 * event is published: 16 samples ahead of the edge, the edge, 31 after it. The host fits the RC slope.
 */

/* End of store_scan: the PPS sample of this scan. */
store_pps:
    lsl  r5, CHANNELS, 2
    lbco r4, DRAM0, r5, 4                   // RAW + 4 * CHANNELS
    lsl  r5, PPS_INDEX, 1
    ldi  r6, HISTORY
    add  r5, r5, r6
    sbbo r4, r5, 0, 2
    sbbo r4, r5, HISTORY_SAMPLES * 2, 2
    add  PPS_INDEX, PPS_INDEX, 1
    and  PPS_INDEX, PPS_INDEX, HISTORY_SAMPLES - 1

    jump_eq PPS_SETTLE, 0, 1f
    sub  PPS_SETTLE, PPS_SETTLE, 1
    jmp  LINK
1:  lbco r6, DRAM0, HIGH_LEVEL, 8           // and r7 LOW_LEVEL
    jump_set FLAGS, FLAG_ARMED, 2f
    jump_gt r4.w0, r7, 3f
    set  FLAGS, FLAGS, FLAG_ARMED
    jmp  3f
2:  jump_lt r4.w0, r6, 3f
    clr  FLAGS, FLAGS, FLAG_ARMED
    jump_ne PPS_POST, 0, 3f                 // a bounce: it is in the samples of the event under way
    ldi  PPS_POST, EVENT_SAMPLES - EVENT_SAMPLES_BEFORE
    sbco NOW, DRAM0, EDGE_COUNTER, 4

3:  jump_eq PPS_POST, 0, 4f
    sub  PPS_POST, PPS_POST, 1
    jump_eq PPS_POST, 0, publish_adc_event
4:  jmp  LINK

publish_adc_event:
    jal  INNER_LINK, event_slot
    ldi  r5, EVENT_SOURCE_ADC
    sub  r7, SCAN, EVENT_SAMPLES - 1
    lbco r8, DRAM0, EDGE_COUNTER, 4
    mov  r9, r8
    ldi  r10, EVENT_SAMPLES
    ldi  r11, EVENT_SAMPLES_BEFORE
    sbbo r4, r26, EVENT_SEQ, 32             // EVENT_SEQ to EVENT_CROSSING
    sub  r27.b0, PPS_INDEX, EVENT_SAMPLES
    and  r27.b0, r27.b0, HISTORY_SAMPLES - 1
    lsl  r27, r27.b0, 1
    ldi  r4, HISTORY
    add  r27, r27, r4
    lbbo r4, r27, 0, 32                     // three times 16 samples
    sbbo r4, r26, EVENT_DATA, 32
    lbbo r4, r27, 32, 32
    sbbo r4, r26, EVENT_DATA + 32, 32
    lbbo r4, r27, 64, 32
    sbbo r4, r26, EVENT_DATA + 64, 32
    jal  INNER_LINK, event_written
    jmp  LINK

/* r26: where the next event goes; r4 its number, r6 the epoch. */
event_slot:
    lbco r4, DRAM0, EVENTS, 4
    and  r26, r4, EVENT_SLOTS - 1
    lsl  r26, r26, 7                        // EVENT_BYTES
    ldi32 r6, PRU_SHARED_RAM + EVENTS_OFFSET
    add  r26, r26, r6
    lbco r6, DRAM0, EPOCH, 4
    jmp  INNER_LINK

event_written:
    lbco r4, DRAM0, EVENTS, 4
    add  r4, r4, 1
    sbco r4, DRAM0, EVENTS, 4
    sbbo r4, STATUS, STATUS_EVENTS_WRITTEN, 4
    jmp  INNER_LINK

/* The history is no longer of one piece: give up the event under way and wait until the history is. Takes r4. */
drop_event:
    jump_eq PPS_POST, 0, 1f
    ldi  PPS_POST, 0
    count_up STATUS_EVENTS_DROPPED, r4
1:  ldi  PPS_SETTLE, EVENT_SAMPLES_BEFORE
    clr  FLAGS, FLAGS, FLAG_ARMED
    jmp  LINK

/* ---- the second PPS input ----
 * While no scan can be ready the input is looked at as fast as it goes, about every 16 ticks, with the counter read
 * before each look. The edge lies between the counter before the last look that saw low and the counter after the first
 * that saw high, however long that took: the event carries both. It takes longer where a scan came in between.
 */
watch_pin:
    lbco r8, DRAM0, PIN_TICKS, 4
    jump_set FLAGS, FLAG_PIN_LOW, pin_is_low
1:  lbco r4, IEP, IEP_COUNT, 4
    jump_clear r31, PIN, 2f
    sub  r5, r4, NOW
    jump_lt r5, r8, 1b
    jmp  LINK
2:  set  FLAGS, FLAGS, FLAG_PIN_LOW
    sbco r4, DRAM0, PIN_LOW_AT, 4
pin_is_low:
    lbco r9, DRAM0, PIN_LOW_AT, 4
1:  lbco r4, IEP, IEP_COUNT, 4
    jump_set r31, PIN, 2f
    mov  r9, r4
    sub  r5, r4, NOW
    jump_lt r5, r8, 1b
    sbco r9, DRAM0, PIN_LOW_AT, 4
    jmp  LINK

2:  lbco r28, IEP, IEP_COUNT, 4
    clr  FLAGS, FLAGS, FLAG_PIN_LOW
    mov  r29, r9
    jal  INNER_LINK, event_slot
    ldi  r5, EVENT_SOURCE_PIN
    mov  r7, SCAN
    mov  r8, r29
    mov  r9, r28
    ldi  r10, 0
    ldi  r11, 0
    sbbo r4, r26, EVENT_SEQ, 32             // EVENT_SEQ to EVENT_CROSSING
    jal  INNER_LINK, event_written
    jmp  LINK
