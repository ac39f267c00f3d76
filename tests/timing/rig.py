"""The twin with nothing but a timekeeper behind its ring, and the truth to compare it with."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import numpy as np

from rpmu.acquire import PpsEvent, RingReader, SamplerSettings, sampler
from rpmu.timing import TimeKeeper, TimingSettings
from rpmu.twin.pacing import MAX_SPEED, Pacer
from rpmu.twin.world import Twin, TwinSettings
from tests.timing.simulator import MSG_TQ_LIMIT_NS, PMU_TQ_LIMIT_NS

START_NS = 1_795_000_000 * 10**9
CONVERSION_TICKS = 13 * 200 / 3
READ_TICKS = 11  # the firmware reads a scan at the earliest so long after it is ready, on the emulator
POLL_S = 0.02


class Line:
    """The receiver's serial line without a pty."""

    host_baud_rate = None

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def read(self) -> bytes:
        return b""

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        data, self.data = self.data, b""
        return data


class Rig:
    """A twin whose ring and receiver feed a keeper; `rows` holds what it said and when."""

    def __init__(self, timing: TimingSettings | None = None, pps_pin: int | None = None, **settings) -> None:
        self.line = Line()
        self.twin = Twin(TwinSettings(START_NS, pps_pin=pps_pin, **settings), self.line)
        self.timing, self.pps_pin = timing, pps_pin
        self.rows: list[tuple[float, ...]] = []

    def run(self, seconds: float) -> None:
        pacer = Pacer(self.twin, MAX_SPEED)
        try:
            asyncio.run(self._run(pacer, seconds))
        finally:
            pacer.close()

    async def _run(self, pacer: Pacer, seconds: float) -> None:
        inputs = SamplerSettings.for_inputs((0,), 1, pps_pin=self.pps_pin)
        self.info = await sampler.bring_up(self.twin.link(), inputs, pacer.pace)
        self.keeper = TimeKeeper(self.info, self.timing)
        reader = RingReader(self.twin.link().window(), self.info)
        newest = 0
        while self.twin.elapsed_s < seconds:
            await pacer.pace(POLL_S)
            for item in reader.poll():
                if isinstance(item, PpsEvent):
                    self.keeper.feed_event(item)
                else:
                    self.keeper.feed_block(item)
                    newest = item.first_scan
                    self._note(item)
            self.keeper.feed_nmea(self.line.take(), newest)

    def _note(self, block) -> None:
        line, status = self.keeper.map, self.keeper.status
        if line is not None:
            codes, scan = status.codes, block.first_scan
            said = (self.twin.elapsed_s, codes.msg_tq, codes.pmu_tq, codes.in_sync, status.sigma_ns)
            self.rows.append((scan, block.counter, block.epoch, line.utc_ns_at(scan), *said))

    def errors_ns(self) -> np.ndarray:
        """Time error of every row against the twin's crystal."""
        ticks = self.info.counter_ticks_per_scan
        late = [float(Fraction(int(row[1])) - int(row[0]) * ticks) for row in self.rows]
        ready = {
            e: min(x for x, row in zip(late, self.rows, strict=True) if row[2] == e) for e in {r[2] for r in self.rows}
        }
        errors = []
        for scan, _, epoch, utc_ns, *_ in self.rows:
            cycle = float(int(scan) * ticks) + ready[epoch] - READ_TICKS - CONVERSION_TICKS
            true_ns, fraction_ns = self.twin.crystal.utc(cycle)
            errors.append(int(utc_ns) - true_ns - fraction_ns)
        return np.array(errors)

    def column(self, index: int) -> np.ndarray:
        """Of all rows: 4 s since the start, 5 MSG_TQ, 6 PMU_TQ, 7 in sync, 8 sigma in ns."""
        return np.array([row[index] for row in self.rows])

    def claims_ns(self) -> np.ndarray:
        """What the codes of every row say that the error does not exceed."""
        return np.minimum(MSG_TQ_LIMIT_NS[self.column(5).astype(int)], PMU_TQ_LIMIT_NS[self.column(6).astype(int)])
