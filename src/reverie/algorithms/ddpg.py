"""DDPG: deep deterministic policy gradient.  Lillicrap et al. 2016 (arXiv 1509.02971), Algorithm 1.

A critic Q(x, u) learns from y = r + γ Q'(x', μ'(x')); an actor μ(x) climbs the critic's gradient; both have target
networks that follow slowly.  The baseline of Gu et al. 2016, on the same footing as NAF.

Differences (ours / the paper's):
 1. One learning rate for both networks, as in Gu et al. 2016 / 1e-4 for the actor, 1e-3 for the critic.
 2. No weight decay / 1e-2 on the critic.
 3. The action joins the observation at the critic's input, as in Stable-Baselines3 / at its second hidden layer.
 4. 2x200 units, as in Gu et al. 2016 / 400 and 300.
 5. target_rate .005 / .001 (set by `DDPG.paper()`); minibatch 100 / 64 (likewise).
 6. The actor climbs the critic just updated / not said.
 7. The first `warmup_steps` actions are uniform / not mentioned; 0 in `DDPG.paper()`.
 8. Batch normalisation of the actor alone: in the critic every layer comes after the action / of the critic's layers before the
    action too.  Targets as in `naf`, by their minibatch's own moments / which moments targets read is not said.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from reverie.algorithms.acting import acting
from reverie.algorithms.settings import Noisy
from reverie.core.agent import Agent, require_continuous
from reverie.core.errors import ConfigError
from reverie.core.types import EnvSpec, Transition
from reverie.maths import networks, normalise


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDPG(Noisy):
    """Settings of DDPG.  `build(spec)` returns its pure functions."""

    name = "ddpg"

    def __post_init__(self):
        super().__post_init__()
        if self.noise == "precision":
            raise ConfigError("noise is 'precision'; DDPG has no precision matrix: use 'ou' or 'gaussian'")

    def build(self, spec: EnvSpec) -> Agent:
        """Return DDPG's pure functions for a world of `spec`."""
        return _build(self, spec)


class DDPGState(NamedTuple):
    """Everything DDPG has learnt, and all it needs to go on."""

    actor: Any  # layers, the last linear
    critic: Any
    moments: Any  # batch normalisation's, per hidden layer of the actor
    target: Any  # {"actor": …, "critic": …}
    actor_optimiser: Any
    critic_optimiser: Any
    observations: Any
    updates: jax.Array


class Policy(NamedTuple):
    """What acting reads."""

    actor: Any
    moments: Any
    observations: Any


def _build(config: DDPG, spec: EnvSpec) -> Agent:
    require_continuous(spec, "ddpg")
    n, m = spec.observation_dim, spec.action_dim
    optimiser = optax.adam(config.learning_rate)
    # Not by a batch's moments: those of policies' actions are not those of replayed ones.  Lillicrap et al. 2016, section 3.
    behind_actions = "none" if config.normalisation == "batch" else config.normalisation

    def init(key) -> DDPGState:
        keys = jax.random.split(key, 4)
        actor = networks.init_network(keys[:2], (n, *config.hidden, m), config.normalisation)
        critic = networks.init_network(keys[2:], (n + m, *config.hidden, 1), behind_actions)
        moments = networks.init_moments(actor[:-1])
        target = jax.tree.map(jnp.copy, {"actor": actor, "critic": critic})
        optimisers = optimiser.init(actor), optimiser.init(critic)
        return DDPGState(actor, critic, moments, target, *optimisers, normalise.init(n), jnp.zeros((), jnp.int32))

    def see(observations, x):
        return normalise.apply(observations, x) if config.observation_normalisation else x

    def mu(actor, moments, x, training=False):
        """μ(x) [..., m], in [-1, 1] by tanh, and the moments used."""
        out, used = networks.forward(actor, moments, x, config.normalisation, training)
        return out.__array_namespace__().tanh(out), used

    def q(critic, x, u):
        """Q(x, u) [...]."""
        unread = [None] * len(config.hidden)
        return networks.forward(critic, unread, jnp.concatenate([x, u], axis=-1), behind_actions)[0][..., 0]

    # Lillicrap et al. 2016, Alg. 1: y = r + γ Q'(x', μ'(x')), L = mean (y - Q(x, u))²
    def critic_loss(critic, moments, target, batch: Transition, x, x_next):
        u_next, _ = mu(target["actor"], moments, x_next, training=True)
        discount_t = config.discount * batch.discount
        y = jax.lax.stop_gradient(config.reward_scale * batch.reward + discount_t * q(target["critic"], x_next, u_next))
        value = q(critic, x, batch.action)
        return jnp.mean((y - value) ** 2), jnp.mean(value)

    # Lillicrap et al. 2016, eq. 6: ∇J = mean ∇_u Q(x, u)|u=μ(x) ∇_θ μ(x)
    def actor_loss(actor, critic, moments, x):
        u, used = mu(actor, moments, x, training=True)
        return -jnp.mean(q(critic, x, u)), used

    def step(gradient, opt_state, params):
        change, opt_state = optimiser.update(gradient, opt_state, params)
        return optax.apply_updates(params, change), opt_state

    def update_once(state: DDPGState, batch: Transition):
        observations = state.observations
        if config.observation_normalisation:
            observations = normalise.update(observations, batch.observation)
        x, x_next = see(observations, batch.observation), see(observations, batch.next_observation)

        (error, value), gradient = jax.value_and_grad(critic_loss, has_aux=True)(
            state.critic, state.moments, state.target, batch, x, x_next
        )
        critic, critic_optimiser = step(gradient, state.critic_optimiser, state.critic)
        (_, used), gradient = jax.value_and_grad(actor_loss, has_aux=True)(state.actor, critic, state.moments, x)
        actor, actor_optimiser = step(gradient, state.actor_optimiser, state.actor)

        moments = networks.move_towards(state.moments, used, networks.MOMENTS_RATE)
        target = networks.move_towards(state.target, {"actor": actor, "critic": critic}, config.target_rate)
        new = DDPGState(
            actor, critic, moments, target, actor_optimiser, critic_optimiser, observations, state.updates + 1
        )
        return new, {"loss": error, "q_mean": value}

    def update(state: DDPGState, batches: Transition, key=None):
        """Return the state after I minibatches [I, B, ...] in order, and the mean of each metric."""
        del key  # the update draws nothing
        state, metrics = jax.lax.scan(update_once, state, batches)
        return state, jax.tree.map(jnp.mean, metrics)

    def diagnose(state: DDPGState, batch: Transition):
        x = see(state.observations, batch.observation)
        u, _ = mu(state.actor, state.moments, x)
        value = q(state.critic, x, u)
        return {"value_mean": jnp.mean(value), "mean_saturated": jnp.mean(jnp.abs(u) > 0.97)}

    def policy(state: DDPGState) -> Policy:
        seen = state.observations if config.observation_normalisation else None
        return Policy(state.actor, state.moments, seen)

    def greedy(policy: Policy, observation):
        """μ(x)."""
        return mu(policy.actor, policy.moments, see(policy.observations, observation))[0]

    begin, act, explore = acting(config.noise, config.noise_scale, m, policy, greedy)
    return Agent(spec, config.requirements, init, begin, act, update, diagnose, policy, greedy, explore)
