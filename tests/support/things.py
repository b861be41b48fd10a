"""Where the repository lies, and a thing that is no data."""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]


class Thing:
    """What is no number, text or array; each process that collects tests calls it by the same name."""

    def __repr__(self):
        return "a thing"


THING = Thing()
