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
 7. noise_scale is σ of an Ornstein-Uhlenbeck process with θ = .15 (noise_theta) / only "noise scale" is printed.
 8. Hidden layers have layer normalisation by default (docs/naf.md says why) / batch normalisation or none; `NAF.paper()`
    has batch normalisation, as table 2, or what `tuned.TUNED` has for a domain.
 9. V' may be clipped to what can be earned (`value_bound`; after Andrychowicz et al. 2017, arXiv 1707.01495, who clip
    targets of DDPG so) / not mentioned.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from reverie.algorithms import updates
from reverie.algorithms.acting import acting
from reverie.algorithms.hyperparameters import DeterministicPolicySettings
from reverie.core.agent import Agent, Metrics, built_once, require_continuous
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.core.types import Transition
from reverie.maths import networks, normalise, quadratic
from reverie.maths.array_types import Array
from reverie.maths.networks import Layers, Moments, Normalisation


@dataclasses.dataclass(frozen=True, kw_only=True)
class NAF(DeterministicPolicySettings):
    """Settings of NAF.  `build(spec)` returns its pure functions."""

    normalisation: Normalisation = "layer"
    """Of hidden layers: "layer" (without it tanh saturates more easily and μ stays stuck), "none", "batch" or
    "batch_inputs"."""
    trunk: Literal["separate", "shared"] = "separate"
    """V, μ and L as a network each (the paper's), or as heads of one."""
    mean_bound: Literal["tanh", "clip"] = "tanh"
    """How μ stays in [-1, 1].  tanh: smooth, and max_u Q = V within the box; clip: μ itself is free."""
    value_bound: bool = False
    """Clip V' to what the rewards seen allow: the lowest or the highest (or 0) for ever, those of terminal steps once.  So
    values cannot run away."""

    name = "naf"

    def __post_init__(self):
        super().__post_init__()
        if self.value_bound and self.discount == 1:
            raise ConfigError("value_bound needs a discount below 1: rewards that never fade bound no value")

    def build(self, spec: EnvSpec) -> Agent:
        """Return NAF's pure functions for an environment of `spec`."""
        require_continuous(spec, "naf")
        return _build(self.for_spec(spec), spec)


Params: TypeAlias = Mapping[str, Layers]  # trunk (empty when separate), value, mean, lower
LayerMoments: TypeAlias = Mapping[str, Sequence[Moments]]  # of batch normalisation, per hidden layer of the same parts


class NAFState(NamedTuple):
    """Everything NAF has learnt, and all it needs to go on."""

    params: Params
    moments: LayerMoments
    target: Params  # V's part alone: nothing else of a target network is ever read
    optimiser: optax.OptState
    observations: normalise.Moments  # untouched where observations are not normalised
    bounds: Float[Array, "2"] | None  # the lowest and the highest that V' may be, scaled; None: it may be anything
    updates: Int[Array, ""]


class Policy(NamedTuple):
    """What acting reads."""

    trunk: tuple[Layers, Sequence[Moments]]
    mean: tuple[Layers, Sequence[Moments]]
    lower: tuple[Layers, Sequence[Moments]] | None  # None unless the noise is shaped by it
    observations: normalise.Moments | None  # None where observations are not normalised


HEADS = ("value", "mean", "lower")
UNBOUNDED = float(np.finfo(np.float32).max)  # a bound of values that have none


# ---- the network.  Gu et al. 2016, section 4


def init_params(
    key: Array, observation_dim: int, action_dim: int, hidden: tuple[int, ...], trunk: str, normalisation: Normalisation
) -> Params:
    """Return the first parameters: a trunk, empty where the parts have none in common, and layers of V, μ and L."""
    k_trunk, *k_heads = jax.random.split(key, 1 + len(HEADS))
    outputs = {"value": 1, "mean": action_dim, "lower": quadratic.entries(action_dim)}
    sizes, shared = (observation_dim, *hidden), trunk == "shared"
    params = {"trunk": networks.init_layers(k_trunk, sizes, normalisation) if shared else []}
    for name, k in zip(HEADS, k_heads, strict=True):
        own = (*(sizes[-1:] if shared else sizes), outputs[name])
        params[name] = networks.init_network(jax.random.split(k), own, normalisation)
    return params


def bound_mean(mean: Float[Array, "*b m"], mean_bound: str) -> Float[Array, "*b m"]:
    """Return μ [..., m] of its network's output: by tanh, or as it is where actions are clipped later ("clip")."""
    return mean.__array_namespace__().tanh(mean) if mean_bound == "tanh" else mean


