"""Estimates of the memory and time that settings need, made before anything is allocated.

Settings that need too much are refused, with a value that would fit.  Bytes are estimated from shapes alone: state
(parameters, targets, optimiser), replay, minibatches, rollouts.  Time is that of updates at a speed that any current
machine reaches.
"""

import dataclasses
import itertools
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from reverie.core.agent import Agent
from reverie.core.errors import ConfigError, ReverieWarning
from reverie.core.types import EnvSpec, row_width
from reverie.core.words import count, number

COPIES = 3  # of the state during an update: before, after, and gradients with their intermediate values
ACTIVATIONS = 10  # numbers kept per unit and row of a minibatch
WORLD_BYTES = 1_000_000  # at least, for one environment
UPDATE_SECONDS, FLOPS = 1e-5, 2e11  # least time of a small update; speed of a large update, at most
STEP_SECONDS = 600.0  # the longest that updates after one real step may take
LAYERS = 64  # so many layers of NAF, the slowest, compile in 31 to 34 s of processor time, of SAC in 14 s
MOST_WORLDS = 10_000
NEVER_REACHED = 10**9  # steps or episodes; no run has so many
SHARE = 0.9  # the share of free memory that may be used


class Need(NamedTuple):
    """The memory of one setting: `size` bytes, proportional to the setting's value to the power `power`.

    instead: what to lower where even the least value of this setting does not fit.
    step: the value is a multiple of this.  least: smaller values make no sense.
    """

    setting: str
    value: Any
    size: float
    what: str
    power: float = 1.0
    instead: "Need | None" = None
    step: int = 1
    least: int = 1

    def fitting(self, room: float, fits: Callable[[str, Any], bool] | None) -> Any:
        """Return a value that needs at most `room` bytes and that `fits` accepts, or None if there is none."""
        value = self._scaled(self.value, min(1.0, (room / self.size) ** (1.0 / self.power)))
        while fits is not None and not fits(self.setting, value):
            value, before = self._scaled(value, 0.7), value
            if value == before:
                return None
        return value

    def _scaled(self, value: Any, factor: float) -> Any:
        value = _scaled(value, factor)
        value = value if self.step == 1 else max(self.step, value // self.step * self.step)
        return value if isinstance(value, tuple) else max(value, min(self.least, self.value))


def available() -> float:
    """Return the bytes that this process may still allocate.

    That is the machine's free memory, or less where the process's control group has a limit.
    """
    found = [_meminfo(), _group("memory.max", "memory.current"), _sysconf()]
    return min((value for value in found if value is not None), default=float("inf"))


def _meminfo() -> float | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * float(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


def _group(most: str, now: str) -> float | None:
    folder = Path("/sys/fs/cgroup")
    try:
        return float((folder / most).read_text()) - float((folder / now).read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None


def _sysconf() -> float | None:
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def require_room(
    needs: list[Need], where: str, free: float | None = None, fits: Callable[[str, Any], bool] | None = None
) -> None:
    """Raise ConfigError where `needs` exceed memory: for the first that is too large alone, else for the largest.

    where: the sizes, in words, for the message.  free: bytes; by default those that are available.
    fits: (setting, value) -> whether everything fits with that value.
    """
    room = SHARE * (available() if free is None else free)
    worst = next((need for need in needs if need.size > room), max(needs, key=lambda need: need.size))
    if sum(need.size for need in needs) <= room:
        return
    # The message names another setting where lowering that one alone helps and lowering the worst does not.
    others = sorted(needs, key=lambda need: -need.size)
    tried = [worst, *([] if worst.instead is None else [worst.instead]), *others]
    mended = ((need, value) for need in tried if (value := _room_makes(need, needs, room, fits)) is not None)
    worst, value = next(mended, (worst, None))
    advice = (
        f"at most {worst.setting}={_shown(value, down=True)} fits" if value is not None else f"{where} are too many"
    )
    raise ConfigError(
        f"{worst.setting}={_shown(worst.value)} with {where} needs {_size(worst.size)} ({worst.what}); {_size(room)} are free: "
        f"{advice}"
    )


def _room_makes(need: Need, needs: list[Need], room: float, fits: Callable[[str, Any], bool] | None) -> Any:
    """Return a value of one of `needs` that fits beside the others, or None."""
    rest = sum(other.size for other in needs if other.setting != need.setting)
    return need.fitting(room - rest if rest < 0.5 * room else 0.5 * room, fits)


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
    for text in meaningless(config, agent):
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
    most = max(1, int(float(f"{0.5 * SHARE * available() / row:.1e}")))
    if default is None or getattr(own, "replay_capacity", None) != default or most >= default:
        raise refused
    own = dataclasses.replace(own, replay_capacity=most)
    smaller = dataclasses.replace(config, agent=own) if hasattr(config, "agent") else own
    agent = smaller.build(spec)
    require_fits(smaller, agent)
    text = f"replay_capacity is {most}, since the default, {default}, takes {_size(default * row)} and there is no room for it"
    warnings.warn(f"{spec.name}: {text}; set it to choose", ReverieWarning, stacklevel=4)
    return smaller, agent


def meaningless(config: Any, agent: Agent) -> list[str]:
    """Return a sentence for each setting that can have no effect, or not the one it promises."""
    requirements, imagined, found = agent.requirements, agent.imagination, []
    if requirements.warmup_steps > NEVER_REACHED:
        found.append(
            f"warmup_steps={_shown(requirements.warmup_steps)}: no run takes so many steps, so nothing would ever be learnt"
        )
    if not requirements.rollout and requirements.replay_capacity < requirements.batch_size:
        found.append(
            f"replay_capacity={requirements.replay_capacity} is less than batch_size={requirements.batch_size}: each "
            "minibatch holds the same transitions many times; set replay_capacity higher"
        )
    if imagined is not None and imagined.model.episodes > NEVER_REACHED:
        found.append(
            f"episodes={_shown(imagined.model.episodes)} of the model: no run has so many, so it is never fitted"
        )
    elif imagined is not None and 0 < imagined.until_episode <= imagined.model.episodes:
        found.append(
            f"until_episode={imagined.until_episode} ends imagination before the model's first fit, after "
            f"{count(imagined.model.episodes, 'episode')}: set until_episode higher, or the model's episodes lower"
        )
    return found


def require_fits(config: Any, agent: Agent) -> None:
    """Raise ConfigError where an agent's settings need more memory or time than there is.  Allocates nothing."""
    requirements, imagined = agent.requirements, agent.imagination
    own = getattr(config, "agent", config)
    hidden = tuple(getattr(own, "hidden", ()))
    if len(hidden) > LAYERS:
        raise ConfigError(f"hidden has {len(hidden)} layers; at most {LAYERS} can be compiled in reasonable time")
    if requirements.worlds > MOST_WORLDS:
        raise ConfigError(
            f"worlds={requirements.worlds} needs {_size(requirements.worlds * WORLD_BYTES)} at least, as each is an "
            f"environment in this process; at most {MOST_WORLDS}"
        )
    needs, spec = _needs(config, agent), agent.spec

    def fits(setting: str, value: Any) -> bool:
        try:
            changed = _with(config, setting, value)
            total = sum(need.size for need in _needs(changed, changed.build(spec)))
        except ConfigError:  # this value does not go with the other settings
            return False
        return total <= SHARE * available()

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
    hidden = tuple(getattr(own, "hidden", ()))
    n, m = agent.spec.observation_dim, agent.spec.action_dim
    row, state = 4.0 * row_width(n, m), _state_bytes(agent, hidden, n)
    needs = [Need("hidden", hidden, COPIES * state, "parameters, targets, optimiser and an update's copies", 2.0)]
    units = 4.0 * ACTIVATIONS * (sum(hidden) + row / 4)
    if requirements.rollout:
        needs += [
            Need(
                "rollout",
                requirements.rollout,
                3 * requirements.rollout * requirements.worlds * row,
                "a rollout of all worlds",
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


def _state_bytes(agent: Agent, hidden: tuple[int, ...], observations: int) -> float:
    """Return the bytes of an agent's state, computed from shapes alone."""
    try:
        shapes = jax.eval_shape(agent.init, jax.random.key(0))
        return float(sum(np.prod(leaf.shape, dtype=float) * 4 for leaf in jax.tree.leaves(shapes)))
    except (OverflowError, TypeError, ValueError, MemoryError):  # sizes too large for JAX
        outputs = float(max(agent.spec.actions, agent.spec.action_dim))
        sizes = [float(observations), *map(float, hidden), outputs]
        return 16.0 * sum(a * b for a, b in itertools.pairwise(sizes))


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
        needs += [Need("members", model.members, size, what, instead=smaller)]
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
            f"{name}={_shown(count)} takes {_duration(count * each)} at the least after each real step; at most "
            f"{name}={_shown(max(1, int(STEP_SECONDS / each)))} stays below {STEP_SECONDS / 60:.0f} minutes"
        )


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(max(1, int(part * factor)) for part in value)
    return max(1, int(value * factor))


def _shown(value: Any, down: bool = False) -> str:
    """Return a setting's value as a user may type it; down: large ones rounded down to three digits."""
    if isinstance(value, tuple):
        return ",".join(_shown(part, down) for part in value)
    if down and value >= 10**7:
        unit = 10 ** (len(str(int(value))) - 3)
        value = int(value) // unit * unit
    return str(value) if value < 10**7 else number(value)


def _size(size: float) -> str:
    for unit, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size / 1e3:.3g} kB"


def _duration(seconds: float) -> str:
    for unit, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} seconds"
