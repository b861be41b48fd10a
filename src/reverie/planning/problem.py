"""Planning problems with exact physics for `control.ilqg`: rollouts under feedback, and expansions about trajectories.

The cost is minus the reward, up to the first terminal state, as in the environment. Derivatives do not contain the time
of termination, so only the line search keeps plans away from it. Second derivatives of the dynamics are left out
(Gauss-Newton).
"""

import numpy as np

from reverie.control import ilqg
from reverie.environments.simulator import STEP, DomainSimulator, GymnasiumSimulator, Simulator
from reverie.planning.costs import cost_derivatives, smooth_costs


class PlanningProblem:
    """The planning problem of a simulator. The solver takes its attribute `problem`."""

    def __init__(self, simulator: Simulator):
        self.simulator = simulator
        self.problem = ilqg.Problem(self.rollout, self.expand, simulator.tangent_dim)

    def rollout(
        self, x_hat: np.ndarray, u_hat: np.ndarray, K: np.ndarray, k: np.ndarray, alphas: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Roll out u = clip(û + α k + K (x - x̂)) from x̂_0 for each of S step lengths α.

        x_hat: states [T + 1, …].  u_hat: actions [T, m].  K: gains [T, m, n].  k: [T, m].  alphas: [S].
        Returns states [S, T + 1, …], actions [S, T, m] in [-1, 1] and costs [S].
        """
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
        """Return the return of actions [T, m] from the first of `states` [T + 1, …]. Rewards are not smoothed."""
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
        """Return dynamics to first order and costs to second order along a trajectory.

        states: [T + 1, …].  actions: [T, m] in [-1, 1].
        """
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
    """Return a weight for each step [T]: 1.0 up to the first terminal state, 0.0 after it.

    deaths: [T], whether each step led to a terminal state.
    """
    return np.concatenate([[True], ~np.logical_or.accumulate(deaths)[:-1]]).astype(float)


def _expansion(
    a: np.ndarray, b: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, counts: np.ndarray
) -> ilqg.Expansion:
    """Return the expansion for the solver from derivatives over (x, u). The last state has no cost.

    a: [T, n, n].  b: [T, n, m].  gradient: [T, n + m].  hessian: [T, n + m, n + m].  counts: weight of each step [T].
    """
    n, m = b.shape[1:]
    gradient, hessian = gradient * counts[:, None], hessian * counts[:, None, None]
    return ilqg.Expansion(
        A=a,
        B=b,
        l_x=gradient[:, :n],
        l_u=gradient[:, n:],
        l_xx=hessian[:, :n, :n],
        l_ux=hessian[:, n:, :n],
        # Actions of steps that do not count keep their values: the identity makes their best change 0.
        l_uu=hessian[:, n:, n:] + (1.0 - counts)[:, None, None] * np.eye(m),
        final_x=np.zeros(n),
        final_xx=np.zeros((n, n)),
    )


def _chained(
    simulator: DomainSimulator, states: np.ndarray, actions: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient [T, n + m] and Hessian [T, n + m, n + m] of -r(x, u, f(x, u)) over (x, u).

    They are the derivatives of the reward's formula, chained through a = ∂f/∂x and b = ∂f/∂u.
    """
    _, outer, curved = cost_derivatives(simulator.domain, states[:-1], actions, states[1:], simulator.target)
    (count, nx), (n, m) = states[1:].shape, b.shape[1:]
    turns = _turns(simulator, states)
    inner = np.zeros((count, 2 * nx + m, n + m))
    inner[:, :nx, :n] = turns[:-1]
    inner[:, nx : nx + m, n:] = np.eye(m)
    inner[:, nx + m :] = turns[1:] @ np.concatenate([a, b], axis=2)
    return np.einsum("tyz,ty->tz", inner, outer), np.swapaxes(inner, 1, 2) @ curved @ inner


def _turns(simulator: DomainSimulator, states: np.ndarray) -> np.ndarray:
    """Return the derivatives of `shift` at 0 [T + 1, nx, n]: the identity if states have no quaternion."""
    n = simulator.tangent_dim
    if states.shape[1] == n:
        return np.broadcast_to(np.eye(n), (len(states), n, n))

    def turn(x: np.ndarray) -> np.ndarray:
        moves = STEP * np.eye(n)
        return np.stack([simulator.shift(x, move) - simulator.shift(x, -move) for move in moves], axis=1) / (2 * STEP)

    return np.array([turn(x) for x in states])
