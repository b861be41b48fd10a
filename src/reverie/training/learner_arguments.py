"""Checks of a learner's arguments.  Each ConfigError says in one sentence what to give instead."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from reverie.core.agent import Algorithm
from reverie.core.argument_checks import finite, shown, whole
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, one_line
from reverie.core.machine_limits import Limits
from reverie.core.words import listed
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import EnvSource, make_env
from reverie.imagination.settings import Imagination
from reverie.storage.experience import SOURCES
from reverie.training.callbacks import Callback
from reverie.training.clock import Clock
from reverie.training.logged_experience import ExperienceArgument

LONGEST_REASON = 500  # characters of the reason for an abort


class LearnerArguments(NamedTuple):
    """What a learner is opened with: the arguments of `Learner`, perhaps wrong ones, and the size of recorded states."""

    config: Any  # an Algorithm, or a function (EnvSpec) -> Algorithm
    env: EnvSource | None
    spec: Any  # an EnvSpec, or None beside an environment
    seed: Any
    out: str | Path | None
    evaluation_env: EnvSource | None
    tensorboard: bool
    timed_checkpoints: bool
    limits: Any = None  # Limits, or None
    clock: Any = None  # a Clock, or None
    hang_after: Any = None  # seconds, or None
    state_dim: int = 0
    experience: ExperienceArgument | None = None  # logged transitions


def require_possible(given: LearnerArguments) -> None:
    """Raise ConfigError unless these make a learner."""
    config, spec, limits, hang_after = given.config, given.spec, given.limits, given.hang_after
    if not is_choice(config):
        require_algorithm("the first argument", config)
        paced(config, given.clock)
    if (given.env is None) == (spec is None):
        raise ConfigError(
            "give either env= (an environment) or spec= (an rv.EnvSpec, where your program owns the loop)"
        )
    if spec is not None and not isinstance(spec, EnvSpec):
        raise ConfigError(f"spec is {shown(spec)}; give an rv.EnvSpec")
    if limits is not None and not isinstance(limits, Limits):
        raise ConfigError(f"limits is {shown(limits)}; give rv.Limits(low=..., high=..., slew=...)")
    if hang_after is not None and finite("hang_after", hang_after) <= 0:
        raise ConfigError(f"hang_after is {shown(hang_after)}; give seconds above 0, or None for no limit")
    if whole("seed", given.seed) >= 2**32:
        raise ConfigError(f"seed is {shown(given.seed)}; give a whole number from 0 to 2**32 - 1")


def is_choice(config: Any) -> bool:
    """Return whether `config` is a function that chooses an algorithm's settings for an environment."""
    return callable(config) and not isinstance(config, type | Algorithm)


def require_algorithm(what: str, config: Any) -> None:
    """Raise ConfigError unless `config` are an algorithm's settings."""
    if isinstance(config, type) or not isinstance(config, Algorithm):
        raise ConfigError(f"{what} is {shown(config)}; give an algorithm's settings, such as rv.NAF()")


def settings_for(given: LearnerArguments, spec: EnvSpec) -> Algorithm:
    """Return the algorithm's settings for an environment of `spec`, and for the clock.

    Raises ConfigError where a function chose what are none, or as `paced` does.
    """
    config = given.config
    if is_choice(config):
        config = config(spec)
        require_algorithm("what the first argument returned", config)
    return paced(config, given.clock)


def paced(config: Any, clock: Any) -> Any:
    """Return an algorithm's settings for a clock: `update_after="step"` becomes "time".

    Raises ConfigError where clock and settings do not fit together.
    """
    if clock is not None and not isinstance(clock, Clock):
        raise ConfigError(f"clock is {shown(clock)}; give rv.Clock(period=0.05), in seconds")
    imagines = isinstance(config, Imagination)
    inner: Any = config.agent if imagines else config
    when = getattr(inner, "update_after", None)
    if when == "time" and clock is None:
        raise ConfigError('update_after="time" fits updates into the ticks of a clock: give clock=rv.Clock(period=...)')
    if when == "background" and imagines:
        raise ConfigError('update_after="background" is for agents without imagination; take "time" or "episode"')
    if clock is None or when != "step":
        return config
    inner = dataclasses.replace(inner, update_after="time")
    return dataclasses.replace(config, agent=inner) if imagines else inner


def require_amount(steps: Any, episodes: Any) -> None:
    """Raise ConfigError unless exactly one of these says how much to learn."""
    if (steps is None) == (episodes is None):
        raise ConfigError("learn() takes either a number of steps or episodes=")
    whole("learn(steps)", steps) if steps is not None else whole("learn(episodes)", episodes)


def callbacks_of(given: Any) -> tuple[Callback, ...]:
    """Return the callbacks of `learn` as a tuple.  Raises ConfigError unless each can be called."""
    try:
        found: tuple[Any, ...] = tuple(given)
    except Exception:  # not a sequence, or an object that raises anything
        found = (None,)
    if not all(map(callable, found)):
        raise ConfigError(
            f"callbacks is {shown(given)}; give a list of functions (learner, event), such as [rv.Progress()]"
        )
    return found


def flag(name: str, value: Any) -> bool:
    """Return a bool for True or False, of Python or NumPy, or for 1 or 0.  Raises ConfigError for other values."""
    if not isinstance(value, bool | np.bool_) and not (isinstance(value, int) and value in (0, 1)):
        raise ConfigError(f"{name} is {shown(value)}; give True or False")
    return bool(value)


def source(value: Any) -> str | None:
    """Return who chose an executed action.  Raises ConfigError for a word that is not one of SOURCES."""
    if value is not None and (not isinstance(value, str) or value not in SOURCES):
        raise ConfigError(f"tell(source) is {shown(value)}; give {listed(map(repr, SOURCES))}")
    return value


def reason(value: Any) -> str:
    """Return the reason for an abort as one line.  Raises ConfigError where it is no text."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"abort(reason) is {shown(value)}; say in a few words why, such as 'beam lost'")
    return one_line(" ".join(value.split()))[:LONGEST_REASON]


def more_envs(name: str, source: EnvSource | None, count: int) -> list[EnvAdapter]:
    """Return `count` more environments like the first, which was made from `source`."""
    if count and (source is None or isinstance(source, gym.Env)):
        raise ConfigError(
            f"{name}: worlds is {count + 1}, but one environment was given; give its name or a callable, or set worlds=1"
        )
    return [make_env(source) for _ in range(count) if source is not None]


def evaluation_env(given: EnvSource | None, source: EnvSource | None) -> EnvAdapter:
    """Return the environment to evaluate in: `given`, or a second one made from `source`.

    Raises ConfigError where neither is possible.
    """
    chosen = given if given is not None else source
    if isinstance(chosen, gym.Env) and chosen is source:
        chosen = None if chosen.spec is None else chosen.spec.id
    if chosen is None:
        raise ConfigError("evaluate() needs an environment of its own: give evaluation_env= to the Learner")
    return make_env(chosen)


def print_pretraining(name: str) -> None:
    """Say on stderr why the first step takes longer than the others."""
    print(f"{name}: learning from logged transitions, before the first step", file=sys.stderr, flush=True)


def print_compiling(name: str) -> None:
    """Say on stderr why the first step takes some seconds."""
    print(f"{name}: compiling the programs that learning calls, before the first step", file=sys.stderr, flush=True)
