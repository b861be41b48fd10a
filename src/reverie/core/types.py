"""Types that pass between environments, replay and algorithms: transitions."""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:  # JAX takes long to import
    import jax

    Array: TypeAlias = jax.Array | np.ndarray  # acting works on both
else:
    Array = Any


class Transition(NamedTuple):
    """One step of experience; callers add leading axes ([B] or [I, B]).

    `discount` is 0 where the episode terminated and 1 where it continued or ran out of time.  It never contains γ.
    """

    observation: Array  # [..., n]
    action: Array  # [..., m], the executed action: in [-1, 1], or a number 0, 1, … of a discrete one (m = 1)
    reward: Array  # [...], unscaled
    discount: Array  # [...]
    next_observation: Array  # [..., n], the true successor, also at the last step

    @classmethod
    def unpack(cls, rows: Array, observation_dim: int, action_dim: int) -> "Transition":
        """Split rows [..., `row_width(n, m)`] into fields.  Inverse of `pack`."""
        n, m = observation_dim, action_dim
        return cls(rows[..., :n], rows[..., n : n + m], rows[..., n + m], rows[..., n + m + 1], rows[..., n + m + 2 :])

    def pack(self) -> np.ndarray:
        """Return the fields side by side as float32 rows [..., `row_width(n, m)`]: one gather samples them all."""
        columns = (self.observation, self.action, self.reward, self.discount, self.next_observation)
        wide = [np.asarray(c)[..., None] if i in (2, 3) else np.asarray(c) for i, c in enumerate(columns)]
        return np.concatenate(wide, axis=-1, dtype=np.float32)


def row_width(observation_dim: int, action_dim: int) -> int:
    """Return the number of columns of a packed transition."""
    return 2 * observation_dim + action_dim + 2
