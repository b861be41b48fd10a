"""SAC: soft actor-critic with twin critics and a learnt temperature.  Haarnoja et al. 2018b (arXiv 1812.05905), Algorithm 1.

Two critics Q_i(x, u) learn the return plus α times the policy's entropy; the policy, a Gaussian squashed by tanh, climbs
the lesser of the two plus α times its own entropy; α is moved so that the entropy stays near a target.

Differences (ours / the paper's):
 1. On each minibatch the critics' step comes first, then the actor's, then the temperature's.  Each uses what the steps
    before it left, but all three use the temperature from before the minibatch / not said.
 2. log σ is clipped to [-20, 2] / not said there (the authors' code does so).
 3. The first `warmup_steps` actions are uniform / not mentioned.
 4. `updates_per_step` is 1 by default / 1; I of the other algorithms here is 5.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Float

from reverie.algorithms import soft_actor_critic, updates
from reverie.algorithms.acting import ActorPolicy
from reverie.algorithms.hyperparameters import OffPolicySettings
from reverie.algorithms.soft_actor_critic import LayerMoments, State, update_temperature
from reverie.core.agent import Agent, Metrics, built_once, require_continuous
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from reverie.maths import bounded_gaussian, networks
from reverie.maths.array_types import Array
from reverie.maths.networks import Layers, Moments, Normalisation

LOG_STD = (-20.0, 2.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SAC(OffPolicySettings):
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
        """Return SAC's pure functions for an environment of `spec`."""
        require_continuous(spec, "sac")
        return _build(self.for_spec(spec), spec)


# ---- the networks


def gaussian(
    actor: Layers,
    moments: Sequence[Moments],
    x: Float[Array, "*b n"],
    normalisation: Normalisation,
    training: bool = False,
) -> tuple[Float[Array, "*b m"], Float[Array, "*b m"], Sequence[Moments]]:
    """Return (mean [..., m], log σ [..., m], the moments used) of the policy before tanh.

    x: [..., n].  training: normalise by the minibatch's own moments.
    """
    out, used = networks.forward(actor, moments, x, normalisation, training)
    return *soft_actor_critic.mean_and_log_std(out, LOG_STD), used


def sample_action(
    actor: Layers,
    moments: Sequence[Moments],
    x: Float[Array, "*b n"],
    key: Array,
    normalisation: Normalisation,
    training: bool = False,
) -> tuple[Float[Array, "*b m"], Float[Array, "*b"], Sequence[Moments]]:
    """Return (u = tanh(mean + σ ε) [..., m], log π(u|x) [...], the moments used).  Appendix C; ε is drawn from `key`."""
    mean, log_std, used = gaussian(actor, moments, x, normalisation, training)
    u, log_density = bounded_gaussian.sample(mean, log_std, jax.random.normal(key, mean.shape, mean.dtype))
    return u, log_density, used


def q_values(
    critics: Sequence[Layers],
    moments: Sequence[Sequence[Moments]],
    x: Float[Array, "*b n"],
    u: Float[Array, "*b m"],
    normalisation: Normalisation,
    training: bool = False,
) -> tuple[list[Float[Array, "*b"]], Sequence[Sequence[Moments]]]:
    """Return ([Q_1(x, u), Q_2(x, u)], each [...], and the moments used) of x [..., n] and u [..., m]."""
    both = jnp.concatenate([x, u], axis=-1)
    pairs = zip(critics, moments, strict=True)
    outs = [networks.forward(critic, running, both, normalisation, training) for critic, running in pairs]
    return [out[..., 0] for out, _ in outs], [used for _, used in outs]


# ---- the update.  Haarnoja et al. 2018b, Algorithm 1


def soft_value(
    actor: Layers,
    target: Sequence[Layers],
    moments: LayerMoments,
    temperature: Float[ArrayLike, ""],
    x: Float[Array, "B n"],
    key: Array,
    normalisation: Normalisation,
) -> Float[Array, "B"]:
    """Return min_i Q'_i(x, u) - α log π(u|x) [B] with u ~ π(x), by the target critics.  Eq. 3.

    moments: {"actor": …, "critics": …}, as in the state.  temperature: α [].  x: [B, n].
    """
    u, log_density, _ = sample_action(actor, moments["actor"], x, key, normalisation)
    (one, two), _ = q_values(target, moments["critics"], x, u, normalisation, training=True)
    return jnp.minimum(one, two) - temperature * log_density


def critic_loss(
    critics: Sequence[Layers],
    moments: Sequence[Sequence[Moments]],
    x: Float[Array, "B n"],
    action: Float[Array, "B m"],
    y: Float[Array, "B"],
    normalisation: Normalisation,
) -> tuple[Float[Array, ""], tuple[Sequence[Sequence[Moments]], Float[Array, ""]]]:
    """Return Σ_i ½ mean (y - Q_i(x, u))², and besides (moments used, mean Q_1).  Eq. 5.

    moments: the critics'.  x: [B, n].  action: [B, m], in [-1, 1].  y: r + γ V'(x') [B], of eq. 6.
    """
    values, used = q_values(critics, moments, x, action, normalisation, training=True)
    errors: Any = sum(jnp.mean((y - value) ** 2) for value in values)
    return 0.5 * errors, (used, jnp.mean(values[0]))


