"""The regulator over an infinite horizon: the stabilising solution of the discrete algebraic Riccati equation.

    P = Q + Aᵀ P A + (Aᵀ P B + N) K,  K = -(R + Bᵀ P B)⁻¹ (Bᵀ P A + Nᵀ),  all eigenvalues of A + B K inside the unit circle.

Where the cost sees every unstable mode this P is also the limit of value iteration.  Where it does not, value iteration
gives a smaller P, whose controller leaves that mode alone: A = 2, B = R = 1, Q = 0 has the solutions 0 and 3.

Newton's method (Kleinman 1968; Hewer 1971): from gains that stabilise, each step evaluates them by a Lyapunov equation and
improves them.  It converges quadratically; where the best loop is only marginally stable it halves its error in each step
(Guo & Lancaster 1998), by which that case is told.  The first gains come from SciPy's solver.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, matrix_balance, solve_discrete_are

from reverie.control import shapes
from reverie.core.status import Status
from reverie.maths.linalg import symmetrise

STEPS, DOUBLINGS = 100, 60  # of Newton's method, and of the steps that a Lyapunov sum covers, at most
STATIONARY_ROUNDING = (
    1e-12  # a change of P relative to P that is no more than rounding; distance from the unit circle likewise
)
MARGIN = 1e-9  # to the unit circle, within which a loop may owe to rounding errors that it is stable
CIRCLE = 1e-10  # within which an eigenvalue counts as on the unit circle, where the cost sees nothing of it
NEAR = 0.9  # radius of a loop above which it may be one that is marginal in the end
SLOW = 0.25  # ratio of changes in a row: quadratic convergence stays below it in the end, a marginal case at ½
RESIDUAL = (
    1e-7  # by how much the equation may be missed, relative to its terms: more than rounding in systems hard to steer
)


class StationaryRegulator(NamedTuple):
    """The best of the stabilising controllers u = K x over an infinite horizon, and its value ½ xᵀ V x."""

    K: Any  # [m, n]
    V: Any  # [n, n]
    Quu: Any  # [m, m]
    status: Status  # see `infinite`
    steps: int  # of Newton's method
    radius: float  # the largest |eigenvalue| of A + B K: below 1 where the loop is stable


class _Plant(NamedTuple):
    """x' = A x + B u, each step at the cost ½ yᵀ C y of y = [x; u]."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray

    @property
    def size(self) -> float:
        """The largest entries of A and B."""
        return float(np.abs(self.A).max() + np.abs(self.B).max())

    def backup(self, V: np.ndarray) -> np.ndarray:
        """Return Q [d, d]: ½ yᵀ Q y is the cost now plus ½ x'ᵀ V x'."""
        F = np.concatenate([self.A, self.B], axis=1)
        return symmetrise(self.C + F.T @ V @ F)


def infinite(A, B, Q, R, N=None, discount: float = 1.0) -> StationaryRegulator:
    """Return the controller u = K x that minimises ½ Σ γᵗ (xᵀ Q x + uᵀ R u + 2 xᵀ N u) for x' = A x + B u, and stabilises.

    It is the best of those that stabilise.  A: [n, n], B: [n, m], Q: [n, n], R: [m, m], N: [n, m] or None for 0 (numbers
    count as 1 by 1), discount: γ in (0, 1].  V is the stabilising solution of the Riccati equation of (√γ A, √γ B): with
    γ < 1 it is √γ (A + B K) that is stable, so that costs stay finite, while `radius` is that of A + B K.

    Status DONE says that the equation holds and that this loop is stable.  Else NOT_STABILISABLE: no control reaches some
    unstable mode (K = 0); NO_STABILISING_SOLUTION: the cost does not see a mode on the unit circle, or has no minimum;
    NOT_POSITIVE_DEFINITE: not convex in u; ILL_CONDITIONED: float64 cannot tell; NONFINITE_MODEL: the input is not finite.
    Raises SpaceError where shapes do not fit, ConfigError where the discount does not.
    """
    given = {"A": A, "B": B, "Q": Q, "R": R} | ({} if N is None else {"N": N})
    A, B, Q, R, *rest = shapes.matrices("lqr.infinite", **given)
    discount, (N,) = shapes.share("lqr.infinite: discount", discount), rest or (np.zeros_like(B),)
    plant, scale = _balanced(discount**0.5 * A, discount**0.5 * B, symmetrise(np.block([[Q, N], [N.T, R]])))
    K, V, steps = np.zeros_like(B).T, np.zeros_like(A), 0
    if not all(np.isfinite(part).all() for part in plant):
        return StationaryRegulator(K, V, np.zeros_like(R), Status.NONFINITE_MODEL, steps, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):  # the status tells
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


