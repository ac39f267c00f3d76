"""Revisions: the power may go before any operation, and what comes back is the old configuration or the new one."""

from __future__ import annotations

import hashlib

import pytest

from rpmu.config.change import Outcome, await_end, carry_out
from rpmu.config.disk import RealDisk, put
from rpmu.config.revisions import KEEP, Revisions
from rpmu.errors import HardwareError, InputError
from tests.config.sim_disk import PowerCutError, SimDisk

OLD, NEW, NEWER = (f"[station]\nidcode = {n}  # complete\n".encode() for n in (1, 2, 3))
SEEDS = range(12)


def in_force(disk):
    """Content of the configuration in force, as the daemon reads it."""
    return disk.read("current")


def with_old(disk=None):
    disk = disk or SimDisk()
    Revisions(disk).apply(OLD, 0.0, "boot", None)
    return disk


def test_the_first_configuration_needs_no_confirmation():
    disk = SimDisk()
    revisions = Revisions(disk)
    assert revisions.current() is None
    assert revisions.apply(OLD, 0.0, "boot", 60.0) == 1
    assert (revisions.current(), revisions.pending()) == (1, None)
    assert in_force(disk) == OLD


def test_apply_confirm():
    disk = with_old()
    revisions = Revisions(disk)
    assert revisions.apply(NEW, 100.0, "boot", 60.0) == 2
    assert in_force(disk) == NEW
    assert revisions.settle(159.9, "boot") is None
    assert revisions.confirm(159.9, "boot") == 2
    assert revisions.settle(1e9, "later boot") is None
    assert in_force(disk) == NEW


def test_without_confirmation_the_old_one_returns_at_the_deadline():
    disk = with_old()
    revisions = Revisions(disk)
    revisions.apply(NEW, 100.0, "boot", 60.0)
    assert revisions.settle(160.0, "boot") == 1
    assert in_force(disk) == OLD
    assert revisions.pending() is None
    assert revisions.numbers() == [1, 2], "what was tried stays to be looked at"


def test_a_restart_undoes_what_was_not_confirmed_whatever_the_clock_says():
    disk = with_old()
    Revisions(disk).apply(NEW, 100.0, "boot", 60.0)
    assert Revisions(disk).settle(3.0, "next boot") == 1
    assert in_force(disk) == OLD


def test_confirming_too_late_says_what_is_in_force():
    disk = with_old()
    revisions = Revisions(disk)
    revisions.apply(NEW, 100.0, "boot", 60.0)
    with pytest.raises(InputError, match="too late to confirm revision 2: revision 1 is in force again"):
        revisions.confirm(161.0, "boot")
    assert in_force(disk) == OLD
    with pytest.raises(InputError, match="no change of the configuration awaits"):
        revisions.confirm(161.0, "boot")


def test_one_change_at_a_time():
    disk = with_old()
    revisions = Revisions(disk)
    revisions.apply(NEW, 100.0, "boot", 60.0)
    with pytest.raises(InputError, match="revision 2 still awaits its confirmation"):
        revisions.apply(NEWER, 101.0, "boot", 60.0)
    assert in_force(disk) == NEW


def test_an_apply_killed_before_the_switch_cannot_be_confirmed():
    for step in range(100):  # the process dies one operation later each time, until the note has just been written
        disk = with_old()
        disk.cut_before = disk.operations + step
        with pytest.raises(PowerCutError):
            Revisions(disk).apply(NEW, 100.0, "boot", 60.0)
        if Revisions(disk).pending() is not None:
            break
    disk.cut_before = None
    assert in_force(disk) == OLD
    with pytest.raises(InputError, match="was never put into force: apply it again"):
        Revisions(disk).confirm(101.0, "boot")
    assert Revisions(disk).pending() is None


def test_rollback_of_a_pending_change_and_to_any_revision():
    disk = with_old()
    revisions = Revisions(disk)
    revisions.apply(NEW, 100.0, "boot", 60.0)
    assert revisions.rollback() == 1
    assert (in_force(disk), revisions.pending()) == (OLD, None)
    revisions.apply(NEWER, 200.0, "boot", None)
    assert revisions.rollback(2) == 2
    assert in_force(disk) == NEW
    assert revisions.rollback() == 1
    with pytest.raises(InputError, match="no earlier revision"):
        revisions.rollback()
    with pytest.raises(InputError, match="no revision 9 of the configuration; there are: 1, 2, 3"):
        revisions.rollback(9)