def value(
    params: Params,
    moments: LayerMoments,
    x: Float[Array, "*b n"],
    normalisation: Normalisation,
    training: bool = False,
) -> Float[Array, "*b"]:
    """Return V(x) [...], which is max_u Q(x, u).

    params, moments: with trunk and value, or more.  x: [..., n].  training: normalise by the minibatch's own moments.
    """
    features, _ = networks.hidden(params["trunk"], moments["trunk"], x, normalisation, training)
    return networks.forward(params["value"], moments["value"], features, normalisation, training)[0][..., 0]


def heads(
    params: Params,
    moments: LayerMoments,
    x: Float[Array, "*b n"],
    normalisation: Normalisation,
    mean_bound: str,
    training: bool = False,
) -> tuple[Float[Array, "*b"], Float[Array, "*b m"], Float[Array, "*b m m"], LayerMoments]:
    """Return V [...], μ [..., m], L [..., m, m] at x [..., n], and the moments used; arguments as of `value`."""
    features, trunk = networks.hidden(params["trunk"], moments["trunk"], x, normalisation, training)
    out, used = {}, {"trunk": trunk}
    for name in HEADS:
        out[name], used[name] = networks.forward(params[name], moments[name], features, normalisation, training)
    lower = quadratic.lower_triangle(out["lower"], out["mean"].shape[-1])
    return out["value"][..., 0], bound_mean(out["mean"], mean_bound), lower, used


def q_value(
    v: Float[Array, "B"], mean: Float[Array, "B m"], lower: Float[Array, "B m m"], action: Float[Array, "B m"]
) -> Float[Array, "B"]:
    """Return Q(x, u) = V(x) + A(x, u) [B], of V [B], μ [B, m], L [B, m, m] and u [B, m]."""
    return v + jax.vmap(quadratic.advantage)(action, mean, lower)


# ---- the update.  Gu et al. 2016, Algorithm 1


def q_loss(
    params: Params,
    moments: LayerMoments,
    x: Float[Array, "B n"],
    action: Float[Array, "B m"],
    y: Float[Array, "B"],
    normalisation: Normalisation,
    mean_bound: str,
) -> tuple[Float[Array, ""], tuple[LayerMoments, Float[Array, ""]]]:
    """Return mean (y - Q(x, u))², and besides (moments used, mean Q).  Algorithm 1, "minimizing the loss L".

    x: [B, n].  action: [B, m], in [-1, 1].  y: r + γ V'(x') [B]; no gradient passes it.
    """
    v, mean, lower, used = heads(params, moments, x, normalisation, mean_bound, training=True)
    q = q_value(v, mean, lower, action)
    return jnp.mean((jax.lax.stop_gradient(y) - q) ** 2), (used, jnp.mean(q))


def update_once(
    config: NAF, optimiser: optax.GradientTransformation, state: NAFState, batch: Transition
) -> tuple[NAFState, Metrics]:
    """Return (state, metrics) after one minibatch [B, ...]: the innermost loop of Algorithm 1."""
    observations, x, x_next = updates.normalise_batch(state.observations, batch, config.normalised_size)
    next_value = value(state.target, state.moments, x_next, config.normalisation, training=True)
    if state.bounds is not None:
        next_value = next_value.clip(*state.bounds)
    y = updates.td_target(batch, next_value, config.discount_factor, config.fixed_reward_scale)
    params, opt_state, error, (used, q_mean) = updates.gradient_step(
        q_loss, optimiser, state.params, state.optimiser,
        state.moments, x, batch.action, y, config.normalisation, config.mean_bound,
    )  # fmt: skip
    moments = networks.move_towards(state.moments, used, networks.MOMENTS_RATE)
    target = networks.move_towards(state.target, value_part(params), config.target_rate)
    new = NAFState(params, moments, target, opt_state, observations, state.bounds, state.updates + 1)
    return new, {"loss": error, "q_mean": q_mean}


def value_part(params: Params) -> Params:
    """Return what V reads: the trunk and its own layers."""
    return {name: params[name] for name in ("trunk", "value")}


