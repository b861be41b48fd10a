"""Simulators with exact physics for planning. They are separate from the environment that runs.

A simulator can be set to any state, and steps from there. A state x is (qpos, qvel). An action u [m] is in [-1, 1].
Differences of states, and derivatives, are in tangent coordinates [n] with n = 2 nv: in these a quaternion has three.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from reverie.core.errors import ConfigError
from reverie.domains import batched
from reverie.domains.domain import Domain
from reverie.domains.env import DomainEnv
from reverie.domains.mujoco_model import STEP, MujocoModel, difference, shift
from reverie.environments.env_adapter import EnvAdapter

WIDE = 1e-3  # width of second differences. Sharper bends of the reward are smoothed to this width.
MOST_SECOND_DIFFERENCES = 12  # largest n + m for which mixed second differences are taken
HARMLESS = ("TimeLimit", "OrderEnforcing", "PassiveEnvChecker")  # wrappers that do not change actions or rewards
Scores = tuple[np.ndarray, np.ndarray]  # rewards [T], and whether each step led to a terminal state [T]


class DomainSimulator:
    """Simulator of a domain with a given target: its MuJoCo model and its formulas.

    centred: derivatives by central differences; else one-sided, in half the time.
    """

    def __init__(self, domain: Domain, target: np.ndarray | Sequence[float], centred: bool = True):
        self.domain, self.target, self.plant = domain, target, MujocoModel(domain)
        self.tangent_dim, self.action_dim = 2 * self.plant.model.nv, self.plant.action_dim
        self.difference, self.shift = self.plant.difference, self.plant.shift
        self.derivatives = functools.partial(self.plant.derivatives, centred=centred)

    def begin(self, x: np.ndarray) -> None:
        """Set the state to x."""
        self.plant.state = x

    def advance(self, u: np.ndarray) -> np.ndarray:
        """Take a control step with action u [m] in [-1, 1] and return x'. As in the environment, u becomes float32."""
        self.plant.advance(u.astype(np.float32))
        return self.plant.state

    def scores(self, states: np.ndarray, actions: np.ndarray) -> Scores:
        """Return (rewards [T], terminations [T]) of steps through states [T + 1, …] with actions [T, m]."""
        rewards = batched.reward(self.domain, states[:-1], actions, states[1:], self.target)
        return rewards, batched.terminated(self.domain, states[1:])


class Linearisation(NamedTuple):
    """Expansion of a control step about (x, u): x' = f(x, u) to first order, the reward to second order."""

    a: np.ndarray  # ∂f/∂x [n, n]
    b: np.ndarray  # ∂f/∂u [n, m]
    gradient: np.ndarray  # of the reward over (x, u) [n + m]
    hessian: np.ndarray  # of the reward over (x, u) [n + m, n + m]
    dead: bool  # whether the step leads to a terminal state


