"""Acting: by a deterministic policy with noise added, or by draws from a stochastic policy."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reverie.core.agent import Act, AgentState, Begin, Explore, Greedy, Memory, Policy, ReadPolicy
from reverie.maths import normalise
from reverie.maths.array_types import Array
from reverie.maths.exploration import Noise
from reverie.maths.networks import Layers, Moments


class ActorPolicy(NamedTuple):
    """What acting by an actor's network reads."""

    actor: Layers
    moments: Sequence[Moments]  # of batch normalisation, per normalised layer
    observations: normalise.Moments | None  # None where observations are not normalised


class ShapeNoise(Protocol):
    """Bends noise to the state."""

    def __call__(self, policy: Policy, observation: Array, noise: Array, /) -> Array:
        """Return noise [..., m] made of standard normal `noise` [..., m], for observations [..., n]."""
        ...


class ActWith(Protocol):
    """Draws from a stochastic policy."""

    def __call__(self, policy: Policy, observation: Array, noise: Array, /) -> Array:
        """Return actions [..., m] made of standard normal `noise` [..., m], for observations [..., n]."""
        ...


class Acting(NamedTuple):
    """The acting half of an `Agent`."""

    begin: Begin
    act: Act
    explore: Explore


def _unshaped(policy: Policy, observation: Array, noise: Array) -> Array:
    del policy, observation
    return noise


def acting(
    noise: Noise,
    action_dim: int,
    policy: ReadPolicy,
    greedy: Greedy,
    shape: ShapeNoise = _unshaped,
) -> Acting:
    """Return `begin`, `act` and `explore` of an agent whose action is u = clip(μ(x) + noise process).

    The process restarts at each episode.  noise: its settings.  policy, greedy: as in `Agent`.
    shape: may bend standard normal noise to the state.
    """
    process = noise.process()

    def begin(state: AgentState, key: Array | None = None) -> Memory:
        del state, key
        return process.begin(action_dim)

    def explore(
        policy_arrays: Policy, memory: Memory, observation: Float[Array, "*b n"], noise: Float[Array, "*b m"]
    ) -> tuple[Float[Array, "*b m"], Memory]:
        added, memory = process.step(memory, shape(policy_arrays, observation, noise))
        return (greedy(policy_arrays, observation) + added).clip(-1.0, 1.0), memory

    def act(
        state: AgentState, memory: Memory, observation: Float[Array, "n"], key: Array, explore_now: bool | Array = True
    ) -> tuple[Float[Array, "m"], Memory]:
        reads = policy(state)
        explored, moved = explore(reads, memory, observation, jax.random.normal(key, (action_dim,), jnp.float32))
        action = jnp.where(explore_now, explored, greedy(reads, observation))
        return action, jnp.where(explore_now, moved, memory)

    return Acting(begin, act, explore)


def drawing(action_dim: int, policy: ReadPolicy, act_with: ActWith) -> Acting:
    """Return `begin`, `act` and `explore` of an agent that explores by drawing from its policy; nothing is remembered.

    act_with: with noise 0 its action is the greedy one.
    """

    def explore(
        policy_arrays: Policy, memory: Memory, observation: Float[Array, "*b n"], noise: Float[Array, "*b m"]
    ) -> tuple[Float[Array, "*b m"], Memory]:
        return act_with(policy_arrays, observation, noise), memory

    def act(
        state: AgentState, memory: Memory, observation: Float[Array, "n"], key: Array, explore_now: bool | Array = True
    ) -> tuple[Float[Array, "m"], Memory]:
        noise = jax.random.normal(key, (action_dim,), jnp.float32)
        return act_with(policy(state), observation, jnp.where(explore_now, noise, 0.0)), memory

    return Acting(forgetful, act, explore)


def forgetful(state: AgentState, key: Array | None = None) -> Float[np.ndarray, "0"]:
    """Return the empty memory of an agent that keeps none (`Agent.begin`)."""
    del state, key
    return np.zeros(0, np.float32)
