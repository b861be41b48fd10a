"""`recommended`: an agent and its settings for the real steps that somebody can spend.  docs/how-to/budget.md has the table."""

import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

from reverie.algorithms import ALGORITHMS
from reverie.core.agent import Algorithm
from reverie.core.argument_checks import shown, whole
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.core.words import count, either
from reverie.environments.env_factory import EnvSource, make_env
from reverie.imagination.settings import Imagination
from reverie.models import MODELS
from reverie.training.agent_config import model_class_of

FEWEST = 50  # real steps that any agent here can learn from
USUAL_MODEL = "linear"  # where imagination is asked for
MODEL = "model."  # before the names of its settings
MANY_STEPS, MANY_ACTIONS = 10_000, 3  # from here on XQC
SHORT = 100  # steps of an episode, up to which there are many starts, so that noise need not drift to explore
SCALES: Mapping[str, Any] = {
    "reward_scale": "auto",
    "discount": "auto",
    "observation_normalisation": True,
    "observation_scale": 0.25,
    "learning_rate": 3e-4,
}
WARMUP_EPISODES, LEAST_WARMUP = 2, 50  # of short ones; steps
FROM_STARTS: Mapping[str, Any] = {"noise": "gaussian", "noise_scale": 0.3}  # exploration in short episodes
# With imagination, models need actions of all sizes; one model of all steps is fitted after the second episode.
IMAGINED: Mapping[str, Any] = {"noise_scale": 0.6, "observation_scale": 0.5}
IMAGINATION: Mapping[str, Any] = {"adaptive": False, "model.time_varying": False, "model.episodes": 2}


class Recommendation(NamedTuple):
    """An agent, by the names of the command line, and why it is recommended."""

    name: str
    settings: Mapping[str, Any]
    model: str | None  # to imagine with
    imagination: Mapping[str, Any]  # its settings; those of the model begin with "model."
    reason: str

    @property
    def algorithm(self) -> Algorithm:
        """The agent's settings, inside imagination where a model is named."""
        agent = ALGORITHMS[self.name](**self.settings)
        if self.model is None:
            return agent
        of_model = {name.removeprefix(MODEL): v for name, v in self.imagination.items() if name.startswith(MODEL)}
        others = {name: value for name, value in self.imagination.items() if not name.startswith(MODEL)}
        return Imagination(agent, model_class_of(self.model)(**of_model), **others)


def recommended(spec: EnvSpec | EnvSource, budget: int, imagination: bool | str | None = None) -> Algorithm:
    """Return an agent for an environment and a number of real steps.

    spec: what is known of the environment, or whatever `rv.Learner` takes as `env`, which is made to look at it.
    budget: real steps, at least 50.  imagination: True, or the name of a model, to learn from imagined rollouts too.
    Raises ConfigError for a budget that no agent can learn from, and for models that do not exist.
    """
    return recommendation(spec, budget, imagination).algorithm


def recommendation(spec: EnvSpec | EnvSource, budget: int, imagination: bool | str | None = None) -> Recommendation:
    """Return what `recommended` returns, by name, and why.  Arguments and errors are its own."""
    budget = _affordable(budget)
    model = _model(imagination)
    known = spec if isinstance(spec, EnvSpec) else _spec_of(spec)
    if known.actions:
        return _discrete(known, budget, model)
    return _continuous(known, budget, model)


def _affordable(budget: Any) -> int:
    """Return a budget as a whole number.  Raises ConfigError where it is none, or too small for any agent."""
    few = isinstance(budget, numbers.Integral) and not isinstance(budget, bool) and budget < FEWEST
    steps = int(budget) if few else whole("budget", budget, FEWEST)
    if few:
        raise ConfigError(
            f"a budget of {count(steps, 'step')} is too small for any agent here (at least {FEWEST}): measure a response "
            "matrix and invert it (numpy.linalg.lstsq, PyAT), or use Bayesian optimisation (Xopt, Badger, BoTorch)"
        )
    return steps


def _model(imagination: Any) -> str | None:
    """Return the name of the model to imagine with, None for no imagination.  Raises ConfigError where there is no such."""
    if imagination is None or imagination is False or imagination == "off":
        return None
    if imagination is not True and not isinstance(imagination, str):
        raise ConfigError(
            f"imagination is {shown(imagination)}; give True, False, or the name of a model: {either(MODELS)}"
        )
    name = USUAL_MODEL if imagination is True else imagination
    model_class_of(name)
    return name


def _spec_of(source: Any) -> EnvSpec:
    """Return what an environment says of itself.  What is made here is closed again."""
    env = make_env(source)
    if env.env is not source:
        env.close()
    return env.spec


def _discrete(spec: EnvSpec, budget: int, model: str | None) -> Recommendation:
    settings = {"warmup_steps": min(1000, budget // 10), "epsilon_steps": min(10_000, budget // 2)}
    reason = f"{_of(spec, budget)}: only DQN has discrete actions"
    return Recommendation("dqn", settings, model, {}, reason)


def _continuous(spec: EnvSpec, budget: int, model: str | None) -> Recommendation:
    if budget >= MANY_STEPS and spec.action_dim >= MANY_ACTIONS:
        width = {"hidden": (256,) * 4}  # half of the paper's
        return Recommendation("xqc", width, model, {}, f"{_of(spec, budget)}: XQC climbs on where NAF slows down")
    warmup, imagination = min(200, budget // 4), {}
    settings, reason = dict(SCALES), f"{_of(spec, budget)}: NAF needs the fewest, with scales that it finds itself"
    if spec.max_episode_steps is not None and spec.max_episode_steps <= SHORT:
        warmup = min(warmup, max(LEAST_WARMUP, WARMUP_EPISODES * spec.max_episode_steps))
        settings |= FROM_STARTS
        reason += f"; episodes of {count(spec.max_episode_steps, 'step')} start often, so the noise need not drift"
        if model == USUAL_MODEL:
            settings |= IMAGINED
            imagination = IMAGINATION
    return Recommendation("naf", settings | {"warmup_steps": warmup}, model, imagination, reason)


def _of(spec: EnvSpec, budget: int) -> str:
    kind = count(spec.actions, "choice") if spec.actions else count(spec.action_dim, "actuator")
    return f"{count(budget, 'step')} of {kind}"
