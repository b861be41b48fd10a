"""PPO: proximal policy optimisation with generalised advantages.  Schulman et al. 2017 (arXiv 1707.06347), Algorithm 1.

The policy (a Gaussian around a network's mean) gathers T steps in each of E environments.  Then it climbs a surrogate of
the return in several passes over them.  The surrogate is clipped so that nothing is gained by moving the policy far.
PPO is on-policy: nothing older than the last rollout is ever used.  So imagination cannot be used with it.

Differences (ours / the paper's):
 1. Executed actions are clipped to the bounds.  Their probability is that of clipped actions
    (`bounded_gaussian.clipped_log_density`) / a Gaussian's density (implementations take it of the unclipped draw).
 2. Advantages are standardised in each minibatch, gradients clipped in norm, Adam's ε is 1e-5, weights start orthogonal
    and the mean's output small / not said (the authors' code does so).
 3. Separate networks for policy and value; no annealing of step size and clip range / the same on MuJoCo, annealed on Atari.
 4. Behind a time-out the true successor's value is bootstrapped, within the rollout too / not said.
 5. Observations are standardised with moments from before the rollout / not said.
 6. Environments take turns, step by step, in one process / in parallel.
"""

import dataclasses
import functools
from typing import Any, NamedTuple, Self, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Float, Int

from reverie.algorithms import updates
from reverie.algorithms.acting import drawing
from reverie.algorithms.hyperparameters import AlgorithmSettings
from reverie.core.agent import Agent, DataRequirements, Metrics, built_once, require_continuous
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.core.types import Transition
from reverie.maths import bounded_gaussian, networks, normalise, returns
from reverie.maths.array_types import Array
from reverie.maths.networks import Layers

# Difference 2: what the authors' code has and the paper does not print.
ADAM_EPSILON = 1e-5
HIDDEN_GAIN, MEAN_GAIN = 2.0**0.5, 0.01  # of orthogonal weights
LEAST_STD = 1e-8  # added to the standard deviation of advantages, which may be 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPO(AlgorithmSettings):
    """Settings of PPO.  `build(spec)` returns its pure functions."""

    learning_rate: float = 3e-4
    hidden: tuple[int, ...] = (64, 64)
    rollout: int = 2048
    """T: real steps of each environment to one update."""
    worlds: int = 1
    """E: environments that take turns; episodes of several are less alike than as many of one."""
    epochs: int = 10
    """Passes over a rollout."""
    batch_size: int = 64
    """Transitions in one minibatch."""
    trace: float = 0.95
    """λ of the generalised advantages."""
    clip: float = 0.2
    """ε: the probability ratio gains nothing beyond 1 ± ε."""
    value_weight: float = 0.5
    """c_1: weight of the value's squared error."""
    entropy_weight: float = 0.0
    """c_2: weight of the policy's entropy."""
    gradient_norm: float = 0.5
    """Greatest norm of a gradient, over all parameters."""
    std: float = 1.0
    """σ of the policy to begin with, where actions span [-1, 1]."""

    name = "ppo"

    def __post_init__(self):
        super().__post_init__()
        self.require(rollout=1, worlds=1, epochs=1, batch_size=1, value_weight=0, entropy_weight=0)
        self.require_positive("clip", "gradient_norm", "std")
        self.require_share("trace", zero=True)
        if self.rollout * self.worlds % self.batch_size:
            raise ConfigError(
                f"batch_size is {self.batch_size}; it must divide rollout times worlds, {self.rollout * self.worlds}"
            )

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """Return the paper's settings for MuJoCo (its table 3), which the defaults are."""
        return cls(**changes)

    @property
    def requirements(self) -> DataRequirements:
        """What training needs to know of these settings."""
        updates = self.epochs * (self.rollout * self.worlds // self.batch_size)
        size = self.rollout * self.worlds
        return DataRequirements(
            self.batch_size, updates, 0, size, "step", self.rollout, self.worlds, **self._for_checks
        )

    def build(self, spec: EnvSpec) -> Agent:
        """Return PPO's pure functions for an environment of `spec`."""
        require_continuous(spec, "ppo")
        return _build(self.for_spec(spec), spec)


class Params(TypedDict):
    """Networks of the policy's mean and of the value, and the policy's log σ."""

    mean: Layers
    value: Layers
    log_std: Float[Array, "m"]


class PPOState(NamedTuple):
    """Everything PPO has learnt, and all it needs to go on."""

    params: Params
    optimiser: optax.OptState
    observations: normalise.Moments  # untouched where observations are not normalised
    updates: Int[Array, ""]


class Policy(NamedTuple):
    """What acting reads."""

    mean: Layers
    log_std: Float[Array, "m"]
    observations: normalise.Moments | None  # None where observations are not normalised


class RolloutSamples(NamedTuple):
    """What a pass reads of the rollout."""

    x: Float[Array, "N n"]
    action: Float[Array, "N m"]
    log_density: Float[Array, "N"]  # under the policy that acted
    advantage: Float[Array, "N"]
    returns: Float[Array, "N"]


# ---- the networks


def value(params: Params, x: Float[Array, "*b n"]) -> Float[Array, "*b"]:
    """Return V(x) [...] of x [..., n]."""
    return networks.tanh_network(params["value"], x)[..., 0]


def log_density(params: Params, x: Float[Array, "*b n"], action: Float[Array, "*b m"]) -> Float[Array, "*b"]:
    """Return log π(u|x) [...] of x [..., n] and clipped actions u [..., m].  Difference 1."""
    return bounded_gaussian.clipped_log_density(networks.tanh_network(params["mean"], x), params["log_std"], action)


# ---- the update.  Schulman et al. 2017, Algorithm 1


def goes_on(rollout: Transition) -> Bool[Array, "T E"]:
    """Return [T, E], True where the next row begins where this one ended: the trajectory goes on there."""
    joined = jnp.all(rollout.observation[1:] == rollout.next_observation[:-1], axis=-1)
    return jnp.concatenate([joined, jnp.zeros_like(joined, shape=(1, *joined.shape[1:]))])


def rollout_samples(
    config: PPO, params: Params, observations: normalise.Moments, rollout: Transition
) -> RolloutSamples:
    """Return what passes read of a rollout [T, E, ...], flat [T·E, ...]: advantages are those of Schulman et al. 2016, eq. 16.

    params: of the policy that acted.  observations: moments from before the rollout.
    """
    moments = updates.moments_in_use(observations, config.normalised_size)
    x, x_next = (updates.normalise_observation(moments, o) for o in (rollout.observation, rollout.next_observation))
    values = value(params, x)
    advantages = returns.gae(
        config.fixed_reward_scale * rollout.reward,
        config.discount_factor * rollout.discount,
        values,
        value(params, x_next),
        goes_on(rollout),
        config.trace,
    )
    density = log_density(params, x, rollout.action)
    samples = RolloutSamples(x, rollout.action, density, advantages, advantages + values)
    return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:]), samples)


