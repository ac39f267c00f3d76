"""`rpmu-admin-shell`: the forced command of the user rpmu-admin.

sshd starts it for every connection and gives what the administrator asked for in SSH_ORIGINAL_COMMAND. The permitted
programs run one after the other without a shell, with an environment of their own. Their output is passed on through
pipes that outlive the connection: a change of the configuration may cut it, and its way back must go on.

Every change and every refusal leaves a line in the system's log: which key, from where, what, and how it ended.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, BinaryIO

from rpmu.errors import InputError, RpmuError
from rpmu.remote.permitted import Board, Feed, RefusedError, Request, Step, permit, usage

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONSAFEPATH": "1"}
SYSLOG = Path("/dev/log")

log = logging.getLogger("rpmu.audit")


def serve(environment: Mapping[str, str], client: BinaryIO, board: Board) -> int:
    """Carry out what one connection asks for; returns the exit code.

    Args:
        environment: as sshd set it.
        client: what the administrator sends.
        board: where things are.
    """
    line = environment.get("SSH_ORIGINAL_COMMAND", "")
    who = caller(environment)
    if not line.strip():
        print(f"This is the administration of an rpmu. It understands:\n{usage()}", file=sys.stderr)
        return RefusedError.exit_code
    try:
        request = permit(line, board)
        content = _received(client, request)
    except RpmuError as error:
        log.warning("refused %s: %s", who, ascii(line[:200]))
        print(f"rpmu-admin: {error}", file=sys.stderr)
        return error.exit_code
    if not request.changes:
        return carry_out(request, content, board)
    digest = f", input sha256 {hashlib.sha256(content).hexdigest()[:16]}" if content else ""
    log.info("change by %s: %s%s", who, ascii(line), digest)
    code = carry_out(request, content, board)
    log.info("change by %s ended with %d: %s", who, code, ascii(line))
    return code


def caller(environment: Mapping[str, str]) -> str:
    """Key and address of the administrator, for the log.

    Args:
        environment: as sshd set it; SSH_USER_AUTH names a file with the key (ExposeAuthInfo in sshd_config).
    """
    address = environment.get("SSH_CONNECTION", "").split(" ")[0] or "an unknown address"
    try:
        _, kind, blob = Path(environment["SSH_USER_AUTH"]).read_text(encoding="ascii").split()[:3]
        digest = hashlib.sha256(base64.b64decode(blob, validate=True)).digest()
        key = f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
    except (KeyError, OSError, ValueError):
        key = "an unknown key"
    return f"{key} from {ascii(address)[1:-1]}"


def _received(client: BinaryIO, request: Request) -> bytes:
    """Standard input, if the request reads it.

    Raises:
        InputError: it is too long.
    """
    if all(step.feed is not Feed.CLIENT for step in request.steps):
        return b""
    content = client.read(request.max_stdin_bytes + 1)
    if len(content) > request.max_stdin_bytes:
        raise InputError(f"standard input has more than {request.max_stdin_bytes} bytes: that is nothing for rpmu")
    return content


def carry_out(request: Request, content: bytes, board: Board) -> int:
    """Run the programs; the first that fails ends it.

    Args:
        request: what to run.
        content: standard input of the step that reads the client's.
        board: where things are.

    Returns:
        The exit code of the last one that ran.
    """
    code, printed = 0, b""
    for index, step in enumerate(request.steps):
        quiet = index + 1 < len(request.steps)
        try:
            code, printed = _run(step, _feed(step, content, printed, board), quiet)
        except OSError as error:
            print(f"rpmu-admin: cannot run {step.words[0]}: {error.strerror}", file=sys.stderr)
            return 1
        if code:
            break
    return code


def _feed(step: Step, content: bytes, printed: bytes, board: Board) -> bytes:
    match step.feed:
        case Feed.CLIENT:
            return content
        case Feed.PREVIOUS:
            return printed
        case Feed.IN_FORCE:
            return board.in_force.read_bytes() if board.in_force.exists() else b""
        case Feed.NOTHING:
            return b""


def _run(step: Step, fed: bytes, quiet: bool) -> tuple[int, bytes]:
    """Run one program; its exit code, and what it printed if it was to be quiet."""
    pipe = subprocess.PIPE
    with subprocess.Popen(step.words, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT, cwd="/") as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        kept: list[bytes] = []
        pumps = [
            threading.Thread(target=_pump, args=(child.stdout, None if quiet else sys.stdout.buffer, kept)),
            threading.Thread(target=_pump, args=(child.stderr, sys.stderr.buffer, [])),
        ]
        for pump in pumps:
            pump.start()
        try:
            child.stdin.write(fed)
            child.stdin.close()
        except BrokenPipeError:
            pass  # it ended without reading; its exit code and words say why
        for pump in pumps:
            pump.join()
    return child.returncode, b"".join(kept)


def _pump(source: IO[bytes], sink: IO[bytes] | None, kept: list[bytes]) -> None:
    """Pass on what a program prints, line by line, whether or not somebody still listens; keep it without a sink."""
    for line in source:
        if sink is None:
            kept.append(line)
            continue
        try:
            sink.write(line)
            sink.flush()
        except OSError:
            pass  # the connection is gone; the program must not notice


def _log_to_system() -> None:
    """Audit lines go to the system's log, or to standard error where there is none."""
    handler: logging.Handler = logging.StreamHandler()
    if SYSLOG.exists():
        handler = logging.handlers.SysLogHandler(str(SYSLOG), logging.handlers.SysLogHandler.LOG_AUTHPRIV)
    handler.setFormatter(logging.Formatter("rpmu-admin: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def main() -> int:
    """Entry point; sshd's ForceCommand."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _log_to_system()
    code = serve(os.environ, sys.stdin.buffer, Board())
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody listens; no complaint at exit
    return code


if __name__ == "__main__":
    sys.exit(main())
