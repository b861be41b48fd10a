"""Estimates of the memory and time that settings need, made before anything is allocated.

Settings that need too much are refused, with a value that would fit.  Bytes are estimated from shapes alone: state
(parameters, targets, optimiser), replay, minibatches, rollouts.  Time is that of updates at a speed that any current
machine reaches.
"""

import dataclasses
import itertools
import warnings
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from reverie.core.agent import Agent
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, ReverieWarning
from reverie.core.types import row_width
from reverie.core.words import count
from reverie.training import free_memory
from reverie.training.ineffective_settings import ineffective_settings
from reverie.training.memory_needs import SHARE, Need, require_room, setting_text, size_text

COPIES = 3  # of the state during an update: before, after, and gradients with their intermediate values
ACTIVATIONS = 10  # numbers kept per unit and row of a minibatch
ENV_BYTES = 1_000_000  # at least, for one environment
UPDATE_SECONDS, FLOPS = 1e-5, 2e11  # least time of a small update; speed of a large update, at most
STEP_SECONDS = 600.0  # the longest that updates after one real step may take
LAYER_SETTINGS = "hidden", "actor_hidden"
STATE = "parameters, targets, optimiser and an update's copies"
LAYERS = 64  # so many layers of NAF, the slowest, compile in 31 to 34 s of processor time, of SAC in 14 s
MOST_ENVS = 10_000


def fitting(config: Any, spec: EnvSpec) -> tuple[Any, Agent]:
    """Return (settings, agent) that fit into memory and time; the replay may be smaller than the default.

    Nobody chose the default, so where it does not fit it is lowered, with a warning.
    Raises ConfigError where settings still do not fit.  Warns of settings that can have no effect.
    """
    agent = config.build(spec)
    try:
        require_fits(config, agent)
    except ConfigError as refused:
        config, agent = _with_less_replay(config, spec, refused)
    for text in ineffective_settings(config, agent):
        warnings.warn(f"{spec.name}: {text}", ReverieWarning, stacklevel=4)
    return config, agent


def _with_less_replay(config: Any, spec: EnvSpec, refused: ConfigError) -> tuple[Any, Agent]:
    """Return settings with a smaller replay than the default, and their agent.

    Raises `refused` where replay does not have the default size or is not what fills memory, and ConfigError where the
    rest does not fit.
    """
    own = getattr(config, "agent", config)
    default = getattr(type(own), "replay_capacity", None)
    row = 4 * row_width(spec.observation_dim, spec.action_dim)
    most = max(1, int(float(f"{0.5 * SHARE * free_memory.available() / row:.1e}")))
    if default is None or getattr(own, "replay_capacity", None) != default or most >= default:
        raise refused
    own = dataclasses.replace(own, replay_capacity=most)
    smaller = dataclasses.replace(config, agent=own) if hasattr(config, "agent") else own
    agent = smaller.build(spec)
    require_fits(smaller, agent)
    text = f"replay_capacity is {most}, since the default, {default}, takes {size_text(default * row)} and does not fit"
    warnings.warn(f"{spec.name}: {text} into memory; set it to choose another", ReverieWarning, stacklevel=4)
    return smaller, agent


def require_fits(config: Any, agent: Agent) -> None:
    """Raise ConfigError where an agent's settings need more memory or time than there is.  Allocates nothing."""
    requirements, imagined = agent.requirements, agent.imagination
    own = getattr(config, "agent", config)
    for name in LAYER_SETTINGS:
        if (layers := len(tuple(getattr(own, name, ())))) > LAYERS:
            raise ConfigError(f"{name} has {layers} layers; at most {LAYERS} can be compiled in reasonable time")
    if requirements.worlds > MOST_ENVS:
        raise ConfigError(
            f"worlds={requirements.worlds} needs {size_text(requirements.worlds * ENV_BYTES)} at least, since each is an "
            f"environment in this process; at most {MOST_ENVS}"
        )
    needs, spec = _needs(config, agent), agent.spec

    def fits(setting: str, value: Any) -> bool:
        try:
            changed = _with(config, setting, value)
            total = sum(need.size for need in _needs(changed, changed.build(spec)))
        except ConfigError:  # this value does not go with the other settings
            return False
        return total <= SHARE * free_memory.available()

    where = count(spec.observation_dim, "observation")
    where += f" and {count(spec.actions, 'action')}" if spec.actions else ""
    require_room(needs, where, fits=fits)
    _require_time(own, requirements, imagined, needs[0].size / COPIES)


def _with(config: Any, setting: str, value: Any) -> Any:
    """Return settings with one value changed, whether it belongs to the model, the agent or imagination."""
    if setting == "members" or setting.startswith("model."):
        model = dataclasses.replace(config.model, **{setting.removeprefix("model."): value})
        return dataclasses.replace(config, model=model)
    if hasattr(config, "agent") and setting in type(config.agent).__dataclass_fields__:
        return dataclasses.replace(config, agent=dataclasses.replace(config.agent, **{setting: value}))
    return dataclasses.replace(config, **{setting: value}) if value != () else config


