"""Logged transitions beside the real ones: a buffer of their own, and a share of each minibatch.

With N logged transitions and k real steps, the share is `experience_share` N / (N + k): it halves when as many real steps
were taken as are logged, and fades as more come in.  A minibatch holds no more real transitions than there are, so the
first ones are not repeated many times over.  Before the first real step only logged transitions are learnt from
(`pretrain_updates`).

A log in which each actuator moves stands in for warm-up: what random actions are for is there already.  Where one hardly
moves, the log says nothing about its effect.  Then warm-up is only shortened, by the share, and by default nothing is
learnt before the first real step: a policy that was learnt from such a log alone does not explore what it lacks.
"""

import math
import warnings
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from reverie.core.agent import Agent
from reverie.core.argument_checks import finite, whole
from reverie.core.errors import ConfigError, ReverieWarning
from reverie.core.seeds import LOGGED, seed_of
from reverie.core.words import count, listed
from reverie.data.replay import Replay
from reverie.logs import stored
from reverie.logs.checked import checked
from reverie.logs.checks import still_actuators
from reverie.logs.log import Log, log_of
from reverie.logs.stored import LoggedTransitions
from reverie.storage.config import Config, Experience
from reverie.storage.run import RunDirectory

SHARE = 0.5  # of each minibatch, before real steps make it smaller
PRETRAINED = 10_000  # the most minibatch updates before the first real step, unless more are asked for


class LoggedExperience:
    """The logged transitions of one learner, and its draws from them.

    found: the transitions.  settings: how they are used.  agent: what learns.  seed: of the run.
    """

    def __init__(self, found: LoggedTransitions, settings: Experience, agent: Agent, seed: int):
        rows = found.rows(agent.spec)
        if not len(rows):
            raise ConfigError(f"no logged transition of {settings.source} has an action within the bounds")
        self.settings, self._found = settings, found
        self._replaces_warmup = not still_actuators(found.actions, agent.spec)
        self.replay = Replay(len(rows), rows.shape[1])
        self.replay.extend(rows)
        self.generator = np.random.default_rng(seed_of(seed, LOGGED))
        each = agent.requirements.updates_per_step
        self._calls = math.ceil(settings.pretrain_updates / each) if each else 0
        self.pretrained = 0  # compiled calls, each of as many minibatches as follow a real step

    def __len__(self) -> int:
        return len(self.replay)

    def warmup_steps(self, steps: int) -> int:
        """Return the number of random actions at the start beside this log, of `steps` without one."""
        return 0 if self._replaces_warmup else round((1 - self.settings.share) * steps)

    @property
    def rewards(self) -> np.ndarray:
        """The rewards of the transitions that are learnt from."""
        return self._found.rewards

    @property
    def terminated(self) -> np.ndarray:
        """Whether each of them ended in a terminal state."""
        return self._found.terminated

    @property
    def rewards_and_ends(self) -> Iterator[tuple[float, bool]]:
        """Each transition's reward, and whether the next one does not continue it."""
        found = self._found
        joined = np.all(found.next_observations[:-1] == found.observations[1:], axis=1)
        ends = found.terminated | np.append(~joined, True)
        return zip(found.rewards.tolist(), ends.tolist(), strict=True)

    @property
    def pretraining_left(self) -> int:
        """How many compiled calls are still to run before the first real step."""
        return max(0, self._calls - self.pretrained)

    def share(self, steps: int) -> float:
        """Return the share of each minibatch that is logged, after some real steps."""
        return self.settings.share * len(self) / (len(self) + steps) if steps else 1.0

    def rows_of(self, size: int, steps: int) -> int:
        """Return how many rows of a minibatch of `size` are logged, after some real steps."""
        return max(round(self.share(steps) * size), size - steps)

    def mixed(self, real: Replay, generator: np.random.Generator, number: int, size: int) -> np.ndarray:
        """Return packed minibatches [number, size, width]: logged transitions first, then real ones.

        generator: draws the real ones; it is not used where a minibatch holds none.
        """
        logged = self.rows_of(size, real.added)
        parts = [self.replay.sample(self.generator, (number, logged))] if logged else []
        if logged < size:
            parts.append(real.sample(generator, (number, size - logged)))
        return np.concatenate(parts, axis=1)

    def keep(self, run: RunDirectory) -> Experience:
        """Write the transitions into a run directory; return how they are used, for config.json."""
        return Experience(
            self.settings.source,
            self.settings.transitions,
            stored.write(run, self._found),
            self.settings.share,
            self.settings.pretrain_updates,
            self.settings.reward,
        )

    # ---- saving

    def snapshot(self) -> dict[str, Any]:
        """Return what changes while learning, for a checkpoint."""
        return {"pretrained": self.pretrained, "generator": self.generator.bit_generator.state}

    def restore(self, facts: dict[str, Any]) -> None:
        """Restore what `snapshot` returned."""
        self.pretrained = facts["pretrained"]
        self.generator.bit_generator.state = facts["generator"]


