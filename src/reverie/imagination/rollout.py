"""Roll a model out from real states under the current policy.  Gu et al. 2016, Algorithm 2, inner loop."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from reverie.core.agent import Memory
from reverie.core.dynamics import Dynamics
from reverie.core.env_spec import EnvSpec
from reverie.core.known_dynamics import KnownDynamics, RewardFormula
from reverie.core.types import Array, Transition
from reverie.models.reward import RewardModel

# Imagined states may lie outside the range of real states by this share of the range, in each coordinate. Beyond that a
# model extrapolates too far.
RANGE_MARGIN = 0.5


class StartStates(NamedTuple):
    """Real states from which rollouts begin."""

    states: np.ndarray  # [B, n]
    times: np.ndarray  # [B], the step of each state within its episode
    contexts: np.ndarray  # [B, k]


class RolloutModel(NamedTuple):
    """What a rollout calls: dynamics, observation, reward and termination, and the range of states they hold for."""

    dynamics: Dynamics
    observe: Callable[[Array, Array], Array]  # (x, c) -> o
    reward: RewardFormula
    terminated: Callable[[Array], Array]  # x' -> [B]
    as_input: Callable[[Array], np.ndarray]  # the agent's actions [B, m] -> actions as the model takes them
    horizon: int  # steps of an episode
    low: np.ndarray  # [n], lower limit of imagined states
    high: np.ndarray  # [n], upper limit


# Gu et al. 2016, Alg. 2: "Sample m (x, u, r, x', t) from B_old; for each, simulate l steps using M"
def rollout(
    model: RolloutModel,
    act: Callable[[Memory, Array], tuple[Array, Memory]],
    starts: StartStates,
    memory: Memory,
    length: int,
    generator: np.random.Generator,
    noise: bool,
) -> tuple[Transition, int, Memory]:
    """Run B rollouts side by side.  Returns (imagined transitions [N, …], number of rollouts cut, new memory).

    act: (memory, observations [B, o]) -> (actions [B, m], memory).  starts: B real states.
    memory: state of the noise processes of the B rollouts.  length: steps of a rollout.
    noise: draw next states with the model's noise; else take its mean.

    A rollout is cut when a state leaves the model's range or a value is not finite; that step is dropped. The
    transitions of all rollouts are in one array, in no particular order.
    """
    x, t, contexts = starts
    alive, cut, steps = t < model.horizon, 0, []
    seen = model.observe(x, contexts)
    for _ in range(length):
        if not alive.any():
            break
        chosen, memory = act(memory, seen.astype(np.float32))
        u = model.as_input(chosen)
        clock = np.minimum(t, model.horizon - 1)  # rollouts past the horizon are dropped below
        with np.errstate(all="ignore"):
            following = model.dynamics.sample(x, u, clock, generator) if noise else model.dynamics.mean(x, u, clock)
            inside = np.all((following >= model.low) & (following <= model.high), axis=1)  # False where not finite
        cut += int(np.sum(alive & ~inside))
        alive = alive & inside
        following = np.where(inside[:, None], following, x)
        rewards, next_seen = model.reward(x, u, following, contexts), model.observe(following, contexts)
        dead = model.terminated(following)
        sane = np.isfinite(rewards) & np.isfinite(next_seen).all(axis=1)
        cut += int(np.sum(alive & ~sane))
        alive = alive & sane
        steps.append([part[alive] for part in (seen, chosen, rewards, 1.0 - dead, next_seen)])
        x, seen, t = following, next_seen, t + 1
        alive = alive & ~dead & (t < model.horizon)
    columns = [np.concatenate(parts) for parts in zip(*steps, strict=True)] if steps else [np.zeros((0, 0))] * 5
    return Transition(*columns), cut, memory


def rollout_model_of(
    spec: EnvSpec,
    known: KnownDynamics,
    reward_model: RewardModel | None,
    dynamics: Dynamics,
    horizon: int,
    low: np.ndarray,
    high: np.ndarray,
) -> RolloutModel:
    """Return a rollout model. Reward and termination are the environment's formulas if known, else `reward_model`.

    horizon: steps of an episode.  low, high: range of imagined states [n].
    """

    def reward(x: Array, u: Array, x_next: Array, c: Array) -> Array:
        del c
        assert reward_model is not None
        return reward_model.reward(np.asarray(x), np.asarray(u), np.asarray(x_next))

    def terminated(x: Array) -> Array:
        assert reward_model is not None
        return reward_model.terminated(np.asarray(x))

    formulas = known.observe, known.reward or reward, known.terminated or terminated
    return RolloutModel(dynamics, *formulas, spec.as_input, horizon, low, high)
