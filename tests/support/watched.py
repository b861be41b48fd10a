"""What tests of `reverie watch` share: a run to watch, and pages that are made anew for each question."""

import reverie as rv
from cases import CASES
from reverie.cli import run_watch


def new_run(path):
    """Return the directory of a run that has not begun."""
    with rv.Learner(CASES["naf"].make(), CASES["naf"].line, out=path):
        pass
    return path


def learn(run, steps):
    """Learn in a run."""
    with rv.Learner.load(run) as own:
        own.learn(steps)


def make_at_once(monkeypatch):
    """Make the page anew for each question, however long that takes."""
    monkeypatch.setattr(run_watch, "PAUSE", 0.0)
    monkeypatch.setattr(run_watch, "SHARE", 1e9)
