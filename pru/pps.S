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
 * While no scan can be ready the input is looked at every other tick. The edge lies between the last look that saw low
 * and the first that saw high; the event carries the counter at both: two ticks apart, and more where a scan's work came
 * in between. So that it never does come in between, whatever the crystal, an edge is waited for once the last two have
 * shown when it is due: the scans of that time stay in the FIFO, two or three of them.
 *
 * The counter "at a look" is what it shows when it is read by the instruction before the look.
 */

/* After a scan that was found as it came, and its work: look until the next one is near, or the edge has come. */
watch_pin:
    lbco r7, DRAM0, PIN_LOW_AT, 16          // and r8 PIN_TICKS, r9 PIN_UNTIL, r10 PIN_REACH
    lbco r4, IEP, IEP_COUNT, 4
    add  r5, NOW, r8
    sub  r5, r5, r4                         // until the next scan is near,
    jump_le r5, r8, 1f
    ldi  r5, 0
1:  sub  r6, r9, r4                         // and until the edge must have come, if it is due
    jump_ge r6, r10, 2f
    max  r5, r5, r6
2:  lsr  r5, r5, 2                          // turns of four ticks
    jump_eq r5, 0, 9f
    jump_set FLAGS, FLAG_PIN_LOW, pin_is_low
1:  jump_clear r31, PIN, 2f
    sub  r5, r5, 1
    jump_ne r5, 0, 1b
9:  jmp  LINK
2:  lbco r7, IEP, IEP_COUNT, 4
    jump_set r31, PIN, 9b
    set  FLAGS, FLAGS, FLAG_PIN_LOW

/* r5 turns; r7 counter at the last look that saw low. */
pin_is_low:
    mov  r6, r5
    lbco r4, IEP, IEP_COUNT, 4
    jump_set r31, PIN, pin_rose             // looks at r4,
1:  jump_set r31, PIN, 2f                   // r4 + 1 + 4 k,
    sub  r5, r5, 1
    jump_set r31, PIN, 3f                   // and r4 + 3 + 4 k
    jump_ne r5, 0, 1b
    jal  INNER_LINK, last_look
    sbco r4, DRAM0, PIN_LOW_AT, 4
    jmp  LINK
2:  add  r4, r4, 2
3:  jal  INNER_LINK, last_look
    sub  r7, r4, 2

/* It was low at r7 and high at r4. */
pin_rose:
    clr  FLAGS, FLAGS, FLAG_PIN_LOW
    mov  r28, r4
    mov  r29, r7
    jal  INNER_LINK, event_slot
    ldi  r5, EVENT_SOURCE_PIN
    mov  r7, SCAN
    mov  r8, r29
    mov  r9, r28
    ldi  r10, 0
    ldi  r11, 0
    sbbo r4, r26, EVENT_SEQ, 32             // EVENT_SEQ to EVENT_CROSSING
    jal  INNER_LINK, event_written

/* Two edges a second apart, by r28: the next one comes a second later again. */
    lbco r4, DRAM0, PIN_EDGE_AT, 4
    sbco r28, DRAM0, PIN_EDGE_AT, 4
    sub  r4, r28, r4
    ldi32 r5, PIN_SECOND - PIN_SECOND_TOLERANCE
    ldi32 r6, 2 * PIN_SECOND_TOLERANCE
    sub  r5, r4, r5
    jump_gt r5, r6, 9b
    add  r4, r4, r28
    ldi  r5, PIN_EXPECT_TICKS
    add  r4, r4, r5
    sbco r4, DRAM0, PIN_UNTIL, 4
    jmp  LINK

/* Add the r6 - r5 turns that were made to r4: the counter at the last look of a turn. */
last_look:
    sub  r6, r6, r5
    lsl  r6, r6, 2
    add  r4, r4, r6
    sub  r4, r4, 1
    jmp  INNER_LINK

/* No edge is due before another one has been seen: a scan that is numbered by the counter must not have waited in the
 * FIFO. (The counter comes round to this in 21 s. Then 45 us are spent in vain.) Takes r4. */
expect_no_edge:
    lbco r4, IEP, IEP_COUNT, 4
    sub  r4, r4, 1
    sbco r4, DRAM0, PIN_UNTIL, 4
    jmp  LINK
