"""The shared memory between the PRU firmware and the host, as constants and numpy dtypes.

Written by `python -m rpmu.acquire.generate_layout` from pru/layout.h. Do not edit: edit the header, where
every field is explained, and run that command.
"""

import numpy as np

LAYOUT_VERSION = 3
LAYOUT_MAGIC = 0x554D5052  # "RPMU"
PRU_SHARED_RAM = 0x00010000  # PRU-local address of the shared RAM
SHARED_RAM_BYTES = 0x3000
STATUS_OFFSET = 0x0000
PARAMS_OFFSET = 0x0100
EVENTS_OFFSET = 0x0180
RING_OFFSET = 0x0380
STATUS_MAGIC = 0x00  # LAYOUT_MAGIC once the firmware has initialised itself
STATUS_LAYOUT_VERSION = 0x04
STATUS_FIRMWARE_VERSION = 0x08  # major << 16 | minor
STATUS_STATE = 0x0C  # STATE_*
STATUS_FAULT = 0x10  # FAULT_* when the state is STATE_FAULT
STATUS_HEARTBEAT = 0x14  # counts up at least once a millisecond in every state
STATUS_COMMAND_ACK = 0x18  # PARAMS_COMMAND_SEQ of the last command that was carried out or refused
STATUS_ADC_REVISION = 0x1C  # REVISION register of TSC_ADC_SS, the probe that it is clocked
STATUS_MEASURED_SCANS = 0x20  # scans timed at start ...
STATUS_MEASURED_CYCLES = 0x24  # ... and the counter ticks they took: the real scan length
STATUS_CIC_ORDER = 0x28
STATUS_CIC_DELAY_HALF_SCANS = 0x2C  # group delay of the decimator, in half scans: order * (decimation - 1)
STATUS_DECIMATION = 0x30  # scans per sample
STATUS_BLOCK_BYTES = 0x34  # BLOCK_HEADER_BYTES + 2 * channels * BLOCK_SAMPLES
STATUS_RING_BLOCKS = 0x38  # slots in the ring
STATUS_BLOCKS_WRITTEN = 0x3C  # blocks closed; free running, written last
STATUS_SAMPLES_WRITTEN = 0x40  # BLOCKS_WRITTEN * BLOCK_SAMPLES and what the open block holds by now
STATUS_EVENTS_WRITTEN = 0x44  # free running; written last
STATUS_EPOCH = 0x48  # counts the starts of the ADC sequencer, from 1; START does not zero it
STATUS_SCANS = 0x4C  # scan number of the newest complete scan, from 0 at START
STATUS_OVERRUNS = 0x50  # FIFO overruns seen (each latches the module; the firmware restarts it)
STATUS_UNDERFLOWS = 0x54  # FIFO underflows seen (likewise)
STATUS_TAG_SLIPS = 0x58  # times that a word was not of the expected step; each mended at once
STATUS_STALLS = 0x5C  # restarts because the ADC delivered nothing for STALL_SCANS scans
STATUS_RESTARTS = 0x60  # restarts of the sequencer, whatever the cause
STATUS_LOST_SCANS = 0x64  # scans between blocks that are in no block, plus the substituted ones
STATUS_FIFO_HIGH_WATER = 0x68  # most words ever found in FIFO0
STATUS_ADC_STATUS = 0x6C  # IRQSTATUS_RAW as last read
STATUS_MAX_WORK_CYCLES = 0x70  # longest time from a look at the FIFO that found a scan to the next one
STATUS_EVENTS_DROPPED = 0x74  # PPS events given up because a restart or a substituted scan hit them
STATUS_COUNT_SLIPS = 0x78  # restarts because a sample's scans did not agree with the counter
STATUS_SUBSTITUTED = 0x7C  # scans substituted; counted ahead of any sample that they touch
STATUS_CLIPPED = 0x80  # scans in which an input left its range; counted ahead of what they touch
STATUS_BYTES = 0x84
STATE_IDLE = 1  # initialised, waits for START
STATE_MEASURING = 2  # ADC runs, scan length being measured
STATE_RUNNING = 3
STATE_FAULT = 4  # see STATUS_FAULT; a new START is accepted
FAULT_NONE = 0
FAULT_PARAMS = 1  # a parameter or the command is out of its range
FAULT_ADC_ABSENT = 2  # REVISION is not that of TSC_ADC_SS: no clock, or not this chip
FAULT_ADC_BUSY = 3  # the sequencer did not become idle
FAULT_ADC_SILENT = 4  # RESTARTS_BEFORE_FAULT restarts in a row and not one whole scan
PARAMS_COMMAND_SEQ = 0x00  # any new value makes the PRU look at COMMAND
PARAMS_COMMAND = 0x04  # COMMAND_*
PARAMS_CHANNELS = 0x08  # analog channels, 1 to MAX_CHANNELS
PARAMS_ADC_CLKDIV = 0x0C  # ADC clock = 24 MHz / (value + 1); at least MIN_ADC_CLKDIV
PARAMS_DECIMATION = 0x10  # 1 to MAX_DECIMATION scans per sample
PARAMS_OUTPUT_SHIFT = 0x14  # right shift, rounded, that fits decimation^order * 4095 into 16 bits
PARAMS_PPS_HIGH = 0x18  # counts: an edge is a PPS sample at or above this ...
PARAMS_PPS_LOW = 0x1C  # ... after one at or below this
PARAMS_PPS_PIN = 0x20  # R31 bit of the optional second PPS input; PPS_PIN_NONE for none
PARAMS_MEASURE_SCANS = 0x24  # scans to time at start, MIN_ to MAX_MEASURE_SCANS
PARAMS_AIN = 0x28  # 7 words: analog input of each step, the channels first, then PPS
PARAMS_STEP_DELAY = 0x44  # 7 words: STEPDELAY of each step: open delay | sample delay << 24
PARAMS_WATCHED = 0x60  # so many channels, the first ones, are watched for leaving ...
PARAMS_LOWEST = 0x64  # ... the range of counts from this ...
PARAMS_HIGHEST = 0x68  # ... to this
PARAMS_BYTES = 0x6C
MAX_CHANNELS = 6
MAX_STEPS = 7
MAX_DECIMATION = 16
MAX_AIN = 7
MAX_PPS_PIN = 16  # PRU0's R31 has inputs 0 to 16
MIN_MEASURE_SCANS = 512  # fewer, and the length would be too rough to check samples with
MAX_MEASURE_SCANS = 60000
MAX_SCAN_TICKS = 65535  # longest scan, counter ticks: 3.05 kHz
MIN_ADC_CLKDIV = 7  # 3 MHz, the data sheet's most
CIC_ORDER = 3
PPS_PIN_NONE = 0xFFFFFFFF
STALL_SCANS = 32  # scan times without a whole scan after which the ADC is restarted
RESTARTS_BEFORE_FAULT = 8
MAX_SUBSTITUTED = 4  # scans in a row that are substituted; more than that is a restart
COMMAND_START = 1  # (re)read the parameters, probe, measure, run
COMMAND_STOP = 2  # stop the sequencer, back to STATE_IDLE
EVENT_SEQ = 0x00  # number of this event, from 0; n lies in slot n modulo EVENT_SLOTS
EVENT_SOURCE = 0x04  # EVENT_SOURCE_*
EVENT_EPOCH = 0x08
EVENT_FIRST_SCAN = 0x0C  # scan number of the first raw sample; pin: newest scan at the edge
EVENT_COUNTER_BEFORE = 0x10  # pin: counter at the last look that saw low. ADC: at the crossing
EVENT_COUNTER_AFTER = 0x14  # pin: counter at the first look that saw high. ADC: as BEFORE
EVENT_SAMPLE_COUNT = 0x18  # EVENT_SAMPLES; pin: 0
EVENT_CROSSING = 0x1C  # index of the first raw sample at or above PARAMS_PPS_HIGH
EVENT_DATA = 0x20  # raw 12-bit PPS samples, one per scan, 16 bits each
EVENT_SAMPLES = 48
EVENT_SAMPLES_BEFORE = 16  # of them ahead of the crossing
EVENT_BYTES = 128
EVENT_SLOTS = 4
EVENT_SOURCE_ADC = 0
EVENT_SOURCE_PIN = 1
BLOCK_SEQ = 0x00  # number of this block, from 0
BLOCK_FIRST_SCAN = 0x04  # newest scan in the first sample (CIC delay not taken off)
BLOCK_COUNTER = 0x08  # counter when that scan was read from the FIFO
BLOCK_EPOCH = 0x0C
BLOCK_ADC_STATUS = 0x10  # IRQSTATUS_RAW at the end of the block
BLOCK_FIFO_HIGH_WATER = 0x14  # most words found in FIFO0 during the block
BLOCK_BAD_SCANS = 0x18  # substituted scans that touch it (near its end: the next one too)
BLOCK_LOST_SCANS = 0x1C  # STATUS_LOST_SCANS at the end of the block
BLOCK_DATA = 0x20  # [sample][channel], 16 bits each
BLOCK_HEADER_BYTES = 32
BLOCK_SAMPLES = 64