class ExperienceArgument(Protocol):
    """Where a learner's logged transitions come from."""

    def for_agent(self, agent: Agent, seed: int) -> LoggedExperience:
        """Return them, fitted to an agent.  Raises ConfigError or StorageError where that is impossible."""
        ...


class NewExperience:
    """The arguments of a new run.  Raises ConfigError where they cannot work."""

    def __init__(self, experience: Any, share: Any, pretrain_updates: Any):
        self._log: Log = log_of(experience)
        self._share = finite("experience_share", share)
        if not 0 <= self._share <= 1:
            raise ConfigError(f"experience_share is {self._share:g}; it must lie in [0, 1]")
        self._pretrain = None if pretrain_updates is None else whole("pretrain_updates", pretrain_updates)

    def for_agent(self, agent: Agent, seed: int) -> LoggedExperience:
        """Read and check the log; warn of what is odd about it."""
        _require_off_policy(agent)
        found, notes = checked(self._log, agent.spec)
        still = still_actuators(found.actions, agent.spec)
        if still:
            notes = [*notes, f"{self._log.name}: {listed(still)} hardly moves, so a part of warm-up stays"]
        for note in notes:
            warnings.warn(note, ReverieWarning, stacklevel=4)
        pretrain = self._pretrain
        if pretrain is None:
            pretrain = 0 if still else min(PRETRAINED, len(found) * agent.requirements.updates_per_step)
        settings = Experience(self._log.name, len(found), 0, self._share, pretrain, self._log.reward_name)
        return LoggedExperience(found, settings, agent, seed)


class KeptExperience:
    """What a run keeps of its log.  run: its directory.  settings: of its config.json."""

    def __init__(self, run: RunDirectory, settings: Experience):
        self._run, self._settings = run, settings

    def for_agent(self, agent: Agent, seed: int) -> LoggedExperience:
        """Read the run's own copy; say how many transitions lie outside new action bounds."""
        _require_off_policy(agent)
        found = stored.read(self._run, self._settings.crc, agent.spec)
        made = LoggedExperience(found, self._settings, agent, seed)
        if left_out := len(found) - len(made):
            text = f"{count(left_out, 'logged transition')} left out, since their actions lie outside the bounds"
            warnings.warn(f"{self._run.path}: {text}", ReverieWarning, stacklevel=4)
        return made


def argument_of(experience: Any, share: Any, pretrain_updates: Any) -> NewExperience | None:
    """Return the arguments of `Learner` about logged transitions; None where there are none.

    Raises ConfigError where they cannot work.
    """
    if experience is None:
        if pretrain_updates is not None:
            raise ConfigError("pretrain_updates needs experience=, the logged transitions to learn from")
        return None
    return NewExperience(experience, share, pretrain_updates)


def kept(run: RunDirectory, held: Config) -> KeptExperience | None:
    """Return what a run keeps of its log; None where it has none.  held: its config.json."""
    return None if held.experience is None else KeptExperience(run, held.experience)


def _require_off_policy(agent: Agent) -> None:
    if agent.requirements.rollout:
        raise ConfigError(
            f"{agent.spec.name}: an on-policy agent learns only from steps of its own policy; to learn from logs use naf, "
            "ddpg, sac, xqc or dqn"
        )
