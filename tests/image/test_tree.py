"""What makes two builds and two boards differ is taken out; and the list of files that shows it."""

from __future__ import annotations

from image import tree
from image.release import file_list


def test_nothing_of_one_board_or_one_build_is_left(tmp_path):
    own = ("etc/ssh/ssh_host_rsa_key", "etc/apt/sources.list", "var/log/dpkg.log", "var/lib/systemd/random-seed")
    for name in (*own, "var/lib/dbus/machine-id", "etc/machine-id", "etc/resolv.conf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("of this build")
    tree._settle(tmp_path)
    assert [name for name in own if (tmp_path / name).exists()] == []
    assert (tmp_path / "etc/machine-id").read_text() == ""
    assert "of this build" not in "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_the_list_of_files_tells_content_mode_and_target(tmp_path):
    def listed(name, text, mode):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a").write_text(text)
        (folder / "a").chmod(mode)
        (folder / "b").symlink_to(text)
        return file_list(folder)

    first = listed("first", "x", 0o644)
    assert first == listed("second", "x", 0o644)
    assert first != listed("third", "y", 0o644)
    assert first != listed("fourth", "x", 0o755)
    assert first.splitlines()[1].endswith(" -> x /b")
