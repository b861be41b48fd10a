"""The environment in which a learner evaluates its policy: separate from the one for learning, and made when needed."""

from reverie.core.limiter import Limiter
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import EnvSource
from reverie.training import evaluation, learner_arguments
from reverie.training.recorded_trainer import RecordedTrainer


class EvaluationEnv:
    """Evaluates policies in one environment.

    source: of the environment; None: a second one made from `learning_source`.
    """

    def __init__(self, source: EnvSource | None, learning_source: EnvSource | None):
        self._source, self._learning_source = source, learning_source
        self._env: EnvAdapter | None = None

    def evaluate(self, session: RecordedTrainer, episodes: int, seed: int) -> evaluation.Evaluation:
        """Return the results of `episodes` greedy episodes; their starts depend on `seed` alone.

        Raises ConfigError where there is no environment to evaluate in.
        """
        if self._env is None:
            self._env = learner_arguments.evaluation_env(self._source, self._learning_source)
        limit = evaluation.limit_for(self._env, [session.longest], session.ran_out)
        limiter = Limiter(self._env.spec, session.limiter.limits)
        return evaluation.evaluate(session.trainer.greedy, self._env, episodes, seed, limit, limiter)

    def close(self) -> None:
        """Close the environment, if it was made."""
        if self._env is not None:
            self._env.close()
