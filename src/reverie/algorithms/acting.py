"""Acting by a deterministic greedy policy with exploration noise added: shared by all that explore so."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reverie.maths import exploration


class Acting(NamedTuple):
    """The acting half of an `Agent`."""

    begin: Callable
    act: Callable
    explore: Callable


def _unshaped(policy, observation, innovation):
    del policy, observation
    return innovation


def acting(
    noise: exploration.Noise,
    scale: float,
    action_dim: int,
    policy: Callable,
    greedy: Callable,
    shape: Callable = _unshaped,
) -> Acting:
    """Return `begin`, `act` and `explore` of an agent: u = clip(μ(x) + noise), noise restarted each episode.

    policy, greedy: as in `Agent`.  shape: (policy, observation, innovation) -> innovation, may bend the noise to the state.
    """
    process = exploration.process(noise)

    def begin(state, key=None):
        del state, key
        return process.begin(action_dim)

    def explore(policy_arrays, memory, observation, innovation):
        added, memory = process.step(memory, shape(policy_arrays, observation, innovation), scale)
        return (greedy(policy_arrays, observation) + added).clip(-1.0, 1.0), memory

    def act(state, memory, observation, key, explore_now=True):
        reads = policy(state)
        noisy, moved = explore(reads, memory, observation, jax.random.normal(key, (action_dim,)))
        action = jnp.where(explore_now, noisy, greedy(reads, observation))
        return action, jnp.where(explore_now, moved, memory)

    return Acting(begin, act, explore)
