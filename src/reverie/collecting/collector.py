"""One collector: an environment, a policy that NumPy runs, and the steps that a learner asks for.  No JAX is imported."""

import os
import socket
import sys
import time
from typing import Any

import numpy as np

from reverie.collecting.messages import PROTOCOL, Chunk, Ready, Request, Setup, step_dtype
from reverie.collecting.numpy_policy import NumpyPolicy
from reverie.core.errors import ConfigError, DivergedError, ReverieError
from reverie.core.finite import all_finite
from reverie.core.limiter import Limiter
from reverie.environments.env_factory import make_env
from reverie.storage.experience import flags_of
from reverie.storage.limits_json import limits_of
from reverie.storage.spec import Spec

FLUSH_SECONDS = 0.1  # a chunk is sent after so long, though it has fewer steps than were asked for


class Collector:
    """Acts in an environment of its own.  setup: from the learner.

    Raises ConfigError for a setup of another version, and what `make_env` raises.
    """

    def __init__(self, setup: Setup):
        require_version(setup.protocol, setup.reverie, "the learner", "this collector")
        sys.path.extend(place for place in setup.path if place not in sys.path)
        self._policy = NumpyPolicy(setup.acting)
        self._seed, self._generator = setup.seed, np.random.default_rng(np.random.SeedSequence([*setup.seed, 0]))
        self._env = make_env(setup.env)
        spec = self._env.spec
        self._spec, self._dtype = spec, step_dtype(spec.observation_dim, spec.action_dim)
        self._limiter = Limiter(spec, None if setup.limits is None else limits_of(setup.limits))
        self._executed: np.ndarray | None = None  # the last action
        self._observation: np.ndarray | None = None  # None where no episode is in progress
        self._version = self._episodes = self._steps = 0
        self._error: ReverieError | None = None  # after which no step is taken any more

    def ready(self) -> Ready:
        """Return what the learner checks before it asks for steps."""
        return Ready(PROTOCOL, version(), socket.gethostname(), os.getpid(), Spec.of(self._spec))

    def collect(self, request: Request) -> Chunk:
        """Take steps until there are as many as asked for, or FLUSH_SECONDS have passed.

        Raises WorldError where the environment raises or returns wrong values, and DivergedError where an action is not
        finite; where steps were taken before, they are returned, and the next call raises.
        """
        if self._error is not None:
            raise self._error
        if request.weights:
            self._policy.take(request.weights)
        self._version = request.version
        steps, count = np.zeros(request.steps, self._dtype), 0
        until = time.monotonic() + FLUSH_SECONDS
        while count < request.steps and (count == 0 or time.monotonic() < until):
            try:
                self._step(steps[count], count < request.random)
            except ReverieError as error:
                self._error = error
                if not count:
                    raise
                break
            count += 1
        return Chunk(request.number, steps[:count])

    def _step(self, record: Any, random: bool) -> None:
        """Take one step and write it into `record`."""
        if self._observation is None:
            self._episodes += 1
            sequence = np.random.SeedSequence([*self._seed, self._episodes])
            self._observation = self._env.reset(int(sequence.generate_state(1)[0]))
            self._policy.begin()
        asked = self._limiter.apply(self._action(self._observation, random), self._observation, self._executed)
        number = self._steps + 1
        reward, after, terminated, truncated = self._env.step(self._limiter.to_world(asked), number)
        self._steps = number
        told, source = self._env.executed(number)
        self._executed = asked if told is None else told
        record["episode"], record["policy"], record["time"] = self._episodes, self._version, time.time()
        record["flags"] = flags_of(terminated, truncated, source or ("random" if random else "policy"))
        record["reward"], record["asked"], record["action"] = reward, asked, self._executed
        record["observation"], record["next_observation"] = self._observation, after
        self._observation = None if terminated or truncated else after

    def _action(self, observation: np.ndarray, random: bool) -> np.ndarray:
        if random:
            return self._spec.random(self._generator)
        noise = self._generator.standard_normal(self._spec.action_dim, np.float32)
        action = self._policy.explore(observation, noise)
        if not all_finite(action):
            raise DivergedError(
                f"the action {action.tolist()} of policy {self._version} is not finite; it was not sent"
            )
        return action

    def close(self) -> None:
        """Close the environment; within an episode the safe action of the limits is sent first."""
        try:
            if self._observation is not None and self._limiter.safe_action is not None:
                self._env.make_safe(self._limiter.to_world(self._limiter.safe_action))
        finally:
            self._env.close()


def version() -> str:
    """Return the version of reverie that runs here."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("reverie")
    except PackageNotFoundError:  # run from a folder of sources
        return "unknown"


def require_version(protocol: int, theirs: str, who: str, here: str) -> None:
    """Raise ConfigError unless the other side has our version.  who, here: the two sides, for the message."""
    ours = version()
    if (protocol, theirs) != (PROTOCOL, ours):
        told = f"{theirs} (protocol {protocol})", f"{ours} (protocol {PROTOCOL})"
        raise ConfigError(
            f"{who} has reverie {told[0]} and {here} {told[1]}; install the same version of reverie on both"
        )
