"""The streaming estimator: samples and their times in, reports out.

Samples go into a short history. A report instant k/rate is turned into a position in the history by the newest time
map; the window around the nearest sample goes to the kernel. Nothing else carries over from one report to the next, so
any split of the input gives the same reports. What is missing, lies before a resynchronisation or was marked bad is NaN
in the history, and a report whose window touches it is invalid.

Most pushes of a stream complete one report or none, so what is done on every push is one numpy call and integers, and
all filtering waits for a report (`push_stream`); a recording gives many at once, as arrays (`push`). Both read the same
windows.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpmu.errors import InputError
from rpmu.estimate.alternatives import build_kernel
from rpmu.estimate.classes import NS, ReportClock
from rpmu.estimate.decimate import history
from rpmu.estimate.reports import Report, Reports, build_report, build_reports, invalid_report, join_reports
from rpmu.estimate.settings import EstimatorSettings
from rpmu.timing.time_map import TimeMap

Floats = NDArray[np.float64]
Window = tuple[int, int, float]  # report, first sample in the history, instant minus centre in samples

LONGEST_SILENCE_S = 10  # of a longer hole, only the last so many seconds of invalid reports are given
# A frequency farther off, as a part of nominal, is read from noise, where there is no signal. What phasors are
# corrected by at such a frequency is any number, so the report is invalid.
FARTHEST = 0.5
WINDOW_VALUES = 1 << 21  # of all windows handled at once, to bound the memory


class Estimator:
    """Streaming synchrophasor estimator.

    Attributes:
        settings: as given.
        window_s: length of samples that one report is made from, s.
        group_delay_s: from a report's instant to its newest sample, s: the latency of the algorithm.
        offset: float64 [n_channels, 1], what every sample stands above zero: the mid-scale of a converter. Whoever
            pushes samples may put another array here at any time.
    """

    def __init__(self, settings: EstimatorSettings) -> None:
        self.settings = settings
        self._kernel = kernel = build_kernel(settings)
        self._channels, self._phases = settings.n_channels, settings.phases
        self._nominal_hz, self._farthest_hz = settings.nominal_hz, settings.nominal_hz * FARTHEST
        self._clock = clock = ReportClock(settings.reporting_rate)
        self._before = kernel.before
        self._length = kernel.before + kernel.after + 1
        fd = settings.sample_rate_hz / kernel.decimation
        self._factor, self._half = kernel.decimation, len(kernel.decimator) // 2
        half_decimator = self._half / settings.sample_rate_hz
        self.window_s = (self._length - 1) / fd + 2 * half_decimator
        self.group_delay_s = kernel.after / fd + half_decimator + kernel.delay_s
        self.offset: Floats = np.zeros((settings.n_channels, 1))
        self._offset, self._offsets = self.offset, self.offset[:, 0].tolist()  # and as Python numbers
        nominal_turns = [clock.turns(k, settings.nominal_hz) for k in range(clock.denominator)]
        self._turns = [cmath.exp(-2j * cmath.pi * turns) for turns in nominal_turns]
        self._denominator = clock.denominator
        self._turns_any = any(turn != 1 for turn in self._turns)
        self._spacing_ns = clock.numerator * NS / clock.denominator  # of the reports
        self._step_limit_ns = settings.time_step_limit_ns
        self._rate_ratio = 1.0  # true sample rate / nominal sample rate
        self._delay_ns = kernel.delay_s * 1e9
        self._nominal_ns_per_index = 1e9 / settings.sample_rate_hz
        # Report on a whole second and its UTC, ns: the newest that a report was found from.
        self._period, self._period_ns, self._places_ns = 0, 0, clock.places_ns
        self._next_index: int | None = None
        self._map: TimeMap | None = None
        self._last_map: TimeMap | None = None
        self._next_report: int | None = None
        self._grid = 0, 0, 0.0, 1.0  # by the map: as `_grid_by` gives it
        self._next: Window | None = None  # of the next report, by that map; None if it has to be found
        self._restart(0)

    def begin_at(self, time_ns: int) -> None:
        """Reports are due from a UTC instant on: those before the first whole window will be given as invalid ones.

        Only the last LONGEST_SILENCE_S of them are, and none if the time is not known with the first samples.

        Args:
            time_ns: the first report is at or after it.
        """
        self._next_report, self._next = self._clock.after(time_ns), None

    def push(self, samples: NDArray[Any], first_index: int, time_map: TimeMap | None) -> Reports:
        """Take samples and give the reports that they complete.

        Args:
            samples: float64 or any integers [n_channels, n], as sampled; NaN where a sample is missing or bad.
            first_index: index of the first sample. A jump is a gap.
            time_map: from the sample index to UTC of the sampling instant; None while the time is not known: then no
                report is given.

        Returns:
            The reports whose whole window has arrived, in order. Windows with missing samples give invalid reports.

        Raises:
            InputError: samples of the wrong shape.
        """
        windows = self._take(samples, first_index, time_map)
        self._offsets = self.offset[:, 0].tolist()
        step = max(1, WINDOW_VALUES // (self._length * self.settings.n_channels))
        parts = [self._reports(windows[i : i + step]) for i in range(0, max(1, len(windows)), step)]
        return parts[0] if len(parts) == 1 else join_reports(parts)

    def push_stream(self, samples: NDArray[Any], first_index: int, time_map: TimeMap | None) -> list[Report]:
        """The same for a stream that gives a report or two at a time: without arrays, which would cost more."""
        return [self._report(k, start, shift) for k, start, shift in self._take(samples, first_index, time_map)]

    def _take(self, samples: NDArray[Any], first_index: int, time_map: TimeMap | None) -> list[Window]:
        """Take samples and give the windows that they complete; the history holds them until the next samples."""
        shape = samples.shape
        if len(shape) != 2 or shape[0] != self._channels:
            raise InputError(f"samples of shape {shape}: must be [{self._channels}, n], one row per channel")
        if first_index != self._next_index:
            self._bridge(first_index)
        end = first_index + shape[1]
        if time_map is None or time_map is not self._map:
            self._follow(time_map, end)
        self._history.append(samples)
        self._next_index = end
        return self._due()

    @property
    def wanted_index(self) -> int | None:
        """Index of the sample that completes the next report, as far as is known now; None while the time is not."""
        if self._map is None or self._next is None:
            return None
        return (self._next[1] + self._length - 1) * self._factor + self._half

    def _restart(self, first_index: int) -> None:
        kernel, channels = self._kernel, self.settings.n_channels
        self._history = history(kernel.decimator, kernel.decimation, channels, self._length + 1, first_index)
        self._restarted, self._next = True, None
        self._given = -math.inf  # where the window of the last report began

    def _bridge(self, first_index: int) -> None:
        """Fill a short gap with missing samples; after a long one, or a step back, start over."""
        missing = first_index - self._next_index if self._next_index is not None else -1
        if 0 < missing <= self._length * self._kernel.decimation:
            self._history.append(np.full((self.settings.n_channels, missing), np.nan))
        else:
            self._restart(first_index)

    def _follow(self, time_map: TimeMap | None, newest: int) -> None:
        """Take over the newest time map; after a step, what was sampled before belongs to another time."""
        if time_map is None or not time_map.sigma_ns < math.inf:
            self._map = self._next_report = None
            return
        last, self._map, self._last_map = self._last_map, time_map, time_map
        self._rate_ratio = self._nominal_ns_per_index / time_map.ns_per_index
        self._grid, self._next = self._grid_by(time_map), None
        if last is None:
            return
        now_ns = (newest - time_map.index0) * time_map.ns_per_index  # from the anchor; likewise the next
        was_ns = (newest - last.index0) * last.ns_per_index
        step_ns = abs(time_map.time0_ns - last.time0_ns + now_ns - was_ns)
        if step_ns > self._step_limit_ns:
            self._history.forget()
            if step_ns > NS // 2:
                self._next_report = None

    def _due(self) -> list[Window]:
        """The windows of reports that have arrived since the last ones."""
        time_map = self._map
        if time_map is None:
            return []
        window = self._next
        if window is None:
            k = self._next_report
            if self._restarted or k is None:
                k = self._first_report(time_map)
                self._restarted = False
            window = self._window(k)
        windows: list[Window] = []
        latest_start = self._history.end - self._length
        while window[1] <= latest_start:
            windows.append(window)
            self._given = window[1]
            window = self._window(window[0] + 1)
        self._next, self._next_report = window, window[0]
        return windows

    def _window(self, k: int) -> Window:
        """The window of a report: around the nearest decimated sample."""
        anchor, base, offset, spacing = self._grid
        position = (k - anchor) * spacing + offset
        nearest = round(position)
        return k, base + nearest - self._before, position - nearest

    def _first_report(self, time_map: TimeMap) -> int:
        """The next report: the first with a whole window, or after a hole the first that the hole swallowed.

        After a step of whole seconds the instant of the last report has another name, but is not reported once more.
        """
        kernel, history = self._kernel, self._history
        oldest_ns = time_map.utc_ns_at((history.first + kernel.before) * kernel.decimation)
        complete = self._clock.after(oldest_ns - round(kernel.delay_s * 1e9))
        if self._next_report is None:
            start = self._window(complete)[1]
            return complete + int(start < history.first or start <= self._given)
        silence = LONGEST_SILENCE_S * self._clock.denominator // self._clock.numerator
        return max(self._next_report, complete - silence)

    def _grid_by(self, time_map: TimeMap) -> tuple[int, int, float, float]:
        """Where the reports lie among the decimated samples, all at once, so that for each it is a sum and a product.

        Returns:
            The first report after the map's anchor; a decimated sample; how far behind that the report's instant lies;
            the distance of two reports. The last two are in decimated samples.
        """
        k = self._clock.after(time_map.time0_ns)
        index = (self._clock.offset_ns(k, time_map.time0_ns) + self._delay_ns) / time_map.ns_per_index
        base, rest = divmod(time_map.index0, self._factor)
        spacing = self._spacing_ns / time_map.ns_per_index
        return k, base, (index + rest) / self._factor, spacing / self._factor

    def _report(self, k: int, start: int, shift: float) -> Report:
        """Measure one report; one whose samples are not there any more is invalid."""
        place = k - self._period
        if not 0 <= place < self._denominator:
            place = k % self._denominator
            self._period, self._period_ns = k - place, self._clock.time_ns(k - place)
        time_ns = self._period_ns + self._places_ns[place]
        if start < self._history.first:
            return invalid_report(time_ns, self._channels)
        if self._offset is not self.offset:
            self._offset, self._offsets = self.offset, self.offset[:, 0].tolist()
        window = self._history.window(start, self._length)
        try:
            one = self._kernel.measure_one(window, self._offsets, shift, self._rate_ratio)
        except OverflowError:  # likewise
            one = None
        if one is None:
            return invalid_report(time_ns, self._channels)
        phasors, frequency, rocof = one
        if abs(frequency - self._nominal_hz) > self._farthest_hz:
            return invalid_report(time_ns, self._channels)
        if self._turns_any:
            turn = self._turns[place]
            phasors = [phasor * turn for phasor in phasors]
        return build_report(time_ns, phasors, frequency, rocof, self._phases)

    def _reports(self, windows: list[Window]) -> Reports:
        """Measure the reports of some windows; those whose samples are not there any more are invalid."""
        settings, clock, history = self.settings, self._clock, self._history
        time_ns = np.array([clock.time_ns(k) for k, _, _ in windows], dtype=np.int64)
        there = [window for window in windows if window[1] >= history.first]
        phasors = np.empty((0, settings.n_channels), dtype=np.complex128)
        frequency = rocof = np.empty(0)
        if there:
            samples = history.windows([start for _, start, _ in there], self._length)
            shifts = np.array([shift for _, _, shift in there])
            with np.errstate(over="ignore"):
                m = self._kernel.measure(samples, self._offsets, shifts, self._rate_ratio)
            turns = [self._turns[k % self._denominator] for k, _, _ in there]
            phasors, frequency, rocof = m.phasors * np.array(turns)[:, None], m.frequency_hz, m.rocof_hz_per_s
            wild = np.abs(frequency - self._nominal_hz) > self._farthest_hz
            phasors[wild | ~np.isfinite(phasors).all(axis=1)] = np.nan
        missing = len(windows) - len(there)
        if missing:  # starts rise, so what is missing comes first
            hole = np.full(missing, np.nan)
            phasors = np.concatenate([np.full((missing, settings.n_channels), np.nan), phasors])
            frequency, rocof = np.concatenate([hole, frequency]), np.concatenate([hole, rocof])
        return build_reports(time_ns, phasors, frequency, rocof, settings.phases)
