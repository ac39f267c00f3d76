"""Running the campaign: what is kept is taken again for the same job at the same commit, and for nothing else."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

from tests.conformance.campaign import BANKS, run_jobs, run_kept
from tests.conformance.chain import CHAINS
from tests.conformance.figures import front_end_losses
from tests.conformance.limits import Task
from tests.conformance.runner import Setup, make_result
from tests.conformance.steps import STEPS, half_way_points, step_points

SETUP = Setup(Task(60, "M", 60), CHAINS["ideal"])


@dataclass(frozen=True)
class Counted:
    """A job that counts how often it runs."""

    name: str
    setup: Setup = SETUP
    runs: list = field(default_factory=list, repr=False, compare=False)

    def run(self):
        self.runs.append(self.name)
        return [make_result(self.setup, "PM", "RFE", 1 / 3 + len(self.runs), 2.0, self.name)]


def test_a_job_is_run_once_per_commit(tmp_path):
    job = Counted("a")
    first, again = run_kept(job, tmp_path, "one"), run_kept(job, tmp_path, "one")
    assert (first.kept, again.kept, len(job.runs)) == (False, True, 1)
    assert again.results == first.results, "to the last bit"
    assert not run_kept(job, tmp_path, "two").kept
    assert not run_kept(replace(job, name="b"), tmp_path, "one").kept
    assert len(job.runs) == 3


def test_a_job_that_fails_leaves_nothing_to_be_taken_for_its_results(tmp_path):
    class Broken(Counted):
        def run(self):
            raise AssertionError("no report")

    for _ in range(2):
        try:
            run_kept(Broken("a"), tmp_path, "one")
        except AssertionError:
            continue
        raise AssertionError("it was taken for done")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_kept_without_a_folder():
    job = Counted("a")
    assert [run_kept(job, None, "one").kept for _ in range(2)] == [False, False]
    assert len(job.runs) == 2


def test_every_job_keeps_its_place():
    jobs = [Counted(name) for name in "abc"]
    assert {place: done.job.name for place, done in run_jobs(jobs, 1)} == {0: "a", 1: "b", 2: "c"}


def test_half_of_a_step_is_looked_at_ten_times_closer_than_the_rest():
    task = Task(60, "P", 30)
    coarse = sorted(p.at_s for p in step_points(task, 20) if p.name in list(STEPS)[:1])
    fine = sorted(p.at_s for p in half_way_points(task) if p.name in list(STEPS)[:1])
    assert fine[0] < -2.9e-3
    assert fine[-1] > 2.9e-3
    assert max(b - a for a, b in pairwise(fine)) < 0.11 * (coarse[1] - coarse[0])


def test_the_losses_of_a_report_are_those_of_its_own_results():
    results = []
    for task in BANKS:
        for name, worst in (("ideal", 0.1), ("1khz", 0.11), ("100hz", 0.2)):
            results.append(make_result(Setup(task, CHAINS[name]), "PM", "RFE", worst, 1.0, "here"))
    row = next(line for line in front_end_losses(results).splitlines() if line.startswith("| P60"))
    assert "9 % (PM RFE)" in row
    assert "**PM RFE 50 %, to 5**" in row
