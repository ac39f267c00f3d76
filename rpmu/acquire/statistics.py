"""What the ring delivered and what was lost, by the reader's count and by the firmware's."""

from __future__ import annotations

from dataclasses import dataclass

from rpmu.acquire import layout


@dataclass(frozen=True)
class RingStatistics:
    """What happened so far. All numbers count up from the reader's start unless said otherwise.

    Attributes:
        samples: samples delivered (per channel).
        lost_samples: samples missing between delivered blocks, whoever lost them.
        gaps: places where samples are missing.
        torn_copies: copies of blocks and events thrown away because the writer was at them meanwhile.
        sequence_errors: slots that held something else than the rules say.
        events: PPS events delivered.
        events_lost: PPS events overwritten before they were read.
        counter_mismatches: slips of the counter against the scan number by more than half a scan.
        bad_blocks: blocks of the ring with scans that the firmware had to substitute, among those delivered.
        heartbeat_age_s: time that the caller waited since the firmware's heartbeat last moved; 0 means it is alive.
        state: the firmware's state (layout.STATE_*), as of now.
        fault: its fault (layout.FAULT_*), as of now.
        epoch: starts of the ADC sequencer since the firmware was loaded.
        overruns: FIFO overruns, by the firmware's count since START, as are those that follow.
        underflows: FIFO underflows.
        tag_slips: times that a word was not of the expected step.
        stalls: restarts because the ADC delivered nothing.
        restarts: restarts of the sequencer, whatever the cause.
        lost_scans: scans that are in no block, plus the substituted ones.
        fifo_high_water: most words ever found in the FIFO, of 64.
        max_work_cycles: longest time from a look at the FIFO that found a scan to the next look, counter ticks (5 ns).
        events_dropped: PPS events given up because a restart or a substituted scan hit them.
        count_slips: restarts because a sample's scans did not agree with the counter.
        clipped_scans: scans in which an input had left its range.
        adc_revision: the ADC's REVISION register as the firmware read it.
    """

    samples: int = 0
    lost_samples: int = 0
    gaps: int = 0
    torn_copies: int = 0
    sequence_errors: int = 0
    events: int = 0
    events_lost: int = 0
    counter_mismatches: int = 0
    bad_blocks: int = 0
    heartbeat_age_s: float = 0.0
    state: int = 0
    fault: int = 0
    epoch: int = 0
    overruns: int = 0
    underflows: int = 0
    tag_slips: int = 0
    stalls: int = 0
    restarts: int = 0
    lost_scans: int = 0
    fifo_high_water: int = 0
    max_work_cycles: int = 0
    events_dropped: int = 0
    count_slips: int = 0
    clipped_scans: int = 0
    adc_revision: int = 0


FIRMWARE_WORDS = {  # of the attributes that are the firmware's own counts: which word of the status they are
    "state": layout.STATUS_STATE // 4,
    "fault": layout.STATUS_FAULT // 4,
    "epoch": layout.STATUS_EPOCH // 4,
    "overruns": layout.STATUS_OVERRUNS // 4,
    "underflows": layout.STATUS_UNDERFLOWS // 4,
    "tag_slips": layout.STATUS_TAG_SLIPS // 4,
    "stalls": layout.STATUS_STALLS // 4,
    "restarts": layout.STATUS_RESTARTS // 4,
    "lost_scans": layout.STATUS_LOST_SCANS // 4,
    "fifo_high_water": layout.STATUS_FIFO_HIGH_WATER // 4,
    "max_work_cycles": layout.STATUS_MAX_WORK_CYCLES // 4,
    "events_dropped": layout.STATUS_EVENTS_DROPPED // 4,
    "count_slips": layout.STATUS_COUNT_SLIPS // 4,
    "clipped_scans": layout.STATUS_CLIPPED // 4,
    "adc_revision": layout.STATUS_ADC_REVISION // 4,
}


@dataclass
class ReaderCounts:
    """The reader's own counts while it runs; names as in `RingStatistics`."""

    samples: int = 0
    lost_samples: int = 0
    gaps: int = 0
    torn_copies: int = 0
    sequence_errors: int = 0
    events: int = 0
    bad_blocks: int = 0
    heartbeat_age_s: float = 0.0
