"""A secret key of this user on this machine, with which files are recognised as the user's own.

It lies in the user's state folder ($XDG_STATE_HOME, else ~/.local/state) and only the user can read it.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

BYTES = 32


def key_file() -> Path | None:
    """Return the path of the key, or None where the user has no folder for it."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = os.path.expanduser("~")
        if not os.path.isabs(home) or os.path.realpath(home) == os.path.realpath(os.sep):  # HOME is empty
            return None
        state = os.path.join(home, ".local", "state")
    return Path(state) / "reverie" / "key"


def own_key(make: bool = True) -> bytes | None:
    """Return the key; create it at first use unless `make` is false.

    Returns None where there is no key and none can be kept, or where others can read the file.
    """
    if (file := key_file()) is None:
        return None
    with contextlib.suppress(OSError, ValueError):  # then this user has no key, and no file counts as their own
        if make and not os.path.lexists(file):
            _make(file)
        return _read(file)
    return None


def _make(file: Path) -> None:
    """Write a new key completely or not at all, and never over another one."""
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
