"""Which class, rate, chain and estimator is run how densely, and running it on several processes."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
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
    """The whole campaign; dense where nothing is random."""
    jobs = [Job(Setup(task, CHAINS["ideal"], phases), thin=not dense) for phases in (1, 3) for task in TASKS]
    jobs += [Job(Setup(task, CHAINS[name]), thin=not dense) for name in ("1khz", "100hz") for task in BANKS]
    for name in ("adc", "1khz-adc", "100hz-adc", "adc-10"):
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


@dataclass(frozen=True)
class Done:
    """A job that was run: its results, the CPU time that it took, s, and whether they come from an earlier run."""

    job: Runnable
    results: list[Result]
    cpu_s: float
    kept: bool = False


def run_kept(job: Runnable, folder: Path | None, commit: str) -> Done:
    """A job, or what an earlier run of the same job at the same commit left in the folder.

    Args:
        job: what to run.
        folder: where results are kept, a file per job; None to keep nothing.
        commit: of the code.
    """
    if folder is None:
        return _timed(job)
    path = folder / (hashlib.sha256(f"{commit} {job!r}".encode()).hexdigest()[:32] + ".json")
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Done(job, [Result(**fields) for fields in kept["results"]], kept["cpu_s"], kept=True)
    done = _timed(job)
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    results = [vars(result) for result in done.results]
    text = json.dumps({"commit": commit, "job": repr(job), "cpu_s": done.cpu_s, "results": results}, indent=1)
    fresh.write_text(text + "\n", encoding="utf-8")
    fresh.replace(path)  # a run that is interrupted leaves no half file
    return done


def _timed(job: Runnable) -> Done:
    begin_s = time.process_time()
    results = job.run()
    return Done(job, results, time.process_time() - begin_s)


def run_jobs(
    jobs: Sequence[Runnable], processes: int, folder: Path | None = None, commit: str = ""
) -> Iterator[tuple[int, Done]]:
    """Each job with its place among the jobs, as it is done: those on the twin, which take longest, are begun first."""
    order = sorted(range(len(jobs)), key=lambda i: not isinstance(jobs[i], TwinJob))
    if processes == 1:
        yield from ((i, run_kept(jobs[i], folder, commit)) for i in order)
        return
    with ProcessPoolExecutor(processes) as pool:
        places = {pool.submit(run_kept, jobs[i], folder, commit): i for i in order}
        yield from ((places[future], future.result()) for future in as_completed(places))
