"""Every limit and constant of the timing room in one place, each with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from rpmu.errors import InputError


@dataclass(frozen=True)
class TimingSettings:
    """What can be set about time; the defaults suit the reference board with a bare crystal and an MTK3339 receiver.

    Attributes:
        pps_input: "adc" (the RC slope) or "pin"; the other one, where wired, checks it and stands in for it.
        pps_tau_s: time constant of the RC at the PPS input (5 kOhm, 3.3 nF); the start of what is learned.
        pps_tau_tolerance: its relative standard uncertainty before anything is learned.
        pps_delay_ns: delay of the PPS from the start of the second to the ADC pin: antenna cable and buffers.
        pin_latency_ns: time from an edge at the R31 pin to the counter read that sees it, beyond the poll interval.
        receiver_sigma_ns: standard uncertainty of the receiver's PPS at HDOP 1: saw-tooth, wander and ionosphere.
        drift_ppb_per_s: how fast the crystal's frequency is assumed to drift in holdover. 1 ppb/s is a room whose
            temperature moves by about a degree in ten minutes.
        max_offset_ppm: largest frequency error a crystal can have; pairs of edges that need more are no pair.
        gate_sigma: an edge further than this many standard deviations from its prediction is rejected ...
        gate_ns: ... unless it is nearer than this.
        restart_edges: consecutive rejected edges that agree with each other and so restart the clock.
        lock_limit_ns: the error bound below which the clock may call itself locked. 26.5 us is 1 % TVE at 60 Hz.
        holdover_limit_ns: the error bound above which holdover becomes unlocked.
        holdover_after_s: time without an accepted edge after which locked becomes holdover; one lost edge is none.
        resync_limit_ns: a correction of the time larger than this is flagged as a resynchronisation.
        probation_s: how long a PPS that moved is watched, with the move in the error bound, before it is believed.
        settle_s: how long after a resynchronisation the time is not yet called locked.
        nmea_delay_s: smallest delay from a PPS edge to the first byte of the sentence naming it; the window is one
            second long from here. Negative for receivers that name the second before its edge.
        nmea_timeout_s: silence after which the receiver no longer vouches for its PPS.
        name_epochs: how many epochs of sentences must agree before the second has its first name.
        dispute_s: how long a receiver must insist on another second before it is believed.
        confirm_s: how long after a cold start, or after a change of the second, whole seconds are not trusted: the
            leap second count is sent every 12.5 minutes.
        not_before: earliest credible UTC, s since the Unix epoch; an earlier date is a week rollover (1024 weeks).
    """

    pps_input: Literal["adc", "pin"] = "adc"
    pps_tau_s: float = 16.5e-6
    pps_tau_tolerance: float = 0.15
    pps_delay_ns: float = 0.0
    pin_latency_ns: float = 0.0
    receiver_sigma_ns: float = 15.0
    drift_ppb_per_s: float = 1.0
    max_offset_ppm: float = 200.0
    gate_sigma: float = 5.0
    gate_ns: float = 300.0
    restart_edges: int = 5
    lock_limit_ns: float = 26_500.0
    holdover_limit_ns: float = 26_500.0
    holdover_after_s: float = 3.0
    resync_limit_ns: float = 1_000.0
    probation_s: float = 60.0
    settle_s: float = 2.0
    nmea_delay_s: float = 0.0
    nmea_timeout_s: float = 10.0
    name_epochs: int = 3
    dispute_s: float = 60.0
    confirm_s: float = 750.0
    not_before: int = 1_704_067_200  # 2024-01-01

    def __post_init__(self) -> None:
        positive = {"pps_tau_s", "pps_tau_tolerance", "max_offset_ppm", "gate_sigma", "restart_edges", "name_epochs"}
        if self.pps_input not in ("adc", "pin"):
            raise InputError(f"timing: pps_input is {self.pps_input!r}, but must be 'adc' or 'pin'")
        for field in fields(self):
            if field.name == "pps_input":
                continue
            value = getattr(self, field.name)
            if field.name in positive and not value > 0:
                raise InputError(f"timing: {field.name} is {value}, but must be positive")
            if field.name not in {"pps_delay_ns", "pin_latency_ns", "nmea_delay_s"} and not value >= 0:
                raise InputError(f"timing: {field.name} is {value}, but must not be negative")
