"""Which class, rate, chain and estimator is run how densely, and running it on several processes."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from rpmu.estimate.bank_table import bank_rates
from rpmu.estimate.classes import STANDARD_RATES
from tests.conformance.chain import CHAINS, Chain
from tests.conformance.limits import Task
from tests.conformance.runner import Result, Setup, run_steady
from tests.conformance.steps import run_latency, run_steps
from tests.conformance.twin import NOMINAL, UNITS, TwinJob

TASKS = [Task(nominal, cls, rate) for nominal, rates in STANDARD_RATES.items() for cls in "PM" for rate in rates]
# The slow P rates share a bank; behind most chains one of them speaks for all.
BANKS = [t for t in TASKS if t.rate == bank_rates(t.nominal_hz, t.performance_class, t.rate)[-1]]
REPRESENTATIVE = [Task(60, "P", 60), Task(60, "P", 120), Task(60, "M", 60), Task(60, "M", 30), Task(50, "M", 25)]
QUICK = [Task(60, "P", 60), Task(60, "M", 60), Task(60, "P", 120)]
ODD_RATES = [Chain(f"sampled at {rate:g} Hz", sample_rate_hz=rate) for rate in (480.0, 2000.0, 6400.0, 9973.1, 25600.0)]


# On the twin: what a user would run, the two tightest, and ten reports a second.
ON_TWIN = [
    *(Task(60, "P", 60), Task(60, "P", 120), Task(60, "M", 60), Task(60, "M", 30), Task(60, "M", 10)),
    *(Task(50, "P", 50), Task(50, "M", 50), Task(50, "M", 25)),
]
TWIN_POINTS, TWIN_OFFSETS = 15, 10  # of each test, and of each step between two reports


class Runnable(Protocol):
    """Part of a campaign."""

    setup: Setup

    def run(self) -> list[Result]:
        """All its results."""


@dataclass(frozen=True)
class Job:
    """One estimator behind one chain for one task, and how densely it is tested."""

    setup: Setup
    thin: bool = True
    dynamic: bool = True  # steps and latency too

    def run(self) -> list[Result]:
        """All results."""
        results = run_steady(self.setup, thin=self.thin)
        if self.dynamic:
            results += run_steps(self.setup) + run_latency(self.setup)
        return results


def quick_jobs() -> list[Job]:
    """What `make test` runs: three classes, clean and through the whole analogue chain, and one with three phases."""
    jobs = [Job(Setup(task, CHAINS["ideal"])) for task in QUICK]
    jobs += [Job(Setup(QUICK[1], CHAINS["ideal"], phases=3)), Job(Setup(QUICK[0], CHAINS["1khz-adc"]), dynamic=False)]
    return jobs


def quick_twin_jobs() -> list[TwinJob]:
    """The whole PMU in a minute: both classes, both front ends, calibrated; three points of every test, no steps."""
    _, reference, thesis = UNITS
    return [TwinJob(thesis, Task(60, "M", 60), points=3), TwinJob(reference, Task(60, "P", 60), points=3)]


def twin_jobs() -> list[TwinJob]:
    """The representative set through the whole chain, calibrated; and nominal parts, with one and three phases."""
    _, at_60_hz, thesis = UNITS
    at_50_hz = replace(at_60_hz, profile="reference-a-230v")  # a profile is made, and calibrated, for one mains
    units = [(unit, task) for unit in (at_60_hz, thesis) for task in ON_TWIN if task.nominal_hz == 60]
    units += [(at_50_hz, t) for t in ON_TWIN if t.nominal_hz == 50]
    jobs = [TwinJob(unit, task, 1, TWIN_POINTS, TWIN_OFFSETS) for unit, task in units]
    nominal = [Task(60, "P", 60), Task(60, "M", 60)]
    return jobs + [TwinJob(NOMINAL, task, phases, TWIN_POINTS, TWIN_OFFSETS) for phases in (1, 3) for task in nominal]


def full_jobs(*, dense: bool) -> list[Job]:
    """The whole campaign."""
    jobs = [Job(Setup(task, CHAINS["ideal"]), thin=not dense) for task in TASKS]
    jobs += [Job(Setup(task, CHAINS["ideal"], phases=3)) for task in TASKS]
    for name in ("1khz", "100hz", "adc", "1khz-adc", "100hz-adc", "adc-10"):
        jobs += [Job(Setup(task, CHAINS[name])) for task in BANKS]
    jobs += [Job(Setup(task, chain), dynamic=False) for chain in ODD_RATES for task in REPRESENTATIVE[::2]]
    return jobs


def peer_jobs(names: Iterable[str]) -> list[Job]:
    """Every named estimator on the same signals, one and three phases."""
    tasks = [Task(60, "P", 60), Task(60, "M", 60), Task(60, "M", 10), Task(50, "M", 25)]
    return [Job(Setup(t, CHAINS["ideal"], phases, name)) for name in names for phases in (1, 3) for t in tasks]


def run_job(job: Runnable) -> list[Result]:
    """All results of one job."""
    return job.run()


def run_jobs(jobs: Sequence[Runnable], processes: int) -> Iterator[tuple[Runnable, list[Result]]]:
    """Each job with its results, in order."""
    if processes == 1:
        yield from ((job, run_job(job)) for job in jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from zip(jobs, pool.map(run_job, jobs), strict=True)