def _balanced(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[_Plant, np.ndarray]:
    """Return the plant in units of its states that make rows and columns of A alike, and those units [n], powers of 2."""
    scale = np.ones(len(A))
    if np.isfinite(A).all():
        _, (scale, _) = matrix_balance(A, permute=False, separate=True)
    wide = np.concatenate([scale, np.ones(B.shape[1])])
    return _Plant(A * scale / scale[:, None], B / scale[:, None], C * wide * wide[:, None]), scale


def _radius(loop: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvals(loop)).max())


def _out_of_reach(plant: _Plant) -> bool:
    """Return whether an unstable mode is beyond control: rank [A - λ I, B] < n for some |λ| >= 1 (Hautus)."""
    A, B, _ = plant
    eye, unstable = np.eye(len(A)), [pole for pole in np.linalg.eigvals(A) if abs(pole) >= 1.0 - STATIONARY_ROUNDING]
    return any(
        _least(np.concatenate([A - pole * eye, B], axis=1)) <= STATIONARY_ROUNDING * plant.size for pole in unstable
    )


def _unseen(plant: _Plant) -> bool:
    """Return whether a mode on the unit circle is free for ever: A x + B u = λ x and C [x; u] = 0 for some |λ| = 1."""
    A, B, C = plant
    n, eye = len(A), np.eye(len(A))
    weights = C * plant.size / max(float(np.abs(C).max()), np.finfo(float).tiny)
    poles = np.linalg.eigvals(A - B @ np.linalg.lstsq(C[n:, n:], C[n:, :n], rcond=None)[0])
    for pole in poles[np.abs(np.abs(poles) - 1.0) <= CIRCLE]:
        stays = np.concatenate([A - pole * eye, B], axis=1)
        if _least(np.concatenate([stays, weights])) <= STATIONARY_ROUNDING * plant.size:
            return True
    return False


def _least(matrix: np.ndarray) -> float:
    """Return the least singular value."""
    return float(np.linalg.svd(matrix, compute_uv=False)[-1])


def _first(plant: _Plant) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return gains that stabilise, and their value where they are the problem's own.

    SciPy's where it finds them, else those of a cost that sees every state; None where there are none.
    """
    n, d = len(plant.A), len(plant.C)
    for C in (plant.C, max(1.0, float(np.abs(plant.C).max())) * np.eye(d)):
        try:
            P = solve_discrete_are(plant.A, plant.B, C[:n, :n], C[n:, n:], s=C[:n, n:])
        except (LinAlgError, ValueError):  # no solution, or one too near the unit circle for it
            continue
        K = _gains(plant._replace(C=C), P)
        if K is not None and _radius(plant.A + plant.B @ K) < 1.0:
            return K, P if C is plant.C else None
    return None, None


def _gains(plant: _Plant, P: np.ndarray) -> np.ndarray | None:
    """Return K [m, n], or None where Q_uu is not positive definite, by more than rounding errors in any unit of u."""
    n, Q = len(plant.A), plant.backup(P)
    unit = np.sqrt(np.abs(np.diag(Q)[n:]))
    unit[unit == 0.0] = 1.0
    try:
        H = Q[n:, n:] / (unit[:, None] * unit)
        if np.linalg.eigvalsh(H)[0] <= len(H) * np.finfo(float).eps:
            return None
        return -cho_solve(cho_factor(H), Q[n:, :n] / unit[:, None]) / unit[:, None]
    except (LinAlgError, ValueError):  # not positive definite; not finite
        return None


class _Found(NamedTuple):
    """A step of Newton's method: gains, the value of those before, and by how much the equation is missed by both."""

    K: np.ndarray
    P: np.ndarray
    missed: float  # relative to the equation's terms
    terms: float  # their size


