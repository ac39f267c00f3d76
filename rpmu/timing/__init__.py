"""From scan number to UTC: PPS edges, NMEA, the clock filter and its honest states."""

from rpmu.timing.chrony import ChronyTracking, parse_tracking
from rpmu.timing.keeper import TimeKeeper
from rpmu.timing.known import KnownTime
from rpmu.timing.leap import LeapSchedule, LeapSecond, parse_leap_file
from rpmu.timing.settings import TimingSettings
from rpmu.timing.source import TimeSource
from rpmu.timing.states import LockState
from rpmu.timing.status import ReportTime, TimeCodes, TimeCounters, TimeStatus, status_word
from rpmu.timing.system import SystemTimeKeeper
from rpmu.timing.time_map import TimeMap

__all__ = [
    "ChronyTracking",
    "KnownTime",
    "LeapSchedule",
    "LeapSecond",
    "LockState",
    "ReportTime",
    "SystemTimeKeeper",
    "TimeCodes",
    "TimeCounters",
    "TimeKeeper",
    "TimeMap",
    "TimeSource",
    "TimeStatus",
    "TimingSettings",
    "parse_leap_file",
    "parse_tracking",
    "status_word",
]
