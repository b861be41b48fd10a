"""Is the machine well?  Checks of every real transition for faults of sensors, actuators, rewards and episodes.

Each fault is told once.  What is found depends on the transitions alone, and is looked for after every `BLOCK` steps.
So a run that was killed and resumed tells the same at the same steps.  All of it is in the journal: nothing is saved.
"""

from typing import NamedTuple

import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.words import count
from reverie.training.health import Notice
from reverie.training.sensor_checks import EPISODES, SensorChecks

# of notices, as in events.csv
KINDS = "constant sensor", "sensor jump", "first-step ends", "pinned actuator", "constant reward", "executed differs"
BLOCK = 50  # steps between checks; a check at every step would cost as much as acting
WIDEST = 1000  # an observation with more numbers is a picture, and its sensors are not checked
SHORT = 10  # episodes in a row that end at their first step
PINNED = 0.95  # share of the last two blocks
AT_BOUND = 0.999  # an action in [-1, 1] beyond this is at its bound
DIFFERS = 0.05  # of an actuator's range, at the median of the last two blocks
PATIENCE = 3000  # steps with the same reward,
NONZERO = 300, 10  # or steps and ended episodes where it is not 0, as sparse rewards are at first


class _Block(NamedTuple):
    """Consecutive transitions [K, …]."""

    before: np.ndarray  # observations
    after: np.ndarray
    executed: np.ndarray  # actions
    asked: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    episode: np.ndarray

    def part(self, first: int, end: int) -> "_Block":
        """Return transitions `first` to `end` - 1."""
        return self._make(column[first:end] for column in self)


class MachineChecks:
    """Sees every real transition in order, from the first one on, and returns notices.

    spec: of the environment.  worlds: environments that take turns.  remedy: of learning that drives an actuator to its
        bound, for the advice.
    """

    def __init__(self, spec: EnvSpec, worlds: int = 1, remedy: str = "try more noise"):
        n, m = spec.observation_dim, spec.action_dim
        self._n, self._m = n if n <= WIDEST else 0, m if m <= WIDEST else 0
        self._sensors = SensorChecks(spec, [spec.sensor(i) for i in range(n)], worlds) if self._n else None
        self._episodes, self._actuators, self._rewards = _Episodes(worlds), _Actuators(spec, remedy), _Rewards()
        observations, actions = ((BLOCK, size) for size in (self._n, self._m))
        self._block = _Block(
            np.zeros(observations, np.float32),
            np.zeros(observations, np.float32),
            np.zeros(actions, np.float32),
            np.zeros(actions, np.float32),
            np.zeros(BLOCK),
            np.zeros(BLOCK, bool),
            np.zeros(BLOCK, bool),
            np.zeros(BLOCK, np.int64),
        )
        self._steps = 0

    def see(
        self,
        observation: np.ndarray,
        next_observation: np.ndarray,
        executed: np.ndarray,
        asked: np.ndarray,
        reward: float,
        flags: tuple[bool, bool],
        episode: int,
    ) -> list[Notice]:
        """Account for the next real step; return what is new.

        observation, next_observation: [n].  executed, asked: actions [m] in [-1, 1], or the number of a discrete one.
        flags: whether the episode (terminated, was truncated).  episode: its number.
        """
        block, k = self._block, self._steps % BLOCK
        if self._n:
            block.before[k], block.after[k] = observation, next_observation
        if self._m:
            block.executed[k], block.asked[k] = executed, asked
        block.reward[k], block.episode[k] = reward, episode
        block.terminated[k], block.truncated[k] = flags
        self._steps += 1
        return self._judge(block) if k == BLOCK - 1 else []

    def restore(
        self,
        observations: np.ndarray,
        next_observations: np.ndarray,
        executed: np.ndarray,
        asked: np.ndarray,
        rewards: np.ndarray,
        flags: tuple[np.ndarray, np.ndarray],
        episodes: np.ndarray,
    ) -> None:
        """Account for all steps so far [N, …], whose notices were given when they were new."""
        n, m = self._n, self._m
        sized = (observations[:, :n], next_observations[:, :n], executed[:, :m], asked[:, :m])
        past = _Block(*sized, rewards, *flags, episodes.astype(np.int64))
        whole = len(rewards) // BLOCK * BLOCK
        for first in range(0, whole, BLOCK):
            self._steps = first + BLOCK
            self._judge(past.part(first, first + BLOCK))
        for column, found in zip(self._block, past.part(whole, len(rewards)), strict=True):
            column[: len(found)] = found
        self._steps = len(rewards)

    def _judge(self, block: _Block) -> list[Notice]:
        """Return what is new in a block that ends with the newest step."""
        first = self._steps - BLOCK + 1
        found = self._episodes.judge(block, first)
        if self._sensors is not None:
            found += self._sensors.judge(block.before, block.after, block.executed, first, self._episodes)
        if self._m:
            found += self._actuators.judge(block, first)
        found += self._rewards.judge(block, self._steps)
        episode = block.episode.item(BLOCK - 1)
        return [Notice(self._steps, episode, kind, text) for kind, text in found]


