"""The steps of iLQG as pure functions. The compiled loop and the loop on the host, both in `ilqg`, share them."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int, Real
from numpy.typing import DTypeLike

from reverie.control import box_qp, lqr, shapes
from reverie.control.ilqg_problem import Expansion
from reverie.core.argument_checks import finite, shown, whole
from reverie.core.errors import ConfigError
from reverie.core.setting_names import KnownNames
from reverie.core.status import Status
from reverie.maths.array_arguments import of_arrays
from reverie.maths.array_types import Array
from reverie.maths.linalg import cholesky, eigenvalues_clipped, finite_flag, symmetrise

RUNNING = -1  # status of a search that has not ended
SETTLED = 1e-5  # for a smaller λ, small gains mean a small gradient
TRACE = ("cost", "regularisation", "alpha", "fall", "expected", "gain")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(KnownNames):
    """Settings of iLQG."""

    iterations: int = 500
    """Most line searches."""
    tolerance: float = 1e-7
    """Stop when a step lowers the cost J by less than this times 1 + |J|."""
    gradient_tolerance: float = 1e-4
    """Stop when both step and gradient are small. The mean over time of max |k| / (|u| + 1) must be below this, with a
    small λ. The largest |∂J/∂u| (|u| + 1) must be below this times 1 + |J|. Steps alone are not enough: near a kink of
    the cost they are small while the gradient is not."""
    regularisation: float = 1.0
    """First value of λ. Use 0 for problems that are known to be convex."""
    regularisation_min: float = 1e-6
    """Smallest λ above 0: below it λ becomes 0."""
    regularisation_max: float = 1e10
    """Largest λ: above it the search stops."""
    factor: float = 1.6
    """λ is multiplied or divided by this factor, and by rising powers of it after several equal outcomes in a row."""
    z_min: float = 1e-4
    """A step is taken if the cost falls by at least this share of the predicted fall."""
    alphas: tuple[float, ...] = tuple(float(a) for a in 10.0 ** np.linspace(0, -3, 11))
    """Step lengths α that are tried, longest first."""
    project: bool = True
    """Whether to project the Hessian of the cost to be positive semidefinite."""
    low: float | tuple[float, ...] | None = None
    """Lower bound of actions; None: no bound. The problem's rollouts must keep it as well."""
    high: float | tuple[float, ...] | None = None
    """Upper bound of actions; None: no bound. The problem's rollouts must keep it as well."""
    divergence: float = 1e8
    """A first trajectory with larger states counts as diverged."""

    def __post_init__(self) -> None:
        whole("iterations", self.iterations, 1)
        for name in ("tolerance", "gradient_tolerance", "regularisation", "z_min"):
            if finite(name, getattr(self, name)) < 0:
                raise ConfigError(f"{name} is {shown(getattr(self, name))}; it must be 0 or more")
        for name in ("regularisation_min", "regularisation_max", "divergence"):
            shapes.positive(name, getattr(self, name))
        if finite("factor", self.factor) <= 1:
            raise ConfigError(f"factor is {shown(self.factor)}; it must be above 1")
        object.__setattr__(self, "alphas", self._lengths())
        low, high = (shapes.real("ilqg.Options", name, 0.0 if end is None else end) for name, end in self._ends())
        if np.isnan(low).any() or np.isnan(high).any():
            raise ConfigError(f"low = {shown(self.low)}, high = {shown(self.high)}: bounds are numbers")
        if self.low is not None and self.high is not None and np.any(np.greater(self.low, self.high)):
            raise ConfigError(f"low = {self.low} above high = {self.high}: no control lies between")

    def _lengths(self) -> tuple[float, ...]:
        try:
            alphas = tuple(self.alphas)
        except Exception:  # not a sequence; a user's object may raise anything
            alphas = ()
        if not alphas:
            raise ConfigError(
                f"alphas is {shown(self.alphas)}; give lengths of steps, at least one, such as (1.0, 0.5)"
            )
        return tuple(shapes.positive("alphas", alpha) for alpha in alphas)

    def _ends(self) -> tuple[tuple[str, float | tuple[float, ...] | None], ...]:
        return ("low", self.low), ("high", self.high)


