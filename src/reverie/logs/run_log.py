"""The journal of another run as a log."""

from pathlib import Path

import numpy as np

from reverie.logs.experience_arrays import experience_of
from reverie.logs.log_data import LogData
from reverie.storage.run import RunDirectory


def read_run(path: Path, computes_reward: bool) -> LogData:
    """Return what a run experienced; it may still be learning.

    computes_reward: its rewards are not needed.
    Raises StorageError where there is no run, where it has no experience, or where its journal is damaged.
    """
    found, spec = experience_of(RunDirectory(path))
    order = np.argsort(found.episode, kind="stable")  # of environments in turns, one episode after the other
    return LogData(
        str(path),
        np.arange(1, len(found) + 1),
        "transition",
        spec.sensor_names,
        spec.actuator_names,
        found.episode,
        found.step,
        found.time,
        found.observations.astype(float),
        found.actions.astype(float).reshape(len(found), -1),
        np.full(len(found), np.nan) if computes_reward else found.rewards.astype(float),
        found.terminated,
        found.truncated,
        found.next_observations.astype(float),
        spec,
        observation_units=tuple(spec.observation_units),
        action_units=tuple(spec.action_units),
    ).only(order)
