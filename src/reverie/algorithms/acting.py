"""Acting: by a deterministic policy with noise added, or by draws from a stochastic policy."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from reverie.maths.exploration import Noise


class Acting(NamedTuple):
    """The acting half of an `Agent`."""

    begin: Callable
    act: Callable
    explore: Callable


def _unshaped(policy, observation, noise):
    del policy, observation
    return noise


def acting(
    noise: Noise,
    action_dim: int,
    policy: Callable,
    greedy: Callable,
    shape: Callable = _unshaped,
) -> Acting:
    """Return `begin`, `act` and `explore` of an agent whose action is u = clip(μ(x) + noise process).

    The process restarts at each episode.  noise: its settings.  policy, greedy: as in `Agent`.
    shape: (policy, observation [..., n], noise [..., m]) -> noise [..., m], may bend standard normal noise to the state.
    """
    process = noise.process()

    def begin(state, key=None):
        del state, key
        return process.begin(action_dim)

    def explore(policy_arrays, memory, observation, noise):
        added, memory = process.step(memory, shape(policy_arrays, observation, noise))
        return (greedy(policy_arrays, observation) + added).clip(-1.0, 1.0), memory

    def act(state, memory, observation, key, explore_now=True):
        reads = policy(state)
        explored, moved = explore(reads, memory, observation, jax.random.normal(key, (action_dim,), jnp.float32))
        action = jnp.where(explore_now, explored, greedy(reads, observation))
        return action, jnp.where(explore_now, moved, memory)

    return Acting(begin, act, explore)


def drawing(action_dim: int, policy: Callable, act_with: Callable) -> Acting:
    """Return `begin`, `act` and `explore` of an agent that explores by drawing from its policy; nothing is remembered.

    act_with: (policy, observation [..., n], standard normal noise [..., m]) -> action [..., m]; with noise 0 the greedy one.
    """

    def explore(policy_arrays, memory, observation, noise):
        return act_with(policy_arrays, observation, noise), memory

    def act(state, memory, observation, key, explore_now=True):
        noise = jax.random.normal(key, (action_dim,), jnp.float32)
        return act_with(policy(state), observation, jnp.where(explore_now, noise, 0.0)), memory

    return Acting(forgetful, act, explore)


def forgetful(state, key=None) -> np.ndarray:
    """Return the empty memory of an agent that keeps none (`Agent.begin`)."""
    del state, key
    return np.zeros(0, np.float32)
