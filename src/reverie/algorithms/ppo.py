"""PPO: proximal policy optimisation with generalised advantages.  Schulman et al. 2017 (arXiv 1707.06347), Algorithm 1.

The policy (a Gaussian around a network's mean) gathers T steps in each of E worlds, then climbs a surrogate of the return
in several passes over them; the surrogate is clipped so that nothing is gained by moving the policy far.  On-policy:
nothing older than the last rollout is ever used, which is why it takes no part in imagination.

Differences (ours / the paper's):
 1. Executed actions are clipped to the bounds and their probability is that of clipped ones, `squashed.clipped_log_density` /
    a Gaussian's density (implementations take it of the unclipped draw).
 2. Advantages are standardised in each minibatch, gradients clipped in norm, Adam's ε is 1e-5, weights start orthogonal
    and the mean's output small / not said (the authors' code does so).
 3. Separate networks for policy and value; no annealing of step size and clip range / the same on MuJoCo, annealed on Atari.
 4. Behind a time-out the true successor's value is bootstrapped, within the rollout too / not said.
 5. Observations are standardised with moments from before the rollout / not said.
 6. Worlds take turns, step by step, in one process / in parallel.
"""

import dataclasses
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reverie.algorithms.acting import drawing
from reverie.algorithms.settings import Learning
from reverie.core.agent import Agent, DataRequirements, require_continuous
from reverie.core.errors import ConfigError
from reverie.core.types import EnvSpec, Transition
from reverie.maths import networks, normalise, returns, squashed


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPO(Learning):
    """Settings of PPO.  `build(spec)` returns its pure functions."""

    learning_rate: float = 3e-4
    hidden: tuple[int, ...] = (64, 64)
    rollout: int = 2048
    """T: real steps of each world to one update."""
    worlds: int = 1
    """E: worlds that take turns; episodes of several are less alike than as many of one."""
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
        return DataRequirements(self.batch_size, updates, 0, size, "step", self.rollout, self.worlds, **self._judged)

    def build(self, spec: EnvSpec) -> Agent:
        """Return PPO's pure functions for a world of `spec`."""
        return _build(self, spec)


class PPOState(NamedTuple):
    """Everything PPO has learnt, and all it needs to go on."""

    params: Any  # mean, value: lists of layers; log_std [m]
    optimiser: Any
    observations: Any
    updates: jax.Array


class Policy(NamedTuple):
    """What acting reads."""

    mean: Any
    log_std: Any
    observations: Any


class Samples(NamedTuple):
    """What a pass reads of the rollout, [N, ...]."""

    x: Any
    action: Any
    log_density: Any  # under the policy that acted
    advantage: Any
    returns: Any


