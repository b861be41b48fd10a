"""What a domain is: a MuJoCo model and a few formulas, written once for floats, NumPy and JAX arrays alike.

Formulas take the components of the state one by one (q[0], v[2], …) and the elementary functions as `ops`: with Python
floats and `SCALAR` they cost microseconds, with arrays (`ops_of`) they broadcast, trace and differentiate.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

Number = Any  # a float, or a NumPy or JAX array of any shape: formulas broadcast


class State(NamedTuple):
    """The components of qpos and qvel; what is constant within an episode (the target) is not among them."""

    q: Sequence[Number]  # nq positions, in the model's units (m, rad, unit quaternions)
    v: Sequence[Number]  # nv velocities, per second


class InitialState(NamedTuple):
    """How an episode begins."""

    q: Sequence[float] | np.ndarray
    v: Sequence[float] | np.ndarray
    target: Sequence[float] = ()  # along the domain's `target_axes`, constant for the episode; () where there is none


class Ops(NamedTuple):
    """The elementary functions that formulas may use."""

    sin: Callable
    cos: Callable
    exp: Callable
    sqrt: Callable
    clip: Callable  # (value, low, high)


SCALAR = Ops(math.sin, math.cos, math.exp, math.sqrt, lambda x, low, high: min(max(x, low), high))


def ops_of(array: Any) -> Ops:
    """Return the elementary functions for arrays of the kind of `array`: NumPy's or JAX's."""
    xp = array.__array_namespace__()
    return Ops(xp.sin, xp.cos, xp.exp, xp.sqrt, xp.clip)


def _nothing(state: State, target: Sequence[Number], ops: Ops) -> tuple:
    del state, target, ops
    return ()


@dataclasses.dataclass(frozen=True)
class Domain:
    """A task: physics from an MJCF file, everything else from pure functions.

    The reward of a step is a function of the state before it, the clipped action and the state after it; all but the two
    walkers read only the state after.  `terminated` is death; running out of time is not.
    """

    name: str
    text: str  # one line for people
    model: str  # MJCF: a file beside this one, or "gymnasium:" and one of Gymnasium's
    frame_skip: int  # physics steps to a control step
    start: Callable[[np.random.Generator], InitialState]
    observe: Callable[..., list[Number]]  # (state, measured, ops) -> components of the observation
    reward: Callable[..., Number]  # (before, action, state, measured, ops)
    features: Callable[..., tuple] = _nothing  # (state, target, ops) -> what observation and reward are both made from
    terminated: Callable[[State], Any] | None = None  # None: nothing dies here
    edit: Callable[[Any], None] | None = None  # changes to the model, an mujoco.MjSpec
    horizon: int = 150  # control steps to a time-out
    target_axes: tuple[int, int] = (0, 1)  # of the world (0: x, 1: y, 2: z), along which the target is drawn

    @functools.cached_property
    def nq(self) -> int:
        """The number of positions, as its starts have it."""
        return len(self.start(np.random.default_rng(0)).q)

    @property
    def gym_id(self) -> str:
        """The name under which Gymnasium knows it, as "reverie/ReacherSingle-v0" for reacher_single."""
        return f"reverie/{''.join(part.capitalize() for part in self.name.split('_'))}-v0"