DEFAULT_OPTIONS = Options()


class SearchState(NamedTuple):
    """State of a search, which the step functions take and return."""

    states: Float[Array, "T+1 x"]
    actions: Float[Array, "T m"]
    cost: Float[Array, ""]  # J
    regularisation: Float[Array, ""]  # λ
    factor: Float[Array, ""]  # last factor of λ
    iterations: Int[Array, ""]  # line searches
    passes: Int[Array, ""]  # backward passes
    repairs: Int[Array, ""]  # backward passes that failed
    status: Int[Array, ""]  # RUNNING or a Status
    limit: Int[Array, ""]  # most line searches
    needs_expansion: Bool[ArrayLike, ""]  # whether the last expansion is of an earlier trajectory
    finished: Bool[Array, ""]  # whether the last gains are those to return


class LocalModel(NamedTuple):
    """An expansion about a trajectory in the form that backward passes take, with d = n + m."""

    F: Float[Array, "T n d"]  # ∂x'/∂(x, u)
    C: Float[Array, "T d d"]  # Hessian of the cost
    c: Float[Array, "T d"]  # gradient of the cost
    V: Float[Array, "n n"]  # Hessian of the last state's cost
    v: Float[Array, "n"]  # gradient of the last state's cost
    finite: Bool[Array, ""]  # whether all of these are finite


class Gains(NamedTuple):
    """Result of a backward pass. For a step length α the expected fall of J is -α (linear + α quadratic)."""

    K: Float[Array, "T m n"]
    k: Float[Array, "T m"]
    Quu: Float[Array, "T m m"]
    linear: Float[Array, ""]
    quadratic: Float[Array, ""]
    size: Float[Array, ""]  # mean over time of max |k| / (|u| + 1)
    gradient: Float[Array, ""]  # max over time of |∂J/∂u| (|u| + 1), without components that point out of the bounds
    positive: Bool[Array, ""]  # whether all Q_uu + λ I are positive definite


Tree = TypeVar("Tree")
_Scalar: TypeAlias = Float[ArrayLike, ""]
_Change: TypeAlias = Callable[[_Scalar, _Scalar, Options], tuple[Array, Array]]  # of λ and its factor
_After: TypeAlias = tuple[Array, Array, Array, Array]  # V, v, k, and the adjoint ∂J/∂x for fixed actions
_Stage: TypeAlias = tuple[Array, Array, Array, Array]  # F, C, c, û


def localise(expansion: Expansion, options: Options) -> LocalModel:
    """Return an expansion in the form that backward passes take. With `options.project` Hessians are projected."""
    A, B, l_x, l_u, l_xx, l_ux, l_uu, v, V = expansion
    n = A.shape[1]
    F, c = jnp.concatenate([A, B], axis=2), jnp.concatenate([l_x, l_u], axis=1)
    top = jnp.concatenate([l_xx, jnp.swapaxes(l_ux, 1, 2)], axis=2)
    C = symmetrise(jnp.concatenate([top, jnp.concatenate([l_ux, l_uu], axis=2)], axis=1))
    V = symmetrise(jnp.asarray(V))
    if options.project:
        C, V = eigenvalues_clipped(C), eigenvalues_clipped(V)
        l_uu = C[:, n:, n:]
        C = C.at[:, n:, n:].set(eigenvalues_clipped(l_uu, 1e-6 * jnp.max(jnp.abs(l_uu))))
    finite = finite_flag(F, C, c, V, v)
    return LocalModel(F, C, c, V, jnp.asarray(v), finite)


