"""Small worlds whose right answers are known, and worlds that misbehave."""

import gymnasium as gym
import numpy as np

PUSHES = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])  # what a discrete Probe's actions stand for


class Probe(gym.Env):
    """An episode of `length` steps; `reward(step, observation, action)`; observation: ±1 drawn in reset, or 0, and the step.

    counts: whether the step is observed; 0 stands there if not.  discrete: actions are numbers of PUSHES.
    """

    def __init__(
        self,
        length=1,
        random_observation=False,
        reward=lambda step, o, u: 1.0,
        truncates=False,
        counts=True,
        discrete=False,
    ):
        self.observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        box = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.discrete, self.action_space = discrete, gym.spaces.Discrete(len(PUSHES)) if discrete else box
        self.length, self.random_observation, self.reward, self.truncates = (
            length,
            random_observation,
            reward,
            truncates,
        )
        self.counts = counts

    def _observe(self):
        return np.array([self.sign, self.step_number * self.counts], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.sign = float(self.np_random.choice([-1.0, 1.0])) if self.random_observation else 0.0
        self.step_number = 0
        return self._observe(), {}

    def step(self, action):
        push = PUSHES[action] if self.discrete else action[0]
        reward = self.reward(self.step_number, self.sign, float(push))
        self.step_number += 1
        over = self.step_number == self.length
        return self._observe(), reward, over and not self.truncates, over and self.truncates, {}


class Faulty(gym.Env):
    """Fine until step `at`, which then does what `fault` says."""

    def __init__(self, fault="none", at=30, bounds=(-1.0, 1.0)):
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float64)
        self.action_space = gym.spaces.Box(*(np.float32(b) for b in bounds), (2,), np.float32)
        self.fault, self.at, self.count = fault, at, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return self.np_random.normal(size=3), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.count += 1
        self.left -= 1
        observation, reward = self.np_random.normal(size=3), np.float16(0.5)
        if self.count == self.at:
            if self.fault == "raise":
                raise OSError("the robot's arm\nfell off")
            if self.fault == "observation":
                observation[1] = np.nan
            if self.fault == "reward":
                reward = float("inf")
            if self.fault == "shape":
                observation = observation[:2]
            if self.fault == "none-reward":
                reward = None
        return observation, reward, False, self.left == 0, {}


class Nested(gym.Env):
    """A Dict observation with a Discrete and a nested Dict inside, asymmetric action bounds of shape (2, 1), float64."""

    def __init__(self):
        self.observation_space = gym.spaces.Dict(
            {
                "mode": gym.spaces.Discrete(3),
                "arm": gym.spaces.Dict({"q": gym.spaces.Box(-1, 1, (2, 2)), "v": gym.spaces.Box(-1, 1, (1,))}),
            }
        )
        self.action_space = gym.spaces.Box(np.array([[-3.0], [0.5]]), np.array([[1.0], [2.5]]), dtype=np.float64)
        self.seen = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return self._observe(), {}

    def _observe(self):
        q, v = self.np_random.uniform(-1, 1, (2, 2)), self.np_random.uniform(-1, 1, 1)
        return {"mode": 1, "arm": {"q": q.astype(np.float32), "v": v.astype(np.float32)}}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.seen.append(action)
        self.left -= 1
        return self._observe(), np.array([1]), False, self.left == 0, {}


class Choosy(Nested):
    """Nested with three discrete actions, numbered from -1."""

    def __init__(self):
        super().__init__()
        self.action_space = gym.spaces.Discrete(3, start=-1)


class Line(gym.Env):
    """A point pushed along a line, from a start drawn in reset; 6 steps, of which the last is a death or a time-out."""

    def __init__(self):
        self.observation_space = gym.spaces.Box(-4, 4, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1, 3, (1,), np.float32)

    def _observe(self):
        return np.array([self.place, self.left / 6], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.dies, self.left = self.np_random.uniform(-1, 1), self.np_random.random() < 0.5, 6
        return self._observe(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return self._pushed(float(action[0]))

    def _pushed(self, push):
        self.place = 0.8 * self.place + 0.2 * push
        self.left -= 1
        over = self.left == 0
        return self._observe(), -((self.place - 0.5) ** 2), over and self.dies, over and not self.dies, {}


class Switched(Line):
    """Line with three pushes to choose from, numbered from 5."""

    def __init__(self):
        super().__init__()
        self.action_space = gym.spaces.Discrete(3, start=5)

    def step(self, action):
        assert self.action_space.contains(action), action
        return self._pushed(2.0 * float(action - 5) - 1.0)


def make_faulty():
    """A maker that the command line can name."""
    return Faulty()


def make_slow_death():
    return Faulty("raise", at=150)


def make_endless():
    env = Faulty()
    env.reset = lambda **kw: (Faulty.reset(env, **kw)[0], setattr(env, "left", -1) or {})
    return env


def make_choices():
    env = Line()
    env.action_space = gym.spaces.MultiDiscrete([3, 2])
    return env


def make_nothing():
    return 3


class LinearWorld(gym.Env):
    """x' = A x + B u with reward -|x|² - .1 |u|², from a start near (1, 0), truncated after `length` steps."""

    A, B = np.array([[1.0, 0.1], [-0.1, 0.95]]), np.array([[0.0], [0.2]])

    def __init__(self, length=20):
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.left = np.array([1.0, 0.0]) + 0.1 * self.np_random.normal(size=2), self.length
        return self.x.copy(), {}

    def step(self, action):
        u = np.asarray(action, float)
        reward = -float(self.x @ self.x) - 0.1 * float(u @ u)
        self.x = self.A @ self.x + self.B @ u
        self.left -= 1
        return self.x.copy(), reward, False, self.left == 0, {}


def brief_reacher():
    """A domain of ours, in episodes of 12 steps."""
    from reverie.domains.env import DomainEnv

    return DomainEnv("reacher_single", horizon=12)
