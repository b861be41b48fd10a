"""Hyper-parameters that algorithms share, their meaning and their checks."""

import dataclasses
from typing import Annotated, Any, Literal, Self

from reverie.algorithms.tuned import TUNED, TUNED_PER_AGENT
from reverie.core.agent import DataRequirements, UpdateAfter
from reverie.core.checked_settings import Settings
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.maths.exploration import Noise
from reverie.maths.networks import Normalisation
from reverie.maths.noises import NOISES

DISCOUNT = 0.99  # where nothing limits an episode
LEAST_DISCOUNT, MOST_DISCOUNT = 0.95, 0.995
EPISODE_SHARE = 5  # the effective horizon 1/(1 - γ) is an episode's length over this number


def discount_for(steps: int | None) -> float:
    """Return a discount for episodes of at most so many steps.  Hansen et al. 2024, TD-MPC2, appendix H.

    The effective horizon 1/(1 - γ) is a fifth of an episode, and γ is within [.95, .995].  None: .99.
    """
    if steps is None:
        return DISCOUNT
    return min(max(1.0 - EPISODE_SHARE / steps, LEAST_DISCOUNT), MOST_DISCOUNT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlgorithmSettings(Settings):
    """Settings of every algorithm here.  Raises ConfigError where a value cannot work."""

    learning_rate: float = 1e-3
    """Adam's step size, for all networks."""
    discount: float | Literal["auto"] = DISCOUNT
    """γ, per step.  "auto": 1 - 5/T for episodes of at most T steps, within [.95, .995]; .99 where nothing limits them."""
    hidden: tuple[int, ...] = (200, 200)
    """Units of each hidden layer."""
    observation_normalisation: bool = False
    """Standardise observations by running moments."""
    observation_scale: float = 1.0
    """What standardised observations are multiplied by.  Below 1 networks vary less from state to state, and follow noise
    less."""
    reward_scale: float | Literal["auto"] = 1.0
    """Multiplies rewards inside the update only: stored and reported rewards stay as they are.  "auto": 1 over the running
    standard deviation of discounted returns."""

    def __post_init__(self):
        super().__post_init__()
        scales = ("learning_rate",) if self.reward_scale == "auto" else ("learning_rate", "reward_scale")
        self.require_positive(*scales, "observation_scale")
        if self.observation_scale != 1.0 and not self.observation_normalisation:
            raise ConfigError(
                f"observation_scale is {self.observation_scale:g}, but only normalised observations are scaled: set "
                "observation_normalisation=true too"
            )
        if self.discount != "auto":
            self.require_share("discount", zero=True)
        if any(units < 1 for units in self.hidden):
            raise ConfigError(f"hidden is {self.hidden}; every layer needs at least 1 unit")

    @property
    def discount_factor(self) -> float:
        """γ as a number.  "auto" is that of endless episodes here; `for_spec` knows better."""
        return DISCOUNT if self.discount == "auto" else self.discount

    @property
    def fixed_reward_scale(self) -> float:
        """What an update multiplies rewards by.  With "auto" they are scaled already when it gets them."""
        return 1.0 if self.reward_scale == "auto" else self.reward_scale

    @property
    def normalised_size(self) -> float | None:
        """The standard deviation of normalised observations; None where they are not normalised."""
        return self.observation_scale if self.observation_normalisation else None

    def for_spec(self, spec: EnvSpec) -> Self:
        """Return these settings with the discount that they have in an environment of `spec`."""
        return self.replace(discount=discount_for(spec.max_episode_steps)) if self.discount == "auto" else self

    @property
    def _for_checks(self) -> dict[str, Any]:
        """What checks of learning need to know, as named in `DataRequirements`."""
        names = ("learning_rate", "observation_normalisation")
        scale = None if self.reward_scale == "auto" else self.reward_scale
        known = {"discount": self.discount_factor, "reward_scale": scale}
        return known | {name: getattr(self, name) for name in names}

    def require_positive(self, *names: str) -> None:
        """Raise ConfigError where a field is not above 0."""
        for name in names:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be positive")

    def require_share(self, *names: str, zero: bool) -> None:
        """Raise ConfigError where a field does not lie in [0, 1], or (0, 1] where it may not be `zero`."""
        for name in names:
            value = getattr(self, name)
            if not 0 <= value <= 1 or (value == 0 and not zero):
                raise ConfigError(f"{name} is {value}; it must lie in {'[0, 1]' if zero else '(0, 1]'}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplaySettings(AlgorithmSettings):
    """Settings of algorithms that learn from replay."""

    target_rate: float = 0.005
    """τ: the share of the online network that the target takes on at each update."""
    batch_size: int = 100
    """Transitions in one minibatch."""
    updates_per_step: int = 5
    """I: minibatch updates for each real step."""
    update_after: UpdateAfter = "step"
    """When they run.  "episode": after each episode, for loops without spare time; "time", "background": beside a clock."""
    warmup_steps: int = 200
    """Real steps of uniformly random actions before the first update."""
    replay_capacity: int = 1_000_000
    """Transitions kept for learning; the journal on disk keeps all."""
    recent_share: float = 0.0
    """Share of each minibatch that is drawn from the last `recent_steps` transitions alone; the rest is drawn from all."""
    recent_steps: int = 200
    """Transitions that count as recent."""

    def __post_init__(self):
        super().__post_init__()
        self.require(batch_size=1, updates_per_step=0, warmup_steps=0, replay_capacity=1, recent_steps=1)
        self.require_share("target_rate", zero=False)
        self.require_share("recent_share", zero=True)

    @property
    def requirements(self) -> DataRequirements:
        """What training needs to know of these settings."""
        return DataRequirements(
            self.batch_size,
            self.updates_per_step,
            self.warmup_steps,
            self.replay_capacity,
            self.update_after,
            recent_share=self.recent_share,
            recent_steps=self.recent_steps,
            **self._for_checks,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffPolicySettings(ReplaySettings):
    """Settings of algorithms that learn from replay, and whose networks may be normalised in several ways."""

    normalisation: Normalisation = "none"
    """Of hidden layers: "none", "layer", "batch" (before each ReLU) or "batch_inputs" (of what enters each)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeterministicPolicySettings(OffPolicySettings):
    """Settings of the paper's two algorithms: a deterministic policy, with noise to explore."""

    name = ""
    """What each of the two calls itself."""
    noise: Annotated[str, NOISES] = "ou"
    """Exploration: "ou" (Ornstein-Uhlenbeck), "gaussian" or, for NAF, "precision" (appendix 8.2); or package.module:Class."""
    noise_scale: float = 0.3
    """σ: what each standard normal draw of the noise is multiplied by, where actions span [-1, 1]."""
    noise_theta: float = 0.15
    """θ: the pull of Ornstein-Uhlenbeck noise towards zero, as a share per step; 1: independent draws."""

    def __post_init__(self):
        super().__post_init__()
        self.require(noise_scale=0)
        self.require_share("noise_theta", zero=True)
        _ = self.exploration  # it must be possible to make it

    @property
    def exploration(self) -> Noise:
        """The noise that `noise` names.  Its fields are the settings here whose names begin with "noise_".

        Raises ConfigError where there is no such noise, or it needs a setting that is not here.
        """
        kind: Any = NOISES.find(self.noise, "noise")
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind) and hasattr(kind, "process")):
            raise ConfigError(
                f"noise {self.noise!r} is no dataclass of settings with a method `process()`; see docs/how-to/noise.md"
            )
        here = {field.name for field in dataclasses.fields(self)}
        given: dict[str, Any] = {}
        for field in dataclasses.fields(kind):
            if (name := f"noise_{field.name}") in here:
                given[field.name] = getattr(self, name)
            elif field.default is field.default_factory is dataclasses.MISSING:
                raise ConfigError(
                    f"noise {self.noise!r} needs {field.name}, but {self.name} has no {name}; give a default"
                )
        made: Any = kind(**given)
        return made

    @property
    def shapes_noise(self) -> bool:
        """Whether the noise wants its draws bent to a precision matrix."""
        return getattr(self.exploration, "shaped", False)

    @classmethod
    def paper(cls, domain: str | None = None, **changes: Any) -> Self:
        """Return the settings that Gu et al. 2016 print, and for what they do not print those of the DDPG paper.

        They searched learning rate, batch normalisation and noise per domain, 18 configurations, and printed only those of
        table 2 (batch normalisation on, 1e-3, 0.3).  For a `domain` in `tuned.TUNED` the configuration is our choice out of
        those 18; for others it is table 2's.  `tuned.TUNED_PER_AGENT` has what only one of the two agents uses.
        `changes` override.
        """
        printed: dict[str, Any] = {
            "normalisation": "batch",
            "learning_rate": 1e-3,
            "noise_scale": 0.3,
            "warmup_steps": 0,
        }
        unprinted: dict[str, Any] = {"target_rate": 0.001, "batch_size": 64}
        tuned = {**TUNED.get(domain or "", {}), **TUNED_PER_AGENT.get((cls.name, domain or ""), {})}
        return cls(**{**printed, **unprinted, **tuned, **changes})
