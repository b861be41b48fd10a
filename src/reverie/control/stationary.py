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
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_discrete_are

from reverie.core.status import Status
from reverie.maths.linalg import symmetrise

STEPS, DOUBLINGS = 100, 60  # of Newton's method, and of the steps that a Lyapunov sum covers, at most
ROUNDING = 1e-12  # a change of P relative to P that is no more than rounding; distance from the unit circle likewise
CIRCLE = 1e-10  # within which an eigenvalue counts as on the unit circle, where the cost sees nothing of it
SLOW = 0.25  # ratio of changes in a row: quadratic convergence stays below it in the end, a marginal case at ½
RESIDUAL = (
    1e-7  # by how much the equation may be missed, relative to its terms: more than rounding in systems hard to steer
)


class Stationary(NamedTuple):
    """The best of the stabilising controllers u = K x over an infinite horizon, and its value ½ xᵀ V x."""

    K: Any  # [m, n]
    V: Any  # [n, n]
    Quu: Any  # [m, m]
    status: Status  # DONE, NOT_STABILISABLE, NO_STABILISING_SOLUTION, NOT_POSITIVE_DEFINITE or NONFINITE_MODEL
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


def infinite(A, B, Q, R, N=None, discount: float = 1.0) -> Stationary:
    """Return the controller u = K x that minimises ½ Σ γᵗ (xᵀ Q x + uᵀ R u + 2 xᵀ N u) for x' = A x + B u, and stabilises.

    It is the best of those that stabilise.  A: [n, n], B: [n, m], Q: [n, n], R: [m, m], N: [n, m] or None for 0, discount: γ
    in (0, 1].  V is the stabilising solution of the Riccati equation of (√γ A, √γ B): with γ < 1 it is √γ (A + B K) that is
    stable, so that costs stay finite, while `radius` is that of A + B K.

    Status DONE says that the equation holds and that this loop is stable.  Else NOT_STABILISABLE: no control reaches some
    unstable mode (K = 0); NO_STABILISING_SOLUTION: the cost does not see a mode on the unit circle, or has no minimum;
    NOT_POSITIVE_DEFINITE: not convex in u; NONFINITE_MODEL: the input is not finite.
    """
    A, B, Q, R = (np.asarray(part, float) for part in (A, B, Q, R))
    N = np.zeros_like(B) if N is None else np.asarray(N, float)
    plant = _Plant(discount**0.5 * A, discount**0.5 * B, symmetrise(np.block([[Q, N], [N.T, R]])))
    K, V, steps = np.zeros_like(B).T, np.zeros_like(A), 0
    if not all(np.isfinite(part).all() for part in plant):
        return Stationary(K, V, np.zeros_like(R), Status.NONFINITE_MODEL, steps, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):  # the status tells
        first, status = None if _out_of_reach(plant) else _first(plant), Status.NOT_STABILISABLE
        if first is not None:
            K, V, steps, status = _newton(plant, first)
    return Stationary(K, V, plant.backup(V)[len(A) :, len(A) :], status, steps, _radius(A + B @ K))


def _radius(loop: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvals(loop)).max())


def _out_of_reach(plant: _Plant) -> bool:
    """Return whether an unstable mode is beyond control: rank [A - λ I, B] < n for some |λ| >= 1 (Hautus)."""
    A, B, _ = plant
    eye, unstable = np.eye(len(A)), [pole for pole in np.linalg.eigvals(A) if abs(pole) >= 1.0 - ROUNDING]
    return any(_least(np.concatenate([A - pole * eye, B], axis=1)) <= ROUNDING * plant.size for pole in unstable)


def _unseen(plant: _Plant) -> bool:
    """Return whether a mode on the unit circle is free for ever: A x + B u = λ x and C [x; u] = 0 for some |λ| = 1."""
    A, B, C = plant
    n, eye = len(A), np.eye(len(A))
    weights = C * plant.size / max(float(np.abs(C).max()), np.finfo(float).tiny)
    poles = np.linalg.eigvals(A - B @ np.linalg.lstsq(C[n:, n:], C[n:, :n], rcond=None)[0])
    for pole in poles[np.abs(np.abs(poles) - 1.0) <= CIRCLE]:
        stays = np.concatenate([A - pole * eye, B], axis=1)
        if _least(np.concatenate([stays, weights])) <= ROUNDING * plant.size:
            return True
    return False


def _least(matrix: np.ndarray) -> float:
    """Return the least singular value."""
    return float(np.linalg.svd(matrix, compute_uv=False)[-1])


def _first(plant: _Plant) -> np.ndarray | None:
    """Return gains that stabilise: the problem's own where SciPy finds them, else those of a cost that sees every state."""
    n, d = len(plant.A), len(plant.C)
    for C in (plant.C, max(1.0, float(np.abs(plant.C).max())) * np.eye(d)):
        try:
            P = solve_discrete_are(plant.A, plant.B, C[:n, :n], C[n:, n:], s=C[:n, n:])
        except (LinAlgError, ValueError):  # no solution, or one too near the unit circle for it
            continue
        K = _gains(plant._replace(C=C), P)
        if K is not None and _radius(plant.A + plant.B @ K) < 1.0:
            return K
    return None


def _gains(plant: _Plant, P: np.ndarray) -> np.ndarray | None:
    """Return K [m, n], or None where Q_uu is not positive definite."""
    n, Q = len(plant.A), plant.backup(P)
    try:
        return -cho_solve(cho_factor(Q[n:, n:]), Q[n:, :n])
    except (LinAlgError, ValueError):  # not positive definite; not finite
        return None


def _newton(plant: _Plant, K: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, Status]:
    """Return K, P, steps and status, from gains that stabilise."""
    A, B, C = plant
    n, P, changes = len(A), np.zeros_like(A), [np.inf]
    for steps in range(1, STEPS + 1):
        taken = np.concatenate([np.eye(n), K])
        found = _lyapunov(A + B @ K, taken.T @ C @ taken)
        better = _gains(plant, found)
        if better is None:
            lost = not np.isfinite(found).all() or _radius(A + B @ K) >= 1.0 or _unseen(plant)
            return K, P, steps, Status.NO_STABILISING_SOLUTION if lost else Status.NOT_POSITIVE_DEFINITE
        changes.append(float(np.abs(found - P).max()))
        K, P, Q = better, found, plant.backup(found)
        terms = np.abs(Q[:n, :n]).max() + np.abs(Q[:n, n:]).max() * np.abs(K).max()
        still = changes[-1] >= changes[-2] and changes[-1] <= RESIDUAL * terms  # by no more than rounding errors
        if changes[-1] <= ROUNDING * np.abs(P).max() or still:
            missed = np.abs(Q[:n, :n] + Q[:n, n:] @ K - P).max()
            good = missed <= RESIDUAL * terms and not _marginal(changes, RESIDUAL * terms) and not _unseen(plant)
            stable = _radius(A + B @ K) < 1.0 - ROUNDING
            return K, P, steps, Status.DONE if good and stable else Status.NO_STABILISING_SOLUTION
    return K, P, STEPS, Status.NO_STABILISING_SOLUTION


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
