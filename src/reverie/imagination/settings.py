"""Imagination rollouts round any off-policy agent.  Gu et al. 2016 (arXiv 1603.00748), Algorithm 2.

A model fitted to the last few real episodes is rolled out for a few steps from real states under the current policy; the
agent learns from these imagined transitions as from real ones, l minibatches of them for each real one.

What the paper leaves open, or we differ in (ours / the paper's):
 1. B and B_f of the listing are one buffer; the index i of the tuples from B_old is the time t / misprints.
 2. The state that models see is the world's physical state where it shows one, else the observation / not said.
 3. Imagined rewards and deaths: the domain's own functions where it has them, else fitted quadratics / not said.
 4. A rollout's actions are μ plus the same noise process, in its long-run spread / "on-policy".
 5. Next states are the model's mean (`model_noise`: drawn with its covariance) / not said.
 6. R_f keeps the last `fictional_capacity` transitions over refits (`fresh`: emptied at each) / not said.
 7. A rollout ends at the episode's time limit, and at the first state outside the range of real ones, widened by
    `RANGE_MARGIN`: what is beyond is counted and dropped / not said.
 8. `rollouts` of them begin every `rollouts` real steps / m, which is the minibatch size as well.
 9. The model is refitted after every `refit_every` episodes on the last n / after every n.
10. `adaptive`: the share of updates that use imagined data falls with the model's held-out error, and the last real
    episodes stand in (`instead`) / future work.
11. iLQG's one step is bounded in KL divergence (`plan_step`) / unbounded.  Its first old controller is read from the
    episodes of μ / not said.  Its noise is its own covariance, mpc's Gaussian / "plus noise".
12. Where the agent standardises observations, it does so by the moments of all its minibatches, imagined ones too / not said.
13. Fits that are no model, or (`adaptive`) do not even explain what they were fitted to, are refused: model and B_old
    stay as they were / not said.  What five samples a step do not tell, a prior does (`models/linear_gaussian.py`) /
    not said.
`Imagination.paper()` has the paper's side of 8 to 11, no planner, and l = 10, which on the gripper and cheetah is 5 there.
"""

import dataclasses
from typing import Any, Literal, Self

import numpy as np

from reverie.core.agent import Agent, Algorithm
from reverie.core.argument_checks import shown
from reverie.core.checked_settings import coerce
from reverie.core.dynamics import Model
from reverie.core.errors import ConfigError, SpaceError
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.setting_docs import document_settings
from reverie.core.types import EnvSpec


@document_settings
@dataclasses.dataclass(frozen=True)
class Imagination:
    """Algorithm 2 round `agent`.  Raises ConfigError where a value cannot work."""

    agent: Algorithm
    """Any off-policy algorithm's settings."""
    model: Model
    """The dynamics: `rv.LinearGaussian()`, `rv.Neural()`, `rv.Exact()`, or `rv.Recent()` (no model, real data)."""
    rollout_length: int = 5
    """l: steps of a rollout; 0: the model serves planning alone."""
    minibatches: int = 0
    """Imagined minibatches for each real one; 0: l of them (the paper's)."""
    rollouts: int = 25
    """m: that many begin every m real steps."""
    refit_every: int = 1
    """Episodes between fits (the paper: n, the model's own `episodes`)."""
    until_episode: int = 0
    """Imagination ends with this episode; 0: never."""
    adaptive: bool = True
    """Use imagined data less as the model's held-out error grows from `error_low` to `error_high`."""
    error_low: float = 0.25
    """Held-out error, over rollout_length steps and relative to predicting no change, up to which a model is trusted."""
    error_high: float = 0.75
    """The error from which on it is not used at all."""
    instead: Literal["recent", "nothing"] = "recent"
    """What the share of updates that is not imagined gets: as many minibatches of the model's last n real episodes, or none."""
    model_noise: bool = False
    """Draw next states with the model's noise instead of taking its mean."""
    fresh: bool = False
    """Empty R_f at each refit."""
    fictional_capacity: int = 20_000
    """Imagined transitions kept in R_f: few, for those of early models are worse than those of late ones."""
    plan: Literal["off", "ilqg", "mpc"] = "off"
    """Who else drives real episodes: iLQG on the fitted model, or model predictive control with exact physics."""
    mixture: float = 0.5
    """p: the probability that μ drives an episode all the same."""
    plan_step: Literal["kl", "plain"] = "kl"
    """iLQG's step after each fit: within `kl_bound` of the controller before, or without a bound (the paper's)."""
    kl_bound: float = 0.2
    """Nats a step, on the mean over an episode."""
    plan_horizon: int = 50
    """Steps that mpc looks ahead."""
    plan_iterations: int = 3
    """Of mpc at each step."""
    plan_noise: float = 0.1
    """σ of the Gaussian noise on mpc's actions; iLQG's controller has its own."""

    def __post_init__(self):
        if isinstance(self.agent, type) or not isinstance(self.agent, Algorithm) or isinstance(self.agent, Imagination):
            raise ConfigError(f"agent is {shown(self.agent)}; give an algorithm's settings, such as rv.NAF()")
        requirements = getattr(self.agent, "requirements", None)
        if requirements is not None and requirements.rollout:
            raise ConfigError(
                f"{self.agent.name} learns on-policy, and imagined steps are not its policy's: use naf, ddpg, sac or dqn"
            )
        if isinstance(self.model, type) or not hasattr(self.model, "fit"):
            raise ConfigError(f"model is {shown(self.model)}; give a model's settings, such as rv.LinearGaussian()")
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
        """Return the paper's: a fit after every n episodes, one m for rollouts and minibatches, no adaptive switch, and
        iLQG's step without a bound, where `plan` is "ilqg".
        """
        batch_size = getattr(agent, "batch_size", cls.rollouts)
        printed = {"refit_every": model.episodes, "rollouts": batch_size, "rollout_length": 10}
        printed |= {"adaptive": False, "instead": "nothing", "plan_step": "plain"}
        return cls(agent, model, **{**printed, **changes})

    @property
    def name(self) -> str:
        """The wrapped algorithm's."""
        return self.agent.name

    def build(self, spec: EnvSpec) -> Agent:
        """Return the wrapped agent's own pure functions, marked so that who feeds it dreams as well."""
        if spec.actions and self.plan != "off":
            raise SpaceError(
                f"{spec.name}: actions are discrete; plan {self.plan!r} needs continuous ones: leave it off"
            )
        return self.agent.build(spec)._replace(imagination=self)

    def imagined_fraction(self, error: float) -> float:
        """Return the share of updates, from 1 to 0, that may use a model of this held-out error."""
        if not self.adaptive:
            return 1.0
        return float(np.clip((self.error_high - error) / (self.error_high - self.error_low), 0.0, 1.0))


def source_for(agent: Agent, known: KnownDynamics | None, seed: int, time_limit: int | None = None) -> Any:
    """Return the `ImaginationSource` that an agent's settings ask for, or None.

    known: what the environment shows of its dynamics.  time_limit: the steps of an episode, where that is known.
    """
    if agent.imagination is None:
        return None
    from reverie.imagination.source import ImaginationSource  # models and planners: few runs need them

    return ImaginationSource(agent, known, seed, time_limit)
