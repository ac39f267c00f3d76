"""The configuration: one TOML file, a typed schema, and errors that say where and what to do."""

from rpmu.config.difference import Change, difference
from rpmu.config.json_schema import json_schema
from rpmu.config.problems import ConfigError, Problem
from rpmu.config.reader import default, load, parse, read
from rpmu.config.render import render
from rpmu.config.schema import Calibration, Channel, Config, Gps, Logging, Sampling, Server, Station, Time

__all__ = [
    "Calibration",
    "Change",
    "Channel",
    "Config",
    "ConfigError",
    "Gps",
    "Logging",
    "Problem",
    "Sampling",
    "Server",
    "Station",
    "Time",
    "default",
    "difference",
    "json_schema",
    "load",
    "parse",
    "read",
    "render",
]
