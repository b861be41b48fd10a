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
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int, Real

from reverie.algorithms import updates
from reverie.algorithms.acting import forgetful
from reverie.algorithms.hyperparameters import OffPolicySettings
from reverie.core.agent import Agent, Memory, Metrics, built_once, require_discrete
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from reverie.maths import exploration, networks, normalise
from reverie.maths.array_types import Array
from reverie.maths.networks import Layers, Moments, Normalisation

LEAST_EPSILON = 1e-9  # what ε is divided by at least, so that an ε of 0 can be divided by


@dataclasses.dataclass(frozen=True, kw_only=True)
class DQN(OffPolicySettings):
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
        printed: dict[str, Any] = {
            "batch_size": 32,
            "huber": True,
            "epsilon_end": 0.1,
            "double": False,
            "learning_rate": 2.5e-4,
        }
        return cls(**{**printed, **changes})

    def build(self, spec: EnvSpec) -> Agent:
        """Return DQN's pure functions for an environment of `spec`."""
        require_discrete(spec, "dqn")
        return _build(self.for_spec(spec), spec)


class DQNState(NamedTuple):
    """Everything DQN has learnt, and all it needs to go on."""

    params: Layers  # the last linear
    moments: Sequence[Moments]  # of batch normalisation, per hidden layer
    target: Layers  # params that move slowly behind
    optimiser: optax.OptState
    observations: normalise.Moments  # untouched where observations are not normalised
    updates: Int[Array, ""]


class Policy(NamedTuple):
    """What acting reads."""

    params: Layers
    moments: Sequence[Moments]
    observations: normalise.Moments | None  # None where observations are not normalised
    epsilon: Float[Array, ""]


# ---- the update.  Mnih et al. 2015, Algorithm 1


def q_values(
    params: Layers,
    moments: Sequence[Moments],
    x: Float[Array, "*b n"],
    normalisation: Normalisation,
    training: bool = False,
) -> tuple[Float[Array, "*b actions"], Sequence[Moments]]:
    """Return (Q(x, ·) [..., actions], the moments used).

    x: [..., n].  training: normalise by the minibatch's own moments.
    """
    return networks.forward(params, moments, x, normalisation, training)


def of_action(values: Float[Array, "B actions"], action: Int[Array, "B 1"]) -> Float[Array, "B"]:
    """Return the entries [B] of values [B, actions] that belong to the actions [B, 1]."""
    return jnp.take_along_axis(values, action, axis=-1)[..., 0]


def next_value(
    params: Layers,
    target: Layers,
    moments: Sequence[Moments],
    x_next: Float[Array, "B n"],
    double: bool,
    normalisation: Normalisation,
) -> Float[Array, "B"]:
    """Return max_u' Q'(x', u') [B], by the target network.

    double: Q'(x', argmax_u' Q(x', u')), chosen by the online network.  van Hasselt et al. 2016, eq. 4.
    """
    later, _ = q_values(target, moments, x_next, normalisation, training=True)
    choosing = q_values(params, moments, x_next, normalisation)[0] if double else later
    return of_action(later, jnp.argmax(choosing, axis=-1, keepdims=True))


def q_loss(
    params: Layers,
    moments: Sequence[Moments],
    x: Float[Array, "B n"],
    action: Real[Array, "B 1"],
    y: Float[Array, "B"],
    huber: bool,
    normalisation: Normalisation,
) -> tuple[Float[Array, ""], tuple[Sequence[Moments], Float[Array, ""]]]:
    """Return mean (y - Q(x, u))², or of Huber's loss of it, and besides (moments used, mean Q).

    x: [B, n].  action: [B, 1], whole numbers.  y: r + γ max_u' Q'(x', u') [B].
    """
    values, used = q_values(params, moments, x, normalisation, training=True)
    value = of_action(values, action.astype(jnp.int32))
    errors = optax.huber_loss(value, y) if huber else (y - value) ** 2
    return jnp.mean(errors), (used, jnp.mean(value))


def update_once(
    config: DQN, optimiser: optax.GradientTransformation, state: DQNState, batch: Transition
) -> tuple[DQNState, Metrics]:
    """Return (state, metrics) after one minibatch [B, ...]: the gradient step of Algorithm 1."""
    kind = config.normalisation
    observations, x, x_next = updates.normalise_batch(state.observations, batch, config.normalised_size)
    after = next_value(state.params, state.target, state.moments, x_next, config.double, kind)
    y = updates.td_target(batch, after, config.discount_factor, config.fixed_reward_scale)
    given = (state.moments, x, batch.action, y, config.huber, kind)
    params, opt_state, error, (used, q_mean) = updates.gradient_step(
        q_loss, optimiser, state.params, state.optimiser, *given
    )
    moments = networks.move_towards(state.moments, used, networks.MOMENTS_RATE)
    target = networks.move_towards(state.target, params, config.target_rate)
    new = DQNState(params, moments, target, opt_state, observations, state.updates + 1)
    return new, {"loss": error, "q_mean": q_mean}


