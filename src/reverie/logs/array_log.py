"""Logs as NumPy arrays (.npz): those that `reverie export --experience` writes, and others with the usual names."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ReverieError, StorageError
from reverie.core.words import listed
from reverie.logs.log_data import LogData, episodes_by_ends, joined
from reverie.storage.foreign_arrays import REMEDY, read_archive

OTHER_NAMES = {  # of D4RL and of Minari
    "terminated": ("terminated", "terminations", "terminals"),
    "truncated": ("truncated", "truncations", "timeouts"),
}
WIDE = ("observations", "actions", "next_observations")


class Facts(msgspec.Struct):
    """What `reverie export` writes beside the arrays."""

    environment: str = ""
    observation_names: list[str] = []
    observation_units: list[str] = []
    action_names: list[str] = []
    action_units: list[str] = []
    action_low: list[float] = []
    action_high: list[float] = []
    actions: int = 0
    steps: list[Any] = []  # of an exported policy


def read_arrays(path: Path, computes_reward: bool) -> LogData:
    """Return the transitions in an .npz file.  Nothing is unpickled.

    computes_reward: its rewards are not needed.
    Raises StorageError where the file is damaged, or its arrays do not fit together.
    """
    held, facts = read_archive(path, Facts)
    facts = Facts() if facts is None else facts
    if "observations" not in held and facts.steps:
        raise StorageError(f"{path} is an exported policy; for experience there is `reverie export --experience`")
    wanted = ("observations", "actions", *(() if computes_reward else ("rewards",)))
    if missing := [name for name in wanted if name not in held]:
        raise StorageError(f"{path} lacks the array {missing[0]}; it has {listed(held) or 'none'}: {REMEDY}")
    size = len(np.atleast_1d(held["observations"]))
    if not size:
        raise StorageError(f"{path} is empty: it holds no transition; {REMEDY}")
    found = {name: _array(path, name, held[name], size) for name in (*WIDE, "rewards", "time") if name in held}
    for name, others in OTHER_NAMES.items():
        own = next((other for other in others if other in held), None)
        found[name] = np.zeros(size, bool) if own is None else _array(path, own, held[own], size).astype(bool)
    ends = found["terminated"] | found["truncated"]
    whole = {
        name: _array(path, name, held[name], size).astype(np.int64) for name in ("episode", "step") if name in held
    }
    _require_names(path, facts, found)
    data = LogData(
        str(path),
        np.arange(1, size + 1),
        "transition",
        tuple(facts.observation_names),
        tuple(facts.action_names),
        whole.get("episode", episodes_by_ends(ends)),
        whole.get("step"),
        found.get("time"),
        found["observations"],
        found["actions"],
        np.full(size, np.nan) if computes_reward else found["rewards"],
        found["terminated"],
        found["truncated"],
        found.get("next_observations", found["observations"]),
        _bounds(path, facts, found["observations"].shape[1]),
        tuple(facts.observation_units),
        tuple(facts.action_units),
    )
    if "next_observations" not in held:
        return joined(data, terminal_too=not computes_reward)
    if data.next_observations.shape != data.observations.shape:
        raise StorageError(f"{path}: observations and next_observations have different sizes; {REMEDY}")
    return data


def _array(path: Path, name: str, value: np.ndarray, size: int) -> np.ndarray:
    """Return an array of numbers [N], or [N, …] flat, as float64.  Raises StorageError where it is another one."""
    if value.dtype.kind not in "fiub":
        raise StorageError(f"{path}: {name} holds {value.dtype}, not numbers; {REMEDY}")
    if value.ndim == 0 or len(value) != size:
        raise StorageError(
            f"{path}: {name} has shape {value.shape}; one is needed for each of the observations, which are {size}; "
            f"{REMEDY}"
        )
    flat = value.reshape(size, -1).astype(float)
    if name in WIDE:
        return flat
    if flat.shape[1] != 1:
        raise StorageError(f"{path}: {name} has shape {value.shape}; give one number for each of {size}; {REMEDY}")
    return flat[:, 0]


def _require_names(path: Path, facts: Facts, found: dict[str, np.ndarray]) -> None:
    texts = {"observations": (facts.observation_names, facts.observation_units)}
    texts["actions"] = (facts.action_names, facts.action_units)
    for array, (names, units) in texts.items():
        for what, given in (("names", names), ("units", units)):
            if given and len(given) != found[array].shape[1]:
                raise StorageError(
                    f"{path}: {array} have {found[array].shape[1]} columns and {len(given)} {what}; {REMEDY}"
                )


def _bounds(path: Path, facts: Facts, observation_dim: int) -> EnvSpec | None:
    if not (facts.actions or facts.action_low):
        return None
    try:
        return EnvSpec(observation_dim, facts.action_low, facts.action_high, facts.environment, facts.actions)
    except ReverieError as error:
        raise StorageError(f"{path}: its facts are wrong ({error}); {REMEDY}") from None
