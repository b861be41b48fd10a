"""NAF: Q-learning with normalized advantage functions.  Gu et al. 2016 (arXiv 1603.00748), Algorithm 1.

Q(x, u) = V(x) + A(x, u) with A(x, u) = -½ (u - μ(x))ᵀ P(x) (u - μ(x)), so that the greedy action is μ(x) and the best
value V(x): Q-learning over continuous actions with no actor and no inner maximisation.

Where the paper is silent or we differ (ours / the paper's):
 1. Discount .99, minibatch 100, replay 1e6 / not printed.
 2. target_rate .005 / not printed (DDPG's paper: .001).
 3. μ is bounded by tanh (`mean_bound`) / not printed.  "clip" leaves μ free in the loss and clips the action only.
 4. Layers start uniform in ±1/√fan-in, outputs in ±3e-3, so P starts as the identity / not printed (DDPG's rule).
 5. The first `warmup_steps` actions are uniform / not mentioned; 0 in `NAF.paper()`.
 6. Batch normalisation: before each ReLU of hidden layers.  V' standardises by its minibatch's own moments: running ones
    come too late for weights that move, and learning stalls (docs/naf.md) / where and how is not printed.
 7. noise_scale is σ of the Ornstein-Uhlenbeck innovations with θ = .15 / only "noise scale" is printed.
 8. Hidden layers have layer normalisation by default (docs/naf.md says why) / batch normalisation or none; `NAF.paper()`
    has batch normalisation, as table 2, or what `CHOSEN` says for a domain.
 9. V' may be clipped to what can be earned (`value_bound`; after Andrychowicz et al. 2017, arXiv 1707.01495, who clip
    targets of DDPG so) / not mentioned.
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from reverie.algorithms.acting import acting
from reverie.algorithms.settings import Noisy
from reverie.core.agent import Agent, require_continuous
from reverie.core.errors import ConfigError
from reverie.core.types import EnvSpec, Transition
from reverie.maths import networks, normalise, quadratic


@dataclasses.dataclass(frozen=True, kw_only=True)
class NAF(Noisy):
    """Settings of NAF.  `build(spec)` returns its pure functions."""

    normalisation: networks.Normalisation = "layer"
    """Of hidden layers: "layer" (without it tanh saturates more easily and μ stays stuck), "none" or "batch"."""
    trunk: Literal["separate", "shared"] = "separate"
    """V, μ and L as a network each (the paper's), or as heads of one."""
    mean_bound: Literal["tanh", "clip"] = "tanh"
    """How μ stays in [-1, 1].  tanh: smooth, and max_u Q = V within the box; clip: μ itself is free."""
    value_bound: bool = False
    """Clip V' to what the rewards seen allow, the lowest or the highest (or 0) for ever: values cannot run away."""

    name = "naf"

    def __post_init__(self):
        super().__post_init__()
        if self.value_bound and self.discount == 1:
            raise ConfigError("value_bound needs a discount below 1: rewards that never fade bound no value")

    def build(self, spec: EnvSpec) -> Agent:
        """Return NAF's pure functions for a world of `spec`."""
        return _build(self, spec)


class NAFState(NamedTuple):
    """Everything NAF has learnt, and all it needs to go on."""

    params: Any  # trunk (empty when separate) and one list of layers each: value, mean, lower
    moments: Any  # of batch normalisation, per hidden layer, as params
    target: Any  # V's part of params alone: nothing else of a target network is ever read
    optimiser: Any
    observations: Any  # running moments of observations; untouched where they are not normalised
    rewards: Any  # the lowest and the highest seen, or 0, scaled [2]; None where they bound no value
    updates: jax.Array


class Policy(NamedTuple):
    """What acting reads."""

    trunk: Any  # (layers, moments)
    mean: Any
    lower: Any  # None unless the noise is shaped by it
    observations: Any


HEADS = ("value", "mean", "lower")


def _build(config: NAF, spec: EnvSpec) -> Agent:
    require_continuous(spec, "naf")
    n, m = spec.observation_dim, spec.action_dim
    outputs = {"value": 1, "mean": m, "lower": quadratic.entries(m)}
    optimiser = optax.adam(config.learning_rate)
    sizes = (n, *config.hidden)

    def init(key) -> NAFState:
        k_trunk, *k_heads = jax.random.split(key, 1 + len(HEADS))
        shared = config.trunk == "shared"
        params = {"trunk": networks.init_layers(k_trunk, sizes, config.normalisation) if shared else []}
        for name, k in zip(HEADS, k_heads, strict=True):
            own = (*(sizes[-1:] if shared else sizes), outputs[name])
            params[name] = networks.init_network(jax.random.split(k), own, config.normalisation)
        moments = {name: networks.init_moments(params[name][: -1 if name in HEADS else None]) for name in params}
        target = jax.tree.map(jnp.copy, _value_part(params))
        rewards = jnp.zeros(2, jnp.float32) if config.value_bound else None
        updates = jnp.zeros((), jnp.int32)
        return NAFState(params, moments, target, optimiser.init(params), normalise.init(n), rewards, updates)

    def see(observations, x):
        return normalise.apply(observations, x) if config.observation_normalisation else x

    def head(layers, moments, features, training=False):
        """Return (output [..., o], moments used) of one of V, μ, L."""
        return networks.forward(layers, moments, features, config.normalisation, training)

    def bounded(mean):
        return mean.__array_namespace__().tanh(mean) if config.mean_bound == "tanh" else mean

    def heads(params, moments, x, training=False):
        """Return V [..., 1], μ [..., m], L [..., m, m] and the moments used."""
        features, trunk = networks.hidden(params["trunk"], moments["trunk"], x, config.normalisation, training)
        out, used = {}, {"trunk": trunk}
        for name in HEADS:
            out[name], used[name] = head(params[name], moments[name], features, training)
        return out["value"], bounded(out["mean"]), quadratic.lower_triangle(out["lower"], m), used

    def target_value(params, moments, x):
        """V'(x) [B], by the target network and the minibatch's own moments."""
        features, _ = networks.hidden(params["trunk"], moments["trunk"], x, config.normalisation, training=True)
        return head(params["value"], moments["value"], features, training=True)[0][..., 0]

    # Gu et al. 2016, Alg. 1: y = r + γ V'(x'), loss = mean (y - Q(x, u))²
    def loss(params, state: NAFState, batch: Transition, observations, rewards):
        discount_t = config.discount * batch.discount
        best = target_value(state.target, state.moments, see(observations, batch.next_observation))
        if config.value_bound:
            best = best.clip(*(rewards / (1 - config.discount)))  # Σ γᵗ r lies between its extremes, ended early or not
        y = config.reward_scale * batch.reward + discount_t * best
        value, mean, lower, used = heads(params, state.moments, see(observations, batch.observation), training=True)
        q = value[..., 0] + jax.vmap(quadratic.advantage)(batch.action, mean, lower)
        return jnp.mean((jax.lax.stop_gradient(y) - q) ** 2), (used, jnp.mean(q))

    def update_once(state: NAFState, batch: Transition):
        observations = state.observations
        if config.observation_normalisation:
            observations = normalise.update(observations, batch.observation)
        rewards = state.rewards
        if config.value_bound:
            reward = config.reward_scale * batch.reward
            rewards = jnp.stack([jnp.minimum(rewards[0], reward.min()), jnp.maximum(rewards[1], reward.max())])
        (error, (used, q)), gradient = jax.value_and_grad(loss, has_aux=True)(
            state.params, state, batch, observations, rewards
        )
        step, opt_state = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, step)
        moments = networks.move_towards(state.moments, used, networks.MOMENTS_RATE)
        target = networks.move_towards(state.target, _value_part(params), config.target_rate)
        new = NAFState(params, moments, target, opt_state, observations, rewards, state.updates + 1)
        return new, {"loss": error, "q_mean": q}

    def update(state: NAFState, batches: Transition, key=None):
        """Return the state after I minibatches [I, B, ...] in order, and the mean of each metric."""
        del key  # Q-learning's update draws nothing
        state, metrics = jax.lax.scan(update_once, state, batches)
        return state, jax.tree.map(jnp.mean, metrics)

    def diagnose(state: NAFState, batch: Transition):
        x = see(state.observations, batch.observation)
        value, mean, lower, _ = heads(state.params, state.moments, x)
        scales = jnp.linalg.svd(lower, compute_uv=False)  # κ(P) = κ(L)²
        return {
            "value_mean": jnp.mean(value),
            "p_condition": jnp.median((scales[..., 0] / scales[..., -1]) ** 2),
            "mean_saturated": jnp.mean(jnp.abs(mean) > 0.97),
        }

    def policy(state: NAFState) -> Policy:
        part = {name: (state.params[name], state.moments[name]) for name in state.params}
        shaped = config.noise == "precision"
        seen = state.observations if config.observation_normalisation else None
        return Policy(part["trunk"], part["mean"], part["lower"] if shaped else None, seen)

    def read(policy: Policy, part, observation):
        """Return the output of one part, μ or L, of a policy."""
        layers, moments = policy.trunk
        features, _ = networks.hidden(layers, moments, see(policy.observations, observation), config.normalisation)
        layers, moments = part
        return head(layers, moments, features)[0]

    def greedy(policy: Policy, observation):
        """argmax_u Q(x, u) = μ(x)."""
        return bounded(read(policy, policy.mean, observation)).clip(-1.0, 1.0)

    def shape(policy: Policy, observation, innovation):
        """Innovations drawn from N(0, c P⁻¹).  Gu et al. 2016, appendix 8.2."""
        flat = read(policy, policy.lower, observation)
        return quadratic.precision_noise(quadratic.lower_triangle(flat, m), innovation)

    shaping = {"shape": shape} if config.noise == "precision" else {}
    begin, act, explore = acting(config.noise, config.noise_scale, m, policy, greedy, **shaping)
    return Agent(spec, config.requirements, init, begin, act, update, diagnose, policy, greedy, explore)


def _value_part(params):
    """Return what V reads: the trunk and its own layers."""
    return {name: params[name] for name in ("trunk", "value")}


__all__ = ["NAF", "NAFState"]
