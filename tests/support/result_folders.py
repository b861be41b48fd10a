"""Folders of results, filled by hand."""

from reverie.experiments.execution.results_store import ResultsStore, RunResult

KEY, OTHER = ("reacher", "naf", 0), ("peg", "ddpg", 3)

SETTINGS = {"reacher/naf": {"episodes": 20, "hidden": [8, 8]}}


def outcome(scores, every=10, **rest):
    rows = [
        {
            "episode": every * (i + 1),
            "step": 50 * (i + 1),
            "return_mean": score,
            "return_std": 0.5,
            "rest_speed": 0.25,
            "still": 0.5,
            "seconds": 1.5 * (i + 1),
        }
        for i, score in enumerate(scores)
    ]
    return RunResult(rows, software="reverie 1", machine="a machine", **rest)


def filled(path, cells=None, settings=SETTINGS):
    """Return an open folder that holds cells: outcomes by key."""
    results = ResultsStore(path)
    results.open()
    results.declare("1.0", settings, "reverie reproduce table1")
    for key, found in (cells or {}).items():
        results.add(key, found)
    return results