def standardised(advantage: Float[Array, "B"]) -> Float[Array, "B"]:
    """Return advantages [B] less their mean, over their standard deviation.  Difference 2."""
    return (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + LEAST_STD)


def clipped_surrogate(ratio: Float[Array, "B"], advantage: Float[Array, "B"], clip: float) -> Float[Array, ""]:
    """Return L^CLIP = mean min(ρ A, clip(ρ, 1 - ε, 1 + ε) A), of ρ = π(u|x)/π_old(u|x) [B] and A [B].  Eq. 7."""
    clipped = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    return jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))


def value_loss(params: Params, x: Float[Array, "B n"], goal: Float[Array, "B"]) -> Float[Array, ""]:
    """Return L^VF = mean (R - V(x))², of x [B, n] and returns R [B].  Below eq. 9."""
    return jnp.mean((goal - value(params, x)) ** 2)


def loss(
    params: Params, batch: RolloutSamples, clip: float, value_weight: float, entropy_weight: float
) -> tuple[Float[Array, ""], Metrics]:
    """Return -(L^CLIP - c_1 L^VF + c_2 S), and besides metrics.  Eq. 9."""
    advantage = standardised(batch.advantage)
    log_ratio = log_density(params, batch.x, batch.action) - batch.log_density
    ratio = jnp.exp(log_ratio)
    surrogate = clipped_surrogate(ratio, advantage, clip)
    error = value_loss(params, batch.x, batch.returns)
    entropy = bounded_gaussian.entropy(params["log_std"])
    whole = -surrogate + value_weight * error - entropy_weight * entropy
    metrics = {
        "loss": error,
        "surrogate": surrogate,
        "entropy": entropy,
        "clipped": jnp.mean(jnp.abs(ratio - 1.0) > clip),
        "kl": jnp.mean(ratio - 1.0 - log_ratio),  # an unbiased, positive estimate of KL(old, new)
    }
    return whole, metrics


def minibatch_order(key: Array, size: int, batch_size: int, epochs: int) -> Int[Array, "I B"]:
    """Return the rows of each minibatch [epochs · size/batch_size, batch_size]: every pass in an order of its own."""
    count = size // batch_size

    def shuffled(key: Array) -> Int[Array, "minibatches B"]:
        return jax.random.permutation(key, size)[: count * batch_size].reshape(count, batch_size)

    return jax.vmap(shuffled)(jax.random.split(key, epochs)).reshape(-1, batch_size)


