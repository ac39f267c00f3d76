"""Limits of IEC/IEEE 60255-118-1:2018.

The standard's text is not public. What public test libraries confirm and what is from memory is said in
docs/conformance.md; `UNCERTAIN` lists the points that a reader of the text should check first.
"""

from dataclasses import dataclass

UNCERTAIN = (
    "harmonics M: TVE 1 %, FE 25 mHz above 20 reports/s, no limit on RFE (one public library has TVE 10 %, RFE 1 Hz/s)",
    "harmonics in three phases: both phase sets are run (every harmonic positive sequence, and h times 120 degrees)",
    "out of band: the interferers exactly at f0 +- Fs/2 are test points",
    "ramp: 2/Fs (P) or 7/Fs (M) is excluded at each corner, not the larger of that and n/f0",
    "latency: 2/Fs (P) and 7/Fs (M)",
    "step: response time runs from the first report outside of the threshold to the last one",
)

OFF = float("inf")  # no limit


@dataclass(frozen=True)
class Task:
    """What is tested: one class, rate and nominal frequency."""

    nominal_hz: int
    performance_class: str
    rate: int

    @property
    def name(self) -> str:
        return f"{self.performance_class}{self.rate} at {self.nominal_hz} Hz"

    @property
    def is_p(self) -> bool:
        return self.performance_class == "P"

    @property
    def frequency_range_hz(self) -> float:
        return 2.0 if self.is_p else (2.0 if self.rate <= 10 else min(self.rate / 5, 5.0))

    @property
    def modulation_hz(self) -> float:
        """Highest modulation frequency."""
        return min(self.rate / 10, 2.0) if self.is_p else min(self.rate / 5, 5.0)


def steady_limits(task: Task, test: str) -> tuple[float, float, float]:
    """TVE in percent, FE in Hz, RFE in Hz/s of one test."""
    p, fr = task.is_p, task.modulation_hz
    if test in ("frequency", "magnitude", "phase"):
        return 1.0, 0.005, 0.4 if p else 0.1
    if test == "harmonics":
        return (1.0, 0.005, 0.4) if p else (1.0, 0.025 if task.rate > 20 else 0.005, OFF)
    if test == "out of band":
        return 1.3, 0.010, OFF
    if test in ("AM", "PM"):
        return 3.0, (0.03 if p else 0.06) * fr, 0.18 * 3.141592653589793 * fr**2
    if test == "ramp":
        return 1.0, 0.01, 0.4 if p else 0.2
    raise KeyError(test)


def step_limits(task: Task) -> dict[str, float]:
    """Response times (s), delay (s) and overshoot (share of the step)."""
    f0, fs = task.nominal_hz, task.rate
    delay = 1 / (4 * fs)
    if task.is_p:
        return {"TVE time": 2 / f0, "FE time": 4.5 / f0, "RFE time": 6 / f0, "delay": delay, "overshoot": 0.05}
    slow = max(14 / f0, 14 / fs)
    return {"TVE time": max(7 / f0, 7 / fs), "FE time": slow, "RFE time": slow, "delay": delay, "overshoot": 0.10}


def step_thresholds(task: Task) -> tuple[float, float, float]:
    """TVE (percent), FE (Hz) and RFE (Hz/s) that a step must bring the report back inside of."""
    return 1.0, 0.005, 0.4 if task.is_p else 0.1


def latency_limit(task: Task) -> float:
    """Reporting latency, s."""
    return (2 if task.is_p else 7) / task.rate
