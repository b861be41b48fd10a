"""The protocol of a second source of experience: it gives minibatches, and acts in some real episodes.

`reverie.imagination.source.ImaginationSource` implements it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from reverie.core.agent import Policy

SOURCE_PREFIX = "dreams/"  # prefix of a source's arrays in a checkpoint


class ExperienceSource(Protocol):
    """A source that observes each real transition and gives minibatches at each update."""

    @property
    def state_dim(self) -> int:
        """Size of the environment state that `observe` and `override` need; 0: observations are enough."""
        ...

    def end_episode(self) -> None:
        """Close an episode that was cut off."""
        ...

    def begin_episode(self, number: int) -> None:
        """Start episode `number`, and decide who acts in it."""
        ...

    @property
    def planner_acts(self) -> bool:
        """Whether `override` gives the actions of this episode."""
        ...

    def override(self, observation: np.ndarray, state: ArrayLike, noise: np.ndarray) -> np.ndarray:
        """Return the action [m] in [-1, 1] that replaces the policy's.  noise: standard normal [m]."""
        ...

    def observe(
        self, row: np.ndarray, state: ArrayLike, next_state: ArrayLike, last: bool, policy: Callable[[], Policy]
    ) -> bool:
        """Store a packed real transition [width]; return whether a model was fitted, or a fit was tried.

        state, next_state: the environment's state [state_dim] before and after the step.  last: the episode ended.
        policy: () -> the arrays that acting reads now.
        """
        ...

    @property
    def minibatches_per_real(self) -> int:
        """Minibatches given for each real one, when any are given."""
        ...

    def minibatches(self, count: int, batch_size: int) -> np.ndarray | None:
        """Return packed minibatches [minibatches_per_real x count, batch_size, width] for an update, or None."""
        ...

    def clear(self) -> None:
        """Drop its imagined experience, because an update on it had to be undone."""
        ...

    def notices(self) -> list[str]:
        """Return the notices since the last call, one sentence each."""
        ...

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The columns of `metrics`."""
        ...

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the source, by name."""
        ...

    @property
    def first_fit(self) -> int:
        """The earliest step at which `programs` can be called."""
        ...

    def programs(self) -> Mapping[str, Callable[[], None]]:
        """Return, by name, the functions that compile its programs."""
        ...

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return (arrays by name, facts): its whole state."""
        ...

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Restore what `snapshot` returned."""
        ...
