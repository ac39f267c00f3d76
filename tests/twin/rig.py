"""What several tests of the twin need: run the committed image on it, and measure without the project's estimator."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np

from rpmu.acquire import AcquisitionInfo, PpsEvent, RingReader, RingStatistics, SampleBlock, SamplerSettings, sampler
from rpmu.twin.pacing import MAX_SPEED, Pacer
from rpmu.twin.world import Twin

START_NS = 1_700_000_000 * 10**9


@dataclass
class Run:
    """What came out of the ring."""

    info: AcquisitionInfo
    blocks: list[SampleBlock]
    events: list[PpsEvent]
    statistics: RingStatistics


def run_twin(twin: Twin, seconds: float, poll_s: float = 0.02) -> Run:
    """Bring the firmware up on a twin and read its ring."""
    pacer = Pacer(twin, MAX_SPEED)

    async def main() -> Run:
        settings = SamplerSettings.for_inputs(twin.settings.mains_ain[: twin.source.phases], twin.settings.pps_ain)
        info = await sampler.bring_up(twin.link(), settings, pacer.pace)
        reader = RingReader(twin.link().window(), info)
        blocks: list[SampleBlock] = []
        events: list[PpsEvent] = []
        while twin.elapsed_s < seconds:
            await pacer.pace(poll_s)
            for item in reader.poll():
                events.append(item) if isinstance(item, PpsEvent) else blocks.append(item)
        return Run(info, blocks, events, reader.statistics())

    try:
        return asyncio.run(main())
    finally:
        pacer.close()


def edge_scan(event: PpsEvent, tau_scans: float) -> float:
    """Scan number, with its fraction, at which the PPS rose: the RC's exponential, traced back to its start."""
    v = event.samples.astype(float)
    low, high = v[:10].mean(), v[-10:].mean()
    left = 1.0 - (v - low) / (high - low)
    use = (np.arange(len(v)) >= event.crossing) & (left < 0.95) & (left > 0.03)
    starts = np.arange(len(v))[use] + tau_scans * np.log(left[use])
    return event.first_scan + float(np.average(starts, weights=left[use] ** 2))


def phasor(run: Run, twin: Twin, channel: int, edge: int, hz: float, half_s: float = 1.0) -> complex:
    """Synchrophasor at a PPS edge, by least squares over the samples about it; everything on the way undone."""
    info, profile = run.info, twin.settings.profile
    tau_scans = profile.pps_tau_s * 2e8 / float(info.counter_ticks_per_scan)
    edges = np.array([edge_scan(event, tau_scans) for event in run.events])
    scans_per_s = np.polyfit(np.arange(len(edges)), edges, 1)[0]
    codes = np.concatenate([block.codes[:, channel] for block in run.blocks])
    scans = np.concatenate([b.first_scan + info.decimation * np.arange(len(b.codes)) for b in run.blocks])
    t = (scans - float(info.cic_delay_scans + info.skew_scans(channel)) - edges[edge]) / scans_per_s
    near = np.abs(t) < half_s
    volts = codes[near] * info.counts_per_code * profile.volts_per_count
    angle = 2 * np.pi * hz * t[near]
    basis = np.stack([np.cos(angle), np.sin(angle), np.ones_like(angle)], 1)
    c = np.linalg.lstsq(basis, volts, rcond=None)[0]
    x = np.pi * hz / float(info.scan_rate_hz)
    cic = (np.sin(info.decimation * x) / (info.decimation * np.sin(x))) ** info.cic_order
    return complex((c[0] - 1j * c[1]) / np.sqrt(2) / profile.front_end.response(hz) / cic)