def test_old_revisions_go_but_never_the_way_back():
    disk = with_old()
    revisions = Revisions(disk)
    for number in range(KEEP + 5):
        revisions.apply(b"# %d\n" % number, 0.0, "boot", None)
    assert len(revisions.numbers()) == KEEP
    oldest = revisions.numbers()[0]
    revisions.rollback(oldest)
    revisions.apply(NEW, 0.0, "boot", 60.0)
    assert oldest in revisions.numbers()
    assert revisions.rollback() == oldest


def test_a_damaged_note_is_told_not_obeyed():
    disk = with_old()
    put(disk, "pending.json", b"{")
    with pytest.raises(InputError, match=r"pending\.json .* is damaged"):
        Revisions(disk).settle(0.0, "boot")


def scenario(disk, finished):
    """A life of changes; notes in `finished` what was promised by the time of the cut."""
    revisions = Revisions(disk)
    revisions.apply(NEW, 10.0, "boot", 60.0)
    finished.append("applied")
    revisions.confirm(11.0, "boot")
    finished.append("confirmed")
    revisions.apply(NEWER, 12.0, "boot", 60.0)
    revisions.rollback()
    finished.append("rolled back")
    revisions.apply(NEWER, 13.0, "boot", None)
    finished.append("applied for good")


ALLOWED = {  # what may be in force after the machine is up again, by what had been promised last
    None: {OLD},
    "applied": {OLD, NEW},  # NEW only if the confirmation was under way
    "confirmed": {NEW},
    "rolled back": {NEW, NEWER},  # NEWER only if its apply for good was under way
    "applied for good": {NEWER},
}


def operations_of_the_scenario():
    disk = with_old()
    before = disk.operations
    scenario(disk, [])
    return disk.operations - before


@pytest.mark.parametrize("cut", range(operations_of_the_scenario() + 1))
def test_power_cut_before_any_operation(cut):
    for seed in SEEDS:
        disk = with_old()
        disk.cut_before = disk.operations + cut
        finished = []
        try:
            scenario(disk, finished)
        except PowerCutError:
            pass
        after = disk.after_power_cut(seed)
        assert in_force(after) in (OLD, NEW, NEWER), "the link must always lead to a whole configuration"
        Revisions(after).settle(0.0, "next boot")
        assert in_force(after) in ALLOWED[finished[-1] if finished else None]
        assert Revisions(after).pending() is None
        again = Revisions(after)
        number = again.apply(NEW, 5.0, "next boot", 60.0)
        assert in_force(after) == NEW
        assert again.confirm(6.0, "next boot") == number


def test_power_cuts_while_recovering_do_no_harm():
    for cut in range(12):
        for seed in SEEDS:
            disk = with_old()
            Revisions(disk).apply(NEW, 10.0, "boot", 60.0)
            disk.cut_before = disk.operations + cut
            try:
                Revisions(disk).settle(0.0, "second boot")
            except PowerCutError:
                pass
            after = disk.after_power_cut(seed)
            Revisions(after).settle(0.0, "third boot")
            assert in_force(after) == OLD


def test_the_simulated_disk_does_lose_what_is_not_synced():
    outcomes = set()
    for seed in range(40):
        disk = SimDisk()
        disk.write("a.new", b"content")
        disk.rename("a.new", "a")
        outcomes.add(disk.after_power_cut(seed).read("a"))
    assert outcomes == {None, b"", b"con", b"content"}


def test_a_real_folder_behaves_alike(tmp_path):
    disk = RealDisk(tmp_path / "store")
    revisions = Revisions(disk)
    assert revisions.numbers() == []
    revisions.apply(OLD, 0.0, "boot", None)
    revisions.apply(NEW, 0.0, "boot", 60.0)
    assert (tmp_path / "store/current").read_bytes() == NEW
    assert (tmp_path / "store/current").is_symlink()
    revisions.settle(61.0, "boot")
    assert (tmp_path / "store/current").read_bytes() == OLD
    left = {path.name for path in (tmp_path / "store").iterdir()}
    assert left == {"current", "revisions"}


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(HardwareError, match=r"cannot use .*store.*"):
        Revisions(RealDisk(tmp_path / "store")).apply(OLD, 0.0, "boot", None)


