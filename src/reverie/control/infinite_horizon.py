"""The linear-quadratic regulator over an infinite horizon: the stabilising solution of the algebraic Riccati equation.

    P = Q + Aᵀ P A + (Aᵀ P B + N) K,  K = -(R + Bᵀ P B)⁻¹ (Bᵀ P A + Nᵀ),
    with all eigenvalues of A + B K inside the unit circle.

If the cost depends on every unstable mode, this P is also the limit of value iteration. If not, value iteration gives a
smaller P, whose controller does not stabilise that mode: A = 2, B = R = 1, Q = 0 has the solutions 0 and 3.

The method is Newton's (Kleinman 1968; Hewer 1971). It begins with stabilising gains, from SciPy's solver. Each step
evaluates the gains by a Lyapunov equation, and then improves them. Convergence is quadratic. If the best closed loop is
only marginally stable, each step only halves the error (Guo & Lancaster 1998), which detects that case.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Inexact
from scipy.linalg import LinAlgError, cho_factor, cho_solve, matrix_balance, solve_discrete_are

from reverie.control import shapes
from reverie.core.status import Status
from reverie.maths.array_types import Numbers
from reverie.maths.linalg import symmetrise

STEPS, DOUBLINGS = 100, 60  # most steps of Newton's method, and most doublings of the terms of a Lyapunov sum
# Rounding errors: smaller changes of P relative to P, and smaller distances from the unit circle, are not significant.
STATIONARY_ROUNDING = 1e-12
MARGIN = 1e-9  # a loop that is this near to the unit circle may be stable only because of rounding errors
CIRCLE = 1e-10  # an eigenvalue this near to the unit circle counts as on it
NEAR = 0.9  # spectral radius from which a loop may turn out to be marginally stable
SLOW = 0.25  # ratio of successive changes: lower in quadratic convergence, and ½ in the marginal case
# Largest residual of the equation relative to its terms. In systems that are hard to control rounding errors reach more
# than STATIONARY_ROUNDING.
RESIDUAL = 1e-7


class StationaryRegulator(NamedTuple):
    """The best stabilising controller u = K x over an infinite horizon, and its value ½ xᵀ V x."""

    K: Float[np.ndarray, "m n"]
    V: Float[np.ndarray, "n n"]
    Quu: Float[np.ndarray, "m m"]
    status: Status  # see `infinite`
    steps: int  # of Newton's method
    radius: float  # spectral radius of A + B K: below 1 if the closed loop is stable


class _Plant(NamedTuple):
    """Dynamics x' = A x + B u and the cost ½ yᵀ C y of each step, with y = [x; u]."""

    A: Float[np.ndarray, "n n"]
    B: Float[np.ndarray, "n m"]
    C: Float[np.ndarray, "d d"]

    @property
    def size(self) -> float:
        """Sum of the largest entries of A and B."""
        return float(np.abs(self.A).max() + np.abs(self.B).max())

    def backup(self, V: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "d d"]:
        """Return Q, such that ½ yᵀ Q y is the cost of this step plus ½ x'ᵀ V x'."""
        F = np.concatenate([self.A, self.B], axis=1)
        return symmetrise(self.C + F.T @ V @ F)


def infinite(
    A: Numbers, B: Numbers, Q: Numbers, R: Numbers, N: Numbers | None = None, discount: float = 1.0
) -> StationaryRegulator:
    """Return the best stabilising controller u = K x for x' = A x + B u over an infinite horizon.

    It minimises ½ Σ γᵗ (xᵀ Q x + uᵀ R u + 2 xᵀ N u) among all controllers that stabilise.

    A: [n, n].  B: [n, m].  Q: [n, n].  R: [m, m].  N: [n, m]; None: 0.  A number counts as a 1 by 1 matrix.
    discount: γ in (0, 1].

    V is the stabilising solution of the Riccati equation of (√γ A, √γ B). With γ < 1 it is √γ (A + B K) that is stable,
    so that costs stay finite; `radius` is always that of A + B K.

    | status                  | meaning                                                           |
    |-------------------------|-------------------------------------------------------------------|
    | DONE                    | the equation holds, and this loop is stable                       |
    | NOT_STABILISABLE        | no control reaches some unstable mode; K = 0                      |
    | NO_STABILISING_SOLUTION | a mode on the unit circle has no cost, or the cost has no minimum |
    | NOT_POSITIVE_DEFINITE   | the problem is not convex in u                                    |
    | ILL_CONDITIONED         | the precision of float64 does not suffice                         |
    | NONFINITE_MODEL         | an argument is not finite                                         |

    Raises SpaceError where shapes do not fit, and ConfigError where the discount is out of range.
    """
    given = {"A": A, "B": B, "Q": Q, "R": R} | ({} if N is None else {"N": N})
    A, B, Q, R, *rest = shapes.matrices("lqr.infinite", **given)
    discount, (N,) = shapes.share("lqr.infinite: discount", discount), rest or (np.zeros_like(B),)
    plant, scale = _balanced(discount**0.5 * A, discount**0.5 * B, symmetrise(np.block([[Q, N], [N.T, R]])))
    K, V, steps = np.zeros_like(B).T, np.zeros_like(A), 0
    if not all(np.isfinite(part).all() for part in plant):
        return StationaryRegulator(K, V, np.zeros_like(R), Status.NONFINITE_MODEL, steps, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):  # the status reports it
        first, solution = _first(plant)
        if first is None or _radius(plant.A + plant.B @ first) >= 1.0 - MARGIN:
            if _out_of_reach(plant):
                return StationaryRegulator(K, V, R, Status.NOT_STABILISABLE, steps, _radius(A))
        if first is None:
            return StationaryRegulator(K, V, R, Status.ILL_CONDITIONED, steps, _radius(A))
        K, V, steps, status = _newton(plant, first, solution)
        Quu = plant.backup(V)[len(A) :, len(A) :]
        K, V = K / scale, V / (scale[:, None] * scale)
        radius = _radius(A + B @ K) if np.isfinite(K).all() else np.inf
    return StationaryRegulator(K, V, Quu, status, steps, radius)


