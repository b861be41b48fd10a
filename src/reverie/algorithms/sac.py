"""SAC: soft actor-critic with twin critics and a learnt temperature.  Haarnoja et al. 2018b (arXiv 1812.05905), Algorithm 1.

Two critics Q_i(x, u) learn the return plus α times the policy's entropy; the policy, a Gaussian squashed by tanh, climbs
the lesser of the two plus α times its own entropy; α is moved so that the entropy stays near a target.

Differences (ours / the paper's):
 1. One critic's, the actor's and the temperature's step follow each other on the minibatch; each uses what the one before
    left, and all the temperature from before the minibatch / not said.
 2. log σ is clipped to [-20, 2] / not said there (the authors' code does so).
 3. The first `warmup_steps` actions are uniform / not mentioned.
 4. `updates_per_step` is 1 by default / 1; I of the other algorithms here is 5.
"""

import dataclasses
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reverie.algorithms.acting import drawing
from reverie.algorithms.settings import OffPolicy
from reverie.core.agent import Agent, require_continuous
from reverie.core.types import EnvSpec, Transition
from reverie.maths import networks, normalise, squashed

LOG_STD = (-20.0, 2.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SAC(OffPolicy):
    """Settings of SAC.  `build(spec)` returns its pure functions."""

    learning_rate: float = 3e-4
    batch_size: int = 256
    hidden: tuple[int, ...] = (256, 256)
    updates_per_step: int = 1
    target_entropy: float = -1.0
    """Nats per actuator that the policy's entropy is held at, where actions span [-1, 1]."""
    temperature: float = 1.0
    """α to begin with."""
    learn_temperature: bool = True
    """False: α stays."""

    name = "sac"

    def __post_init__(self):
        super().__post_init__()
        self.require_positive("temperature")

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """Return the paper's settings (its table 1), which the defaults are."""
        return cls(**changes)

    def build(self, spec: EnvSpec) -> Agent:
        """Return SAC's pure functions for a world of `spec`."""
        return _build(self, spec)


class SACState(NamedTuple):
    """Everything SAC has learnt, and all it needs to go on."""

    actor: Any  # layers; the last gives mean and log σ
    critics: Any  # two lists of layers
    log_temperature: jax.Array
    moments: Any  # {"actor": …, "critics": [.., ..]}: batch normalisation's, per hidden layer
    target: Any  # the critics that move slowly behind: two lists of layers
    optimisers: Any  # of actor, critics, temperature
    observations: Any
    updates: jax.Array


class Policy(NamedTuple):
    """What acting reads."""

    actor: Any
    moments: Any
    observations: Any


def _build(config: SAC, spec: EnvSpec) -> Agent:
    require_continuous(spec, "sac")
    n, m = spec.observation_dim, spec.action_dim
    optimiser = optax.adam(config.learning_rate)
    target_entropy = config.target_entropy * m

    def init(key) -> SACState:
        k_actor, *k_critics = jax.random.split(key, 3)

        def network(key, i, o):
            sizes = (i, *config.hidden, o)
            return networks.init_network(jax.random.split(key), sizes, config.normalisation, small=False)

        actor, critics = network(k_actor, n, 2 * m), [network(k, n + m, 1) for k in k_critics]
        moments = {
            "actor": networks.init_moments(actor[:-1]),
            "critics": [networks.init_moments(critic[:-1]) for critic in critics],
        }
        target = jax.tree.map(jnp.copy, critics)
        log_temperature = jnp.asarray(np.log(config.temperature), jnp.float32)
        optimisers = tuple(optimiser.init(part) for part in (actor, critics, log_temperature))
        zero = jnp.zeros((), jnp.int32)
        return SACState(actor, critics, log_temperature, moments, target, optimisers, normalise.init(n), zero)

    def see(observations, x):
        return normalise.apply(observations, x) if config.observation_normalisation else x

    def forward(layers, moments, x, training=False):
        return networks.forward(layers, moments, x, config.normalisation, training)

    def gaussian(actor, moments, x, training=False):
        """Return mean and log σ [..., m] of the policy before tanh, and the moments used."""
        out, used = forward(actor, moments, x, training)
        return out[..., :m], out[..., m:].clip(*LOG_STD), used

    def sample(actor, moments, x, key, training=False):
        """Return u = tanh(mean + σ ε) [..., m], log π(u|x) [...] and the moments used."""
        mean, log_std, used = gaussian(actor, moments, x, training)
        u, log_density = squashed.sample(mean, log_std, jax.random.normal(key, mean.shape, mean.dtype))
        return u, log_density, used

    def q(critics, moments, x, u, training=False):
        """Return [Q_1(x, u), Q_2(x, u)], each [...], and the moments used."""
        both = jnp.concatenate([x, u], axis=-1)
        outs = [forward(*part, both, training) for part in zip(critics, moments, strict=True)]
        return [out[..., 0] for out, _ in outs], [used for _, used in outs]

    # Haarnoja et al. 2018b, eqs 5 and 6: y = r + γ (min_i Q'_i(x', u') - α log π(u'|x')), u' ~ π
    def critic_loss(critics, moments, y, batch: Transition, x):
        values, used = q(critics, moments, x, batch.action, training=True)
        errors = sum(jnp.mean((y - value) ** 2) for value in values)
        return 0.5 * errors, (used, jnp.mean(values[0]))

    # eq. 9: E [α log π(u|x) - min_i Q_i(x, u)], u = tanh(mean + σ ε)
    def actor_loss(actor, critics, moments, temperature, x, key):
        u, log_density, used = sample(actor, moments["actor"], x, key, training=True)
        (one, two), _ = q(critics, moments["critics"], x, u)
        return jnp.mean(temperature * log_density - jnp.minimum(one, two)), (used, jnp.mean(log_density))

    def step(gradient, opt_state, params):
        change, opt_state = optimiser.update(gradient, opt_state, params)
        return optax.apply_updates(params, change), opt_state

    def update_once(state: SACState, given):
        batch, key = given
        k_next, k_actor = jax.random.split(key)
        observations = state.observations
        if config.observation_normalisation:
            observations = normalise.update(observations, batch.observation)
        x, x_next = see(observations, batch.observation), see(observations, batch.next_observation)
        temperature = jnp.exp(state.log_temperature)
        opt_actor, opt_critics, opt_temperature = state.optimisers

        u_next, log_density_next, _ = sample(state.actor, state.moments["actor"], x_next, k_next)
        (one, two), _ = q(state.target, state.moments["critics"], x_next, u_next, training=True)
        soft_value = jnp.minimum(one, two) - temperature * log_density_next
        y = config.reward_scale * batch.reward + config.discount * batch.discount * soft_value

        (error, (used_critics, value)), gradient = jax.value_and_grad(critic_loss, has_aux=True)(
            state.critics, state.moments["critics"], y, batch, x
        )
        critics, opt_critics = step(gradient, opt_critics, state.critics)
        (_, (used_actor, log_density)), gradient = jax.value_and_grad(actor_loss, has_aux=True)(
            state.actor, critics, state.moments, temperature, x, k_actor
        )
        actor, opt_actor = step(gradient, opt_actor, state.actor)

        # eq. 18, for log α: its gradient is α's times α, which Adam hardly sees
        log_temperature: Any = state.log_temperature
        if config.learn_temperature:
            surplus = -(log_density + target_entropy)
            log_temperature, opt_temperature = step(surplus, opt_temperature, log_temperature)

        moments = {"actor": used_actor, "critics": used_critics}
        moments = networks.move_towards(state.moments, moments, networks.MOMENTS_RATE)
        target = networks.move_towards(state.target, critics, config.target_rate)
        optimisers = opt_actor, opt_critics, opt_temperature
        new = SACState(actor, critics, log_temperature, moments, target, optimisers, observations, state.updates + 1)
        return new, {"loss": error, "q_mean": value, "entropy": -log_density, "temperature": temperature}

    def update(state: SACState, batches: Transition, key):
        """Return the state after I minibatches [I, B, ...] in order, and the mean of each metric."""
        keys = jax.random.split(key, batches.reward.shape[0])
        state, metrics = jax.lax.scan(update_once, state, (batches, keys))
        return state, jax.tree.map(jnp.mean, metrics)

    def diagnose(state: SACState, batch: Transition):
        x = see(state.observations, batch.observation)
        mean, log_std, _ = gaussian(state.actor, state.moments["actor"], x)
        (one, two), _ = q(state.critics, state.moments["critics"], x, jnp.tanh(mean))
        return {
            "value_mean": jnp.mean(jnp.minimum(one, two)),
            "critics_apart": jnp.mean(jnp.abs(one - two)),
            "std_mean": jnp.mean(jnp.exp(log_std)),
            "mean_saturated": jnp.mean(jnp.abs(jnp.tanh(mean)) > 0.97),
        }

    def policy(state: SACState) -> Policy:
        seen = state.observations if config.observation_normalisation else None
        return Policy(state.actor, state.moments["actor"], seen)

    def act_with(policy: Policy, observation, innovation):
        mean, log_std, _ = gaussian(policy.actor, policy.moments, see(policy.observations, observation))
        xp = mean.__array_namespace__()
        return xp.tanh(mean + xp.exp(log_std) * innovation)

    def greedy(policy: Policy, observation):
        """Return the tanh of the policy's mean."""
        return act_with(policy, observation, 0.0)

    begin, act, explore = drawing(m, policy, act_with)
    return Agent(spec, config.requirements, init, begin, act, update, diagnose, policy, greedy, explore)