def diagnose(config: DQN, state: DQNState, batch: Transition) -> Metrics:
    """Return the mean value of the best action, how far it lies above the others' mean, and ε, at states of `batch`."""
    moments = updates.moments_in_use(state.observations, config.normalised_size)
    x = updates.normalise_observation(moments, batch.observation)
    values, _ = q_values(state.params, state.moments, x, config.normalisation)
    best = jnp.max(values, axis=-1)
    gap = best - jnp.mean(values, axis=-1)
    return {"value_mean": jnp.mean(best), "advantage_of_best": jnp.mean(gap), "epsilon": _epsilon(config, state)}


# ---- acting


def epsilon(updates_done: Real[Array, ""], epsilon_updates: int, start: float, end: float) -> Float[Array, ""]:
    """Return ε []: a straight line from `start` to `end` over `epsilon_updates` updates, and `end` from there on."""
    done = updates_done / epsilon_updates
    return end + (start - end) * jnp.clip(1.0 - done, 0.0, 1.0)


def _epsilon(config: DQN, state: DQNState) -> Float[Array, ""]:
    over = config.epsilon_steps * max(config.updates_per_step, 1)
    return epsilon(state.updates, over, config.epsilon_start, config.epsilon_end)


def epsilon_greedy(
    greedy_action: Float[Array, "*b 1"], epsilon: Float[Array, ""], noise: Float[Array, "*b 1"], actions: int
) -> Float[Array, "*b 1"]:
    """Return an action [..., 1] drawn uniformly from `actions` with probability ε, else the greedy one.

    noise: standard normal [..., 1]; one draw decides both whether and which.
    """
    drawn = exploration.uniform(noise)
    at_random = (drawn * (actions / epsilon.clip(LEAST_EPSILON))).clip(0, actions - 1).astype(np.int32)
    return drawn.__array_namespace__().where(drawn < epsilon, at_random.astype(np.float32), greedy_action)


# ---- the agent


def _init(config: DQN, optimiser: optax.GradientTransformation, n: int, actions: int, key: Array) -> DQNState:
    params = networks.init_network(jax.random.split(key), (n, *config.hidden, actions), config.normalisation)
    moments, target = networks.init_moments(params[:-1]), updates.target_copy(params)
    return DQNState(params, moments, target, optimiser.init(params), normalise.init(n), jnp.zeros((), jnp.int32))


@built_once
def _build(config: DQN, spec: EnvSpec) -> Agent:
    optimiser = optax.adam(config.learning_rate)

    def init(key: Array) -> DQNState:
        return _init(config, optimiser, spec.observation_dim, spec.actions, key)

    def update(state: DQNState, batches: Transition, key: Array | None = None) -> tuple[DQNState, Metrics]:
        """Return the state after I minibatches [I, B, ...] in order, and the mean of each metric."""
        del key  # the update draws nothing
        return updates.over_minibatches(functools.partial(update_once, config, optimiser), state, batches)

    def policy(state: DQNState) -> Policy:
        seen = updates.moments_in_use(state.observations, config.normalised_size)
        return Policy(state.params, state.moments, seen, _epsilon(config, state))

    def greedy(policy: Policy, observation: Float[Array, "*b n"]) -> Float[Array, "*b 1"]:
        """argmax_u Q(x, u) [..., 1]."""
        x = updates.normalise_observation(policy.observations, observation)
        values, _ = q_values(policy.params, policy.moments, x, config.normalisation)
        return values.argmax(-1)[..., None].astype(np.float32)

    def explore(
        policy: Policy, memory: Memory, observation: Float[Array, "*b n"], noise: Float[Array, "*b 1"]
    ) -> tuple[Float[Array, "*b 1"], Memory]:
        """Return an ε-greedy action; nothing is remembered."""
        return epsilon_greedy(greedy(policy, observation), policy.epsilon, noise, spec.actions), memory

    def act(
        state: DQNState, memory: Memory, observation: Float[Array, "n"], key: Array, explore_now: bool | Array = True
    ) -> tuple[Float[Array, "1"], Memory]:
        reads = policy(state)
        explored, memory = explore(reads, memory, observation, jax.random.normal(key, (1,), jnp.float32))
        return jnp.where(explore_now, explored, greedy(reads, observation)), memory

    diagnosis = functools.partial(diagnose, config)
    return Agent(spec, config.requirements, init, forgetful, act, update, diagnosis, policy, greedy, explore)