def _found(plant: _Plant, K: np.ndarray, P: np.ndarray) -> _Found:
    n, Q = len(P), plant.backup(P)
    terms = float(np.abs(Q[:n, :n]).max() + np.abs(Q[:n, n:]).max() * np.abs(K).max())
    missed = float(np.abs(Q[:n, :n] + Q[:n, n:] @ K - P).max())
    return _Found(K, P, missed / terms if terms > 0 else 0.0, terms)


def _newton(plant: _Plant, K: np.ndarray, solution: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, int, Status]:
    """Return K, P, steps and status, from gains that stabilise: of the steps taken the one that meets the equation best.

    In systems hard to steer rounding errors leave steps that wander about the solution.
    """
    A, B, C = plant
    P, changes, steps = np.zeros_like(A), [np.inf], 0
    best = None if solution is None else _found(plant, K, solution)
    for steps in range(1, STEPS + 1):
        taken = np.concatenate([np.eye(len(A)), K])
        value = _lyapunov(A + B @ K, taken.T @ C @ taken)
        better = _gains(plant, value)
        if better is None:
            if best is not None and best.missed <= RESIDUAL:  # wandered off from there
                break
            return K, P, steps, _why(plant, K, value)
        changes.append(float(np.abs(value - P).max()))
        K, P, found = better, value, _found(plant, better, value)
        if best is None or found.missed <= best.missed:
            best = found
        still = changes[-1] >= changes[-2] and changes[-1] <= RESIDUAL * found.terms  # by no more than rounding errors
        if changes[-1] <= STATIONARY_ROUNDING * np.abs(P).max() or still:
            break
    assert best is not None
    radius = _radius(A + B @ best.K)
    if (radius > NEAR and _marginal(changes, RESIDUAL * best.terms)) or _unseen(plant):
        return K, P, steps, Status.NO_STABILISING_SOLUTION
    good = best.missed <= RESIDUAL and radius < 1.0 - STATIONARY_ROUNDING
    return best.K, best.P, steps, Status.DONE if good else Status.ILL_CONDITIONED


def _why(plant: _Plant, K: np.ndarray, value: np.ndarray) -> Status:
    """Return why there are no better gains than K, of this value."""
    if _unseen(plant):
        return Status.NO_STABILISING_SOLUTION
    curvature = np.linalg.eigvalsh(plant.C)
    convex = curvature[0] >= -STATIONARY_ROUNDING * np.abs(curvature).max()
    lost = not np.isfinite(value).all() or _radius(plant.A + plant.B @ K) >= 1.0
    if lost and convex:  # then there is a solution
        return Status.ILL_CONDITIONED
    return Status.NO_STABILISING_SOLUTION if lost else Status.NOT_POSITIVE_DEFINITE


def _marginal(changes: list[float], floor: float) -> bool:
    """Return whether steps fell no faster than they do towards a loop that is only marginally stable.

    floor: what is less may be rounding errors.
    """
    told = [change for change in changes[1:] if change > floor]
    slow = [b > SLOW * a for a, b in itertools.pairwise(told)]
    return len(slow) >= 3 and all(slow[-3:])


def _lyapunov(loop: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return P = Σ_k (loopᵏ)ᵀ cost loopᵏ [n, n], twice as many terms at a time."""
    P, power = cost, loop
    for _ in range(DOUBLINGS):
        added = power.T @ P @ power
        P = symmetrise(P + added)
        if not np.abs(added).max() > np.finfo(float).eps * np.abs(P).max():
            break
        power = power @ power
    return P