def sweep(
    local: LocalModel, actions: Float[Array, "T m"], regularisation: Float[ArrayLike, ""], options: Options
) -> Gains:
    """Return the gains of one backward pass about a trajectory.

    actions: û.  regularisation: λ, added to the diagonal of Q_uu.
    """
    n, m = local.F.shape[1], actions.shape[1]
    bounded = options.low is not None or options.high is not None
    low = -jnp.inf if options.low is None else jnp.asarray(options.low, actions.dtype)
    high = jnp.inf if options.high is None else jnp.asarray(options.high, actions.dtype)

    def step(after: _After, now: _Stage):
        V, v, warm, adjoint = after
        F, C, c, u = now
        Q, q = lqr.backup(V, v, F, C, c)
        if bounded:
            H = Q[n:, n:] + regularisation * jnp.eye(m, dtype=Q.dtype)
            best = box_qp.solve(H, q[n:], low - u, high - u, warm)
            K, k, positive = box_qp.feedback(H, best, Q[n:, :n]), best.k, best.status != Status.NOT_POSITIVE_DEFINITE
        else:
            K, k, positive = lqr.gains(Q, q, n, regularisation)
        V, v, _ = lqr.value_update(Q, q, K, k, regularisation)
        Quu, slope = Q[n:, n:], c + F.T @ adjoint  # ∂J/∂y for fixed later actions; q contains their changes
        blocked = ((u <= low) & (slope[n:] > 0)) | ((u >= high) & (slope[n:] < 0))
        gradient = jnp.max(jnp.where(blocked, 0.0, jnp.abs(slope[n:]) * (jnp.abs(u) + 1.0)))
        return (V, v, k, slope[:n]), (K, k, Quu, k @ q[n:], 0.5 * k @ (Quu @ k), positive, gradient)

    last = local.V, local.v, jnp.zeros(m, actions.dtype), local.v
    _, (K, k, Quu, linear, quadratic, positive, gradient) = jax.lax.scan(
        step, last, (local.F, local.C, local.c, actions), reverse=True, unroll=2
    )
    size = jnp.mean(jnp.max(jnp.abs(k) / (jnp.abs(actions) + 1.0), axis=1))
    return Gains(K, k, Quu, jnp.sum(linear), jnp.sum(quadratic), size, jnp.max(gradient), jnp.all(positive))


