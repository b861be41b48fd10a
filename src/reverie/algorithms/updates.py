"""The steps that updates of every algorithm here are made of.  Each takes all it needs as arguments."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float

from reverie.core.agent import Metrics
from reverie.core.types import Transition
from reverie.maths import normalise
from reverie.maths.array_types import Array

Tree = TypeVar("Tree")  # arrays in named tuples, dicts and lists: parameters, or a state
Rows = TypeVar("Rows")  # one minibatch, or several with an axis [I] in front
Besides = TypeVar("Besides")
Given = ParamSpec("Given")

SATURATED = 0.97  # |tanh z| from here on: its slope is below 0.06, so hardly any gradient passes


def normalise_observation(moments: normalise.Moments | None, observation: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
    """Return observation [..., n] standardised by running `moments`, or as it is where these are None."""
    return observation if moments is None else normalise.apply(moments, observation)


def moments_in_use(moments: normalise.Moments, size: float | None) -> normalise.Moments | None:
    """Return the moments that observations are standardised by: None where an agent does not normalise.

    size: the standard deviation that observations get; None: they stay as they are.
    """
    return None if size is None else normalise.to_size(moments, size)


def normalise_batch(
    moments: normalise.Moments, batch: Transition, size: float | None
) -> tuple[normalise.Moments, Float[Array, "B n"], Float[Array, "B n"]]:
    """Return (moments, x [B, n], x' [B, n]): moments moved towards the minibatch's, and observations standardised by them.

    All three are as they were where an agent does not normalise.  size: as in `moments_in_use`.
    """
    if size is not None:
        moments = normalise.update(moments, batch.observation)
    used = moments_in_use(moments, size)
    x, x_next = (normalise_observation(used, part) for part in (batch.observation, batch.next_observation))
    return moments, x, x_next


def td_target(
    batch: Transition, next_value: Float[Array, "B"], discount: float, reward_scale: float
) -> Float[Array, "B"]:
    """Return y = c r + γ d V(x') [B], the target of a value's temporal-difference error.

    batch: rewards r [B] and discounts d [B], 0 at a death and else 1.  next_value: V(x') [B], by the algorithm's own
    rule.  discount: γ.  reward_scale: c.
    """
    return reward_scale * batch.reward + discount * batch.discount * next_value


def apply_gradient(
    optimiser: optax.GradientTransformation, gradient: Any, optimiser_state: optax.OptState, params: Any
) -> tuple[Any, optax.OptState]:
    """Return (params, optimiser state) after one step along `gradient`.  Adam: Kingma & Ba 2015, Alg. 1."""
    change, optimiser_state = optimiser.update(gradient, optimiser_state, params)
    return optax.apply_updates(params, change), optimiser_state


def gradient_step(
    loss: Callable[Concatenate[Tree, Given], tuple[Array, Besides]],
    optimiser: optax.GradientTransformation,
    params: Tree,
    optimiser_state: optax.OptState,
    *given: Given.args,
    **named: Given.kwargs,
) -> tuple[Tree, optax.OptState, Float[Array, ""], Besides]:
    """Return (params, optimiser state, loss, what the loss returns besides) after one step down its gradient.

    loss: (params, *given, **named) -> (scalar, anything else).
    """
    (value, besides), gradient = jax.value_and_grad(loss, has_aux=True)(params, *given, **named)
    params, optimiser_state = apply_gradient(optimiser, gradient, optimiser_state, params)
    return params, optimiser_state, value, besides


def target_copy(params: Tree) -> Tree:
    """Return a target network's first parameters: those of the online one, in arrays of their own."""
    return jax.tree.map(jnp.copy, params)


def over_minibatches(
    update_once: Callable[[Tree, Rows], tuple[Tree, Metrics]], state: Tree, minibatches: Rows
) -> tuple[Tree, Metrics]:
    """Return (state after the minibatches [I, …] in order, the mean of each metric over them).

    update_once: (state, one minibatch) -> (state, metrics).
    """
    state, metrics = jax.lax.scan(update_once, state, minibatches)
    return state, jax.tree.map(jnp.mean, metrics)


def saturated_share(mean: Float[Array, "*b m"]) -> Float[Array, ""]:
    """Return the share of actions' entries in `mean` [..., m], made by tanh, that lie where tanh is flat."""
    return jnp.mean(jnp.abs(mean) > SATURATED)