class _Episodes:
    """When episodes ended, and how many in a row ended at their first step."""

    def __init__(self, worlds: int):
        self._worlds = worlds
        self._numbers = np.zeros(worlds, np.int64)  # of the newest episode in each world
        self._begun = [1] * worlds  # the first steps of these episodes
        self._short, self._since, self._told = 0, 0, False
        self._all_short = self._all = 0  # episodes that ended before this row of short ones
        self.ends: list[int] = []  # the newest steps at which an episode ended
        self.longest = 0  # steps of the longest episode that ended
        self.begun_at = np.zeros(0, np.int64)  # indices of the steps in the newest block with which episodes began

    def judge(self, block: _Block, first: int) -> list[tuple[str, str]]:
        """Return what is new in a block that begins with step `first`."""
        ended = block.terminated | block.truncated
        numbers = np.concatenate([self._numbers, block.episode])
        begins = block.episode != numbers[:BLOCK]
        self._numbers, self.begun_at = numbers[-self._worlds :], np.flatnonzero(begins)
        found: list[tuple[str, str]] = []
        for k in np.flatnonzero(begins | ended).tolist():
            step = first + k
            if begins[k]:
                self._begun[(step - 1) % self._worlds] = step
            if ended[k] and self._end(step) and not self._told:
                self._told = True
                text = f"{SHORT} episodes in a row ended at their first step, from step {self._since} on: check "
                text += "interlock, reset, and when `terminated` is set (unless an episode is meant to be one step)"
                found.append(("first-step ends", text))
        return found

    def _end(self, step: int) -> bool:
        """Account for the end of an episode; return whether enough in a row were short."""
        length = (step - self._begun[(step - 1) % self._worlds]) // self._worlds + 1
        self.longest = max(self.longest, length)
        self.ends = [*self.ends[1 - EPISODES * self._worlds :], step]
        if length > 1:
            self._all_short, self._all = self._all_short + self._short, self._all + self._short + 1
            self._short = 0
            return False
        self._since = step if self._short == 0 else self._since
        self._short += 1
        # In a game of which most rounds end at once, ten in a row are nothing special.
        return self._short >= SHORT and 2 * self._all_short <= self._all


class _Actuators:
    """Where each actuator was in the last two blocks, and how far from what was asked."""

    def __init__(self, spec: EnvSpec, remedy: str):
        m, self._remedy = spec.action_dim, remedy
        self._spec, self._range = spec, spec.actions - 1 if spec.actions else 2
        self._apart: np.ndarray | None = None  # shares of the range between executed and asked, in the block before
        self._at_bound = np.zeros((2, m), np.int64)  # steps in the block before, at the lower and at the upper bound
        self._pinned, self._differ = np.zeros(m, bool), np.zeros(m, bool)

    def judge(self, block: _Block, first: int) -> list[tuple[str, str]]:
        """Return what is new in a block that begins with step `first`."""
        found = [] if self._spec.actions else self._of_pinned(block.executed, first)
        shares = np.abs(block.executed - block.asked) / self._range
        before, self._apart = self._apart, shares
        if shares.any() and before is not None:
            found += self._of_differing(np.concatenate([before, shares]), first - BLOCK)
        return found

    def _of_pinned(self, executed: np.ndarray, first: int) -> list[tuple[str, str]]:
        now = np.stack([(executed <= -AT_BOUND).sum(axis=0), (executed >= AT_BOUND).sum(axis=0)])
        shares, self._at_bound = (self._at_bound + now) / (2 * BLOCK), now
        found: list[tuple[str, str]] = []
        for bound, i in np.argwhere((shares >= PINNED) & ~self._pinned).tolist():
            self._pinned[i] = True
            text = (
                f"{self._spec.actuator(i)} was at its {('lower', 'upper')[bound]} bound in {shares[bound, i]:.0%} of the "
                f"steps {first - BLOCK} to {first + BLOCK - 1}: that may be best; if not, check its sign and its bounds, or "
                f"{self._remedy}"
            )
            found.append(("pinned actuator", text))
        return found

    def _of_differing(self, shares: np.ndarray, first: int) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        medians = np.median(shares, axis=0)
        for i in np.flatnonzero((medians > DIFFERS) & ~self._differ).tolist():
            self._differ[i] = True
            seen = first + int(np.argmax(shares[:, i] > DIFFERS))
            text = (
                f"{self._spec.actuator(i)} was executed otherwise than asked from step {seen} on: by {medians[i]:.0%} of its "
                f"range at the median of {count(len(shares), 'step')}; what was executed is learnt; check calibration, "
                "limits and readback"
            )
            found.append(("executed differs", text))
        return found


class _Rewards:
    """Whether the reward has ever changed."""

    def __init__(self):
        self._first: float | None = None
        self._settled = False  # it has changed, or this was told
        self._ended = self._terminated = 0  # episodes

    def judge(self, block: _Block, step: int) -> list[tuple[str, str]]:
        """Return what is new in a block that ends with `step`."""
        if self._settled:
            return []
        self._first = value = block.reward.item(0) if self._first is None else self._first
        if (block.reward != value).any():
            self._settled = True
            return []
        self._ended += int(np.count_nonzero(block.terminated | block.truncated))
        self._terminated += int(np.count_nonzero(block.terminated))
        if value and self._terminated:  # then it matters how long an episode lasts
            return []
        if step < PATIENCE and not (value and step >= NONZERO[0] and self._ended >= NONZERO[1]):
            return []
        self._settled = True
        text = f"the reward has been {value:g} in each of the {count(step, 'step')} from step 1 on: nothing is learnt from "
        return [
            ("constant reward", text + "it until it changes; check what computes it, or how hard the goal is to reach")
        ]
