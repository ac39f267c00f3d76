"""`rpmu --host BOARD ...` on a PC: the same command line, carried out on a board over SSH.

A configuration file is read here and sent through standard input, so the board never sees a name of ours. The line is
held against the same table as on the board before anything is sent: what would be refused there is refused here.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rpmu.errors import HardwareError, InputError
from rpmu.remote.permitted import MAX_CONFIGURATION_BYTES, PATIENCE, Board, permit
from rpmu.update.request import bundle_of, checked

USER = "rpmu-admin"
HOST = re.compile(r"([A-Za-z0-9._][A-Za-z0-9._-]*@)?[A-Za-z0-9\[:][A-Za-z0-9.:_%\]-]*")
SSH_FAILED = 255
WORDS_OF_UPDATE = ("status", "rollback")
FILE_VERBS = (["config", "apply"], ["config", "check"], ["config", "diff"], ["config", "show"])


def run_on(host: str, words: Sequence[str], ssh: str = "ssh") -> int:
    """Carry out a command line on a board; what it prints comes through.

    Args:
        host: name or address, with USER@ in front if the user is not rpmu-admin; or a Host of ssh_config.
        words: the command line without `rpmu` and `--host`.
        ssh: the program.

    Returns:
        The exit code on the board.

    Raises:
        InputError: no such host name, file or command.
        HardwareError: ssh cannot get there.
    """
    if not HOST.fullmatch(host):
        raise InputError(f"--host is {host!r}, but must be NAME, ADDRESS or USER@NAME")
    sent, content = _with_file(words)
    line = shlex.join(sent)
    permit(line, Board())
    target = host if "@" in host else f"{USER}@{host}"
    try:
        done = subprocess.run([ssh, "-T", "--", target, line], input=content, check=False)
    except OSError as error:
        raise HardwareError(f"cannot start {ssh} ({error.strerror}): install openssh-client") from error
    if done.returncode == SSH_FAILED:
        raise HardwareError(
            f"ssh could not reach {target} or was refused; its own message is above. The board needs your key in "
            "/etc/rpmu/admin_keys (docs/install.md)"
        )
    return done.returncode


def _with_file(words: Sequence[str]) -> tuple[list[str], bytes]:
    """The words with `-` in place of a file, and its content.

    Raises:
        InputError: the file cannot be read or is no configuration by its size.
    """
    sent = list(words)
    if sent[:1] == ["update"]:
        return _with_package(sent)
    if sent[:2] not in FILE_VERBS:
        return sent, b""
    values = {index + 1 for index, word in enumerate(sent) if word in PATIENCE}
    places = [i for i, word in enumerate(sent) if i > 1 and i not in values and (word == "-" or word[:1] != "-")]
    if len(places) != 1:
        return sent, b""
    path = Path("/dev/stdin" if sent[places[0]] == "-" else sent[places[0]])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > MAX_CONFIGURATION_BYTES:
        raise InputError(f"{path} has {len(content)} bytes, but a configuration has at most {MAX_CONFIGURATION_BYTES}")
    sent[places[0]] = "-"
    return sent, content


def _with_package(words: Sequence[str]) -> tuple[list[str], bytes]:
    """Likewise for an update: a package goes after its signature.

    Raises:
        InputError: one of them cannot be read, or is none.
    """
    sent, content = list(words), b""
    for index, word in enumerate(words[1:], 1):
        if word not in WORDS_OF_UPDATE and (word == "-" or word[:1] != "-"):
            content = checked(sys.stdin.buffer.read(), "standard input") if word == "-" else bundle_of(Path(word))
            sent[index] = "-"
    return sent, content
