"""DQN: deep Q-learning over discrete actions.  Mnih et al. 2015 (Nature 518), Algorithm 1.

A network gives Q(x, u) for every action at once; it learns from y = r + γ max_u' Q'(x', u') on minibatches of replay, with
a target network Q' that follows slowly.  Acting is ε-greedy.  What NAF does for continuous actions, where the maximum is
the difficulty.

Differences (ours / the paper's):
 1. The target follows at `target_rate` in every update / copied every 10,000 updates.
 2. Adam / RMSProp.
 3. The error is squared, `huber=False` / clipped to ±1 (Huber's loss, `huber=True`).
 4. `double`: the online network chooses u' and the target values it, van Hasselt et al. 2016 / off.
 5. Multilayer perceptrons of the observation / convolutions of four frames.
 6. One update a step by default / one every four.
"""

import dataclasses
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reverie.algorithms.acting import forgetful
from reverie.algorithms.settings import OffPolicy
from reverie.core.agent import Agent, require_discrete
from reverie.core.types import EnvSpec, Transition
from reverie.maths import exploration, networks, normalise


@dataclasses.dataclass(frozen=True, kw_only=True)
class DQN(OffPolicy):
    """Settings of DQN.  `build(spec)` returns its pure functions."""

    learning_rate: float = 3e-4
    updates_per_step: int = 1
    warmup_steps: int = 1000
    epsilon_start: float = 1.0
    """ε at the first update: the share of actions drawn at random."""
    epsilon_end: float = 0.05
    """ε from `epsilon_steps` on."""
    epsilon_steps: int = 10_000
    """Real steps over which ε falls, linearly."""
    double: bool = True
    """Choose by the online network, value by the target: less optimism."""
    huber: bool = False
    """Let errors beyond 1 count linearly."""

    name = "dqn"

    def __post_init__(self):
        super().__post_init__()
        self.require(epsilon_steps=1)
        self.require_share("epsilon_start", "epsilon_end", zero=True)

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """Return the paper's settings, as far as they are not of pictures: minibatch 32, Huber's loss, ε to .1, no `double`."""
        printed = {"batch_size": 32, "huber": True, "epsilon_end": 0.1, "double": False, "learning_rate": 2.5e-4}
        return cls(**{**printed, **changes})

    def build(self, spec: EnvSpec) -> Agent:
        """Return DQN's pure functions for a world of `spec`."""
        return _build(self, spec)


class DQNState(NamedTuple):
    """Everything DQN has learnt, and all it needs to go on."""

    params: Any  # layers, the last linear
    moments: Any  # of batch normalisation, per hidden layer
    target: Any  # params that move slowly behind
    optimiser: Any
    observations: Any
    updates: jax.Array


class Policy(NamedTuple):
    """What acting reads."""

    params: Any
    moments: Any
    observations: Any
    epsilon: Any  # []


def _build(config: DQN, spec: EnvSpec) -> Agent:
    require_discrete(spec, "dqn")
    n, actions = spec.observation_dim, spec.actions
    optimiser = optax.adam(config.learning_rate)
    sizes = (n, *config.hidden, actions)

    def init(key) -> DQNState:
        params = networks.init_network(jax.random.split(key), sizes, config.normalisation)
        moments = networks.init_moments(params[:-1])
        target = jax.tree.map(jnp.copy, params)
        return DQNState(params, moments, target, optimiser.init(params), normalise.init(n), jnp.zeros((), jnp.int32))

    def see(observations, x):
        return normalise.apply(observations, x) if config.observation_normalisation else x

    def q(params, moments, x, training=False):
        """Return Q(x, ·) [..., actions] and the moments used."""
        return networks.forward(params, moments, x, config.normalisation, training)

    # Mnih et al. 2015, Alg. 1: y = r + γ max_u' Q'(x', u'); van Hasselt et al. 2016, eq. 4, for `double`
    def goal(state: DQNState, batch: Transition, x_next):
        later, _ = q(state.target, state.moments, x_next, training=True)
        choosing = q(state.params, state.moments, x_next)[0] if config.double else later
        chosen = jnp.argmax(choosing, axis=-1, keepdims=True)
        best = jnp.take_along_axis(later, chosen, axis=-1)[..., 0]
        return config.reward_scale * batch.reward + config.discount * batch.discount * best

    def loss(params, moments, y, batch: Transition, x):
        values, used = q(params, moments, x, training=True)
        value = jnp.take_along_axis(values, batch.action.astype(jnp.int32), axis=-1)[..., 0]
        errors = optax.huber_loss(value, y) if config.huber else (y - value) ** 2
        return jnp.mean(errors), (used, jnp.mean(value))

    def update_once(state: DQNState, batch: Transition):
        observations = state.observations
        if config.observation_normalisation:
            observations = normalise.update(observations, batch.observation)
        x, x_next = see(observations, batch.observation), see(observations, batch.next_observation)
        y = goal(state, batch, x_next)
        (error, (used, value)), gradient = jax.value_and_grad(loss, has_aux=True)(
            state.params, state.moments, y, batch, x
        )
        change, opt_state = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, change)
        moments = networks.move_towards(state.moments, used, networks.MOMENTS_RATE)
        target = networks.move_towards(state.target, params, config.target_rate)
        new = DQNState(params, moments, target, opt_state, observations, state.updates + 1)
        return new, {"loss": error, "q_mean": value}

    def update(state: DQNState, batches: Transition, key=None):
        """Return the state after I minibatches [I, B, ...] in order, and the mean of each metric."""
        del key  # the update draws nothing
        state, metrics = jax.lax.scan(update_once, state, batches)
        return state, jax.tree.map(jnp.mean, metrics)

    def diagnose(state: DQNState, batch: Transition):
        values, _ = q(state.params, state.moments, see(state.observations, batch.observation))
        best = jnp.max(values, axis=-1)
        gap = best - jnp.mean(values, axis=-1)
        return {"value_mean": jnp.mean(best), "advantage_of_best": jnp.mean(gap), "epsilon": epsilon(state)}

    def epsilon(state: DQNState):
        """ε now: a straight line over the steps that updates were made in."""
        done = state.updates / (config.epsilon_steps * max(config.updates_per_step, 1))
        return config.epsilon_end + (config.epsilon_start - config.epsilon_end) * jnp.clip(1.0 - done, 0.0, 1.0)

    def policy(state: DQNState) -> Policy:
        seen = state.observations if config.observation_normalisation else None
        return Policy(state.params, state.moments, seen, epsilon(state))

    def greedy(policy: Policy, observation):
        """argmax_u Q(x, u) [..., 1]."""
        values, _ = q(policy.params, policy.moments, see(policy.observations, observation))
        return values.argmax(-1)[..., None].astype(np.float32)

    def explore(policy: Policy, memory, observation, innovation):
        """Return an action drawn uniformly with probability ε, else the greedy one; nothing to remember."""
        drawn = exploration.uniform(innovation)  # below ε it tells both that and which
        at_random = (drawn * (actions / policy.epsilon.clip(1e-9))).astype(np.int32).clip(0, actions - 1)
        xp = drawn.__array_namespace__()
        return xp.where(drawn < policy.epsilon, at_random.astype(np.float32), greedy(policy, observation)), memory

    def act(state: DQNState, memory, observation, key, explore_now=True):
        reads = policy(state)
        noisy, memory = explore(reads, memory, observation, jax.random.normal(key, (1,), jnp.float32))
        return jnp.where(explore_now, noisy, greedy(reads, observation)), memory

    return Agent(spec, config.requirements, init, forgetful, act, update, diagnose, policy, greedy, explore)