def raised(
    regularisation: Float[ArrayLike, ""], factor: Float[ArrayLike, ""], options: Options
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return λ and its factor after a pass or a step that failed."""
    factor = jnp.maximum(options.factor, factor * options.factor)
    return jnp.maximum(regularisation * factor, options.regularisation_min), factor


def lowered(
    regularisation: Float[ArrayLike, ""], factor: Float[ArrayLike, ""], options: Options
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return λ and its factor after a step that was taken."""
    factor = jnp.minimum(1.0 / options.factor, factor / options.factor)
    lower = regularisation * factor
    return jnp.where(lower < options.regularisation_min, 0.0, lower), factor


@of_arrays
def definite(Quu: Real[Array, "T m m"], regularisation: Real[ArrayLike, ""]) -> Real[Array, "T m m"]:
    """Return Quu, with λ I added at time steps where it is not positive definite."""
    added = jnp.where(cholesky(Quu)[1], 0.0, regularisation)
    return Quu + added[:, None, None] * jnp.eye(Quu.shape[-1], dtype=Quu.dtype)


def _with(change: _Change, search: SearchState, options: Options) -> SearchState:
    regularisation, factor = change(search.regularisation, search.factor, options)
    return search._replace(regularisation=regularisation, factor=factor)


def _either(condition: Bool[ArrayLike, ""], yes: Tree, no: Tree) -> Tree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def judge(search: SearchState, local: LocalModel, gains: Gains, options: Options) -> SearchState:
    """Return the search after a backward pass. λ is raised if the pass failed; the search ends if it has converged."""
    search = search._replace(passes=search.passes + 1, needs_expansion=False)
    failed = _with(raised, search._replace(repairs=search.repairs + 1), options)
    hopeless = failed.regularisation > options.regularisation_max
    failed = failed._replace(status=jnp.where(hopeless, Status.NOT_POSITIVE_DEFINITE, failed.status), finished=hopeless)
    still = (gains.size < options.gradient_tolerance) & (search.regularisation < SETTLED)
    running, scale = search.status == RUNNING, 1.0 + jnp.abs(search.cost)
    flat = gains.gradient <= options.gradient_tolerance * scale
    hardly = (
        -(gains.linear + gains.quadratic) < options.tolerance * scale
    )  # the expected fall is less than a step must bring
    status = jnp.where(running & still & hardly, Status.CONVERGED_COST, search.status)
    stuck = gains.size == 0.0  # all actions are at a bound and the gradient points outward, for any λ
    status = jnp.where(running & flat & (still | stuck), Status.CONVERGED_GRADIENT, status)
    search = _either(gains.positive, search._replace(status=status, finished=status != RUNNING), failed)
    status = jnp.where(local.finite, search.status, Status.NONFINITE_MODEL)
    return search._replace(status=status, finished=search.finished | ~local.finite)


def choose(
    search: SearchState,
    gains: Gains,
    X: Float[Array, "S T+1 x"],
    U: Float[Array, "S T m"],
    J: Float[Array, "S"],
    options: Options,
) -> tuple[SearchState, Float[Array, "6"]]:
    """Return (the search after a line search, its row of the trace).

    X, U, J: rollouts for S step lengths. The best is taken if its cost falls enough.
    """
    alphas = jnp.asarray(options.alphas, J.dtype)
    best = jnp.argmin(jnp.where(jnp.isfinite(J), J, jnp.inf))
    alpha, fall = alphas[best], search.cost - J[best]
    expected = -alpha * (gains.linear + alpha * gains.quadratic)
    share = jnp.where(expected > 0, fall / expected, jnp.sign(fall))
    taken = jnp.isfinite(J[best]) & (share > options.z_min)
    search = search._replace(iterations=search.iterations + 1)
    small = fall < options.tolerance * (1.0 + jnp.abs(search.cost))
    moved = _with(lowered, search._replace(states=X[best], actions=U[best], cost=J[best]), options)
    moved = moved._replace(status=jnp.where(small, Status.CONVERGED_COST, search.status))
    stuck = _with(raised, search, options)
    hopeless = stuck.regularisation > options.regularisation_max
    stuck = stuck._replace(status=jnp.where(hopeless, Status.REGULARISATION_LIMIT, search.status))
    row = (J[best], search.regularisation, alpha, fall, expected, gains.size)
    row = _either(taken, row, (search.cost, search.regularisation, jnp.zeros_like(alpha), *row[3:]))
    after = _either(taken, moved, stuck)
    over = (after.status == RUNNING) & (after.iterations >= after.limit)
    status = jnp.where(over, Status.MAX_ITERATIONS, after.status)
    return after._replace(status=status, needs_expansion=taken), jnp.stack(row)


def start(
    X: Float[Array, "S T+1 x"],
    U: Float[Array, "S T m"],
    J: Float[Array, "S"],
    regularisation: Float[ArrayLike, ""],
    limit: Int[ArrayLike, ""],
    options: Options,
) -> SearchState:
    """Return the search that begins with the first rollout whose states and cost stay within limits.

    X, U, J: rollouts of first actions times α, for falling α.  regularisation: λ.  limit: most line searches.
    """
    fine = jnp.isfinite(J) & (jnp.max(jnp.abs(X), axis=(1, 2)) <= options.divergence)  # NaN compares false
    first = jnp.argmax(fine)
    zero, one = jnp.zeros((), jnp.int32), jnp.ones((), J.dtype)
    return SearchState(
        states=X[first],
        actions=U[first],
        cost=J[first],
        regularisation=regularisation * one,
        factor=one,
        iterations=zero,
        passes=zero,
        repairs=zero,
        status=zero + jnp.where(fine[first], RUNNING, Status.INITIAL_DIVERGED),
        limit=zero + limit,
        needs_expansion=jnp.asarray(True),
        finished=~fine[first],
    )


def nothing_yet(T: int, n: int, m: int, dtype: DTypeLike) -> tuple[LocalModel, Gains]:
    """Return an expansion and gains to begin with. All are 0, except Q_uu = I.  n: dimension of state differences."""

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype)

    d, yes = n + m, np.ones((), bool)
    local = LocalModel(zeros(T, n, d), zeros(T, d, d), zeros(T, d), zeros(n, n), zeros(n), yes)
    Quu = zeros(T, m, m) + np.eye(m, dtype=dtype)
    return local, Gains(zeros(T, m, n), zeros(T, m), Quu, zeros(), zeros(), zeros(), zeros(), yes)
