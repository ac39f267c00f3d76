"""From sample index to UTC: PPS edges, NMEA, the clock filter and its honest states."""

from rpmu.timing.time_map import TimeMap

__all__ = ["TimeMap"]
