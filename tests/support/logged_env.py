"""An environment with a log of its own: a line for each step that it took, written before the step returns.

An observation says which process took the step and which of its steps it was, exactly.  LOGGED_ENV names the log.
"""

import os
import sys
import time

import gymnasium as gym
import numpy as np

PROCESS, STEP = 2.0**-22, 2.0**-16  # units of the first two entries of an observation: exact in float32


class LoggedEnv(gym.Env):
    """Episodes of 13 steps that end in turn as terminated and truncated."""

    seconds = 0.0

    def __init__(self):
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = gym.spaces.Box(-2.0, 2.0, (1,), np.float32)
        self.taken = self.left = self.episodes = 0

    def _observe(self):
        return np.array([os.getpid() * PROCESS, self.taken * STEP, self.np_random.uniform(-1, 1)], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left, self.episodes = 13, self.episodes + 1
        return self._observe(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        time.sleep(self.seconds)
        self.taken += 1
        self.left -= 1
        line = f"{os.getpid()} {self.taken} {int('jax' in sys.modules)}\n"
        with open(os.environ["LOGGED_ENV"], "ab", buffering=0) as file:
            file.write(line.encode())
        over, dies = self.left == 0, self.episodes % 2
        return self._observe(), -(float(action[0]) ** 2), bool(over and dies), bool(over and not dies), {}

    def safe(self, action):
        with open(os.environ["LOGGED_ENV"] + ".safe", "ab", buffering=0) as file:
            file.write(f"{float(action[0])}\n".encode())


class SlowLoggedEnv(LoggedEnv):
    """The same, a hundred steps a second."""

    seconds = 0.01


class HangingEnv(LoggedEnv):
    """Hangs for ever in its 30th step, in the first process that gets there."""

    def step(self, action):
        if self.taken == 29:
            try:
                os.close(os.open(os.environ["LOGGED_ENV"] + ".hangs", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                time.sleep(1000)
        return super().step(action)


class OnlyOne(LoggedEnv):
    """Needs a device of which there is one."""

    def __init__(self):
        super().__init__()
        try:
            os.close(os.open(os.environ["LOGGED_ENV"] + ".device", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            raise OSError("the device is in use") from None


class Breaking(LoggedEnv):
    """Raises in its 20th step."""

    def step(self, action):
        if self.taken == 19:
            raise OSError("the arm fell off")
        return super().step(action)


class Dying(LoggedEnv):
    """Ends its process at the first step."""

    def step(self, action):
        os._exit(7)


class Narrow(LoggedEnv):
    """Other bounds in every process but the first."""

    def __init__(self):
        super().__init__()
        try:
            os.close(os.open(os.environ["LOGGED_ENV"] + ".first", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)


class Overridden(LoggedEnv):
    """A person halves every action."""

    def step(self, action):
        *result, _ = super().step(action)
        return *result, {"action": 0.5 * action, "intervention": True}
