"""Which configuration the daemon reads when nobody tells it."""

from __future__ import annotations

from rpmu.cli.run import file_in_force


def test_the_applied_one_comes_first_and_a_dead_link_is_not_passed_over(tmp_path):
    applied, file = tmp_path / "current", tmp_path / "rpmu.toml"
    assert file_in_force((applied, file)) is None
    file.touch()
    assert file_in_force((applied, file)) == file
    applied.symlink_to(tmp_path / "gone.toml")
    assert file_in_force((applied, file)) == applied, "an error is better than an old configuration in silence"
