"""XQC: SAC with batch-normalised networks of unit weights, and critics that learn distributions.  Palenicek et al. 2026.

*XQC: Well-conditioned Optimization Accelerates Deep Reinforcement Learning* (arXiv 2509.25174).  Twin critics give
probabilities of atoms z_k between -`value_limit` and `value_limit`, and learn by cross-entropy.  Their minibatch holds
(x, u) and (x', u') together, so that batch normalisation sees old and new actions, as in CrossQ (Bhatt et al. 2024,
arXiv 1902.05605).  Policy and temperature are SAC's.

Letters: K atoms, d = n + m, and C = 2B rows of a joint minibatch.

Differences (ours / the paper's):
 1. The learning rate stays / falls linearly to a tenth over the run, whose length an agent here does not know.
 2. The first 200 actions are uniform / 5,000, which costs more real steps than many tasks here have (`XQC.paper()`).
 3. The temperature's gradient is that of log α, as in SAC here / of α.
 4. The actor's head is drawn as one orthogonal matrix / one for the mean and one for log σ.
 5. The normalisation of inputs has no shift / has one, which the next normalisation cancels.
 6. Where episodes have no limit, the discount is .99 / does not occur there.
 7. The returns whose spread scales rewards begin at an episode's first step / one step before, in the authors' code.
 8. A step that terminates and is truncated counts as terminated / as truncated, in the authors' code.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Float

from reverie.algorithms import soft_actor_critic, updates
from reverie.algorithms.acting import ActorPolicy
from reverie.algorithms.hyperparameters import ReplaySettings
from reverie.algorithms.soft_actor_critic import State
from reverie.core.agent import Agent, Metrics, built_once, require_continuous
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.core.types import Transition
from reverie.core.words import number
from reverie.maths import bounded_gaussian, categorical, networks, unit_networks
from reverie.maths.array_types import Array
from reverie.maths.networks import Layers, Moments

LOG_STD = (-10.0, 2.0)
MOST_ATOMS = 1000  # the projection's cost grows with their square
MOST_DELAY = 10**9  # minibatches are counted in int32
MOST_VALUE = 1e12  # and its inverse the least: atoms and targets are float32


@dataclasses.dataclass(frozen=True, kw_only=True)
class XQC(ReplaySettings):
    """Settings of XQC.  `build(spec)` returns its pure functions."""

    learning_rate: float = 3e-4
    discount: float | Literal["auto"] = "auto"
    batch_size: int = 256
    hidden: tuple[int, ...] = (512, 512, 512, 512)
    """Units of each hidden layer of the critics."""
    actor_hidden: tuple[int, ...] = (256, 256, 256, 256)
    """Units of each hidden layer of the actor."""
    updates_per_step: int = 2
    reward_scale: float | Literal["auto"] = "auto"
    policy_delay: int = 3
    """Minibatches of the critics for each one of the actor and the temperature."""
    atoms: int = 101
    """Values that the critics give probabilities to, at equal distances."""
    value_limit: float = 5.0
    """The largest of these values, and the negative of the least; values are those of scaled rewards."""
    target_entropy: float = -0.5
    """Nats per actuator that the policy's entropy is held at, where actions span [-1, 1]."""
    temperature: float = 0.01
    """α to begin with."""
    learn_temperature: bool = True
    """False: α stays."""

    name = "xqc"

    def __post_init__(self):
        super().__post_init__()
        self.require_positive("temperature", "value_limit")
        self.require(policy_delay=1, atoms=2, batch_size=2, value_limit=1.0 / MOST_VALUE)  # one row has no variance
        for name, most in (("policy_delay", MOST_DELAY), ("atoms", MOST_ATOMS), ("value_limit", MOST_VALUE)):
            if getattr(self, name) > most:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at most {number(most)}")
        if any(units < 1 for units in self.actor_hidden):
            raise ConfigError(f"actor_hidden is {self.actor_hidden}; every layer needs at least 1 unit")

    @property
    def _for_checks(self) -> dict[str, Any]:
        return super()._for_checks | {"observation_normalisation": True}  # the networks do it in any case

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """Return the paper's settings: the defaults, and 5,000 uniform actions at first.  `changes` override."""
        printed: dict[str, Any] = {"warmup_steps": 5_000}
        return cls(**{**printed, **changes})

    @property
    def support(self) -> Float[np.ndarray, "K"]:
        """The atoms z_k, rising."""
        return np.linspace(-self.value_limit, self.value_limit, self.atoms, dtype=np.float32)

    def build(self, spec: EnvSpec) -> Agent:
        """Return XQC's pure functions for an environment of `spec`."""
        require_continuous(spec, "xqc")
        return _build(self.for_spec(spec), spec)


