"""From the PRU's shared memory to blocks of samples and PPS events."""

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock
from rpmu.acquire.link import Pace, PruLink
from rpmu.acquire.ring import RingReader
from rpmu.acquire.settings import SamplerSettings
from rpmu.acquire.statistics import RingStatistics

__all__ = [
    "AcquisitionInfo",
    "Pace",
    "PpsEvent",
    "PruLink",
    "RingReader",
    "RingStatistics",
    "SampleBlock",
    "SamplerSettings",
]