def _needs(config: Any, agent: Agent) -> list[Need]:
    """Return the needs of settings; the agent's state comes first."""
    requirements, imagined, own = agent.requirements, agent.imagination, getattr(config, "agent", config)
    layers = {name: tuple(getattr(own, name, ())) for name in LAYER_SETTINGS}
    n, m = agent.spec.observation_dim, agent.spec.action_dim
    row, state = 4.0 * row_width(n, m), _state_bytes(agent, layers.values(), n)
    widest = max(layers, key=lambda name: sum(layers[name]))
    needs = [Need(widest, layers[widest], COPIES * state, STATE, 2.0)]
    units = 4.0 * ACTIVATIONS * (sum(map(sum, layers.values())) + row / 4)
    if requirements.rollout:
        needs += [
            Need(
                "rollout",
                requirements.rollout,
                3 * requirements.rollout * requirements.worlds * row,
                "a rollout of all environments",
                step=requirements.batch_size,
            )
        ]
    else:
        needs += [
            Need(
                "replay_capacity",
                requirements.replay_capacity,
                requirements.replay_capacity * row,
                "replay",
                least=requirements.batch_size,
            )
        ]
    needs += [Need("batch_size", requirements.batch_size, requirements.batch_size * (units + 2 * row), "a minibatch")]
    if not requirements.rollout:
        sampled = 2 * requirements.updates_per_step * requirements.batch_size * row
        needs += [Need("updates_per_step", requirements.updates_per_step, sampled, "the minibatches of one step")]
    return needs if imagined is None else needs + _imagined(imagined, requirements, row, n + m)


def _state_bytes(agent: Agent, networks: Iterable[tuple[int, ...]], observations: int) -> float:
    """Return the bytes of an agent's state, computed from shapes alone."""
    try:
        shapes = jax.eval_shape(agent.init, jax.random.key(0))
        return float(sum(np.prod(leaf.shape, dtype=float) * 4 for leaf in jax.tree.leaves(shapes)))
    except (OverflowError, TypeError, ValueError, MemoryError):  # sizes too large for JAX
        outputs = float(max(agent.spec.actions, agent.spec.action_dim))
        sizes = [[float(observations), *map(float, hidden), outputs] for hidden in networks if hidden]
        return 16.0 * sum(a * b for one in sizes for a, b in itertools.pairwise(one))


def _imagined(imagined: Any, requirements: Any, row: float, width: int) -> list[Need]:
    """Return the additional needs of imagination."""
    length, model = imagined.rollout_length, imagined.model
    each = imagined.minibatches or length
    name = "minibatches" if imagined.minibatches else "rollout_length"
    capacity, batch = imagined.fictional_capacity, requirements.updates_per_step * requirements.batch_size * row
    needs = [
        Need("fictional_capacity", capacity, capacity * row, "imagined transitions"),
        Need(name, each, 2 * each * batch, "the imagined minibatches of one step"),
        Need("rollouts", imagined.rollouts, 3 * imagined.rollouts * max(length, 1) * row, "rollouts side by side"),
    ]
    if hidden := tuple(getattr(model, "hidden", ())):
        sizes = [float(width), *map(float, hidden), float(width)]
        size, what = 16 * model.members * sum(a * b for a, b in itertools.pairwise(sizes)), "the model's networks"
        smaller = Need("model.hidden", hidden, size, what, 2.0)
        needs += [Need("members", model.members, size, what, alternative=smaller)]
    if imagined.plan == "mpc":
        needs += [Need("plan_horizon", imagined.plan_horizon, 160.0 * imagined.plan_horizon * width**2, "a plan")]
    return needs


def _require_time(own: Any, requirements: Any, imagined: Any, state: float) -> None:
    """Raise ConfigError where the updates take longer than `STEP_SECONDS` per real step."""
    one = max(UPDATE_SECONDS, 1.5 * state * requirements.batch_size / FLOPS)
    if requirements.rollout:
        name, count, each = "epochs", own.epochs, one / requirements.batch_size
    else:
        extra = 0 if imagined is None else imagined.minibatches or imagined.rollout_length
        name, count, each = "updates_per_step", requirements.updates_per_step, one * (1 + extra)
        if (
            imagined is not None
            and extra > 1
            and extra * requirements.updates_per_step * one > STEP_SECONDS >= requirements.updates_per_step * one
        ):
            name, count = ("minibatches" if imagined.minibatches else "rollout_length"), extra
            each = requirements.updates_per_step * one
    if count * each > STEP_SECONDS:
        raise ConfigError(
            f"{name}={setting_text(count)} takes at least {_duration(count * each)} after each real step; at most "
            f"{name}={setting_text(max(1, int(STEP_SECONDS / each)))} stays below {STEP_SECONDS / 60:.0f} minutes"
        )


def _duration(seconds: float) -> str:
    for unit, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} seconds"
