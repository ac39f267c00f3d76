"""The daemon's status on a Unix socket: connect, read one JSON object, done.

`rpmu status`, `rpmu doctor` and anything else on the machine read it; nothing is asked and nothing can be changed by
it, so there is no protocol to get wrong. Who may connect is the matter of the folder's permissions.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rpmu.errors import HardwareError

BOARD_SOCKET = Path("/run/rpmu/status.sock")
READ_TIMEOUT_S = 5.0
MAX_STATUS_BYTES = 1 << 20


def default_socket() -> Path:
    """Where a daemon puts its status: in the service's run-time folder on a board, else in the user's own."""
    if os.access(BOARD_SOCKET.parent, os.W_OK | os.X_OK):
        return BOARD_SOCKET
    return _own_socket()


def socket_to_read() -> Path:
    """Where to look for the status of a daemon: the service's, unless only one of the user's own can be asked."""
    own = _own_socket()
    may_ask = os.access(BOARD_SOCKET, os.R_OK | os.W_OK)
    return BOARD_SOCKET if may_ask or (BOARD_SOCKET.parent.is_dir() and not own.exists()) else own


def _own_socket() -> Path:
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return folder / f"rpmu-{os.getuid()}.sock"


class StatusSocket:
    """Hands the status to everyone who connects.

    Args:
        path: of the socket; a dead one of an earlier run is replaced, a living one is left alone.
        status: gives the object to send; called once per connection.
    """

    def __init__(self, path: Path, status: Callable[[], Mapping[str, Any]]) -> None:
        self._path = path
        self._status = status
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Begin to listen; returns why that cannot be, which keeps no daemon from measuring, or an empty text."""
        if await asyncio.to_thread(_answers, self._path):
            return f"another daemon answers at {self._path}, so `rpmu status` shows that one and not this"
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        except OSError as error:
            return f"`rpmu status` will not find this daemon: no socket at {self._path} ({error.strerror})"
        return ""

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
            self._server = None

    async def _serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(json.dumps(self._status()).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            pass  # the reader went away; there is nothing to tell it
        finally:
            writer.close()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def read_status(path: Path) -> dict[str, Any]:
    """The status of the daemon that listens at `path`.

    Raises:
        HardwareError: no daemon answers there.
    """
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(READ_TIMEOUT_S)
        try:
            peer.connect(str(path))
            received = b""
            while piece := peer.recv(65536):
                received += piece
                if len(received) > MAX_STATUS_BYTES:
                    break
            content = json.loads(received)
        except PermissionError:
            raise HardwareError(
                f"you may not ask the daemon at {path}: use sudo, or have yourself added to its group (`sudo adduser "
                f"{getpass.getuser()} {_group(path)}`, then log in again)"
            ) from None
        except (OSError, ValueError) as error:
            raise HardwareError(
                f"no daemon answers at {path} ({error}); start one with `rpmu run` or `rpmu twin`, or name its socket "
                "with --socket"
            ) from error
    if not isinstance(content, dict):
        raise HardwareError(f"what answers at {path} is not rpmu")
    return content


def _group(path: Path) -> str:
    """The group that may use a socket, as far as one who may not can see."""
    try:
        return path.parent.group()
    except (OSError, KeyError):
        return "rpmu"