STATUS = np.dtype(
    {
        "names": [
            "magic",
            "layout_version",
            "firmware_version",
            "state",
            "fault",
            "heartbeat",
            "command_ack",
            "adc_revision",
            "measured_scans",
            "measured_cycles",
            "cic_order",
            "cic_delay_half_scans",
            "decimation",
            "block_bytes",
            "ring_blocks",
            "blocks_written",
            "samples_written",
            "events_written",
            "epoch",
            "scans",
            "overruns",
            "underflows",
            "tag_slips",
            "stalls",
            "restarts",
            "lost_scans",
            "fifo_high_water",
            "adc_status",
            "max_work_cycles",
            "events_dropped",
            "count_slips",
            "substituted",
            "clipped",
        ],
        "formats": [
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
        ],
        "offsets": [
            STATUS_MAGIC,
            STATUS_LAYOUT_VERSION,
            STATUS_FIRMWARE_VERSION,
            STATUS_STATE,
            STATUS_FAULT,
            STATUS_HEARTBEAT,
            STATUS_COMMAND_ACK,
            STATUS_ADC_REVISION,
            STATUS_MEASURED_SCANS,
            STATUS_MEASURED_CYCLES,
            STATUS_CIC_ORDER,
            STATUS_CIC_DELAY_HALF_SCANS,
            STATUS_DECIMATION,
            STATUS_BLOCK_BYTES,
            STATUS_RING_BLOCKS,
            STATUS_BLOCKS_WRITTEN,
            STATUS_SAMPLES_WRITTEN,
            STATUS_EVENTS_WRITTEN,
            STATUS_EPOCH,
            STATUS_SCANS,
            STATUS_OVERRUNS,
            STATUS_UNDERFLOWS,
            STATUS_TAG_SLIPS,
            STATUS_STALLS,
            STATUS_RESTARTS,
            STATUS_LOST_SCANS,
            STATUS_FIFO_HIGH_WATER,
            STATUS_ADC_STATUS,
            STATUS_MAX_WORK_CYCLES,
            STATUS_EVENTS_DROPPED,
            STATUS_COUNT_SLIPS,
            STATUS_SUBSTITUTED,
            STATUS_CLIPPED,
        ],
        "itemsize": STATUS_BYTES,
    }
)

