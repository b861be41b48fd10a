"""A domain's formulas on whole arrays, NumPy's or JAX's: the state x [..., nq + nv] is qpos and qvel side by side.

What comes back is of the kind of x.  Under JAX all of it traces, vectorises and differentiates.
"""

from typing import Any

from reverie.domains.domain import Domain, Ops, State, ops_of


def split(domain: Domain, x: Any) -> State:
    """Return the components of x."""
    parts = [x[..., i] for i in range(x.shape[-1])]
    return State(parts[: domain.nq], parts[domain.nq :])


def _parts(array: Any) -> list:
    return [array[..., i] for i in range(array.shape[-1])] if hasattr(array, "shape") else list(array)


def observe(domain: Domain, x: Any, target: Any = ()) -> Any:
    """Return the observation [..., n] of state x and target [..., 2]."""
    xp = x.__array_namespace__()
    state, ops = split(domain, x), ops_of(x)
    parts = domain.observe(state, domain.features(state, _parts(target), ops), ops)
    return xp.stack(xp.broadcast_arrays(*parts), axis=-1)


def reward(domain: Domain, x: Any, u: Any, x_next: Any, target: Any = (), ops: Ops | None = None) -> Any:
    """Return the reward [...] of action u [..., m] (counted as clipped to [-1, 1]) that led from x to x_next.

    ops: other elementary functions than those of x_next's kind, for planners that want them smoother.
    """
    ops = ops_of(x_next) if ops is None else ops
    action = _parts(ops.clip(u, -1.0, 1.0))
    state = split(domain, x_next)
    return domain.reward(split(domain, x), action, state, domain.features(state, _parts(target), ops), ops)


def terminated(domain: Domain, x: Any) -> Any:
    """Return whether state x is the death of an episode [...]."""
    return x[..., 0] != x[..., 0] if domain.terminated is None else domain.terminated(split(domain, x))