def _build(config: PPO, spec: EnvSpec) -> Agent:
    require_continuous(spec, "ppo")
    n, m = spec.observation_dim, spec.action_dim
    optimiser = optax.chain(optax.clip_by_global_norm(config.gradient_norm), optax.adam(config.learning_rate, eps=1e-5))

    def init(key) -> PPOState:
        keys = jax.random.split(key, 4)

        def network(k_layers, k_out, outputs, gain):
            layers = networks.init_orthogonal(k_layers, (n, *config.hidden), 2.0**0.5)
            return [*layers, *networks.init_orthogonal(k_out, ((n, *config.hidden)[-1], outputs), gain)]

        params = {
            "mean": network(keys[0], keys[1], m, 0.01),
            "value": network(keys[2], keys[3], 1, 1.0),
            "log_std": jnp.full(m, np.log(config.std), jnp.float32),
        }
        return PPOState(params, optimiser.init(params), normalise.init(n), jnp.zeros((), jnp.int32))

    def see(observations, x):
        return normalise.apply(observations, x) if config.observation_normalisation else x

    def value(params, x):
        """V(x) [...]."""
        return networks.tanh_network(params["value"], x)[..., 0]

    def log_density(params, x, action):
        """Log π(u|x) [...]."""
        return squashed.clipped_log_density(networks.tanh_network(params["mean"], x), params["log_std"], action)

    # Schulman et al. 2017, eqs 7 and 9
    def loss(params, batch: Samples):
        advantage = (batch.advantage - jnp.mean(batch.advantage)) / (jnp.std(batch.advantage) + 1e-8)
        log_ratio = log_density(params, batch.x, batch.action) - batch.log_density
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1.0 - config.clip, 1.0 + config.clip)
        surrogate = jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))
        error = jnp.mean((batch.returns - value(params, batch.x)) ** 2)
        entropy = squashed.entropy(params["log_std"])
        whole = -surrogate + config.value_weight * error - config.entropy_weight * entropy
        facts = {
            "loss": error,
            "surrogate": surrogate,
            "entropy": entropy,
            "clipped": jnp.mean(jnp.abs(ratio - 1.0) > config.clip),
            "kl": jnp.mean(ratio - 1.0 - log_ratio),  # an unbiased, positive estimate of KL(old, new)
        }
        return whole, facts

    def samples_of(params, observations, rollout: Transition) -> Samples:
        """Return what passes read of a rollout [T, E, ...], flat."""
        x, x_next = see(observations, rollout.observation), see(observations, rollout.next_observation)
        values = value(params, x)
        # A trajectory goes on where the next row begins where this one ended.
        joined = jnp.all(rollout.observation[1:] == rollout.next_observation[:-1], axis=-1)
        goes_on = jnp.concatenate([joined, jnp.zeros_like(joined, shape=(1, *joined.shape[1:]))])
        advantages = returns.gae(
            config.reward_scale * rollout.reward,
            config.discount * rollout.discount,
            values,
            value(params, x_next),
            goes_on,
            config.trace,
        )
        density = log_density(params, x, rollout.action)
        samples = Samples(x, rollout.action, density, advantages, advantages + values)
        return jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:]), samples)

    def update(state: PPOState, rollout: Transition, key):
        """Return the state after `epochs` passes over a rollout [T, E, ...] in time, and the mean of each metric."""
        samples = samples_of(state.params, state.observations, rollout)
        count = samples.advantage.shape[0] // config.batch_size

        def step(carry, rows):
            params, opt_state = carry
            (_, facts), gradient = jax.value_and_grad(loss, has_aux=True)(
                params, jax.tree.map(lambda part: part[rows], samples)
            )
            change, opt_state = optimiser.update(gradient, opt_state, params)
            return (optax.apply_updates(params, change), opt_state), facts

        def shuffled(key):
            order = jax.random.permutation(key, samples.advantage.shape[0])
            return order[: count * config.batch_size].reshape(count, config.batch_size)

        order = jax.vmap(shuffled)(jax.random.split(key, config.epochs)).reshape(-1, config.batch_size)
        (params, opt_state), metrics = jax.lax.scan(step, (state.params, state.optimiser), order)
        observations = state.observations
        if config.observation_normalisation:
            observations = normalise.update(observations, rollout.observation.reshape(-1, n))
        metrics = jax.tree.map(jnp.mean, metrics) | {"q_mean": jnp.mean(samples.returns)}
        return PPOState(params, opt_state, observations, state.updates + len(order)), metrics

    def diagnose(state: PPOState, batch: Transition):
        x = see(state.observations, batch.observation)
        mean = networks.tanh_network(state.params["mean"], x)
        return {
            "value_mean": jnp.mean(value(state.params, x)),
            "std_mean": jnp.mean(jnp.exp(state.params["log_std"])),
            "mean_saturated": jnp.mean(jnp.abs(mean) > 1.0),
        }

    def policy(state: PPOState) -> Policy:
        seen = state.observations if config.observation_normalisation else None
        return Policy(state.params["mean"], state.params["log_std"], seen)

    def act_with(policy: Policy, observation, innovation):
        mean = networks.tanh_network(policy.mean, see(policy.observations, observation))
        return (mean + mean.__array_namespace__().exp(policy.log_std) * innovation).clip(-1.0, 1.0)

    def greedy(policy: Policy, observation):
        """Return the policy's mean, clipped."""
        return act_with(policy, observation, 0.0)

    begin, act, explore = drawing(m, policy, act_with)
    return Agent(spec, config.requirements, init, begin, act, update, diagnose, policy, greedy, explore)