PARAMS = np.dtype(
    {
        "names": [
            "command_seq",
            "command",
            "channels",
            "adc_clkdiv",
            "decimation",
            "output_shift",
            "pps_high",
            "pps_low",
            "pps_pin",
            "measure_scans",
            "ain",
            "step_delay",
            "watched",
            "lowest",
            "highest",
        ],
        "formats": [
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            ("<u4", (MAX_STEPS,)),
            ("<u4", (MAX_STEPS,)),
            "<u4",
            "<u4",
            "<u4",
        ],
        "offsets": [
            PARAMS_COMMAND_SEQ,
            PARAMS_COMMAND,
            PARAMS_CHANNELS,
            PARAMS_ADC_CLKDIV,
            PARAMS_DECIMATION,
            PARAMS_OUTPUT_SHIFT,
            PARAMS_PPS_HIGH,
            PARAMS_PPS_LOW,
            PARAMS_PPS_PIN,
            PARAMS_MEASURE_SCANS,
            PARAMS_AIN,
            PARAMS_STEP_DELAY,
            PARAMS_WATCHED,
            PARAMS_LOWEST,
            PARAMS_HIGHEST,
        ],
        "itemsize": PARAMS_BYTES,
    }
)

EVENT = np.dtype(
    {
        "names": [
            "seq",
            "source",
            "epoch",
            "first_scan",
            "counter_before",
            "counter_after",
            "sample_count",
            "crossing",
            "data",
        ],
        "formats": [
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            ("<u2", (EVENT_SAMPLES,)),
        ],
        "offsets": [
            EVENT_SEQ,
            EVENT_SOURCE,
            EVENT_EPOCH,
            EVENT_FIRST_SCAN,
            EVENT_COUNTER_BEFORE,
            EVENT_COUNTER_AFTER,
            EVENT_SAMPLE_COUNT,
            EVENT_CROSSING,
            EVENT_DATA,
        ],
        "itemsize": EVENT_BYTES,
    }
)

BLOCK_HEADER = np.dtype(
    {
        "names": [
            "seq",
            "first_scan",
            "counter",
            "epoch",
            "adc_status",
            "fifo_high_water",
            "bad_scans",
            "lost_scans",
        ],
        "formats": [
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
            "<u4",
        ],
        "offsets": [
            BLOCK_SEQ,
            BLOCK_FIRST_SCAN,
            BLOCK_COUNTER,
            BLOCK_EPOCH,
            BLOCK_ADC_STATUS,
            BLOCK_FIFO_HIGH_WATER,
            BLOCK_BAD_SCANS,
            BLOCK_LOST_SCANS,
        ],
        "itemsize": BLOCK_HEADER_BYTES,
    }
)
