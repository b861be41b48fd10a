"""An `EnvSpec` as written to config.json and to a journal's first line."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from reverie.core.words import count

if TYPE_CHECKING:  # it imports NumPy, and much that reads a directory does not need it
    from reverie.core.env_spec import EnvSpec


NAMES = ("observation_names", "observation_units", "action_names", "action_units")


class Observed(msgspec.Struct):
    """A part of an observation: its name, the kind of its space, its shape."""

    name: str
    kind: str
    shape: list[Annotated[int, msgspec.Meta(ge=0, lt=2**31)]]


class Spec(msgspec.Struct, omit_defaults=True):
    """The written form of an `EnvSpec`."""

    observation_dim: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    action_low: list[float] = []
    action_high: list[float] = []
    name: str = "world"
    actions: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0
    first_action: int = 0
    observations: list[Observed] = []
    observation_low: list[float | None] = []  # None: no bound
    observation_high: list[float | None] = []
    observation_names: list[str] = []
    observation_units: list[str] = []
    action_names: list[str] = []
    action_units: list[str] = []
    max_episode_steps: Annotated[int, msgspec.Meta(ge=1, lt=2**31)] | None = None

    def __post_init__(self):
        """Raise ValueError where there are too few or too many bounds; observation bounds may be missing."""
        seen, sent = self.observation_dim, len(self.action_low)
        if self.actions == 0 and not sent:
            raise ValueError("it has neither `actions` nor `action_low`")
        if self.actions and sent:
            raise ValueError("it has `actions` and `action_low`")
        for name, wanted in (("action_high", (sent,)), ("observation_low", (0, seen)), ("observation_high", (0, seen))):
            if (found := len(getattr(self, name))) not in wanted:
                raise ValueError(f"`{name}` has {count(found, 'entry', 'entries')}, not {wanted[-1]}")
        if len(self.observation_low) != len(self.observation_high):
            raise ValueError(f"`observation_{'high' if self.observation_low else 'low'}` is missing")
        for name in NAMES:
            wanted = seen if name.startswith("observation") else sent or 1
            if (found := len(getattr(self, name))) not in (0, wanted):
                raise ValueError(f"`{name}` has {count(found, 'entry', 'entries')}, not {wanted}")

    @classmethod
    def of(cls, spec: "EnvSpec") -> "Spec":
        """Return the written form of `spec`."""
        parts = [Observed(name, kind, list(shape)) for name, kind, shape in spec.observations]
        bounds = list(spec.action_low), list(spec.action_high)
        seen = _finite(spec.observation_low), _finite(spec.observation_high)
        named = spec.name, spec.actions, spec.first_action
        made = cls(spec.observation_dim, *bounds, *named, parts, *seen, max_episode_steps=spec.max_episode_steps)
        for name in NAMES:
            setattr(made, name, list(getattr(spec, name)))
        return made

    def value(self) -> "EnvSpec":
        """Return the EnvSpec.  Raises SpaceError where the values are invalid."""
        from reverie.core.env_spec import EnvSpec

        parts = tuple((part.name, part.kind, tuple(part.shape)) for part in self.observations)
        bounds = self.action_low, self.action_high
        low = [-math.inf if bound is None else bound for bound in self.observation_low]
        high = [math.inf if bound is None else bound for bound in self.observation_high]
        names = [getattr(self, name) for name in NAMES]
        named = self.name, self.actions, self.first_action
        limit = self.max_episode_steps
        return EnvSpec(self.observation_dim, *bounds, *named, parts, low, high, *names, max_episode_steps=limit)


def _finite(bounds: Sequence[float]) -> list[float | None]:
    return [bound if math.isfinite(bound) else None for bound in bounds]
