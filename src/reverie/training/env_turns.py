"""The environments that `Learner.learn` steps in turn: one, or as many as an on-policy agent asks for."""

import contextlib
import warnings
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from reverie.core.errors import ReverieWarning, sentence
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.limiter import Limiter
from reverie.core.seeds import RESET, seed_of
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.exact_dynamics import known_dynamics_of
from reverie.training.recorded_trainer import RecordedTrainer


class EnvTurns:
    """Steps the environment whose turn it is.

    envs: all alike.  seed: decides the start of each episode.
    reads_states: record physical states beside observations.
    """

    def __init__(self, envs: list[EnvAdapter], seed: int, reads_states: bool):
        self.envs, self._seed = envs, seed
        self.known: KnownDynamics | None = known_dynamics_of(envs[0]) if reads_states else None
        self._observations: list[np.ndarray | None] = [None] * len(envs)  # None where no episode is in progress
        self._steps = [0] * len(envs)  # of each environment's episode

    def has_step(self, goes_on: Callable[[], bool]) -> bool:
        """Return whether a step can be taken: always, while more are wanted."""
        return goes_on()

    def step(self, trainer: RecordedTrainer) -> dict[str, Any] | None:
        """Take one real step and learn from it; return the row of the episode if it ended, else None."""
        turn = trainer.turn
        env, observation = self.envs[turn], self._observations[turn]
        if observation is None or (
            self._steps[turn] and not trainer.open.in_progress[turn]
        ):  # the latter after `Learner.abort`
            trainer.leave_episode()
            observation = env.reset(seed_of(self._seed, RESET, trainer.trainer.episodes + 1))
            self._observations[turn], self._steps[turn] = observation, 0
        if trainer.ticks is not None:
            trainer.ticks.wait()
        shows = self.known is not None
        action = trainer.act(observation, env.state() if shows else ())
        number = trainer.trainer.steps + 1
        outcome = env.step(trainer.limiter.to_world(action), number)
        executed, source = env.executed(number)
        row = trainer.record_and_learn(*outcome, False, env.state() if shows else (), executed=executed, source=source)
        self._observations[turn] = None if row is not None else outcome[1]
        self._steps[turn] += 1
        return row

    @property
    def open(self) -> list[EnvAdapter]:
        """The environments in which an episode is in progress."""
        return [env for env, observation in zip(self.envs, self._observations, strict=True) if observation is not None]

    @contextlib.contextmanager
    def made_safe_on_exit(
        self, limiter: Limiter, on_exit: Callable[[np.ndarray | None], object] | None
    ) -> Generator[None]:
        """When the block ends while episodes are open, send the safe action once more and call `on_exit`.

        The environments' own method `safe` is called, where they have one.  An error of it is only warned of, since
        experience is still to be saved.
        """
        try:
            yield
        finally:
            safe = None if limiter.safe_action is None else limiter.to_world(limiter.safe_action)
            for env in self.open:
                calls = [] if safe is None else [lambda env=env: env.make_safe(safe)]
                calls += [] if on_exit is None else [lambda env=env: on_exit(None if safe is None else env.shape(safe))]
                for call in calls:
                    try:
                        call()
                    except Exception as error:
                        text = f"{env.name}: the machine may not be safe: {sentence(error)}"
                        warnings.warn(text, ReverieWarning, stacklevel=3)

    def leave_episodes(self) -> None:
        """Abandon all episodes: the next steps start new ones."""
        self._observations = [None] * len(self.envs)
