"""From scan number to UTC: PPS edges, NMEA, the clock filter and its honest states."""

from rpmu.timing.keeper import TimeKeeper
from rpmu.timing.leap import LeapSchedule, LeapSecond, parse_leap_file
from rpmu.timing.settings import TimingSettings
from rpmu.timing.states import LockState
from rpmu.timing.status import ReportTime, TimeCodes, TimeCounters, TimeStatus, status_word
from rpmu.timing.time_map import TimeMap

__all__ = [
    "LeapSchedule",
    "LeapSecond",
    "LockState",
    "ReportTime",
    "TimeCodes",
    "TimeCounters",
    "TimeKeeper",
    "TimeMap",
    "TimeStatus",
    "TimingSettings",
    "parse_leap_file",
    "status_word",
]
