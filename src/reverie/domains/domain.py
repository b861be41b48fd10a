"""The type `Domain`: a MuJoCo model and a few formulas, written once for floats, NumPy arrays and JAX arrays.

Formulas take the components of the state one by one (q[0], v[2], …), and the elementary functions as `ops`. With Python
floats and `SCALAR` they take microseconds. With arrays and `ops_of` they broadcast, and JAX can trace and differentiate
them.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

Number: TypeAlias = Any  # a float, or a NumPy or JAX array of any shape
Features: TypeAlias = Any  # geometry that a domain's observation and reward share


class State(NamedTuple):
    """The components of qpos and qvel. The target is not part of the state, because it is constant in an episode."""

    q: Sequence[Number]  # nq positions, in the model's units (m, rad, unit quaternions)
    v: Sequence[Number]  # nv velocities, per second


class InitialState(NamedTuple):
    """The first state of an episode, and its target."""

    q: Sequence[float] | np.ndarray
    v: Sequence[float] | np.ndarray
    target: Sequence[float] = ()  # along the domain's `target_axes`, constant for the episode; (): no target


class Ops(NamedTuple):
    """The elementary functions that formulas may use."""

    sin: Callable[[Number], Number]
    cos: Callable[[Number], Number]
    exp: Callable[[Number], Number]
    sqrt: Callable[[Number], Number]
    clip: Callable[[Number, float, float], Number]  # (value, low, high)


SCALAR = Ops(math.sin, math.cos, math.exp, math.sqrt, lambda x, low, high: min(max(x, low), high))


def ops_of(array: Any) -> Ops:
    """Return the elementary functions of the library of `array`: NumPy or JAX."""
    xp = array.__array_namespace__()
    return Ops(xp.sin, xp.cos, xp.exp, xp.sqrt, xp.clip)


class ComputeFeatures(Protocol):
    """Geometry that observation and reward share."""

    def __call__(self, state: State, target: Sequence[Number], ops: Ops, /) -> Features:
        """Return it, of the components of a state and of the target."""
        ...


class Observe(Protocol):
    """The observation."""

    def __call__(self, state: State, features: Features, ops: Ops, /) -> list[Number]:
        """Return the n components of the observation."""
        ...


class Reward(Protocol):
    """The reward of a step."""

    def __call__(
        self, before: State, action: Sequence[Number], state: State, features: Features, ops: Ops, /
    ) -> Number:
        """Return the reward of m clipped actions that led from the state `before` to `state`, where `features` are from."""
        ...


def _nothing(state: State, target: Sequence[Number], ops: Ops) -> tuple[()]:
    del state, target, ops
    return ()


@dataclasses.dataclass(frozen=True)
class Domain:
    """A task: physics from an MJCF file, and all else from pure functions.

    The reward of a step is a function of the state before it, the clipped action and the state after it. Only the two
    walkers use the state before it. `terminated` says whether a state is terminal; it is not about the time limit.
    """

    name: str
    text: str  # one line for users
    model: str  # MJCF file: one in this folder, or "gymnasium:" and one of Gymnasium's
    frame_skip: int  # physics steps per control step
    start: Callable[[np.random.Generator], InitialState]
    observe: Observe
    reward: Reward
    features: ComputeFeatures = _nothing
    terminated: Callable[[State], Any] | None = None  # None: no state is terminal
    edit: Callable[[Any], None] | None = None  # changes the model, an mujoco.MjSpec
    horizon: int = 150  # control steps of an episode
    target_axes: tuple[int, int] = (0, 1)  # axes (0: x, 1: y, 2: z) along which the two numbers of the target are
    version: int = 1  # one more whenever the task changes, so that scores before and after it are not compared

    @functools.cached_property
    def nq(self) -> int:
        """The number of positions in a state."""
        return len(self.start(np.random.default_rng(0)).q)

    @property
    def gym_id(self) -> str:
        """The id in Gymnasium's registry, such as "reverie/ReacherSingle-v0" for reacher_single."""
        return f"reverie/{''.join(part.capitalize() for part in self.name.split('_'))}-v0"