class FakeHost:
    """A machine whose time passes in `sleep`; `later` maps a time to what happens then; without a daemon to look at."""

    def __init__(self, complaints=(), later=None):
        self.time_s, self.reloads, self.complaints, self.later = 1000.0, 0, list(complaints), later or {}

    def status(self):
        return None

    def now_s(self):
        return self.time_s

    def boot(self):
        return "boot"

    def sleep(self, seconds):
        self.time_s += seconds
        if self.time_s in self.later:
            self.later[self.time_s]()

    def reload(self):
        self.reloads += 1
        return self.complaints.pop(0) if self.complaints else None


def carried(disk, host, within_s=60.0):
    said = []
    return carry_out(Revisions(disk), NEW, within_s, host, said.append), said


def test_a_change_that_is_confirmed_stays():
    disk = with_old()
    host = FakeHost(later={1005.0: lambda: Revisions(disk).confirm(1005.0, "boot")})
    outcome, said = carried(disk, host)
    assert outcome is Outcome.IN_FORCE
    assert in_force(disk) == NEW
    assert (host.reloads, host.time_s) == (1, 1005.0)
    assert "confirm it within 60 s" in said[1]


def test_a_change_nobody_confirms_is_undone_and_the_daemon_told():
    disk = with_old()
    host = FakeHost()
    outcome, said = carried(disk, host)
    assert outcome is Outcome.NOT_CONFIRMED
    assert in_force(disk) == OLD
    assert (host.reloads, host.time_s) == (2, 1060.0)
    assert said[-1] == "revision 1 is in force again"


def test_a_configuration_that_breaks_the_daemon_is_undone_at_once():
    disk = with_old()
    host = FakeHost(complaints=["Job for rpmu.service failed"])
    outcome, said = carried(disk, host)
    assert outcome is Outcome.RELOAD_FAILED
    assert in_force(disk) == OLD
    assert (host.reloads, host.time_s) == (2, 1000.0)
    assert "Job for rpmu.service failed" in said[1]


def test_a_rollback_from_elsewhere_ends_the_waiting():
    disk = with_old()
    host = FakeHost(later={1003.0: lambda: Revisions(disk).rollback()})
    assert carried(disk, host)[0] is Outcome.WITHDRAWN


def test_an_interrupt_undoes_the_change():
    disk = with_old()

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carried(disk, FakeHost(later={1003.0: interrupt}))
    assert in_force(disk) == OLD


def test_without_confirmation_nothing_is_waited_for():
    disk = with_old()
    host = FakeHost()
    assert carried(disk, host, within_s=None)[0] is Outcome.IN_FORCE
    assert host.time_s == 1000.0


def test_a_left_over_of_a_killed_apply_does_not_block_the_next_one():
    disk = with_old()
    Revisions(disk).apply(NEWER, 0.0, "boot", 60.0)  # its process died; the deadline was long ago
    assert carried(disk, FakeHost(), within_s=None)[0] is Outcome.IN_FORCE
    assert in_force(disk) == NEW


class DaemonHost(FakeHost):
    """A machine with a daemon that says what it does: `breaks_with` stops its frames, `refuses` is not taken at all."""

    def __init__(self, disk, breaks_with=None, refuses=None, answers=True, **more):
        super().__init__(**more)
        self.disk, self.breaks_with, self.refuses, self.answers = disk, breaks_with, refuses, answers
        self.holds, self.loads, self.refused = in_force(disk), 0, ""

    def reload(self):
        complaint, wanted = super().reload(), in_force(self.disk)
        self.loads += 1
        self.refused = "rpmu.toml:2: no" if wanted == self.refuses else ""
        if not self.refused:
            self.holds = wanted
        return complaint

    def status(self):
        if not self.answers:
            return None
        flowing_s = 0.0 if self.holds == self.breaks_with else self.time_s
        return {
            "time": {"state": "locked", "reason": "", "counters": {"resyncs": 0, "accepted": 0, "missing": 0}},
            "ring": dict.fromkeys(
                ("lost_samples", "bad_blocks", "events_lost", "overruns", "underflows", "tag_slips", "stalls"), 0
            )
            | {"samples": round(12_000 * self.time_s)},
            "acquisition": {"sample_rate_hz": 12_000.0},
            "server": {"frames_published": 60_000 + round(60 * flowing_s)},
            "input": {"clipped": False},
            "stream": {"change_in_s": None, "reporting_rate_per_s": 60},
            "reports": 0,
            "invalid_reports": 0,
            "pru_restarts": 0,
            "configuration": {
                "sha256": hashlib.sha256(self.holds).hexdigest(),
                "loads": self.loads,
                "refused": self.refused,
            },
        }