# ---- the networks


def gaussian(
    actor: Layers, x: Float[Array, "*b n"], moments: Sequence[Moments] | None = None
) -> tuple[Float[Array, "*b m"], Float[Array, "*b m"], Sequence[Moments]]:
    """Return (mean [..., m], log σ [..., m], the moments used) of the policy before tanh.

    x: [..., n].  moments: running ones; None: those of the minibatch.
    """
    out, used = unit_networks.forward(actor, x, moments)
    return *soft_actor_critic.mean_and_log_std(out, LOG_STD), used


def sample_action(
    actor: Layers, x: Float[Array, "*b n"], key: Array, moments: Sequence[Moments] | None = None
) -> tuple[Float[Array, "*b m"], Float[Array, "*b"], Sequence[Moments]]:
    """Return (u = tanh(mean + σ ε) [..., m], log π(u|x) [...], the moments used).  ε is drawn from `key`."""
    mean, log_std, used = gaussian(actor, x, moments)
    u, log_density = bounded_gaussian.sample(mean, log_std, jax.random.normal(key, mean.shape, mean.dtype))
    return u, log_density, used


def mean_values(
    critics: Sequence[Layers],
    moments: Sequence[Sequence[Moments]],
    x: Float[Array, "*b n"],
    u: Float[Array, "*b m"],
    atoms: Float[Array, "K"],
) -> list[Float[Array, "*b"]]:
    """Return [Q_1(x, u), Q_2(x, u)], each [...]: means of the critics' distributions, by running `moments`."""
    xu, pairs = jnp.concatenate([x, u], axis=-1), zip(critics, moments, strict=True)
    return [categorical.mean(unit_networks.forward(critic, xu, running)[0], atoms) for critic, running in pairs]


# ---- the update


def both_halves(
    x: Float[Array, "B n"], u: Float[Array, "B m"], x_next: Float[Array, "B n"], u_next: Float[Array, "B m"]
) -> Float[Array, "2*B n+m"]:
    """Return (x, u) [B, n + m] and below them (x', u'), the critics' minibatch."""
    return jnp.concatenate([jnp.concatenate([x, u], axis=-1), jnp.concatenate([x_next, u_next], axis=-1)])


