"""The scan numbers tied to the PRU counter, which runs on when the ADC is restarted.

Both come from one crystal: a scan is an exact number of 5 ns ticks, so counter - scan * ticks is one constant for as
long as the sequencer runs (an epoch), plus the some ten ticks by which the PRU reads late. The smallest value seen is
the constant. At a restart it jumps by the time that the sampling instants moved: that carries the clock across, to
within the lateness, of which the readings that follow leave less and less. The same holds for a new run of the
acquisition, whose scans are numbered anew and may have another length: the counter runs on, and ties both axes
together. It also places an edge seen at a PRU pin, which is known in ticks, among the scans.
"""

from __future__ import annotations

import math

from rpmu.acquire.blocks import COUNTER_HZ, AcquisitionInfo, PpsEvent
from rpmu.timing.axis import AxisMove
from rpmu.timing.edge import BadEdgeError, Edge
from rpmu.values import value

LATE_TICKS = 50.0  # spread of the lateness with which the PRU reads a scan: 43 on the emulator
# What the firmware's instructions add, at the latencies of the emulator: the counter "at a look" at the pin is read 12
# ticks ahead of it, and a scan is read at the earliest 22 ticks after it is ready (half a load from the ADC, and what
# follows). A board shows its own rest as `TimeStatus.other_input_ns`, for the setting `pin_latency_ns`.
PIN_EARLY_TICKS = 34.0
SHARP_TICKS = 20  # two looks no farther apart: an instant, not an interval, because the receiver's jitter is no less
CONVERSION_CLOCKS = 13  # from the sampling instant to the result
LEAST_LATE_TICKS = 4.0  # what that spread may itself be wrong by
IMPROVING = 64  # readings after a shift; more than a second's worth, after which edges say more
FARTHEST_SCANS = 8.0  # a looser interval is of no use, and a farther edge not possible
TICK_NS = 1e9 / COUNTER_HZ


@value
class Shift:
    """The sampling instants lie elsewhere than the scan numbers said.

    Attributes:
        scans: by how many scans they are later.
        sigma_ns: standard uncertainty of where they are now, ns.
        again: the last shift, known better by now.
    """

    scans: float
    sigma_ns: float
    again: bool = False