def actor_loss(
    actor: Layers,
    critics: Sequence[Layers],
    moments: LayerMoments,
    temperature: Float[ArrayLike, ""],
    x: Float[Array, "B n"],
    key: Array,
    normalisation: Normalisation,
) -> tuple[Float[Array, ""], tuple[Sequence[Moments], Float[Array, ""]]]:
    """Return mean [α log π(u|x) - min_i Q_i(x, u)], u = tanh(mean + σ ε).  Eq. 9.

    Besides (moments used, mean log π).  moments, temperature, x: as in `soft_value`.
    """
    u, log_density, used = sample_action(actor, moments["actor"], x, key, normalisation, training=True)
    (one, two), _ = q_values(critics, moments["critics"], x, u, normalisation)
    return jnp.mean(temperature * log_density - jnp.minimum(one, two)), (used, jnp.mean(log_density))


def update_critics(
    optimiser: optax.GradientTransformation,
    state: State,
    x: Float[Array, "B n"],
    action: Float[Array, "B m"],
    y: Float[Array, "B"],
    normalisation: Normalisation,
) -> tuple[Sequence[Layers], optax.OptState, Float[Array, ""], tuple[Sequence[Sequence[Moments]], Float[Array, ""]]]:
    """Return (critics, their optimiser's state, loss, (moments used, mean Q_1)) after one step down `critic_loss`."""
    given = (state.moments["critics"], x, action, y, normalisation)
    return updates.gradient_step(critic_loss, optimiser, state.critics, state.optimisers[1], *given)


def update_actor(
    optimiser: optax.GradientTransformation,
    state: State,
    critics: Sequence[Layers],
    x: Float[Array, "B n"],
    key: Array,
    normalisation: Normalisation,
) -> tuple[Layers, optax.OptState, Float[Array, ""], tuple[Sequence[Moments], Float[Array, ""]]]:
    """Return (actor, its optimiser's state, loss, (moments used, mean log π)) after one step down `actor_loss`.

    By the critics given, and the temperature of the state.
    """
    given = (critics, state.moments, jnp.exp(state.log_temperature), x, key, normalisation)
    return updates.gradient_step(actor_loss, optimiser, state.actor, state.optimisers[0], *given)


def update_once(
    config: SAC,
    optimiser: optax.GradientTransformation,
    target_entropy: float,
    state: State,
    given: tuple[Transition, Array],
) -> tuple[State, Metrics]:
    """Return (state, metrics) after one minibatch: the gradient step of Algorithm 1.

    target_entropy: nats, of all actuators together.  given: (Transition [B, ...], key).
    """
    batch, key = given
    k_next, k_actor = jax.random.split(key)
    kind, temperature = config.normalisation, jnp.exp(state.log_temperature)
    observations, x, x_next = updates.normalise_batch(state.observations, batch, config.normalised_size)
    after = soft_value(state.actor, state.target, state.moments, temperature, x_next, k_next, kind)
    y = updates.td_target(batch, after, config.discount_factor, config.fixed_reward_scale)

    critics, opt_critics, error, (used_critics, q_mean) = update_critics(optimiser, state, x, batch.action, y, kind)
    actor, opt_actor, _, (used_actor, log_density) = update_actor(optimiser, state, critics, x, k_actor, kind)
    log_temperature, opt_temperature = state.log_temperature, state.optimisers[2]
    if config.learn_temperature:
        log_temperature, opt_temperature = update_temperature(
            optimiser, log_temperature, opt_temperature, log_density, target_entropy
        )
    used: LayerMoments = {"actor": used_actor, "critics": used_critics}
    moments = networks.move_towards(state.moments, used, networks.MOMENTS_RATE)
    target = networks.move_towards(state.target, critics, config.target_rate)
    optimisers = opt_actor, opt_critics, opt_temperature
    new = State(actor, critics, log_temperature, moments, target, optimisers, observations, state.updates + 1)
    return new, {"loss": error, "q_mean": q_mean, "entropy": -log_density, "temperature": temperature}


def diagnose(config: SAC, state: State, batch: Transition) -> Metrics:
    """Return the lesser Q, how far the critics lie apart, mean σ and the share of saturated means, at states of `batch`."""
    running = updates.moments_in_use(state.observations, config.normalised_size)
    x, kind = updates.normalise_observation(running, batch.observation), config.normalisation
    mean, log_std, _ = gaussian(state.actor, state.moments["actor"], x, kind)
    (one, two), _ = q_values(state.critics, state.moments["critics"], x, jnp.tanh(mean), kind)
    return soft_actor_critic.diagnosis(mean, log_std, one, two)


# ---- the agent


def _init(config: SAC, optimiser: optax.GradientTransformation, n: int, m: int, key: Array) -> State:
    k_actor, *k_critics = jax.random.split(key, 3)

    def network(key: Array, inputs: int, outputs: int) -> Layers:
        sizes = (inputs, *config.hidden, outputs)
        return networks.init_network(jax.random.split(key), sizes, config.normalisation, small=False)

    actor, critics = network(k_actor, n, 2 * m), [network(k, n + m, 1) for k in k_critics]
    return soft_actor_critic.first_state(actor, critics, config.temperature, optimiser, n)


@built_once
def _build(config: SAC, spec: EnvSpec) -> Agent:
    n, m = spec.observation_dim, spec.action_dim
    optimiser = optax.adam(config.learning_rate)

    def gaussian_of(policy: ActorPolicy, x: Float[Array, "*b n"]) -> tuple[Float[Array, "*b m"], Float[Array, "*b m"]]:
        mean, log_std, _ = gaussian(policy.actor, policy.moments, x, config.normalisation)
        return mean, log_std

    init = functools.partial(_init, config, optimiser, n, m)
    one = functools.partial(update_once, config, optimiser, config.target_entropy * m)
    return soft_actor_critic.agent_of(config, spec, init, one, gaussian_of, functools.partial(diagnose, config))
