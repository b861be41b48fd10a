"""MuJoCo's messages while an environment is made: those that nobody here can act on are kept from users.

Gymnasium's HalfCheetah uses an attribute that MuJoCo 4 warns is going away, on the console and in a file MUJOCO_LOG.TXT in the
current folder.  Whoever learns on it can change neither.  All else that MuJoCo says goes to the console as before.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from reverie.core.after_import import AfterImport

NOT_THEIRS = "compiler attribute 'settotalmass' is deprecated"  # how a message begins that concerns Gymnasium alone


@contextlib.contextmanager
def without_others_warnings() -> Iterator[None]:
    """Keep such messages from users within the block, and MuJoCo from ever writing its file; it may be imported there only."""
    taken: list[Any] = []

    def begin(mujoco: Any) -> None:
        _write_no_file(mujoco)
        if mujoco.get_mju_user_warning() is None:  # else somebody takes them already
            mujoco.set_mju_user_warning(_pass_on)
            taken.append(mujoco)

    waiting = AfterImport("mujoco", begin)
    try:
        yield
    finally:
        waiting.cancel()
        for mujoco in taken:
            mujoco.set_mju_user_warning(None)


def _write_no_file(mujoco: Any) -> None:
    """Switch MuJoCo's log file off, for this process: its messages are on the console, and in whatever folder one is."""
    if hasattr(mujoco, "MjLogConfig"):
        config = mujoco.MjLogConfig.get()
        config.logto_file = False
        config.set()


def _pass_on(message: str) -> None:
    """Print a message as MuJoCo does, unless it is not for users."""
    if not message.startswith(NOT_THEIRS):
        print(f"WARNING: {message}\n", file=sys.stderr)