class CounterBridge:
    """Scan numbers and counter ticks.

    Attributes:
        epoch: of the scans seen last; None before any.
        epochs: restarts of the ADC bridged.
    """

    def __init__(self, info: AcquisitionInfo) -> None:
        self._rate_hz = float(info.scan_rate_hz)
        self._ticks = float(info.counter_ticks_per_scan)
        self._numerator, self._denominator = info.counter_ticks_per_scan.as_integer_ratio()
        self._sampled_before = CONVERSION_CLOCKS / info.scan_adc_clocks  # scans from sampling instant to result
        self.epoch: int | None = None
        self.epochs = 0
        self._constant = 0  # least counter - scan * ticks, in ticks / denominator: exact, however long it runs
        self._most = 0  # the largest that is not so late that something must have held the PRU up
        self._place = 0.0  # ticks; where the last shift put the constant without lateness ...
        self._place_variance = 0.0  # ... from a place that was itself known so well, square ticks
        self._improving = 0  # readings that will still tell better where it is

    def see(self, epoch: int, scan: int, counter: int) -> Shift | None:
        """Take in when a scan was read; gives a shift if one is found out.

        Args:
            epoch: its epoch.
            scan: its number.
            counter: the counter when it was read.
        """
        late = counter * self._denominator - scan * self._numerator
        if epoch == self.epoch:
            if self._constant <= late <= self._most and not self._improving:
                return None  # as nearly always: nothing new
            self._take(late)
            return self._better() if self._improving else None
        first, before, (late_before, variance) = self.epoch is None, self._constant, self._lateness()
        self.epoch, self._constant, self._most = epoch, late, late
        if first:
            return None
        self.epochs += 1
        self._begin_improving(variance)
        moved = (late - before) / self._denominator - self._lateness()[0] + late_before
        return Shift(moved / self._ticks, self._shift_sigma_ns())

    def next_run(self, info: AcquisitionInfo, epoch: int, scan: int, counter: int) -> tuple[CounterBridge, AxisMove]:
        """The bridge of a new run of the acquisition, and where its scans lie among those of this one.

        Args:
            info: of the new run.
            epoch: of its first reading, as for `see`.
            scan: likewise.
            counter: likewise; it ran on from the old run to the new one.
        """
        assert self.epoch is not None, "a scan has been seen"
        after = CounterBridge(info)
        after.see(epoch, scan, counter)
        after.epochs = self.epochs
        late_before, variance = self._lateness()
        after._begin_improving(variance)
        # What both runs' readings are late, and how long before its result each run samples.
        ticks = late_before - after._lateness()[0]
        ticks += self._sampled_before * self._ticks - after._sampled_before * after._ticks
        whole, rest = divmod(counter * self._denominator - self._constant, self._numerator)
        fraction = (rest + ticks * self._denominator) / self._numerator
        return after, AxisMove(scan, whole, fraction, self._rate_hz, after._rate_hz, after._shift_sigma_ns())

    def _take(self, late: int) -> None:
        """One more reading of the epoch."""
        reach = LATE_TICKS * self._denominator
        self._constant = min(self._constant, late)
        if late - self._constant <= reach:
            self._most = max(self._most, late)
        if self._most - self._constant > reach:
            self._most = self._constant

    def _lateness(self) -> tuple[float, float]:
        """What the least late reading is late beyond the least possible: mean and variance, ticks.

        Readings that follow each other are alike, so how many there were tells nothing; but all lie within LATE_TICKS,
        so the farther apart they lie, the less is left for the least of them.
        """
        left = max(LATE_TICKS - (self._most - self._constant) / self._denominator, LEAST_LATE_TICKS)
        return left / 2, left**2 / 12

    def _begin_improving(self, variance: float) -> None:
        """From the first reading of an epoch on, and a place before it that was known to a variance, square ticks."""
        self._place, self._place_variance = self._constant / self._denominator - self._lateness()[0], variance
        self._improving = IMPROVING

    def _better(self) -> Shift:
        """What one more reading of the new epoch tells of the last shift."""
        self._improving -= 1
        place = self._constant / self._denominator - self._lateness()[0]
        moved, self._place = place - self._place, place
        return Shift(moved / self._ticks, self._shift_sigma_ns(), again=True)

    def _shift_sigma_ns(self) -> float:
        return math.sqrt(self._lateness()[1] + self._place_variance) * TICK_NS

    def pin_edge(self, event: PpsEvent, latency_ns: float) -> Edge:
        """Place an edge seen at the pin among the scans: anywhere between two looks at it, if they are far apart.

        Raises:
            BadEdgeError: the event belongs to no scan that was seen, or its counters are no interval beside its scan.
        """
        if self.epoch != event.epoch:
            raise BadEdgeError("an edge at the pin before any scan of its epoch: it has no place among the scans")
        twice = event.counter_before + event.counter_after  # integers first: counters outgrow a float's ns
        since_least = twice * self._denominator - 2 * (event.first_scan * self._numerator + self._constant)
        ticks = since_least / (2 * self._denominator) + PIN_EARLY_TICKS - latency_ns / TICK_NS
        half_width = (event.counter_after - event.counter_before) / 2 / self._ticks
        fraction = ticks / self._ticks + self._sampled_before
        if half_width <= 0 or abs(fraction) + half_width > FARTHEST_SCANS:
            raise BadEdgeError(f"an edge at the pin lies {fraction:.1f} +- {half_width:.1f} scans from its newest scan")
        sharp = event.counter_after - event.counter_before <= SHARP_TICKS
        return Edge(event.first_scan, fraction, half_width / math.sqrt(3), 0.0 if sharp else half_width)
