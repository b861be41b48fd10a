"""Imagination rollouts for any off-policy agent: their settings.  Gu et al. 2016 (arXiv 1603.00748), Algorithm 2.

A model is fitted to the last few real episodes. It is rolled out for a few steps from real states, under the current
policy. The agent learns from these imagined transitions as from real ones: l imagined minibatches for each real one.

Where we differ from the paper:

| subject                      | paper                      | here                                                  |
|------------------------------|----------------------------|-------------------------------------------------------|
| buffers B and B_f            | two names (a misprint)     | one buffer                                            |
| index i of tuples from B_old | i (a misprint)             | the time t                                            |
| order within a step          | imagine, update, fit       | update, fit, imagine: l I minibatches of step s come  |
|                              |                            | from rollouts of earlier steps                        |
| actions of a rollout         | "on-policy"                | μ plus the same noise process, in its long-run spread |
| start of rollouts            | m, also the minibatch size | `rollouts` of them every `rollouts` real steps        |
| refit                        | after every n episodes     | after every `refit_every` episodes, on the last n     |
| use of imagined transitions  | always; else future work   | `adaptive`: less as the model's held-out error grows  |
| iLQG's step after a fit      | no bound                   | bounded in KL divergence (`plan_step`)                |
| noise of a planner           | "plus noise"               | iLQG: the controller's own covariance; mpc: Gaussian  |

What the paper does not say:

| subject                     | here                                                                                 |
|-----------------------------|--------------------------------------------------------------------------------------|
| state that models see       | the environment's physical state if it shows one, else the observation               |
| reward and termination      | the domain's own functions if it has them, else fitted ones (`models/reward.py`)     |
| next states                 | the model's mean; with `model_noise` drawn with its covariance                       |
| R_f over refits             | keeps the last `fictional_capacity` transitions; with `fresh` emptied at each refit  |
| end of a rollout            | the time limit, or the first state outside the range of real states (`RANGE_MARGIN`) |
|                             | such a state is counted and dropped                                                  |
| updates without imagination | with `adaptive`, the last real episodes are used instead (`instead`)                 |
| iLQG's first old controller | estimated from the episodes of μ                                                     |
| standardised observations   | by the moments of all minibatches, imagined ones included                            |
| batch normalisation         | running moments follow all minibatches: l I imagined ones, then I real ones, a step  |
|                             | (at the rate .01, with l = 10 and I = 5, imagined ones have 88 % of the weight)      |
| target of an iLQG episode   | the step after the last fit is taken for that target, from the same old controller   |
| bad fits                    | refused: model and B_old stay. A fit is bad if it is no model, or (`adaptive`) does  |
|                             | not predict even the episodes it was fitted to                                       |
| few samples per time step   | five do not determine a model; a prior helps (`models/linear_gaussian.py`)           |

`Imagination.paper()` takes the paper's choice for start of rollouts, refit, use of imagined transitions and iLQG's
step. It has no planner, and l = 10. The paper uses l = 5 on the gripper and the cheetah.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from reverie.core.agent import Agent, Algorithm
from reverie.core.argument_checks import shown
from reverie.core.checked_settings import coerce
from reverie.core.dynamics import Model, missing
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, SpaceError
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.setting_docs import document_settings
from reverie.core.setting_names import KnownNames

if TYPE_CHECKING:
    from reverie.imagination.source import ImaginationSource


@document_settings
@dataclasses.dataclass(frozen=True)
class Imagination(KnownNames):
    """An off-policy agent that also learns from imagined transitions (Algorithm 2).

    Raises ConfigError where a value cannot work.
    """

    agent: Algorithm
    """Settings of the agent that learns: any off-policy algorithm, for example `rv.NAF()`."""
    model: Model
    """Dynamics model: `rv.LinearGaussian()`, `rv.Neural()`, `rv.Exact()`, or `rv.Recent()` (no model; real data)."""
    rollout_length: int = 5
    """l: number of steps of a rollout. 0: no rollouts; the model is used for planning only."""
    minibatches: int = 0
    """Number of imagined minibatches for each real one. 0: as many as `rollout_length` (the paper's choice)."""
    rollouts: int = 25
    """m: number of rollouts that start together. They start every m real steps."""
    refit_every: int = 1
    """Number of real episodes between fits of the model. The paper's choice is the model's `episodes` (n)."""
    until_episode: int = 0
    """Imagination ends after this many real episodes. 0: it never ends."""
    adaptive: bool = True
    """Use fewer imagined minibatches as the model's held-out error grows from `error_low` to `error_high`."""
    error_low: float = 0.25
    """Imagined data are used fully up to this held-out error over `rollout_length` steps. An error of 1 is that of
    predicting no change."""
    error_high: float = 0.75
    """Imagined data are not used from this held-out error on. It is over `rollout_length` steps; an error of 1 is that
    of predicting no change."""
    instead: Literal["recent", "nothing"] = "recent"
    """What replaces imagined minibatches that `adaptive` leaves out: the model's last n real episodes, or nothing."""
    model_noise: bool = False
    """Draw next states with the model's noise. False: take the model's mean."""
    fresh: bool = False
    """Empty the store of imagined transitions (R_f) at each fit of the model."""
    fictional_capacity: int = 20_000
    """Number of imagined transitions that are kept (R_f). Few, as early models are worse than later ones."""
    plan: Literal["off", "ilqg", "mpc"] = "off"
    """Planner that acts in some real episodes: none, iLQG on the fitted model, or MPC with exact physics."""
    mixture: float = 0.5
    """p: probability that the policy μ acts in an episode, not the planner. Used if `plan` is not "off"."""
    plan_step: Literal["kl", "plain"] = "kl"
    """iLQG's step after each fit: "kl" limits it by `kl_bound`, "plain" has no limit (the paper's choice)."""
    kl_bound: float = 0.2
    """Largest KL divergence of iLQG's new controller from the old one: nats per step, mean over an episode."""
    plan_horizon: int = 50
    """Number of steps that the MPC planner looks ahead."""
    plan_iterations: int = 3
    """Number of iterations of the MPC planner at each step."""
    plan_search: Literal["thorough", "quick"] = "thorough"
    """How the MPC planner searches. "quick" takes the first step that brings half of the predicted fall, and one-sided
    derivatives: with `plan_iterations` = 2 an episode costs about a third of the time (study `mpc-speed`)."""
    plan_noise: float = 0.1
    """σ of the Gaussian noise on the MPC planner's actions. iLQG's controller has noise of its own."""

    def __post_init__(self):
        if isinstance(self.agent, type) or not isinstance(self.agent, Algorithm) or isinstance(self.agent, Imagination):
            raise ConfigError(f"agent is {shown(self.agent)}; give an algorithm's settings, such as rv.NAF()")
        requirements = getattr(self.agent, "requirements", None)
        if requirements is not None and requirements.rollout:
            raise ConfigError(
                f"{self.agent.name} learns on-policy, and imagined steps are not its policy's: use naf, ddpg, sac, xqc or dqn"
            )
        if isinstance(self.model, type) or not dataclasses.is_dataclass(self.model):
            raise ConfigError(f"model is {shown(self.model)}; give a model's settings, such as rv.LinearGaussian()")
        if lacks := missing(self.model):
            kind = type(self.model)
            raise ConfigError(f"model {kind.__module__}:{kind.__qualname__} has no {lacks}; see docs/how-to/model.md")
        for field in self.numbers():
            object.__setattr__(self, field, coerce(type(self), field, getattr(self, field)))
        least: dict[str, float] = {
            "rollout_length": 0,
            "minibatches": 0,
            "rollouts": 1,
            "refit_every": 1,
            "until_episode": 0,
        }
        least |= {"fictional_capacity": 1, "plan_horizon": 1, "plan_iterations": 1, "plan_noise": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least {value}")
        if not 0 <= self.mixture <= 1:
            raise ConfigError(f"mixture is {self.mixture}; it is a probability")
        if not self.kl_bound > 0:
            raise ConfigError(f"kl_bound is {self.kl_bound}; it must be positive")
        if self.plan != "off" and self.model.name == "recent":
            raise ConfigError(f"plan is {self.plan!r}, but model 'recent' is none that could be planned with")
        if not 0 <= self.error_low < self.error_high:
            raise ConfigError(
                f"error_low is {self.error_low} and error_high {self.error_high}; they must rise from 0 or above"
            )

    @classmethod
    def numbers(cls) -> list[str]:
        """Return the names of all settings but `agent` and `model`."""
        return [field.name for field in dataclasses.fields(cls) if field.name not in ("agent", "model")]

    @classmethod
    def paper(cls, agent: Algorithm, model: Model, **changes: Any) -> Self:
        """Return the paper's settings.

        The model is fitted after every n episodes, and m is the size of minibatches as well. Imagined transitions are
        always used. iLQG's step has no bound, if `plan` is "ilqg".

        agent, model: their settings.  changes: settings that replace the paper's.
        Raises ConfigError where a value cannot work.  Source: Gu et al. 2016, Algorithm 2.
        """
        batch_size = getattr(agent, "batch_size", cls.rollouts)
        printed: dict[str, Any] = {"refit_every": model.episodes, "rollouts": batch_size, "rollout_length": 10}
        printed |= {"adaptive": False, "instead": "nothing", "plan_step": "plain"}
        return cls(agent, model, **{**printed, **changes})

    @property
    def name(self) -> str:
        """Name of the wrapped algorithm."""
        return self.agent.name

    def build(self, spec: EnvSpec) -> Agent:
        """Return the wrapped agent's pure functions, with these settings in `imagination`, which training reads.

        spec: the environment's spaces.  Raises SpaceError where actions are discrete and a planner is asked for.
        """
        if spec.actions and self.plan != "off":
            raise SpaceError(
                f"{spec.name}: actions are discrete; plan {self.plan!r} needs continuous ones: leave it off"
            )
        return self.agent.build(spec)._replace(imagination=self)

    def imagined_fraction(self, error: float) -> float:
        """Return the share of updates, from 0 to 1, that may use imagined transitions.

        error: the model's held-out error over `rollout_length` steps; 1 is the error of predicting no change.
        """
        if not self.adaptive:
            return 1.0
        return float(np.clip((self.error_high - error) / (self.error_high - self.error_low), 0.0, 1.0))


def source_for(agent: Agent, known: KnownDynamics | None, seed: int) -> "ImaginationSource | None":
    """Return the `ImaginationSource` that the agent's settings ask for, or None if the agent does not imagine.

    known: what the environment shows of its dynamics.  seed: seed of the run.
    """
    if agent.imagination is None:
        return None
    from reverie.imagination.source import ImaginationSource  # imported late: few runs need models and planners

    return ImaginationSource(agent, known, seed)
