"""From the PRU's shared memory to blocks of samples and PPS events."""

from rpmu.acquire.blocks import AcquisitionInfo, PpsEvent, SampleBlock

__all__ = ["AcquisitionInfo", "PpsEvent", "SampleBlock"]
