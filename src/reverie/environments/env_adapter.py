"""Adapter between a Gymnasium environment and a learner.

Learners see flat float32 observations. Actions that are sent are in the environment's own units.
"""

import contextlib
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import utils as space_utils

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import DivergedError, ReverieError, SpaceError, WorldError, sentence
from reverie.core.finite import all_finite
from reverie.environments.blocking_calls import CLOSE, RENDER, RESET, STEP, HungError, failed
from reverie.environments.clipped_values import ClippedValues
from reverie.environments.column_names import names_in
from reverie.environments.layout import bounds_of, layout_of
from reverie.environments.values import (
    RESET_GIVES,
    STEP_GIVES,
    finite_number,
    flattener,
    parts_of,
    reason_of,
    shown,
    truth,
)

LONGEST_LIMIT = 1_000_000  # steps; longer time limits count as none
LARGEST_SPACE = 10_000_000  # most numbers in an observation, and most choices of a discrete action


class EnvAdapter:
    """A Gymnasium environment whose spaces and steps are checked.

    Its actions are a Box or Discrete space; its observations are any space of fixed size. Observations are given as
    float32 vectors [n]. Actions are taken as vectors [m] in the environment's own units, or [1] if they are discrete.

    env: the environment.  name: its name in messages.  largest: most numbers of an observation, or of an action.
    Raises SpaceError where a space does not fit, and WorldError where a step returns wrong values.
    """

    def __init__(self, env: gym.Env, name: str, largest: float = LARGEST_SPACE):
        self.env, self.name = env, name
        self._hung = False  # a call was given up for lack of an answer
        self._observations, actions = _space_of(env, name, "observation_space"), _space_of(env, name, "action_space")
        discrete = actions if isinstance(actions, gym.spaces.Discrete) else None
        box = actions if isinstance(actions, gym.spaces.Box) and np.issubdtype(actions.dtype, np.floating) else None
        if discrete is None and box is None:
            raise SpaceError(
                f"{name}: the action space is {actions}; agents here need a continuous Box, or Discrete (dqn)"
            )
        if not self._observations.is_np_flattenable:
            raise SpaceError(
                f"{name}: the observation space {self._observations} has no fixed size and cannot be flattened"
            )
        self._flatten = flattener(self._observations)
        self._info: dict[str, Any] = {}  # of the newest step
        self._action_shape, self._action_dtype = actions.shape or (), actions.dtype
        size, choices = space_utils.flatdim(self._observations), int(space_utils.flatdim(actions))
        for what, number in (("an observation", size), ("an action", choices)):
            if number > largest:
                raise SpaceError(
                    f"{name}: {what} has {number:,} numbers, too many for a network; give at most {largest:,}"
                )
        parts = layout_of(self._observations)
        seen, limit = bounds_of(self._observations), self._time_limit()
        if box is not None:
            bounds = box.low.ravel().tolist(), box.high.ravel().tolist()
            spec = EnvSpec(size, *bounds, name, 0, 0, parts, *seen, max_episode_steps=limit)
        else:
            assert discrete is not None
            numbered = int(discrete.n), int(discrete.start)
            spec = EnvSpec(size, (), (), name, *numbered, parts, *seen, max_episode_steps=limit)
        self.spec = names_in(env, spec)
        self._border = ClippedValues(name, self.spec.entry)

    def flatten(self, observation: Any, where: str = "observation") -> np.ndarray:
        """Return an observation as a finite float32 vector [n].

        where: what the observation is, for messages.  Raises WorldError that names an entry which is wrong.
        """
        try:
            flat = self._flatten(observation)
        except Exception as error:  # a user's object may raise anything when it is read
            raise WorldError(f"{self.name}: {where} {reason_of(error)}") from error
        return self._border.vector(where, flat)

    def shape(self, action: np.ndarray) -> np.ndarray:
        """Return actions [..., m], in the environment's units, with the environment's dtype and shape."""
        if self.spec.actions:
            return action[..., 0]
        return action.astype(self._action_dtype).reshape((*action.shape[:-1], *self._action_shape))

    def _sent(self, action: np.ndarray, number: int) -> Any:
        """Return an action as it is sent to the environment.  Raises DivergedError if it is not finite in its dtype."""
        sent = self.shape(action)
        if not all_finite(sent):
            raise DivergedError(
                f"{self.name}: the action of step {number} is {sent.tolist()}, not finite; it was not sent"
            )
        return sent[()]  # a discrete action as a number, as its space draws it: some environments look it up in a dict

    def reset(self, seed: int) -> np.ndarray:
        """Start an episode and return the first observation [n].

        seed: passed on to the environment.  Raises WorldError where the environment raises or returns wrong values.
        """
        try:
            with RESET:
                found = self.env.reset(seed=seed)
        except BaseException as error:
            raise self._failed("raised in reset", error) from error
        observation, _ = parts_of(self.name, "reset", found, RESET_GIVES)
        return self.flatten(observation, "the first observation of an episode")

    def step(self, action: np.ndarray, number: int) -> tuple[float, np.ndarray, bool, bool]:
        """Take step `number` and return (reward, next observation [n], terminated, truncated).

        action: [m], in the environment's units.  Raises DivergedError where the action is not finite, and WorldError
        where the environment raises or returns wrong values.
        """
        sent = self._sent(action, number)
        try:
            with STEP:
                found = self.env.step(sent)
        except BaseException as error:
            raise self._failed(f"raised in step {number}", error) from error
        observation, reward, terminated, truncated, self._info = parts_of(
            self.name, f"step {number}", found, STEP_GIVES
        )
        value = self._border.number(finite_number(self.name, f"the reward of step {number}", reward))
        terminated = truth(self.name, "terminated", number, terminated)
        truncated = truth(self.name, "truncated", number, truncated)
        return value, self.flatten(observation, f"the observation of step {number}"), terminated, truncated

    def executed(self, number: int) -> tuple[np.ndarray | None, str | None]:
        """Return what the environment said of the action of step `number`, its newest: (action, who chose it).

        action: `info["action"]` [m] in [-1, 1], executed in place of the one sent; None: that one.
        Who: "human" where `info["intervention"]` is true; None: who chose the one sent.
        Raises WorldError where one of them has no such meaning.
        """
        action, source = None, None
        if "action" in self._info:
            given = self.spec.action(f"info['action'] of step {number} is", self._info["action"])
            action = self.spec.from_world(given).astype(np.float32)
        if "intervention" in self._info:
            person = truth(self.name, "info['intervention']", number, self._info["intervention"])
            source = "human" if person else None
        return action, source

    def make_safe(self, action: np.ndarray) -> bool:
        """Call the environment's own method `safe(action)`; return whether it has one.

        action: [m], in the environment's units.  Raises WorldError where it raises.
        """
        method: Any = getattr(self.env.unwrapped, "safe", None)
        if not callable(method):
            return False
        try:
            with STEP:
                method(self.shape(action))
        except BaseException as error:
            raise self._failed("raised in safe", error) from error
        return True

    def _time_limit(self) -> int | None:
        """Return the most steps of an episode, by the environment, a wrapper or its registration.

        None if none of them has a limit of at most LONGEST_LIMIT steps.
        """
        limits = [getattr(self.env.spec, "max_episode_steps", None)]
        with contextlib.suppress(Exception):  # a user's property, which may mean something else or raise
            limits.append(getattr(self.env.unwrapped, "horizon", None))
        env = self.env
        while isinstance(env, gym.Wrapper):
            if isinstance(env, gym.wrappers.TimeLimit):
                limits.append(getattr(env, "_max_episode_steps", None))
            env = env.env
        found = [int(limit) for limit in limits if isinstance(limit, int | np.integer)]
        return max((limit for limit in found if 0 < limit <= LONGEST_LIMIT), default=None)

    @property
    def has_physics(self) -> bool:
        """Whether the environment is simulated by MuJoCo."""
        return type(getattr(self.env.unwrapped, "model", None)).__name__ == "MjModel"

    def state(self) -> np.ndarray:
        """Return a domain's physical state with the target appended [n + k]."""
        env: Any = self.env.unwrapped
        return np.concatenate([env.state, env.target])

    def render(self) -> np.ndarray:
        """Return a picture [h, w, 3] of the environment.  Raises WorldError where rendering raises."""
        try:
            with RENDER:
                return np.asarray(self.env.render())
        except BaseException as error:
            raise self._failed("raised in render", error) from error

    def close(self) -> None:
        """Close the environment.  Raises WorldError where closing raises, unless an earlier call was not answered."""
        try:
            with CLOSE:
                self.env.close()
        except BaseException as error:
            gone = self._hung
            found = self._failed("raised in close", error)
            if not (gone and isinstance(found, WorldError)):  # the first error is the one to report
                raise found from error

    def _failed(self, where: str, error: BaseException) -> BaseException:
        found = failed(self.name, where, error)
        self._hung |= isinstance(found, HungError)
        return found


def _space_of(env: gym.Env, name: str, which: str) -> Any:
    """Return the space that is called `which`.  Raises SpaceError where the environment does not have it."""
    try:
        space = getattr(env, which)
    except BaseException as error:
        if isinstance(failed(name, "", error), KeyboardInterrupt):
            raise
        raise SpaceError(f"{name} has no {which} ({sentence(error)}); set it in __init__") from error
    if not isinstance(space, gym.Space):
        raise SpaceError(f"{name}: {which} is {shown(space)}; it must be a gymnasium.spaces.Space")
    return space


def adapter_of(env: gym.Env, name: str, largest: float = LARGEST_SPACE) -> EnvAdapter:
    """Return EnvAdapter(env, name, largest).

    Raises SpaceError where a space does not fit, and WorldError where a property of the environment raises.
    """
    try:
        return EnvAdapter(env, name, largest)
    except ReverieError:
        raise
    except BaseException as error:  # raised by a property of the environment
        raise failed(name, "has spaces that cannot be read", error) from error
