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
import functools
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float, Int

from reverie.algorithms import updates
from reverie.algorithms.acting import ActorPolicy, acting
from reverie.algorithms.hyperparameters import DeterministicPolicySettings
from reverie.core.agent import Agent, Metrics, built_once, require_continuous
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.core.types import Transition
from reverie.maths import networks, normalise
from reverie.maths.array_types import Array
from reverie.maths.networks import Layers, Moments, Normalisation


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDPG(DeterministicPolicySettings):
    """Settings of DDPG.  `build(spec)` returns its pure functions."""

    name = "ddpg"

    def __post_init__(self):
        super().__post_init__()
        if self.shapes_noise:
            raise ConfigError(f"noise is {self.noise!r}; DDPG has no precision matrix: use 'ou' or 'gaussian'")

    def build(self, spec: EnvSpec) -> Agent:
        """Return DDPG's pure functions for an environment of `spec`."""
        require_continuous(spec, "ddpg")
        return _build(self.for_spec(spec), spec)


class Target(TypedDict):
    """The target networks."""

    actor: Layers
    critic: Layers


class DDPGState(NamedTuple):
    """Everything DDPG has learnt, and all it needs to go on."""

    actor: Layers  # the last linear
    critic: Layers
    moments: Sequence[Moments]  # of batch normalisation, per hidden layer of the actor
    target: Target
    actor_optimiser: optax.OptState
    critic_optimiser: optax.OptState
    observations: normalise.Moments  # untouched where observations are not normalised
    updates: Int[Array, ""]


# ---- the networks


def critic_normalisation(normalisation: Normalisation) -> Normalisation:
    """Return that of the critic's layers, which all come after the action: never a batch's moments.

    Those of policies' actions are not those of replayed ones.  Lillicrap et al. 2016, section 3.
    """
    return "none" if normalisation in ("batch", "batch_inputs") else normalisation


def mu(
    actor: Layers,
    moments: Sequence[Moments],
    x: Float[Array, "*b n"],
    normalisation: Normalisation,
    training: bool = False,
) -> tuple[Float[Array, "*b m"], Sequence[Moments]]:
    """Return (μ(x) [..., m], in [-1, 1] by tanh, the moments used).

    x: [..., n].  training: normalise by the minibatch's own moments.
    """
    out, used = networks.forward(actor, moments, x, normalisation, training)
    return out.__array_namespace__().tanh(out), used


def q_value(
    critic: Layers, x: Float[Array, "*b n"], u: Float[Array, "*b m"], normalisation: Normalisation
) -> Float[Array, "*b"]:
    """Return Q(x, u) [...], of x [..., n] and u [..., m]; normalisation: the critic's own."""
    unread = [None] * (len(critic) - 1)  # the critic has no running moments
    return networks.forward(critic, unread, jnp.concatenate([x, u], axis=-1), normalisation)[0][..., 0]


# ---- the update.  Lillicrap et al. 2016, Algorithm 1


def next_value(
    target: Target, moments: Sequence[Moments], x_next: Float[Array, "B n"], normalisation: Normalisation
) -> Float[Array, "B"]:
    """Return Q'(x', μ'(x')) [B], by the target networks.  Eq. 5, its second term."""
    u_next, _ = mu(target["actor"], moments, x_next, normalisation, training=True)
    return q_value(target["critic"], x_next, u_next, critic_normalisation(normalisation))


