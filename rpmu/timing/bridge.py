"""The scan numbers tied to the PRU counter, which runs on when the ADC is restarted.

Both come from one crystal: a scan is an exact number of 5 ns ticks, so counter - scan * ticks is one constant for as
long as the sequencer runs (an epoch), plus the some ten ticks by which the PRU reads late. The smallest value seen is
the constant. At a restart it jumps by the time that the sampling instants moved: that carries the clock across, to
within the lateness. It also places an edge seen at a PRU pin, which is known in ticks, among the scans.
"""

from __future__ import annotations

import math

from rpmu.acquire.blocks import COUNTER_HZ, AcquisitionInfo, PpsEvent
from rpmu.timing.edge import BadEdgeError, Edge

LATE_TICKS = 50.0  # spread of the lateness with which the PRU reads a scan: 43 on the emulator
# What the firmware's instructions add, at the latencies of the emulator: the counter "at a look" at the pin is read 12
# ticks ahead of it, and a scan is read at the earliest 22 ticks after it is ready (half a load from the ADC, and what
# follows). A board shows its own rest as `TimeStatus.other_input_ns`, for the setting `pin_latency_ns`.
PIN_EARLY_TICKS = 34.0
SHARP_TICKS = 20  # two looks no farther apart: an instant, not an interval, because the receiver's jitter is no less
CONVERSION_CLOCKS = 13  # from the sampling instant to the result
FARTHEST_SCANS = 8.0  # a looser interval is of no use, and a farther edge not possible
TICK_NS = 1e9 / COUNTER_HZ


class CounterBridge:
    """Scan numbers and counter ticks.

    Attributes:
        epoch: of the scans seen last; None before any.
        epochs: restarts bridged.
    """

    def __init__(self, info: AcquisitionInfo) -> None:
        self._ticks = float(info.counter_ticks_per_scan)
        self._numerator, self._denominator = info.counter_ticks_per_scan.as_integer_ratio()
        self._sampled_before = CONVERSION_CLOCKS / info.scan_adc_clocks  # scans from sampling instant to result
        self.epoch: int | None = None
        self.epochs = 0
        self._constant = math.nan  # ticks
        self._seen = 0

    def see(self, epoch: int, scan: int, counter: int) -> tuple[float, float]:
        """Take in when a scan was read.

        Args:
            epoch: its epoch.
            scan: its number.
            counter: the counter when it was read.

        Returns:
            By how many scans the sampling instants have moved (0 within an epoch), and the standard uncertainty of
            that, ns.
        """
        late = (counter * self._denominator - scan * self._numerator) / self._denominator
        if epoch == self.epoch:
            self._constant = min(self._constant, late)
            self._seen += 1
            return 0.0, 0.0
        first, before, seen = self.epoch is None, self._constant, self._seen
        self.epoch, self._constant, self._seen = epoch, late, 1
        if first:
            return 0.0, 0.0
        self.epochs += 1
        if seen > 1:  # the old constant is a minimum, the new one an average reading so far
            late -= LATE_TICKS / 2
        return (late - before) / self._ticks, LATE_TICKS * TICK_NS / math.sqrt(12 if seen > 1 else 6)

    def pin_edge(self, event: PpsEvent, latency_ns: float) -> Edge:
        """Place an edge seen at the pin among the scans: anywhere between two looks at it, if they are far apart.

        Raises:
            BadEdgeError: the event belongs to no scan that was seen, or its counters are no interval beside its scan.
        """
        if self.epoch != event.epoch:
            raise BadEdgeError("an edge at the pin before any scan of its epoch: it has no place among the scans")
        twice = event.counter_before + event.counter_after  # integers first: counters outgrow a float's ns
        ticks = (twice * self._denominator - 2 * event.first_scan * self._numerator) / (2 * self._denominator)
        ticks += PIN_EARLY_TICKS - self._constant - latency_ns / TICK_NS
        half_width = (event.counter_after - event.counter_before) / 2 / self._ticks
        fraction = ticks / self._ticks + self._sampled_before
        if half_width <= 0 or abs(fraction) + half_width > FARTHEST_SCANS:
            raise BadEdgeError(f"an edge at the pin lies {fraction:.1f} +- {half_width:.1f} scans from its newest scan")
        sharp = event.counter_after - event.counter_before <= SHARP_TICKS
        return Edge(event.first_scan, fraction, half_width / math.sqrt(3), 0.0 if sharp else half_width)
