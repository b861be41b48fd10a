"""What a trainer may be given besides real experience: minibatches from elsewhere, and actions in some real episodes.

`reverie.imagination.source.ImaginationSource` fulfils it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

SOURCE_PREFIX = "dreams/"  # of a source's arrays in a checkpoint


class ExperienceSource(Protocol):
    """Fed with each real transition; asked for minibatches at each update."""

    @property
    def state_dim(self) -> int:
        """Entries of the environment's state that `observe` and `override` want; 0: none, observations are enough."""
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

    def override(self, observation: np.ndarray, state: Any, noise: np.ndarray) -> np.ndarray:
        """Return the action [m] in [-1, 1] that is taken in the policy's stead.  noise: standard normal [m]."""
        ...

    def observe(self, row: np.ndarray, state: Any, next_state: Any, last: bool, policy: Callable[[], Any]) -> bool:
        """Take in a packed real transition [width]; return whether a model was fitted, or tried to be.

        last: its episode ended.  policy: () -> what acting reads now.
        """
        ...

    @property
    def minibatches_per_real(self) -> int:
        """Minibatches that it gives for each real one, where it gives any."""
        ...

    def minibatches(self, count: int, batch_size: int) -> np.ndarray | None:
        """Return packed minibatches [minibatches_per_real x count, batch_size, width] for an update, or None."""
        ...

    def clear(self) -> None:
        """Forget what it would give: an update on it had to be undone."""
        ...

    def notices(self) -> list[str]:
        """Return what was noticed since the last call, a sentence each."""
        ...

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The columns of `metrics`."""
        ...

    def metrics(self) -> dict[str, float]:
        """Return a row of what there is to report."""
        ...

    @property
    def first_fit(self) -> int:
        """The step at which `programs` can be called at the soonest."""
        ...

    def programs(self) -> Mapping[str, Callable[[], None]]:
        """Return what compiles each of its programs, by name."""
        ...

    def snapshot(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return (arrays by name, facts): all that it holds."""
        ...

    def restore(self, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Become what `snapshot` saw."""
        ...