def _balanced(
    A: Float[np.ndarray, "n n"], B: Float[np.ndarray, "n m"], C: Float[np.ndarray, "d d"]
) -> tuple[_Plant, Float[np.ndarray, "n"]]:
    """Return (the plant with scaled states, the scales). Scales are powers of 2 that balance A."""
    scale = np.ones(len(A))
    if np.isfinite(A).all():
        _, (scale, _) = matrix_balance(A, permute=False, separate=True)
    wide = np.concatenate([scale, np.ones(B.shape[1])])
    return _Plant(A * scale / scale[:, None], B / scale[:, None], C * wide * wide[:, None]), scale


def _radius(loop: Float[np.ndarray, "n n"]) -> float:
    return float(np.abs(np.linalg.eigvals(loop)).max())


def _out_of_reach(plant: _Plant) -> bool:
    """Return whether an unstable mode cannot be controlled: rank [A - λ I, B] < n for some |λ| >= 1 (Hautus)."""
    A, B, _ = plant
    eye, unstable = np.eye(len(A)), [pole for pole in np.linalg.eigvals(A) if abs(pole) >= 1.0 - STATIONARY_ROUNDING]
    return any(
        _least(np.concatenate([A - pole * eye, B], axis=1)) <= STATIONARY_ROUNDING * plant.size for pole in unstable
    )


def _unseen(plant: _Plant) -> bool:
    """Return whether a mode on the unit circle has no cost: A x + B u = λ x and C [x; u] = 0 for some |λ| = 1."""
    A, B, C = plant
    n, eye = len(A), np.eye(len(A))
    weights = C * plant.size / max(float(np.abs(C).max()), np.finfo(float).tiny)
    poles = np.linalg.eigvals(A - B @ np.linalg.lstsq(C[n:, n:], C[n:, :n], rcond=None)[0])
    for pole in poles[np.abs(np.abs(poles) - 1.0) <= CIRCLE]:
        stays = np.concatenate([A - pole * eye, B], axis=1)
        if _least(np.concatenate([stays, weights])) <= STATIONARY_ROUNDING * plant.size:
            return True
    return False


def _least(matrix: Inexact[np.ndarray, "_rows _columns"]) -> float:
    """Return the smallest singular value."""
    return float(np.linalg.svd(matrix, compute_uv=False)[-1])


def _first(plant: _Plant) -> tuple[Float[np.ndarray, "m n"] | None, Float[np.ndarray, "n n"] | None]:
    """Return (stabilising gains, SciPy's solution of the problem if it found one), or (None, None).

    If SciPy does not solve the problem, the gains are those of another cost, which depends on every state.
    """
    n, d = len(plant.A), len(plant.C)
    for C in (plant.C, max(1.0, float(np.abs(plant.C).max())) * np.eye(d)):
        try:
            P = solve_discrete_are(plant.A, plant.B, C[:n, :n], C[n:, n:], s=C[:n, n:])
        except (LinAlgError, ValueError):  # no solution, or one that is too near the unit circle
            continue
        K = _gains(plant._replace(C=C), P)
        if K is not None and _radius(plant.A + plant.B @ K) < 1.0:
            return K, P if C is plant.C else None
    return None, None


