"""A domain's formulas for whole arrays of NumPy or JAX. A state x [..., nq + nv] is qpos followed by qvel.

Results are arrays of the same library as x. All functions can be traced, mapped and differentiated by JAX.
"""

from collections.abc import Sequence
from typing import Any

from reverie.core.types import Array
from reverie.domains.domain import Domain, Ops, State, ops_of


def split(domain: Domain, x: Array) -> State:
    """Return the components of state x [..., nq + nv]."""
    parts = [x[..., i] for i in range(x.shape[-1])]
    return State(parts[: domain.nq], parts[domain.nq :])


def _parts(array: Any) -> list[Any]:
    return [array[..., i] for i in range(array.shape[-1])] if hasattr(array, "shape") else list(array)


def observe(domain: Domain, x: Array, target: Array | Sequence[float] = ()) -> Any:
    """Return the observation [..., n] of state x and target [..., 2]."""
    xp = x.__array_namespace__()
    state, ops = split(domain, x), ops_of(x)
    parts = domain.observe(state, domain.features(state, _parts(target), ops), ops)
    return xp.stack(xp.broadcast_arrays(*parts), axis=-1)


def reward(
    domain: Domain,
    x: Array,
    u: Array,
    x_next: Array,
    target: Array | Sequence[float] = (),
    ops: Ops | None = None,
) -> Any:
    """Return the reward [...] of the step from state x to x_next [..., nq + nv] with action u [..., m].

    The action is clipped to [-1, 1].  target: [..., 2].  ops: elementary functions; planners give smoother ones.
    """
    ops = ops_of(x_next) if ops is None else ops
    action = _parts(ops.clip(u, -1.0, 1.0))
    state = split(domain, x_next)
    return domain.reward(split(domain, x), action, state, domain.features(state, _parts(target), ops), ops)


def terminated(domain: Domain, x: Array) -> Any:
    """Return whether state x [..., nq + nv] is terminal [...]."""
    return x[..., 0] != x[..., 0] if domain.terminated is None else domain.terminated(split(domain, x))
