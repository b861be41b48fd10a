"""What SAC and XQC share: the state, a Gaussian policy squashed by tanh, the step of the temperature, and the agent.

Haarnoja et al. 2018b (arXiv 1812.05905).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from reverie.algorithms import updates
from reverie.algorithms.acting import ActorPolicy, drawing
from reverie.algorithms.hyperparameters import ReplaySettings
from reverie.core.agent import Act, Agent, Begin, Diagnose, Explore, Greedy, Init, Metrics, ReadPolicy
from reverie.core.env_spec import EnvSpec
from reverie.core.types import Transition
from reverie.maths import networks, normalise
from reverie.maths.array_types import Array
from reverie.maths.networks import Layers, Moments


class LayerMoments(TypedDict):
    """Moments of batch normalisation, per normalised layer."""

    actor: Sequence[Moments]
    critics: Sequence[Sequence[Moments]]


class State(NamedTuple):
    """Everything the agent has learnt, and all it needs to go on."""

    actor: Layers  # the last gives mean and log σ
    critics: Sequence[Layers]  # two
    log_temperature: Float[Array, ""]
    moments: LayerMoments
    target: Sequence[Layers]  # the critics that move slowly behind
    optimisers: tuple[optax.OptState, optax.OptState, optax.OptState]  # of actor, critics, temperature
    observations: normalise.Moments  # untouched where observations are not normalised
    updates: Int[Array, ""]


class Gaussian(Protocol):
    """Reads a policy's distribution before tanh."""

    def __call__(self, policy: ActorPolicy, x: Array, /) -> tuple[Array, Array]:
        """Return (mean [..., m], log σ [..., m]) at x [..., n], observations that are standardised already."""
        ...


class SoftActing(NamedTuple):
    """The acting half of an `Agent`."""

    begin: Begin
    act: Act
    explore: Explore
    greedy: Greedy


def mean_and_log_std(
    out: Float[Array, "*b _"], bounds: tuple[float, float]
) -> tuple[Float[Array, "*b m"], Float[Array, "*b m"]]:
    """Return (mean, log σ), the halves of an actor's output [..., 2m].  bounds: log σ is clipped to them."""
    m = out.shape[-1] // 2
    return out[..., :m], out[..., m:].clip(*bounds)


def acting(action_dim: int, policy: ReadPolicy, gaussian: Gaussian) -> SoftActing:
    """Return the acting half of an agent whose action is u = tanh(mean + σ ε), and tanh(mean) when it is greedy."""

    def act_with(
        policy: ActorPolicy, observation: Float[Array, "*b n"], noise: Float[Array, "*b m"] | float
    ) -> Float[Array, "*b m"]:
        mean, log_std = gaussian(policy, updates.normalise_observation(policy.observations, observation))
        xp = mean.__array_namespace__()
        return xp.tanh(mean + xp.exp(log_std) * noise)

    def greedy(policy: ActorPolicy, observation: Float[Array, "*b n"]) -> Float[Array, "*b m"]:
        """Return the tanh of the policy's mean."""
        return act_with(policy, observation, 0.0)

    return SoftActing(*drawing(action_dim, policy, act_with), greedy)


def update_temperature(
    optimiser: optax.GradientTransformation,
    log_temperature: Float[Array, ""],
    optimiser_state: optax.OptState,
    log_density: Float[Array, ""],
    target_entropy: float,
) -> tuple[Float[Array, ""], optax.OptState]:
    """Return (log α, its optimiser's state) after one step along -(mean log π + target entropy), both in nats.

    Eq. 18 for log α: its gradient is α's times α, which Adam hardly sees.  log_density: mean log π(u|x) [].
    """
    return updates.apply_gradient(optimiser, -(log_density + target_entropy), optimiser_state, log_temperature)


def first_state(
    actor: Layers,
    critics: Sequence[Layers],
    temperature: float,
    optimiser: optax.GradientTransformation,
    observation_dim: int,
) -> State:
    """Return the state before the first update, of the first networks and the first α."""
    moments: LayerMoments = {
        "actor": networks.init_moments(actor[:-1]),
        "critics": [networks.init_moments(critic[:-1]) for critic in critics],
    }
    log_temperature = jnp.asarray(np.log(temperature), jnp.float32)
    optimisers = optimiser.init(actor), optimiser.init(critics), optimiser.init(log_temperature)
    target, zero = updates.target_copy(critics), jnp.zeros((), jnp.int32)
    return State(actor, critics, log_temperature, moments, target, optimisers, normalise.init(observation_dim), zero)


def diagnosis(
    mean: Float[Array, "B m"], log_std: Float[Array, "B m"], one: Float[Array, "B"], two: Float[Array, "B"]
) -> Metrics:
    """Return the lesser Q, how far the critics lie apart, mean σ and the share of saturated means.

    mean, log_std: of the policy before tanh.  one, two: the critics' Q of tanh(mean).
    """
    return {
        "value_mean": jnp.mean(jnp.minimum(one, two)),
        "critics_apart": jnp.mean(jnp.abs(one - two)),
        "std_mean": jnp.mean(jnp.exp(log_std)),
        "mean_saturated": updates.saturated_share(jnp.tanh(mean)),
    }


def agent_of(
    config: ReplaySettings,
    spec: EnvSpec,
    init: Init,
    update_once: Callable[[State, tuple[Transition, Array]], tuple[State, Metrics]],
    gaussian: Gaussian,
    diagnose: Diagnose,
) -> Agent:
    """Return the pure functions of an agent with these parts.

    update_once: (state, (minibatch [B, ...], key)) -> (state, metrics).
    """

    def update(state: State, batches: Transition, key: Array) -> tuple[State, Metrics]:
        """Return the state after I minibatches [I, B, ...] in order, and the mean of each metric."""
        given = batches, jax.random.split(key, batches.reward.shape[0])
        return updates.over_minibatches(update_once, state, given)

    def policy(state: State) -> ActorPolicy:
        seen = updates.moments_in_use(state.observations, config.normalised_size)
        return ActorPolicy(state.actor, state.moments["actor"], seen)

    begin, act, explore, greedy = acting(spec.action_dim, policy, gaussian)
    return Agent(spec, config.requirements, init, begin, act, update, diagnose, policy, greedy, explore)
