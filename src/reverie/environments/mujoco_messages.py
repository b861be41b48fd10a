"""Hide messages of MuJoCo, while an environment is made, that users can do nothing about.

Gymnasium's HalfCheetah uses an attribute that MuJoCo 4 will remove. MuJoCo warns of that on the console, and in a file
MUJOCO_LOG.TXT in the current folder. Users cannot change that environment. All other messages still go to the console.
"""

import contextlib
import sys
from collections.abc import Generator
from typing import Any

from reverie.core.after_import import AfterImport

NOT_THEIRS = "compiler attribute 'settotalmass' is deprecated"  # start of the message that is hidden


@contextlib.contextmanager
def without_others_warnings() -> Generator[None]:
    """Hide these messages within the block, and stop MuJoCo from writing its log file for good.

    MuJoCo may be imported for the first time within the block.
    """
    taken: list[Any] = []

    def begin(mujoco: Any) -> None:
        _write_no_file(mujoco)
        if mujoco.get_mju_user_warning() is None:  # else another handler is installed, which stays
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
    """Switch MuJoCo's log file off for this process. It would be written to the current folder."""
    if hasattr(mujoco, "MjLogConfig"):
        config = mujoco.MjLogConfig.get()
        config.logto_file = False
        config.set()


def _pass_on(message: str) -> None:
    """Print a message as MuJoCo does, unless it is the hidden one."""
    if not message.startswith(NOT_THEIRS):
        print(f"WARNING: {message}\n", file=sys.stderr)
