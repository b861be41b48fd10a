"""Planning problems with exact physics, as `control.ilqg` wants them: rollouts under feedback, and expansions about them.

The cost is minus the reward.  It counts up to a death, as in the world, but no derivative says when that comes: plans are
kept from it by the line search alone.  Second derivatives of the dynamics are left out (Gauss-Newton).
"""

import numpy as np

from reverie.control import ilqg
from reverie.environments.simulator import STEP, DomainSimulator, GymnasiumSimulator, Simulator
from reverie.planning.costs import cost_derivatives, smooth_costs


class PlanningProblem:
    """A simulator's planning problem: `problem` is what the solver takes."""

    def __init__(self, simulator: Simulator):
        self.simulator = simulator
        self.problem = ilqg.Problem(self.rollout, self.expand, simulator.tangent_dim)

    def rollout(
        self, x_hat: np.ndarray, u_hat: np.ndarray, K: np.ndarray, k: np.ndarray, alphas: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return states [S, T + 1, …], actions [S, T, m] and costs [S] of u = clip(û + α k + K (x - x̂)) from x̂_0."""
        simulator, found = self.simulator, []
        for alpha in alphas:
            states, actions = self._follow(x_hat, u_hat + alpha * k, K)
            rewards, deaths = simulator.scores(states, actions)
            costs = -rewards
            if isinstance(simulator, DomainSimulator):
                costs = smooth_costs(simulator.domain, states[:-1], actions, states[1:], simulator.target)
            found.append((states, actions, float(costs @ counting(deaths))))
        states, actions, costs = zip(*found, strict=True)
        return np.stack(states), np.stack(actions), np.array(costs)

    def predict_return(self, states: np.ndarray, actions: np.ndarray) -> float:
        """Return the return, not smoothed, of actions [T, m] from the first of `states` [T + 1, …]."""
        states, actions = self._follow(states, actions, np.zeros((*actions.shape, self.simulator.tangent_dim)))
        rewards, deaths = self.simulator.scores(states, actions)
        return float(rewards @ counting(deaths))

    def _follow(self, x_hat: np.ndarray, u_hat: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        simulator, states, actions = self.simulator, np.empty_like(x_hat), np.empty_like(u_hat)
        states[0] = x_hat[0]
        simulator.begin(x_hat[0])
        for t in range(len(u_hat)):
            u = u_hat[t] + K[t] @ simulator.difference(x_hat[t], states[t])
            actions[t] = np.minimum(np.maximum(u, -1.0), 1.0)
            states[t + 1] = simulator.advance(actions[t])
        return states, actions

    def expand(self, states: np.ndarray, actions: np.ndarray) -> ilqg.Expansion:
        """Return dynamics and cost along a trajectory [T + 1, …], [T, m] to first and second order."""
        simulator = self.simulator
        if isinstance(simulator, GymnasiumSimulator):
            local = [simulator.expand(x, u) for x, u in zip(states, actions, strict=False)]
            a, b, gradient, hessian, deaths = (np.array(part) for part in zip(*local, strict=True))
            return _expansion(a, b, -gradient, -hessian, counting(deaths))
        pairs = [simulator.derivatives(x, u) for x, u in zip(states, actions, strict=False)]
        a, b = (np.array(part) for part in zip(*pairs, strict=True))
        gradient, hessian = _chained(simulator, states, actions, a, b)
        return _expansion(a, b, gradient, hessian, counting(simulator.scores(states, actions)[1]))


def counting(deaths: np.ndarray) -> np.ndarray:
    """Return which steps count [T]: 1.0 up to the first death, 0.0 after it."""
    return np.concatenate([[True], ~np.logical_or.accumulate(deaths)[:-1]]).astype(float)


def _expansion(
    a: np.ndarray, b: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, counts: np.ndarray
) -> ilqg.Expansion:
    """Return what the solver takes, from derivatives over (x, u); there is no cost of the last state."""
    n, m = b.shape[1:]
    gradient, hessian = gradient * counts[:, None], hessian * counts[:, None, None]
    return ilqg.Expansion(
        A=a,
        B=b,
        l_x=gradient[:, :n],
        l_u=gradient[:, n:],
        l_xx=hessian[:, :n, :n],
        l_ux=hessian[:, n:, :n],
        # Controls that do not count stay as they are.
        l_uu=hessian[:, n:, n:] + (1.0 - counts)[:, None, None] * np.eye(m),
        final_x=np.zeros(n),
        final_xx=np.zeros((n, n)),
    )


def _chained(
    simulator: DomainSimulator, states: np.ndarray, actions: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient [T, n + m] and Hessian of -r(x, u, f(x, u)) over (x, u): the formula's own, chained through A, B."""
    _, outer, curved = cost_derivatives(simulator.domain, states[:-1], actions, states[1:], simulator.target)
    (count, nx), (n, m) = states[1:].shape, b.shape[1:]
    turns = _turns(simulator, states)
    inner = np.zeros((count, 2 * nx + m, n + m))
    inner[:, :nx, :n] = turns[:-1]
    inner[:, nx : nx + m, n:] = np.eye(m)
    inner[:, nx + m :] = turns[1:] @ np.concatenate([a, b], axis=2)
    return np.einsum("tyz,ty->tz", inner, outer), np.swapaxes(inner, 1, 2) @ curved @ inner


def _turns(simulator: DomainSimulator, states: np.ndarray) -> np.ndarray:
    """Return the derivatives of `shift` [T + 1, nx, n] at 0: the identity where states have no quaternion."""
    n = simulator.tangent_dim
    if states.shape[1] == n:
        return np.broadcast_to(np.eye(n), (len(states), n, n))

    def turn(x: np.ndarray) -> np.ndarray:
        moves = STEP * np.eye(n)
        return np.stack([simulator.shift(x, move) - simulator.shift(x, -move) for move in moves], axis=1) / (2 * STEP)

    return np.array([turn(x) for x in states])