def _update(
    config: PPO, optimiser: optax.GradientTransformation, state: PPOState, rollout: Transition, key: Array
) -> tuple[PPOState, Metrics]:
    samples = rollout_samples(config, state.params, state.observations, rollout)

    def step(
        carry: tuple[Params, optax.OptState], rows: Int[Array, "B"]
    ) -> tuple[tuple[Params, optax.OptState], Metrics]:
        part = jax.tree.map(lambda part: part[rows], samples)
        weights = (config.clip, config.value_weight, config.entropy_weight)
        params, opt_state, _, metrics = updates.gradient_step(loss, optimiser, *carry, part, *weights)
        return (params, opt_state), metrics

    order = minibatch_order(key, samples.advantage.shape[0], config.batch_size, config.epochs)
    (params, opt_state), metrics = updates.over_minibatches(step, (state.params, state.optimiser), order)
    observations = state.observations
    if config.observation_normalisation:
        observations = normalise.update(observations, rollout.observation.reshape(-1, rollout.observation.shape[-1]))
    metrics |= {"q_mean": jnp.mean(samples.returns)}
    return PPOState(params, opt_state, observations, state.updates + len(order)), metrics


def diagnose(config: PPO, state: PPOState, batch: Transition) -> Metrics:
    """Return mean V, mean σ and the share of means beyond the bounds, at states of `batch`."""
    moments = updates.moments_in_use(state.observations, config.normalised_size)
    x = updates.normalise_observation(moments, batch.observation)
    mean = networks.tanh_network(state.params["mean"], x)
    return {
        "value_mean": jnp.mean(value(state.params, x)),
        "std_mean": jnp.mean(jnp.exp(state.params["log_std"])),
        "mean_saturated": jnp.mean(jnp.abs(mean) > 1.0),
    }


# ---- the agent


def _init(config: PPO, optimiser: optax.GradientTransformation, n: int, m: int, key: Array) -> PPOState:
    keys = jax.random.split(key, 4)

    def network(k_layers: jax.Array, k_out: jax.Array, outputs: int, gain: float) -> Layers:
        layers = networks.init_orthogonal(k_layers, (n, *config.hidden), HIDDEN_GAIN)
        return [*layers, *networks.init_orthogonal(k_out, ((n, *config.hidden)[-1], outputs), gain)]

    params: Any = {  # Params; optax knows no typed dicts
        "mean": network(keys[0], keys[1], m, MEAN_GAIN),
        "value": network(keys[2], keys[3], 1, 1.0),
        "log_std": jnp.full(m, np.log(config.std), jnp.float32),
    }
    return PPOState(params, optimiser.init(params), normalise.init(n), jnp.zeros((), jnp.int32))


@built_once
def _build(config: PPO, spec: EnvSpec) -> Agent:
    adam = optax.adam(config.learning_rate, eps=ADAM_EPSILON)
    optimiser = optax.chain(optax.clip_by_global_norm(config.gradient_norm), adam)

    def init(key: Array) -> PPOState:
        return _init(config, optimiser, spec.observation_dim, spec.action_dim, key)

    def update(state: PPOState, rollout: Transition, key: Array) -> tuple[PPOState, Metrics]:
        """Return the state after `epochs` passes over a rollout [T, E, ...] in time, and the mean of each metric."""
        return _update(config, optimiser, state, rollout, key)

    def policy(state: PPOState) -> Policy:
        seen = updates.moments_in_use(state.observations, config.normalised_size)
        return Policy(state.params["mean"], state.params["log_std"], seen)

    def act_with(
        policy: Policy, observation: Float[Array, "*b n"], noise: Float[Array, "*b m"] | float
    ) -> Float[Array, "*b m"]:
        x = updates.normalise_observation(policy.observations, observation)
        mean = networks.tanh_network(policy.mean, x)
        return (mean + mean.__array_namespace__().exp(policy.log_std) * noise).clip(-1.0, 1.0)

    def greedy(policy: Policy, observation: Float[Array, "*b n"]) -> Float[Array, "*b m"]:
        """Return the policy's mean, clipped."""
        return act_with(policy, observation, 0.0)

    begin, act, explore = drawing(spec.action_dim, policy, act_with)
    diagnosis = functools.partial(diagnose, config)
    return Agent(spec, config.requirements, init, begin, act, update, diagnosis, policy, greedy, explore)
