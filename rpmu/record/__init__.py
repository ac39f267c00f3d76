"""Recorded waveforms in, recordings out: files of samples and of reports."""

from rpmu.record.waveform import Waveform, read_waveform

__all__ = ["Waveform", "read_waveform"]
