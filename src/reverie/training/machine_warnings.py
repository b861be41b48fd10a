"""Warnings of what was noticed about the machine, for programs that ask and tell: they have no callbacks."""

import warnings
from collections import deque

from reverie.core.errors import ReverieWarning
from reverie.training.health import Notice
from reverie.training.machine_checks import KINDS


def warn_of_machine(name: str, noticed: deque[Notice]) -> None:
    """Take the notices about the machine out of `noticed`, and give each as a ReverieWarning at the call of `tell`.

    name: of the environment.
    """
    for notice in [notice for notice in noticed if notice.kind in KINDS] if noticed else ():
        noticed.remove(notice)
        warnings.warn(f"{name}, step {notice.step}: {notice.text}", ReverieWarning, stacklevel=4)