def test_a_change_is_examined_before_it_is_offered_for_confirmation():
    disk = with_old()
    host = DaemonHost(disk, later={1030.0: lambda: Revisions(disk).confirm(1030.0, "boot")})
    outcome, said = carried(disk, host)
    assert outcome is Outcome.IN_FORCE
    assert said[1:] == [
        "the daemon does as well as before",
        "confirm it within 50 s, or it is undone: rpmu config confirm",
    ]


def test_what_breaks_the_daemon_while_it_runs_is_undone_by_itself():
    disk = with_old()
    host = DaemonHost(disk, breaks_with=NEW)
    outcome, said = carried(disk, host, within_s=None)
    assert outcome is Outcome.UNHEALTHY
    assert in_force(disk) == host.holds == OLD
    assert said[1].startswith("the daemon does worse with revision 2: no frames flow")
    assert said[-1] == "revision 1 is in force again"
    assert Revisions(disk).pending() is None


def test_what_the_daemon_refuses_is_undone_with_its_reason():
    disk = with_old()
    host = DaemonHost(disk, refuses=NEW)
    outcome, said = carried(disk, host)
    assert outcome is Outcome.RELOAD_FAILED
    assert said[1:] == ["the daemon did not take revision 2: rpmu.toml:2: no", "revision 1 is in force again"]
    assert in_force(disk) == host.holds == OLD


def test_a_daemon_that_says_nothing_of_it_has_not_taken_it():
    disk = with_old()
    host = DaemonHost(disk)
    host.reload = lambda: None
    outcome, said = carried(disk, host)
    assert outcome is Outcome.RELOAD_FAILED
    assert "does not say within 60 s that it has read it" in said[1]
    assert in_force(disk) == OLD


def test_without_confirmation_a_change_stays_once_it_was_examined():
    disk = with_old()
    host = DaemonHost(disk)
    outcome, _ = carried(disk, host, within_s=None)
    assert outcome is Outcome.IN_FORCE
    assert host.time_s == pytest.approx(1010, abs=1)
    assert Revisions(disk).pending() is None


def test_a_power_cut_during_the_examination_undoes_it_though_no_confirmation_was_asked_for():
    disk = with_old()

    def cut():
        raise SystemError("the power is gone")

    with pytest.raises(SystemError):
        carried(disk, DaemonHost(disk, later={1004.0: cut}), within_s=None)
    assert in_force(disk) == NEW
    assert Revisions(disk).settle(5.0, "the next boot") == 1
    assert in_force(disk) == OLD


def test_time_that_runs_out_during_the_examination_undoes_it():
    disk = with_old()
    outcome, _ = carried(disk, DaemonHost(disk), within_s=5.0)
    assert outcome is Outcome.NOT_CONFIRMED
    assert in_force(disk) == OLD


def test_a_confirmation_during_the_examination_ends_it():
    disk = with_old()
    host = DaemonHost(disk, breaks_with=NEW, later={1003.0: lambda: Revisions(disk).confirm(1003.0, "boot")})
    assert carried(disk, host)[0] is Outcome.IN_FORCE
    assert in_force(disk) == NEW


def test_a_change_whose_program_was_killed_is_waited_for_and_undone():
    disk = with_old()
    revisions, host = Revisions(disk), FakeHost()
    revisions.apply(NEW, host.now_s(), "boot", 60.0)
    await_end(revisions, host)
    assert host.time_s == 1070.0, "the program itself would have had ten seconds for it"
    assert revisions.settle(host.now_s(), host.boot()) == 1
    assert in_force(disk) == OLD


def test_a_confirmation_ends_the_watch():
    disk = with_old()
    revisions = Revisions(disk)
    host = FakeHost(later={1003.0: lambda: revisions.confirm(1003.0, "boot")})
    revisions.apply(NEW, host.now_s(), "boot", 60.0)
    await_end(revisions, host)
    assert host.time_s == 1003.0
    assert revisions.settle(host.now_s(), host.boot()) is None
    assert in_force(disk) == NEW


def test_a_change_of_another_boot_is_not_waited_for():
    disk = with_old()
    revisions, host = Revisions(disk), FakeHost()
    revisions.apply(NEW, host.now_s(), "another boot", 60.0)
    await_end(revisions, host)
    assert host.time_s == 1000.0