def diagnose(config: NAF, state: NAFState, batch: Transition) -> Metrics:
    """Return mean V, the median condition number of P, and the share of saturated entries of μ, at states of `batch`."""
    moments = updates.moments_in_use(state.observations, config.normalised_size)
    x = updates.normalise_observation(moments, batch.observation)
    values, mean, lower, _ = heads(state.params, state.moments, x, config.normalisation, config.mean_bound)
    scales = jnp.linalg.svd(lower, compute_uv=False)  # κ(P) = κ(L)²
    return {
        "value_mean": jnp.mean(values),
        "p_condition": jnp.median((scales[..., 0] / scales[..., -1]) ** 2),
        "mean_saturated": updates.saturated_share(mean),
    }


def bound_values(state: NAFState, low: float, high: float) -> NAFState:
    """Return the state with the lowest and the highest that V' may be, scaled.  Difference 9."""
    return state._replace(bounds=np.clip([low, high], -UNBOUNDED, UNBOUNDED).astype(np.float32))


# ---- acting


def read(
    policy: Policy,
    part: tuple[Layers, Sequence[Moments]],
    observation: Float[Array, "*b n"],
    normalisation: Normalisation,
) -> Float[Array, "*b o"]:
    """Return the output [..., o] of one part of a policy, μ or L, at an observation [..., n]."""
    layers, moments = policy.trunk
    x = updates.normalise_observation(policy.observations, observation)
    features, _ = networks.hidden(layers, moments, x, normalisation)
    layers, moments = part
    return networks.forward(layers, moments, features, normalisation)[0]


def shape_noise(
    policy: Policy, observation: Float[Array, "*b n"], noise: Float[Array, "*b m"], normalisation: Normalisation
) -> Float[Array, "*b m"]:
    """Return standard normal `noise` [..., m] bent to a draw from N(0, c P⁻¹).  Gu et al. 2016, appendix 8.2."""
    assert policy.lower is not None
    flat = read(policy, policy.lower, observation, normalisation)
    return quadratic.precision_noise(quadratic.lower_triangle(flat, noise.shape[-1]), noise)


# ---- the agent


def _init(
    config: NAF, optimiser: optax.GradientTransformation, observation_dim: int, action_dim: int, key: Array
) -> NAFState:
    params = init_params(key, observation_dim, action_dim, config.hidden, config.trunk, config.normalisation)
    moments = {name: networks.init_moments(params[name][: -1 if name in HEADS else None]) for name in params}
    target = updates.target_copy(value_part(params))
    bounds = jnp.array([-UNBOUNDED, UNBOUNDED], jnp.float32) if config.value_bound else None
    zero = jnp.zeros((), jnp.int32)
    return NAFState(params, moments, target, optimiser.init(params), normalise.init(observation_dim), bounds, zero)


def _policy(config: NAF, state: NAFState) -> Policy:
    part = {name: (state.params[name], state.moments[name]) for name in state.params}
    lower = part["lower"] if config.shapes_noise else None
    seen = updates.moments_in_use(state.observations, config.normalised_size)
    return Policy(part["trunk"], part["mean"], lower, seen)


@built_once
def _build(config: NAF, spec: EnvSpec) -> Agent:
    n, m = spec.observation_dim, spec.action_dim
    optimiser = optax.adam(config.learning_rate)

    def init(key: Array) -> NAFState:
        return _init(config, optimiser, n, m, key)

    def update(state: NAFState, batches: Transition, key: Array | None = None) -> tuple[NAFState, Metrics]:
        """Return the state after I minibatches [I, B, ...] in order, and the mean of each metric."""
        del key  # Q-learning's update draws nothing
        return updates.over_minibatches(functools.partial(update_once, config, optimiser), state, batches)

    def policy(state: NAFState) -> Policy:
        return _policy(config, state)

    def greedy(policy: Policy, observation: Float[Array, "*b n"]) -> Float[Array, "*b m"]:
        """argmax_u Q(x, u) = μ(x)."""
        mean = read(policy, policy.mean, observation, config.normalisation)
        return bound_mean(mean, config.mean_bound).clip(-1.0, 1.0)

    def shape(policy: Policy, observation: Float[Array, "*b n"], noise: Float[Array, "*b m"]) -> Float[Array, "*b m"]:
        return shape_noise(policy, observation, noise, config.normalisation)

    shaping = {"shape": shape} if config.shapes_noise else {}
    begin, act, explore = acting(config.exploration, m, policy, greedy, **shaping)
    diagnosis = functools.partial(diagnose, config)
    bound = bound_values if config.value_bound else None
    return Agent(
        spec, config.requirements, init, begin, act, update, diagnosis, policy, greedy, explore, bound_values=bound
    )


__all__ = ["NAF", "NAFState"]