def critic_loss(
    critic: Layers,
    x: Float[Array, "B n"],
    action: Float[Array, "B m"],
    y: Float[Array, "B"],
    normalisation: Normalisation,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return mean (y - Q(x, u))², and besides mean Q.  Eq. 4.

    x: [B, n].  action: [B, m], in [-1, 1].  y: [B]; no gradient passes it.  normalisation: the critic's own.
    """
    q = q_value(critic, x, action, normalisation)
    return jnp.mean((jax.lax.stop_gradient(y) - q) ** 2), jnp.mean(q)


def actor_loss(
    actor: Layers, critic: Layers, moments: Sequence[Moments], x: Float[Array, "B n"], normalisation: Normalisation
) -> tuple[Float[Array, ""], Sequence[Moments]]:
    """Return -mean Q(x, μ(x)), and besides the moments used.  Its gradient is minus that of eq. 6."""
    u, used = mu(actor, moments, x, normalisation, training=True)
    return -jnp.mean(q_value(critic, x, u, critic_normalisation(normalisation))), used


def update_critic(
    optimiser: optax.GradientTransformation,
    state: DDPGState,
    x: Float[Array, "B n"],
    action: Float[Array, "B m"],
    y: Float[Array, "B"],
    normalisation: Normalisation,
) -> tuple[Layers, optax.OptState, Float[Array, ""], Float[Array, ""]]:
    """Return (critic, its optimiser's state, loss, mean Q) after one step down `critic_loss`."""
    given = (x, action, y, critic_normalisation(normalisation))
    return updates.gradient_step(critic_loss, optimiser, state.critic, state.critic_optimiser, *given)


def update_actor(
    optimiser: optax.GradientTransformation,
    state: DDPGState,
    critic: Layers,
    x: Float[Array, "B n"],
    normalisation: Normalisation,
) -> tuple[Layers, optax.OptState, Float[Array, ""], Sequence[Moments]]:
    """Return (actor, its optimiser's state, loss, moments used) after one step down `actor_loss`, by the critic given."""
    given = (critic, state.moments, x, normalisation)
    return updates.gradient_step(actor_loss, optimiser, state.actor, state.actor_optimiser, *given)


def update_once(
    config: DDPG, optimiser: optax.GradientTransformation, state: DDPGState, batch: Transition
) -> tuple[DDPGState, Metrics]:
    """Return (state, metrics) after one minibatch [B, ...]: the loop of Algorithm 1 without its acting."""
    kind = config.normalisation
    observations, x, x_next = updates.normalise_batch(state.observations, batch, config.normalised_size)
    after = next_value(state.target, state.moments, x_next, kind)
    y = updates.td_target(batch, after, config.discount_factor, config.fixed_reward_scale)
    critic, critic_optimiser, error, q_mean = update_critic(optimiser, state, x, batch.action, y, kind)
    actor, actor_optimiser, _, used = update_actor(optimiser, state, critic, x, kind)
    moments = networks.move_towards(state.moments, used, networks.MOMENTS_RATE)
    target = networks.move_towards(state.target, Target(actor=actor, critic=critic), config.target_rate)
    new = DDPGState(actor, critic, moments, target, actor_optimiser, critic_optimiser, observations, state.updates + 1)
    return new, {"loss": error, "q_mean": q_mean}


def diagnose(config: DDPG, state: DDPGState, batch: Transition) -> Metrics:
    """Return mean Q(x, μ(x)) and the share of saturated entries of μ, at states of `batch`."""
    moments = updates.moments_in_use(state.observations, config.normalised_size)
    x = updates.normalise_observation(moments, batch.observation)
    u, _ = mu(state.actor, state.moments, x, config.normalisation)
    value = q_value(state.critic, x, u, critic_normalisation(config.normalisation))
    return {"value_mean": jnp.mean(value), "mean_saturated": updates.saturated_share(u)}


# ---- the agent


def _init(config: DDPG, optimiser: optax.GradientTransformation, n: int, m: int, key: Array) -> DDPGState:
    keys, kind = jax.random.split(key, 4), config.normalisation
    actor = networks.init_network(keys[:2], (n, *config.hidden, m), kind)
    critic = networks.init_network(keys[2:], (n + m, *config.hidden, 1), critic_normalisation(kind))
    moments = networks.init_moments(actor[:-1])
    target = updates.target_copy(Target(actor=actor, critic=critic))
    optimisers = optimiser.init(actor), optimiser.init(critic)
    return DDPGState(actor, critic, moments, target, *optimisers, normalise.init(n), jnp.zeros((), jnp.int32))


@built_once
def _build(config: DDPG, spec: EnvSpec) -> Agent:
    optimiser = optax.adam(config.learning_rate)

    def init(key: Array) -> DDPGState:
        return _init(config, optimiser, spec.observation_dim, spec.action_dim, key)

    def update(state: DDPGState, batches: Transition, key: Array | None = None) -> tuple[DDPGState, Metrics]:
        """Return the state after I minibatches [I, B, ...] in order, and the mean of each metric."""
        del key  # the update draws nothing
        return updates.over_minibatches(functools.partial(update_once, config, optimiser), state, batches)

    def policy(state: DDPGState) -> ActorPolicy:
        seen = updates.moments_in_use(state.observations, config.normalised_size)
        return ActorPolicy(state.actor, state.moments, seen)

    def greedy(policy: ActorPolicy, observation: Float[Array, "*b n"]) -> Float[Array, "*b m"]:
        """μ(x)."""
        x = updates.normalise_observation(policy.observations, observation)
        return mu(policy.actor, policy.moments, x, config.normalisation)[0]

    begin, act, explore = acting(config.exploration, spec.action_dim, policy, greedy)
    diagnosis = functools.partial(diagnose, config)
    return Agent(spec, config.requirements, init, begin, act, update, diagnosis, policy, greedy, explore)
