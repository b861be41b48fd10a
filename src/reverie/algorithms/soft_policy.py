"""What SAC and XQC share: a Gaussian policy squashed by tanh, and the step of the temperature.

Haarnoja et al. 2018b (arXiv 1812.05905).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import optax
from jaxtyping import Float

from reverie.algorithms import updates
from reverie.algorithms.acting import drawing
from reverie.core.agent import Act, Begin, Explore, Greedy, ReadPolicy
from reverie.maths import normalise
from reverie.maths.array_types import Array
from reverie.maths.networks import Layers, Moments


class Policy(NamedTuple):
    """What acting reads."""

    actor: Layers
    moments: Sequence[Moments]
    observations: normalise.Moments | None  # None where observations are not normalised


class Gaussian(Protocol):
    """Reads a policy's distribution before tanh."""

    def __call__(self, policy: Policy, x: Array, /) -> tuple[Array, Array]:
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
        policy: Policy, observation: Float[Array, "*b n"], noise: Float[Array, "*b m"] | float
    ) -> Float[Array, "*b m"]:
        mean, log_std = gaussian(policy, updates.normalise_observation(policy.observations, observation))
        xp = mean.__array_namespace__()
        return xp.tanh(mean + xp.exp(log_std) * noise)

    def greedy(policy: Policy, observation: Float[Array, "*b n"]) -> Float[Array, "*b m"]:
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