def lesser_distribution(
    target: Sequence[Layers], joint: Float[Array, "C d"], atoms: Float[Array, "K"]
) -> Float[Array, "B K"]:
    """Return the probabilities of the atoms at (x', u'), by that target critic whose mean is less there.

    joint: [2B, n + m], as `both_halves` returns it.
    """
    one, two = (unit_networks.forward(critic, joint)[0][joint.shape[0] // 2 :] for critic in target)
    first = categorical.mean(one, atoms) <= categorical.mean(two, atoms)
    return jax.nn.softmax(jnp.where(first[:, None], one, two))


def target_distribution(
    batch: Transition,
    probabilities: Float[Array, "B K"],
    entropy_bonus: Float[Array, "B"],
    atoms: Float[Array, "K"],
    discount: float,
    reward_scale: float,
) -> tuple[Float[Array, "B K"], Float[Array, ""]]:
    """Return (the atoms' probabilities after y_k = c r + γ d (z_k - α log π(u'|x')), the share beyond the atoms' range).

    probabilities: at (x', u').  entropy_bonus: -α log π(u'|x').  discount: γ.  reward_scale: c.
    """
    after = discount * batch.discount[:, None] * (atoms + entropy_bonus[:, None])
    y = reward_scale * batch.reward[:, None] + after
    beyond = (y < atoms[0]) | (y > atoms[-1])
    return categorical.project(y, probabilities, atoms), jnp.mean(jnp.sum(probabilities * beyond, axis=-1))


def critic_loss(
    critics: Sequence[Layers], joint: Float[Array, "C d"], target: Float[Array, "B K"], atoms: Float[Array, "K"]
) -> tuple[Float[Array, ""], tuple[Sequence[Sequence[Moments]], Float[Array, ""]]]:
    """Return Σ_i mean cross-entropy of Q_i's distribution at (x, u) to the target, and besides (moments used, mean Q_1).

    joint: [2B, n + m].  Its second half counts through the moments alone.
    """
    found = [unit_networks.forward(critic, joint) for critic in critics]
    logits = [out[: target.shape[0]] for out, _ in found]
    errors: Any = sum(jnp.mean(categorical.cross_entropy(target, one)) for one in logits)
    return errors, ([used for _, used in found], jnp.mean(categorical.mean(logits[0], atoms)))


def actor_loss(
    actor: Layers,
    critics: Sequence[Layers],
    moments: Sequence[Sequence[Moments]],
    temperature: Float[ArrayLike, ""],
    x: Float[Array, "B n"],
    key: Array,
    atoms: Float[Array, "K"],
) -> tuple[Float[Array, ""], tuple[Sequence[Moments], Float[Array, ""]]]:
    """Return mean [α log π(u|x) - min_i Q_i(x, u)], u = tanh(mean + σ ε).  Haarnoja et al. 2018b, eq. 9.

    Besides (moments used, mean log π).  moments: running ones of the critics; the actor uses the minibatch's.
    """
    u, log_density, used = sample_action(actor, x, key)
    one, two = mean_values(critics, moments, x, u, atoms)
    return jnp.mean(temperature * log_density - jnp.minimum(one, two)), (used, jnp.mean(log_density))


def update_critics(
    config: XQC, optimiser: optax.GradientTransformation, state: State, batch: Transition, key: Array
) -> tuple[State, Metrics]:
    """Return (state, metrics) after one step of the critics, of their moments and of the target.

    batch: with observations that are standardised already, where they are to be.
    """
    atoms, temperature = jnp.asarray(config.support), jnp.exp(state.log_temperature)
    x, x_next = batch.observation, batch.next_observation
    u_next, log_density, _ = sample_action(state.actor, x_next, key, state.moments["actor"])
    joint = both_halves(x, batch.action, x_next, u_next)
    later = lesser_distribution(state.target, joint, atoms)
    given = config.discount_factor, config.fixed_reward_scale
    y, beyond = target_distribution(batch, later, -temperature * log_density, atoms, *given)

    critics, optimised, error, (used, q_mean) = updates.gradient_step(
        critic_loss, optimiser, state.critics, state.optimisers[1], joint, y, atoms
    )
    critics = [unit_networks.with_unit_columns(critic) for critic in critics]
    running = networks.move_towards(state.moments["critics"], used, networks.MOMENTS_RATE)
    state = state._replace(
        critics=critics,
        moments={"actor": state.moments["actor"], "critics": running},
        target=networks.move_towards(state.target, critics, config.target_rate),
        optimisers=(state.optimisers[0], optimised, state.optimisers[2]),
    )
    return state, {"loss": error, "q_mean": q_mean, "temperature": temperature, "target_beyond": beyond}


def update_actor(
    config: XQC,
    optimiser: optax.GradientTransformation,
    target_entropy: float,
    state: State,
    x: Float[Array, "B n"],
    key: Array,
) -> tuple[State, Float[Array, ""]]:
    """Return (state, mean log π(u|x)) after a step of the actor and of the temperature, if this minibatch has one.

    The actor's moments follow in every minibatch.  target_entropy: nats, of all actuators together.
    """
    atoms, temperature = jnp.asarray(config.support), jnp.exp(state.log_temperature)

    def step(state: State, key: Array) -> tuple[State, Sequence[Moments], Float[Array, ""]]:
        given = state.critics, state.moments["critics"], temperature, x, key, atoms
        actor, optimised, _, (used, log_density) = updates.gradient_step(
            actor_loss, optimiser, state.actor, state.optimisers[0], *given
        )
        alpha = state.log_temperature, state.optimisers[2]
        if config.learn_temperature:
            alpha = soft_actor_critic.update_temperature(optimiser, *alpha, log_density, target_entropy)
        state = state._replace(
            actor=unit_networks.with_unit_columns(actor),
            log_temperature=alpha[0],
            optimisers=(optimised, state.optimisers[1], alpha[1]),
        )
        return state, used, log_density

    def rest(state: State, key: Array) -> tuple[State, Sequence[Moments], Float[Array, ""]]:
        _, log_density, used = sample_action(state.actor, x, key)
        return state, used, jnp.mean(log_density)

    state, used, log_density = jax.lax.cond(state.updates % config.policy_delay == 0, step, rest, state, key)
    running = networks.move_towards(state.moments["actor"], used, networks.MOMENTS_RATE)
    return state._replace(moments={"actor": running, "critics": state.moments["critics"]}), log_density


def update_once(
    config: XQC,
    optimiser: optax.GradientTransformation,
    target_entropy: float,
    state: State,
    given: tuple[Transition, Array],
) -> tuple[State, Metrics]:
    """Return (state, metrics) after one minibatch: first the critics' step, then the actor's.

    target_entropy: nats, of all actuators together.  given: (Transition [B, ...], key).
    """
    batch, key = given
    k_next, k_actor = jax.random.split(key)
    observations, x, x_next = updates.normalise_batch(state.observations, batch, config.normalised_size)
    batch = batch._replace(observation=x, next_observation=x_next)
    state, metrics = update_critics(config, optimiser, state, batch, k_next)
    state, log_density = update_actor(config, optimiser, target_entropy, state, x, k_actor)
    state = state._replace(observations=observations, updates=state.updates + 1)
    return state, metrics | {"entropy": -log_density}


def diagnose(config: XQC, state: State, batch: Transition) -> Metrics:
    """Return the lesser Q, how far the critics lie apart, mean σ and the share of saturated means, at states of `batch`."""
    running = updates.moments_in_use(state.observations, config.normalised_size)
    x = updates.normalise_observation(running, batch.observation)
    mean, log_std, _ = gaussian(state.actor, x, state.moments["actor"])
    atoms = jnp.asarray(config.support)
    one, two = mean_values(state.critics, state.moments["critics"], x, jnp.tanh(mean), atoms)
    return soft_actor_critic.diagnosis(mean, log_std, one, two)


# ---- the agent


def _init(config: XQC, optimiser: optax.GradientTransformation, n: int, m: int, key: Array) -> State:
    k_actor, *k_critics = jax.random.split(key, 3)
    actor = unit_networks.init(k_actor, (n, *config.actor_hidden, 2 * m))
    critics = [unit_networks.init(k, (n + m, *config.hidden, config.atoms)) for k in k_critics]
    return soft_actor_critic.first_state(actor, critics, config.temperature, optimiser, n)


@built_once
def _build(config: XQC, spec: EnvSpec) -> Agent:
    n, m = spec.observation_dim, spec.action_dim
    optimiser = optax.adam(config.learning_rate)

    def gaussian_of(policy: ActorPolicy, x: Float[Array, "*b n"]) -> tuple[Float[Array, "*b m"], Float[Array, "*b m"]]:
        mean, log_std, _ = gaussian(policy.actor, x, policy.moments)
        return mean, log_std

    init = functools.partial(_init, config, optimiser, n, m)
    one = functools.partial(update_once, config, optimiser, config.target_entropy * m)
    return soft_actor_critic.agent_of(config, spec, init, one, gaussian_of, functools.partial(diagnose, config))
