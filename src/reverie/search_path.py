"""Where modules are looked for.  Comes before every other import, and imports nothing that Python has not loaded by itself.

`python -m reverie` puts the current folder first, and then a file in it that is called numpy.py or typing.py would be taken
for the package of that name.  Here it is taken out again; `environments/imports.py` looks there last, for what users name.
"""

import contextlib
import os
import sys


def leave_current_folder() -> None:
    """Take the current folder out where `python -m` put it there to start this package."""
    if started_by_module_switch() and not sys.flags.safe_path and sys.path:
        with contextlib.suppress(OSError):  # a current folder that is gone holds nothing either
            if sys.path[0] in ("", os.getcwd()):
                del sys.path[0]


def started_by_module_switch() -> bool:
    """Return whether this process is a `python -m reverie…` that is about to begin."""
    if sys.argv[:1] != ["-m"]:  # it stands there while the package is looked for, and no longer
        return False
    words = [word.removeprefix("-m") for word in sys.orig_argv[1:] if word.startswith("-m") or not word.startswith("-")]
    module = next((word for word in words if word), "")
    return module.partition(".")[0] == __package__


leave_current_folder()
