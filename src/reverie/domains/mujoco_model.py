"""A domain's physics as a function x' = f(x, u), with derivatives, reward and observation, for planners.

The state is x = (qpos, qvel) [nq + nv]. The target is not part of it.
"""

# pyright: reportAttributeAccessIssue=false, reportUnknownParameterType=false
# MuJoCo's extension module has no stubs.

import functools
import importlib.util
import pathlib
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from reverie.core.types import Array
from reverie.domains import batched
from reverie.domains.domain import Domain

STEP = 1e-6  # step of finite differences


def compile_model(domain: Domain) -> mujoco.MjModel:
    """Load, edit and compile the domain's MuJoCo model."""
    package, _, file = domain.model.rpartition(":")
    folder = pathlib.Path(__file__).parent
    if package:
        found = importlib.util.find_spec(package)
        assert found is not None and found.origin is not None
        folder = pathlib.Path(found.origin).parent / "envs" / "mujoco" / "assets"
    spec = mujoco.MjSpec.from_file(str(folder / file))
    if domain.edit is not None:
        domain.edit(spec)
    # Physics that diverges must be reported. By default MuJoCo would reset the state.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    return spec.compile()


def difference(model: mujoco.MjModel, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the difference b - a [2 nv] of two states. For a quaternion it is the rotation vector from a to b."""
    turned, nq = np.empty(model.nv), model.nq
    mujoco.mj_differentiatePos(model, turned, 1.0, a[:nq], b[:nq])
    return np.concatenate([turned, b[nq:] - a[nq:]])


def shift(model: mujoco.MjModel, x: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """Return state x moved by dx [2 nv]. It is the inverse of `difference`."""
    q, v = x[: model.nq].copy(), x[model.nq :]
    mujoco.mj_integratePos(model, q, dx[: model.nv], 1.0)
    return np.concatenate([q, v + dx[model.nv :]])


class MujocoModel:
    """A domain's physics, with a current state.

    `advance` moves the current state. `step` and `derivatives` start from any given state. The constraint solver's warm
    start is cleared before each control step, so that the next state depends only on x and u.
    """

    def __init__(self, domain: Domain):
        self.domain = domain
        self.model = compile_model(domain)
        self.data = mujoco.MjData(self.model)
        self.state_dim = self.model.nq + self.model.nv
        self.action_dim = self.model.nu
        self.seconds = domain.frame_skip * self.model.opt.timestep  # duration of a control step
        self._look()

    def _look(self) -> None:
        """Store views of the arrays that each step uses, because access to attributes of MjData is slow."""
        self.q, self.v = self.data.qpos, self.data.qvel
        self._ctrl, self._warm = self.data.ctrl, self.data.qacc_warmstart
        self._move = functools.partial(mujoco.mj_step, self.model, self.data, self.domain.frame_skip)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the views out of copies, because a copy needs views of its own arrays."""
        return {name: value for name, value in vars(self).items() if name not in ("q", "v", "_ctrl", "_warm", "_move")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._look()

    @property
    def state(self) -> np.ndarray:
        """The current state x [nq + nv]. It can be set."""
        return np.concatenate([self.q, self.v])

    @state.setter
    def state(self, x: np.ndarray) -> None:
        self.q[:], self.v[:] = x[: self.model.nq], x[self.model.nq :]

    def advance(self, u: ArrayLike) -> None:
        """Take one control step with action u [m]. MuJoCo clips it to [-1, 1], the range of every motor."""
        self._ctrl[:] = u
        self._warm.fill(0.0)
        self._move()

    def step(self, x: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the state [nq + nv] after one control step from state x [nq + nv] with action u [m]."""
        self.state = x
        self.advance(u)
        return self.state

    def observe(self, x: Array, target: Array | Sequence[float] = ()) -> Any:
        """Return the observation [..., n] of states x [..., nq + nv], arrays of NumPy or JAX."""
        return batched.observe(self.domain, x, target)

    def reward(self, x: np.ndarray, u: np.ndarray, target: Array | Sequence[float] = ()) -> float:
        """Return the reward of action u [m] in state x [nq + nv]. If x' is known, `batched.reward` needs no step."""
        return float(batched.reward(self.domain, x, u, self.step(x, u), target))

    def terminated(self, x: Array) -> Any:
        """Return whether states x [..., nq + nv] are terminal [...]."""
        return batched.terminated(self.domain, x)

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the difference b - a [2 nv] of two states. For a quaternion it is the rotation vector from a to b."""
        return difference(self.model, a, b)

    def shift(self, x: np.ndarray, dx: np.ndarray) -> np.ndarray:
        """Return state x moved by dx [2 nv]. It is the inverse of `difference`."""
        return shift(self.model, x, dx)

    def derivatives(self, x: np.ndarray, u: np.ndarray, centred: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return A = ∂f/∂x [2 nv, 2 nv] and B = ∂f/∂u [2 nv, m] of one control step, in terms of `difference`.

        centred: by central differences; else one-sided, in half the time.
        """
        if self.model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4:  # mjd_transitionFD does not support it
            return self._differences(x, u) if centred else self._one_sided_differences(x, u)
        n = 2 * self.model.nv
        total_a, total_b = np.eye(n), np.zeros((n, self.action_dim))
        a, b = np.empty((n, n)), np.empty((n, self.action_dim))
        self.state = x
        self._ctrl[:] = np.clip(u, -1.0, 1.0)
        self._warm.fill(0.0)
        for _ in range(self.domain.frame_skip):
            mujoco.mjd_transitionFD(self.model, self.data, STEP, centred, a, b, None, None)
            mujoco.mj_step(self.model, self.data)
            total_a, total_b = a @ total_a, a @ total_b + b
        return total_a, total_b

    def _differences(self, x: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return A and B by central differences of the whole control step (one-sided at bounds of actions)."""
        u = np.clip(u, -1.0, 1.0)
        columns = []
        for direction in STEP * np.eye(2 * self.model.nv):
            low, high = (self.step(self.shift(x, way * direction), u) for way in (-1, 1))
            columns.append(self.difference(low, high) / (2 * STEP))
        for direction in STEP * np.eye(self.action_dim):
            ends = [np.clip(u + way * direction, -1.0, 1.0) for way in (-1, 1)]
            low, high = (self.step(x, end) for end in ends)
            columns.append(self.difference(low, high) / float((ends[1] - ends[0]).sum()))
        both = np.stack(columns, axis=1)
        return both[:, : 2 * self.model.nv], both[:, 2 * self.model.nv :]

    def _one_sided_differences(self, x: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return A and B by one-sided differences of the whole control step, away from the nearer bound of actions."""
        u, n = np.clip(u, -1.0, 1.0), 2 * self.model.nv
        here = self.step(x, u)
        columns = [self.difference(here, self.step(self.shift(x, move), u)) / STEP for move in STEP * np.eye(n)]
        for i, way in enumerate(np.where(u > 0.0, -STEP, STEP)):
            moved = u.copy()
            moved[i] += way
            columns.append(self.difference(here, self.step(x, moved)) / way)
        both = np.stack(columns, axis=1)
        return both[:, :n], both[:, n:]