class GymnasiumSimulator:
    """Simulator that is a Gymnasium MuJoCo environment. It can be set to any state, and gives steps and rewards.

    adapter: the environment, which nothing else may use.
    Raises ConfigError where wrappers change actions or rewards, or where actuators have states of their own.
    """

    def __init__(self, adapter: EnvAdapter):
        env: Any = adapter.env
        while isinstance(env, gym.Wrapper):
            if type(env).__name__ not in HARMLESS and not isinstance(env, gym.ObservationWrapper):
                raise ConfigError(
                    f"{adapter.name}: it is wrapped in {type(env).__name__}; plan for the environment without it"
                )
            env = env.env
        if env.model.na:
            raise ConfigError(f"{adapter.name}: its actuators have states of their own, which planning cannot set")
        self._adapter, self._env = adapter, env
        self._scores: list[tuple[float, bool]] = []
        self.tangent_dim, self.action_dim = 2 * env.model.nv, adapter.spec.action_dim

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the difference b - a of two states in tangent coordinates [n]."""
        return difference(self._env.model, a, b)

    def shift(self, x: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """Return state x moved by dx [n], in tangent coordinates."""
        return shift(self._env.model, x, dx)

    def begin(self, x: np.ndarray) -> None:
        """Set the state to x. Nothing of earlier steps is kept, as after a reset."""
        self._scores.clear()
        self._env.data.qacc_warmstart[:] = 0.0
        self._env.set_state(x[: self._env.model.nq], x[self._env.model.nq :])

    def advance(self, u: np.ndarray) -> np.ndarray:
        """Take a control step with action u [m] in [-1, 1], as the environment does, and return x'."""
        self._act(self._adapter.shape(self._adapter.spec.to_world(u)))
        return self._env.state_vector()

    def scores(self, states: np.ndarray, actions: np.ndarray) -> Scores:
        """Return (rewards [T], terminations [T]) of the steps since `begin`. The arguments are not used."""
        del states, actions
        rewards, deaths = zip(*self._scores, strict=True)
        return np.array(rewards), np.array(deaths)

    def expand(self, x: np.ndarray, u: np.ndarray) -> Linearisation:
        """Return the expansion of a step about (x, u), by central differences (one-sided at bounds of actions).

        Mixed second differences of the reward are taken only if n + m ≤ 12, because the number of steps they need grows
        with the square of n + m. Else the Hessian is diagonal.
        """
        n, d = self.tangent_dim, self.tangent_dim + self.action_dim
        jacobian, gradient = np.empty((n, d)), np.empty(d)
        for i, direction in enumerate(STEP * np.eye(d)):
            low, high = (self._step_beside(x, u, way * direction) for way in (-1, 1))
            width = high.moved[i] - low.moved[i]
            jacobian[:, i] = self.difference(low.x, high.x) / width
            gradient[i] = (high.reward - low.reward) / width
        hessian = self._reward_hessian(x, u)
        self._step_beside(x, u, np.zeros(d))
        return Linearisation(jacobian[:, :n], jacobian[:, n:], gradient, hessian, self._scores[-1][1])

    def _reward_hessian(self, x: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the Hessian of the reward [n + m, n + m] by second differences."""
        u = np.clip(u, -1.0 + WIDE, 1.0 - WIDE)  # so that u ± WIDE is within bounds
        d = self.tangent_dim + self.action_dim
        steps = WIDE * np.eye(d)

        def bend(direction: np.ndarray) -> float:
            pair = sum(self._step_beside(x, u, way * direction).reward for way in (-1, 1))
            return (pair - 2 * here) / WIDE**2

        here = self._step_beside(x, u, np.zeros(d)).reward
        own = np.array([bend(step) for step in steps])
        hessian = np.diag(own)
        if d <= MOST_SECOND_DIFFERENCES:
            for i in range(d):
                for j in range(i):
                    hessian[i, j] = hessian[j, i] = 0.5 * (bend(steps[i] + steps[j]) - own[i] - own[j])
        return hessian

    def _step_beside(self, x: np.ndarray, u: np.ndarray, move: np.ndarray) -> "_PerturbedStep":
        """Take a step from (x, u) + move. The action stays in double precision, and is clipped to its bounds."""
        n = self.tangent_dim
        moved = np.concatenate([move[:n], np.clip(u + move[n:], -1.0, 1.0)])
        self.begin(self.shift(x, move[:n]))
        reward = self._act(self._adapter.spec.to_world(moved[n:]))
        return _PerturbedStep(self._env.state_vector(), reward, moved)

    def _act(self, action: np.ndarray) -> float:
        _, reward, terminated, _, _ = self._env.step(action)
        self._scores.append((float(reward), bool(terminated)))
        return float(reward)


class _PerturbedStep(NamedTuple):
    x: np.ndarray
    reward: float
    moved: np.ndarray  # the change of x and the action [n + m]


Simulator = DomainSimulator | GymnasiumSimulator


def simulate(make: Callable[[], EnvAdapter], seed: int) -> Simulator:
    """Return a simulator of the environment that `make` makes, for the episode whose reset has `seed`.

    Raises ConfigError where the environment is not one of MuJoCo.
    """
    adapter = make()
    adapter.reset(seed)
    inner: Any = adapter.env.unwrapped
    if isinstance(inner, DomainEnv):
        return DomainSimulator(inner.domain, inner.target)
    if not adapter.has_physics or not hasattr(inner, "set_state"):
        raise ConfigError(f"{adapter.name} is not a MuJoCo environment like Gymnasium's; planning needs its physics")
    return GymnasiumSimulator(adapter)


def state_of(adapter: EnvAdapter) -> np.ndarray:
    """Return the current state x = (qpos, qvel) of a MuJoCo environment."""
    inner: Any = adapter.env.unwrapped
    return np.concatenate([inner.data.qpos, inner.data.qvel])
