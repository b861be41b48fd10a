"""A secret of this user on this machine, by which files are known again as their own.

It lies in the user's state folder ($XDG_STATE_HOME, else ~/.local/state), readable by them alone.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

BYTES = 32


def key_file() -> Path | None:
    """Return where the secret lies, or None where the user has no folder for it."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = os.path.expanduser("~")
        if not os.path.isabs(home) or os.path.realpath(home) == os.path.realpath(os.sep):  # an empty HOME
            return None
        state = os.path.join(home, ".local", "state")
    return Path(state) / "reverie" / "key"


def own_key(make: bool = True) -> bytes | None:
    """Return the secret, made on first use unless `make` is false.

    None where there is none and none can be kept, or where what lies there is not readable by this user alone.
    """
    if (file := key_file()) is None:
        return None
    with contextlib.suppress(OSError, ValueError):  # then this user keeps none, and no file counts as their own
        if make and not os.path.lexists(file):
            _make(file)
        return _read(file)
    return None


def _make(file: Path) -> None:
    """Write a new secret: whole, or not at all, and never over another."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f"key.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        try:
            os.write(handle, secrets.token_bytes(BYTES))
            os.fsync(handle)
        finally:
            os.close(handle)
        with contextlib.suppress(FileExistsError):  # another process was first
            os.link(beside, file)
    finally:
        os.unlink(beside)


def _read(file: Path) -> bytes | None:
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        found = os.fstat(handle)
        own = not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)
        if not stat.S_ISREG(found.st_mode) or not own:
            return None
        key = os.read(handle, BYTES + 1)
        return key if len(key) == BYTES else None
    finally:
        os.close(handle)
