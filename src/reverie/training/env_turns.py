"""The environments that `Learner.learn` steps in turn: one, or as many as an on-policy agent asks for."""

from typing import Any

import numpy as np

from reverie.core.known_dynamics import KnownDynamics
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
        self.time_limit = envs[0].time_limit
        self.known: KnownDynamics | None = known_dynamics_of(envs[0]) if reads_states else None
        self._observations: list[np.ndarray | None] = [None] * len(envs)  # None where no episode is in progress

    def step(self, trainer: RecordedTrainer) -> dict[str, Any] | None:
        """Take one real step and learn from it; return the row of the episode if it ended, else None."""
        turn = trainer.turn
        env, observation = self.envs[turn], self._observations[turn]
        if observation is None:
            trainer.leave_episode()
            observation = env.reset(seed_of(self._seed, RESET, trainer.trainer.episodes + 1))
        shows = self.known is not None
        action = trainer.act(observation, env.state() if shows else ())
        outcome = env.step(trainer.spec.to_world(action), trainer.trainer.steps + 1)
        row = trainer.record_and_learn(*outcome, durable=False, next_state=env.state() if shows else ())
        self._observations[turn] = None if row is not None else outcome[1]
        return row

    def leave_episodes(self) -> None:
        """Abandon all episodes: the next steps start new ones."""
        self._observations = [None] * len(self.envs)
