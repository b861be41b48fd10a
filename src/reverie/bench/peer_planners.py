"""Peer planners at the same problems: Crocoddyl and MiM solvers (C++ with Python models) and diffilqrax (JAX)."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
import contextlib
import multiprocessing
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reverie.bench import cartpole_swingup
from reverie.control.lqr import QuadraticCost
from reverie.core.dynamics import Linear


class PlannerResult(NamedTuple):
    """Result of one search."""

    cost: float
    iterations: int
    seconds: float


Planner = Callable[[np.ndarray], PlannerResult]  # argument: initial controls [150, 1]


def timed(run: Callable[[], tuple[float, int]]) -> PlannerResult:
    """Return the result of `run`, which returns (J, iterations), with its time."""
    began = time.perf_counter()
    cost, iterations = run()
    return PlannerResult(float(cost), int(iterations), time.perf_counter() - began)


def crocoddyl_regulator(model: Linear, cost: QuadraticCost) -> Callable[[], object]:
    """Return Crocoddyl's derivatives and backward pass for a time-invariant linear-quadratic problem, on one thread."""
    import crocoddyl

    T, n, d = model.F.shape
    A, B, C, N = model.F[0][:, :n], model.F[0][:, n:], cost.C[0], np.zeros((n, d - n))
    stage = crocoddyl.ActionModelLQR(A, B, C[:n, :n], C[n:, n:], N, np.zeros(n), np.zeros(n), np.zeros(d - n))
    problem = crocoddyl.ShootingProblem(np.ones(n), [stage] * T, stage)
    problem.nthreads = 1  # more threads than idle cores slow it by a factor of 10
    solver = crocoddyl.SolverDDP(problem)
    solver.setCandidate([np.ones(n)] * (T + 1), [np.zeros(d - n)] * T, False)
    return lambda: solver.computeDirection(True)


def _shooting() -> Any:
    """Return the swing-up as Crocoddyl's shooting problem, with derivatives by hand."""
    import crocoddyl

    class Step(crocoddyl.ActionModelAbstract):
        def __init__(self, last: bool) -> None:
            crocoddyl.ActionModelAbstract.__init__(self, crocoddyl.StateVector(4), 1, 0)
            weights = 2.0 * np.array([0.1, 0.1, 0.1, 0.0]) if last else cartpole_swingup.DT * cartpole_swingup.SCALES
            self.angle, (position, slide, turn, self.push) = (2.0 if last else cartpole_swingup.DT), weights
            self.squares = np.array([position, 0.0, slide, turn])
            self.last = last

        def calc(self, data: Any, x: Any, u: Any = None) -> None:
            u = np.zeros(1) if u is None else u
            data.xnext = x if self.last else cartpole_swingup.by_hand(x, u)[0]
            data.cost = self.angle * (1.0 - np.cos(x[1])) + self.squares @ x**2 + self.push * u[0] ** 2

        def calcDiff(self, data: Any, x: Any, u: Any = None) -> None:
            u = np.zeros(1) if u is None else u
            if not self.last:
                _, data.Fx, data.Fu = cartpole_swingup.by_hand(x, u)
            gradient, hessian = 2.0 * self.squares * x, 2.0 * np.diag(self.squares)
            gradient[1], hessian[1, 1] = self.angle * np.sin(x[1]), self.angle * np.cos(x[1])
            data.Lx, data.Lxx = gradient, hessian
            data.Lu, data.Luu = 2.0 * self.push * u, np.full((1, 1), 2.0 * self.push)

    problem = crocoddyl.ShootingProblem(cartpole_swingup.HANGING, [Step(False)] * cartpole_swingup.STEPS, Step(True))
    return problem


def crocoddyl() -> Planner:
    """Return Crocoddyl's DDP."""
    import crocoddyl

    def plan(U0: np.ndarray) -> PlannerResult:
        problem = _shooting()
        solver = crocoddyl.SolverDDP(problem)
        X = list(problem.rollout(list(U0)))

        def run() -> tuple[float, int]:
            solver.solve(X, list(U0), 300, True)
            return solver.cost, solver.iter

        return timed(run)

    return plan


def mim() -> Planner:
    """Return MiM's SQP."""
    import crocoddyl as _  # noqa: F401  loads the libraries that the next one lacks
    import mim_solvers

    def plan(U0: np.ndarray) -> PlannerResult:
        problem = _shooting()
        solver = mim_solvers.SolverSQP(problem)
        solver.termination_tolerance = 1e-4
        X = list(problem.rollout(list(U0)))

        def run() -> tuple[float, int]:
            solver.solve(X, list(U0), 100)
            return solver.cost, solver.iter

        return timed(run)

    return plan


def _serve_diffilqrax(pipe: Any) -> None:
    """Answer initial controls with results, in a separate process: diffilqrax turns float64 on for all of JAX."""
    import diffilqrax.ilqr
    import jax
    from diffilqrax.typs import ModelDims, System, iLQRParams

    system = System(
        lambda t, x, u, _: cartpole_swingup.cost(x, u, t),
        lambda x, _: cartpole_swingup.final(x),
        lambda t, x, u, _: cartpole_swingup.dynamics(x, u, t),
        ModelDims(4, 1, cartpole_swingup.STEPS, cartpole_swingup.DT),
    )
    start = iLQRParams(cartpole_swingup.HANGING, None)
    solve = jax.jit(lambda U: diffilqrax.ilqr.ilqr_solver(system, start, U, max_iter=300, return_info=True))
    jax.block_until_ready(solve(cartpole_swingup.controls(0)))

    def answer(U0: np.ndarray) -> tuple[float, int]:
        _, cost, _, _, iterations = solve(U0)
        return float(cost), int(iterations)

    with contextlib.suppress(EOFError):  # the benchmark is over
        while True:
            U0 = pipe.recv()
            pipe.send(tuple(timed(lambda U0=U0: answer(U0))))


def diffilqrax() -> Planner:
    """Return diffilqrax's iLQR, compiled."""
    here, there = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=_serve_diffilqrax, args=(there,), daemon=True).start()
    there.close()

    def plan(U0: np.ndarray) -> PlannerResult:
        here.send(U0)
        return PlannerResult(*here.recv())

    return plan


PLANNERS: dict[str, Callable[[], Planner]] = {"crocoddyl": crocoddyl, "mim": mim, "diffilqrax": diffilqrax}