def _gains(plant: _Plant, P: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "m n"] | None:
    """Return K. None if Q_uu is not positive definite by more than rounding errors, in any units of u."""
    n, Q = len(plant.A), plant.backup(P)
    unit = np.sqrt(np.abs(np.diag(Q)[n:]))
    unit[unit == 0.0] = 1.0
    try:
        H = Q[n:, n:] / (unit[:, None] * unit)
        if np.linalg.eigvalsh(H)[0] <= len(H) * np.finfo(float).eps:
            return None
        return -cho_solve(cho_factor(H), Q[n:, :n] / unit[:, None]) / unit[:, None]
    except (LinAlgError, ValueError):  # not positive definite, or not finite
        return None


class _Found(NamedTuple):
    """A step of Newton's method."""

    K: Float[np.ndarray, "m n"]  # new gains
    P: Float[np.ndarray, "n n"]  # value of the gains before
    missed: float  # residual of the equation for K and P, relative to its terms
    terms: float  # size of these terms


def _found(plant: _Plant, K: Float[np.ndarray, "m n"], P: Float[np.ndarray, "n n"]) -> _Found:
    n, Q = len(P), plant.backup(P)
    terms = float(np.abs(Q[:n, :n]).max() + np.abs(Q[:n, n:]).max() * np.abs(K).max())
    missed = float(np.abs(Q[:n, :n] + Q[:n, n:] @ K - P).max())
    return _Found(K, P, missed / terms if terms > 0 else 0.0, terms)


def _newton(
    plant: _Plant, K: Float[np.ndarray, "m n"], solution: Float[np.ndarray, "n n"] | None
) -> tuple[Float[np.ndarray, "m n"], Float[np.ndarray, "n n"], int, Status]:
    """Run Newton's method from stabilising gains.  Returns (K, P, number of steps, status).

    K and P are those of the step with the smallest residual: in systems that are hard to control, rounding errors make
    the steps wander about the solution.
    """
    A, B, C = plant
    P, changes, steps = np.zeros_like(A), [np.inf], 0
    best = None if solution is None else _found(plant, K, solution)
    for steps in range(1, STEPS + 1):
        taken = np.concatenate([np.eye(len(A)), K])
        value = _lyapunov(A + B @ K, taken.T @ C @ taken)
        better = _gains(plant, value)
        if better is None:
            if best is not None and best.missed <= RESIDUAL:  # an earlier step was good enough
                break
            return K, P, steps, _why(plant, K, value)
        changes.append(float(np.abs(value - P).max()))
        K, P, found = better, value, _found(plant, better, value)
        if best is None or found.missed <= best.missed:
            best = found
        still = changes[-1] >= changes[-2] and changes[-1] <= RESIDUAL * found.terms  # only rounding errors
        if changes[-1] <= STATIONARY_ROUNDING * np.abs(P).max() or still:
            break
    assert best is not None
    radius = _radius(A + B @ best.K)
    if (radius > NEAR and _marginal(changes, RESIDUAL * best.terms)) or _unseen(plant):
        return K, P, steps, Status.NO_STABILISING_SOLUTION
    good = best.missed <= RESIDUAL and radius < 1.0 - STATIONARY_ROUNDING
    return best.K, best.P, steps, Status.DONE if good else Status.ILL_CONDITIONED


def _why(plant: _Plant, K: Float[np.ndarray, "m n"], value: Float[np.ndarray, "n n"]) -> Status:
    """Return the reason why K, whose value is `value`, cannot be improved."""
    if _unseen(plant):
        return Status.NO_STABILISING_SOLUTION
    curvature = np.linalg.eigvalsh(plant.C)
    convex = curvature[0] >= -STATIONARY_ROUNDING * np.abs(curvature).max()
    lost = not np.isfinite(value).all() or _radius(plant.A + plant.B @ K) >= 1.0
    if lost and convex:  # then there is a solution
        return Status.ILL_CONDITIONED
    return Status.NO_STABILISING_SOLUTION if lost else Status.NOT_POSITIVE_DEFINITE


def _marginal(changes: list[float], floor: float) -> bool:
    """Return whether Newton's steps converge only as slowly as they do for a marginally stable loop.

    changes: size of each step.  floor: smaller changes may be rounding errors.
    """
    certain = [change for change in changes[1:] if change > floor]
    slow = [b > SLOW * a for a, b in itertools.pairwise(certain)]
    return len(slow) >= 3 and all(slow[-3:])


def _lyapunov(loop: Float[np.ndarray, "n n"], cost: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Return P = Σ_k (loopᵏ)ᵀ cost loopᵏ. Each pass doubles the number of terms."""
    P, power = cost, loop
    for _ in range(DOUBLINGS):
        added = power.T @ P @ power
        P = symmetrise(P + added)
        if not np.abs(added).max() > np.finfo(float).eps * np.abs(P).max():
            break
        power = power @ power
    return P
