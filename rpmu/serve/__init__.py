"""The PMU server: one stream of C37.118.2 data frames to any number of PDCs, by TCP and UDP."""

from rpmu.serve.addresses import Address, parse_address
from rpmu.serve.answers import Answers
from rpmu.serve.blocking import BlockingPmuServer
from rpmu.serve.server import PmuServer
from rpmu.serve.settings import (
    AccessList,
    Endpoint,
    Limits,
    ServerSettings,
    SpontaneousTarget,
    TlsSettings,
)
from rpmu.serve.simulator import Simulator, SimulatorSettings
from rpmu.serve.statistics import ServerStatistics
from rpmu.serve.stream import ScheduledChange

__all__ = [
    "AccessList",
    "Address",
    "Answers",
    "BlockingPmuServer",
    "Endpoint",
    "Limits",
    "PmuServer",
    "ScheduledChange",
    "ServerSettings",
    "ServerStatistics",
    "Simulator",
    "SimulatorSettings",
    "SpontaneousTarget",
    "TlsSettings",
    "parse_address",
]
