"""The streaming estimator: samples and their times in, reports out.

Samples are decimated into a short history. A report instant k/rate is turned into a position in the history by the
newest time map; the window around the nearest sample goes to the kernel. Nothing else carries over from one report to
the next, so any split of the input gives the same reports. What is missing, lies before a resynchronisation or was
marked bad is NaN in the history, and a report whose window touches it is invalid.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError
from rpmu.estimate.alternatives import build_kernel
from rpmu.estimate.classes import NS, ReportClock
from rpmu.estimate.decimate import Decimator, History
from rpmu.estimate.reports import Reports, build_reports, join_reports
from rpmu.estimate.settings import EstimatorSettings
from rpmu.timing.time_map import TimeMap

Floats = NDArray[np.float64]
Window = tuple[int, int, float]  # report, first sample in the history, instant minus centre in samples

LONGEST_SILENCE_S = 10  # of a longer hole, only the last so many seconds of invalid reports are given
WINDOW_VALUES = 1 << 21  # of all windows handled at once, to bound the memory


class Estimator:
    """Streaming synchrophasor estimator.

    Attributes:
        settings: as given.
        window_s: length of samples that one report is made from, s.
        group_delay_s: from a report's instant to its newest sample, s: the latency of the algorithm.
    """

    def __init__(self, settings: EstimatorSettings) -> None:
        self.settings = settings
        self._kernel = kernel = build_kernel(settings)
        self._clock = ReportClock(settings.reporting_rate)
        self._length = kernel.before + kernel.after + 1
        fd = settings.sample_rate_hz / kernel.decimation
        half_decimator = len(kernel.decimator) // 2 / settings.sample_rate_hz
        self.window_s = (self._length - 1) / fd + 2 * half_decimator
        self.group_delay_s = kernel.after / fd + half_decimator + kernel.delay_s
        self._next_index: int | None = None
        self._map: TimeMap | None = None
        self._last_map: TimeMap | None = None
        self._next_report: int | None = None
        self._restart(0)

    def push(self, samples: NDArray[np.float64], first_index: int, time_map: TimeMap | None) -> Reports:
        """Take samples and give the reports that they complete.

        Args:
            samples: float64 [n_channels, n], volts as sampled; NaN where a sample is missing or bad.
            first_index: index of the first sample. A jump is a gap.
            time_map: from the sample index to UTC of the sampling instant; None while the time is not known: then no
                report is given.

        Returns:
            The reports whose whole window has arrived, in order. Windows with missing samples give invalid reports.

        Raises:
            InputError: samples of the wrong shape.
        """
        samples = np.asarray(samples, dtype=np.float64)
        if samples.ndim != 2 or samples.shape[0] != self.settings.n_channels:
            raise InputError(
                f"samples of shape {samples.shape}: must be [{self.settings.n_channels}, n], one row per channel"
            )
        self._bridge(first_index)
        end = first_index + samples.shape[1]
        self._follow(time_map, end)
        self._history.append(self._decimator.push(samples))
        self._next_index = end
        reports = self._due()
        self._history.trim()
        return reports

    def _restart(self, first_index: int) -> None:
        kernel, channels = self._kernel, self.settings.n_channels
        self._decimator = Decimator(kernel.decimator, kernel.decimation, channels, first_index)
        self._history = History(channels, self._length + 1, self._decimator.next_output)

    def _bridge(self, first_index: int) -> None:
        """Fill a short gap with missing samples; after a long one, or a step back, start over."""
        if self._next_index == first_index:
            return
        missing = first_index - self._next_index if self._next_index is not None else -1
        if 0 < missing <= self._length * self._kernel.decimation:
            hole = np.full((self.settings.n_channels, missing), np.nan)
            self._history.append(self._decimator.push(hole))
        else:
            self._restart(first_index)

    def _follow(self, time_map: TimeMap | None, newest: int) -> None:
        """Take over the newest time map; after a step, what was sampled before belongs to another time."""
        if time_map is None or not math.isfinite(time_map.sigma_ns):
            self._map = self._next_report = None
            return
        last, self._map, self._last_map = self._last_map, time_map, time_map
        step_ns = 0 if last is None else time_map.utc_ns_at(newest) - last.utc_ns_at(newest)
        if abs(step_ns) > self.settings.time_step_limit_ns:
            self._history.forget()
            self._decimator.forget()
        if abs(step_ns) > NS // 2:
            self._next_report = None

    def _due(self) -> Reports:
        """The reports whose windows have arrived since the last ones."""
        if self._map is None:
            return self._reports([], 1.0)
        windows = []
        for k in self._candidates(self._map):
            centre, shift = self._position(self._map, k)
            if centre + self._kernel.after >= self._history.end:
                break
            windows.append((k, centre - self._kernel.before, shift))
            self._next_report = k + 1
        step = max(1, WINDOW_VALUES // (self._length * self.settings.n_channels))
        rate_ratio = self._map.rate_hz / self.settings.sample_rate_hz
        parts = [self._reports(windows[i : i + step], rate_ratio) for i in range(0, max(1, len(windows)), step)]
        return parts[0] if len(parts) == 1 else join_reports(parts)

    def _candidates(self, time_map: TimeMap) -> range:
        """Reports not yet given whose windows may have arrived."""
        kernel, history = self._kernel, self._history

        def report_at(index: int) -> int:
            return self._clock.after(time_map.utc_ns_at(index * kernel.decimation) - round(kernel.delay_s * 1e9))

        complete = report_at(history.first + kernel.before)
        if self._next_report is None:
            centre, _ = self._position(time_map, complete)
            self._next_report = complete + int(centre - kernel.before < history.first)
        silence = LONGEST_SILENCE_S * self._clock.denominator // self._clock.numerator
        start = max(self._next_report, complete - silence)
        return range(start, report_at(history.end - kernel.after) + 1)

    def _position(self, time_map: TimeMap, k: int) -> tuple[int, float]:
        """Nearest decimated sample of a report, and how far behind it the instant lies, in decimated samples."""
        offset_ns = self._clock.offset_ns(k, time_map.time0_ns) + self._kernel.delay_s * 1e9
        base, rest = divmod(time_map.index0, self._kernel.decimation)
        position = (rest + offset_ns / time_map.ns_per_index) / self._kernel.decimation
        nearest = round(position)
        return base + nearest, position - nearest

    def _reports(self, windows: list[Window], rate_ratio: float) -> Reports:
        """Measure the reports of some windows; those whose samples are not there any more are invalid."""
        settings, clock, history = self.settings, self._clock, self._history
        time_ns = np.array([clock.time_ns(k) for k, _, _ in windows], dtype=np.int64)
        there = [window for window in windows if window[1] >= history.first]
        phasors = np.empty((0, settings.n_channels), dtype=np.complex128)
        frequency = rocof = np.empty(0)
        if there:
            samples = history.windows([start for _, start, _ in there], self._length)
            m = self._kernel.measure(samples, np.array([shift for _, _, shift in there]), rate_ratio)
            turns = [cmath.exp(-2j * cmath.pi * clock.turns(k, settings.nominal_hz)) for k, _, _ in there]
            phasors, frequency, rocof = m.phasors * np.array(turns)[:, None], m.frequency_hz, m.rocof_hz_per_s
        missing = len(windows) - len(there)
        if missing:  # starts rise, so what is missing comes first
            hole = np.full(missing, np.nan)
            phasors = np.concatenate([np.full((missing, settings.n_channels), np.nan), phasors])
            frequency, rocof = np.concatenate([hole, frequency]), np.concatenate([hole, rocof])
        return build_reports(time_ns, phasors, frequency, rocof, settings.phases)
