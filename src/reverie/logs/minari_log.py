"""Logs in Minari datasets (https://minari.farama.org), version 0.5."""

import warnings
from typing import Any

import numpy as np

from reverie.core.errors import ConfigError, StorageError, one_line
from reverie.core.words import count
from reverie.logs.log_data import LogData

MINARI = "minari:"


def library() -> Any:
    """Return the package `minari`.  Raises ConfigError, which says how to get it, where it is not installed."""
    try:
        import h5py  # which Minari's files need
        import minari
        from minari import data_collector, storage
    except ImportError:
        raise ConfigError(
            "Minari datasets need a package that is not installed: pip install 'reverie[minari]'"
        ) from None
    del h5py, data_collector, storage
    return minari


def read_minari(name: str, computes_reward: bool) -> LogData:
    """Return the transitions of a dataset on this machine; nothing is downloaded.

    name: without "minari:".  computes_reward: its rewards are not needed.
    Raises ConfigError without the package, and StorageError where there is no such dataset, or none of plain arrays.
    """
    minari = library()
    if not name:
        raise ConfigError("minari: lacks the name of a dataset; give for example minari:line7/shift3-v0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parts = [_episode(name, episode) for episode in minari.load_dataset(name).iterate_episodes()]
        except StorageError:
            raise
        except FileNotFoundError:
            raise StorageError(
                f"there is no Minari dataset {name} on this machine; `minari list local` names those that are, "
                "`minari download` gets others"
            ) from None
        except Exception as error:  # of many kinds
            raise StorageError(f"Minari cannot read the dataset {name}: {one_line(str(error))}") from error
    parts = [part for part in parts if len(part[1])]
    if not parts:
        raise StorageError(f"the Minari dataset {name} is empty: it holds no transition")
    sizes = {(part[0].shape[1], part[1].shape[1]) for part in parts}
    if len(sizes) > 1:
        raise StorageError(f"the Minari dataset {name} has episodes of different sizes")
    observations, actions, rewards, terminated, truncated, following = (
        np.concatenate([part[i] for part in parts]) for i in range(6)
    )
    episode = np.repeat(np.arange(1, len(parts) + 1), [len(part[1]) for part in parts])
    return LogData(
        MINARI + name,
        np.arange(1, len(episode) + 1),
        "transition",
        (),
        (),
        episode,
        None,
        None,
        observations,
        actions,
        np.full(len(episode), np.nan) if computes_reward else rewards,
        terminated,
        truncated,
        following,
    )


def _episode(name: str, episode: Any) -> tuple[np.ndarray, ...]:
    """Return observations, actions, rewards, terminated, truncated and next observations of an episode."""
    for what in ("observations", "actions"):
        if not isinstance(getattr(episode, what), np.ndarray):
            kind = type(getattr(episode, what)).__name__
            raise StorageError(f"the {what} of the Minari dataset {name} are a {kind}; only plain arrays can be read")
    seen = episode.observations.reshape(len(episode.observations), -1).astype(float)
    actions = episode.actions.reshape(len(episode.actions), -1).astype(float)
    if len(seen) != len(actions) + 1:
        raise StorageError(
            f"an episode of the Minari dataset {name} has {count(len(seen), 'observation')} and {count(len(actions), 'action')}"
        )
    ends = episode.terminations.astype(bool), episode.truncations.astype(bool)
    return seen[:-1], actions, episode.rewards.astype(float), *ends, seen[1:]
