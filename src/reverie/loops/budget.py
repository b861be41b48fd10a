"""What settings will take, in memory and time, before anything is allocated; too much is refused with what would fit.

Bytes are estimated from shapes alone: state (parameters, targets, optimiser), replay, minibatches, rollouts.  Time is that of
updates at a speed that any machine of today reaches.
"""

import itertools
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from reverie.core.agent import Agent
from reverie.core.errors import ConfigError
from reverie.core.types import row_width
from reverie.core.words import count

COPIES = 3  # of the state while an update runs: before, after, and gradients with what they pass through
ACTIVATIONS = 10  # numbers kept for each unit and row of a minibatch
WORLD_BYTES = 1_000_000  # of an environment, at least
UPDATE_SECONDS, FLOPS = 1e-5, 2e11  # of a small update, at the soonest; at most, of a large one
STEP_SECONDS = 600.0  # of updates after one real step, at most
LAYERS = 64
MOST_WORLDS = 10_000
SHARE = 0.9  # of the free memory may be asked for


class Need(NamedTuple):
    """What one setting takes: `size` bytes, in proportion to its value to the power `power`."""

    setting: str
    value: Any
    size: float
    what: str
    power: float = 1.0


def available() -> float:
    """Return how many bytes this process may still take: the machine's free ones, or fewer where its group has a limit."""
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


def require_room(needs: list[Need], where: str, free: float | None = None) -> None:
    """Raise ConfigError for the first of `needs` that does not fit into memory, or the largest where all together do not."""
    room = SHARE * (available() if free is None else free)
    worst = next((need for need in needs if need.size > room), max(needs, key=lambda need: need.size))
    rest = sum(need.size for need in needs) - worst.size
    if worst.size + rest <= room:
        return
    left = room - rest if rest < 0.5 * room else 0.5 * room
    fits = _scaled(worst.value, (left / worst.size) ** (1.0 / worst.power))
    raise ConfigError(
        f"{worst.setting}={_shown(worst.value)} with {where} needs {_size(worst.size)} ({worst.what}); {_size(room)} are free: "
        f"at most {worst.setting}={_shown(fits)} fits"
    )


def require_fits(config: Any, agent: Agent) -> None:
    """Raise ConfigError where an agent's settings take more memory or time than there is.  Allocates nothing."""
    feed, imagined = agent.feed, agent.imagination
    own = getattr(config, "agent", config)
    hidden = tuple(getattr(own, "hidden", ()))
    if len(hidden) > LAYERS:
        raise ConfigError(f"hidden has {len(hidden)} layers; at most {LAYERS} can be compiled in reasonable time")
    if feed.worlds > MOST_WORLDS:
        raise ConfigError(
            f"worlds={feed.worlds} needs {_size(feed.worlds * WORLD_BYTES)} at least, as each is an environment in this "
            f"process; at most {MOST_WORLDS}"
        )
    n, m = agent.spec.observation_dim, agent.spec.action_dim
    row, state = 4.0 * row_width(n, m), _state_bytes(agent, hidden, n)
    needs = [Need("hidden", hidden, COPIES * state, "parameters, targets, optimiser and an update's copies", 2.0)]
    units = 4.0 * ACTIVATIONS * (sum(hidden) + row / 4)
    if feed.rollout:
        needs += [Need("rollout", feed.rollout, 3 * feed.rollout * feed.worlds * row, "a rollout of all worlds")]
    else:
        needs += [Need("replay_capacity", feed.replay_capacity, feed.replay_capacity * row, "replay")]
    needs += [Need("batch_size", feed.batch_size, feed.batch_size * (units + 2 * row), "a minibatch")]
    if not feed.rollout:
        sampled = 2 * feed.updates_per_step * feed.batch_size * row
        needs += [Need("updates_per_step", feed.updates_per_step, sampled, "the minibatches of one step")]
    if imagined is not None:
        needs += _imagined(imagined, feed, row, n + m)
    require_room(needs, count(n, "observation"))
    _require_time(own, feed, imagined, state)


def _state_bytes(agent: Agent, hidden: tuple[int, ...], observations: int) -> float:
    """Return the size of an agent's state, from shapes alone."""
    try:
        shapes = jax.eval_shape(agent.init, jax.random.key(0))
        return float(sum(np.prod(leaf.shape, dtype=float) * 4 for leaf in jax.tree.leaves(shapes)))
    except (OverflowError, TypeError, ValueError, MemoryError):  # sizes that JAX has no number for
        sizes = [float(observations), *map(float, hidden), 1.0]
        return 16.0 * sum(a * b for a, b in itertools.pairwise(sizes))


def _imagined(imagined: Any, feed: Any, row: float, width: int) -> list[Need]:
    """Return what imagination takes besides."""
    length, model = imagined.rollout_length, imagined.model
    each = imagined.minibatches or length
    name = "minibatches" if imagined.minibatches else "rollout_length"
    capacity, batch = imagined.fictional_capacity, feed.updates_per_step * feed.batch_size * row
    needs = [
        Need("fictional_capacity", capacity, capacity * row, "imagined transitions"),
        Need(name, each, 2 * each * batch, "the imagined minibatches of one step"),
        Need("rollouts", imagined.rollouts, 3 * imagined.rollouts * max(length, 1) * row, "rollouts side by side"),
    ]
    if hidden := tuple(getattr(model, "hidden", ())):
        sizes = [float(width), *map(float, hidden), float(width)]
        weights = sum(a * b for a, b in itertools.pairwise(sizes))
        needs += [Need("members", model.members, 16 * model.members * weights, "the model's networks")]
    if imagined.plan == "mpc":
        needs += [Need("plan_horizon", imagined.plan_horizon, 160.0 * imagined.plan_horizon * width**2, "a plan")]
    return needs


def _require_time(own: Any, feed: Any, imagined: Any, state: float) -> None:
    """Raise ConfigError where the updates after one step, or one rollout, take longer than `STEP_SECONDS` for each step."""
    one = max(UPDATE_SECONDS, 1.5 * state * feed.batch_size / FLOPS)
    if feed.rollout:
        name, count, each = "epochs", own.epochs, one / feed.batch_size
    else:
        extra = 0 if imagined is None else imagined.minibatches or imagined.rollout_length
        name, count, each = "updates_per_step", feed.updates_per_step, one * (1 + extra)
        if (
            imagined is not None
            and extra > 1
            and extra * feed.updates_per_step * one > STEP_SECONDS >= feed.updates_per_step * one
        ):
            name, count = ("minibatches" if imagined.minibatches else "rollout_length"), extra
            each = feed.updates_per_step * one
    if count * each > STEP_SECONDS:
        raise ConfigError(
            f"{name}={_shown(count)} takes {_duration(count * each)} at the least after each real step; at most "
            f"{name}={_shown(max(1, int(STEP_SECONDS / each)))} stays below {STEP_SECONDS / 60:.0f} minutes"
        )


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(max(1, int(part * factor)) for part in value)
    return max(1, int(value * factor))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    return str(value) if value < 10**7 else f"{value:.3g}"


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
