"""Check a snapshot of imagined replay: its shapes agree, and its models work on its episodes."""

import numpy as np

from reverie.core.dynamics import Dynamics, Episode
from reverie.models.reward import RewardModel

Arrays = dict[str, np.ndarray]


def require_matching_shapes(
    arrays: Arrays, sizes: tuple[int, int, int, int], memory: np.ndarray, capacity: int
) -> None:
    """Raise ValueError with the name of the first array that does not have the shape `ImaginedReplay.snapshot` writes.

    arrays: the snapshot's arrays by name.  sizes: of a state, of an action as models take it, of the context, of a
    packed transition.  memory: the noise processes' memory, for its shape.  capacity: most rows of R_f.
    """
    n, m, c, width = sizes
    _require(arrays, "low", (n,))
    _require(arrays, "high", (n,))
    _require(arrays, "memory", memory.shape)
    rows = arrays["fictional"].shape if "fictional" in arrays else ()
    if len(rows) != 2 or rows[1] != width or rows[0] > capacity:
        raise ValueError(f"fictional has shape {rows}, not [at most {capacity}, {width}]")
    for place in sorted({name.partition("/")[0] for name in arrays if name.startswith(("episode", "old"))} | {"now"}):
        if place != "now" or "now/actions" in arrays:
            length = len(arrays.get(f"{place}/rewards", ()))
            _require(arrays, f"{place}/states", (length + 1, n))
            _require(arrays, f"{place}/actions", (length, m))
            _require(arrays, f"{place}/rewards", (length,))
            _require(arrays, f"{place}/context", (c,))
            if not length:
                raise ValueError(f"{place} has no step")
    for name, value in arrays.items():
        if name.startswith("rows") and (value.ndim != 2 or value.shape[1] != width):
            raise ValueError(f"{name} has shape {value.shape}, not [steps, {width}]")


def _require(arrays: Arrays, name: str, shape: tuple[int, ...]) -> None:
    if name not in arrays or arrays[name].shape != shape:
        found = arrays[name].shape if name in arrays else "missing"
        raise ValueError(f"{name} has shape {found}, not {shape}")


def require_working_models(dynamics: Dynamics | None, outcome: RewardModel | None, episodes: list[Episode]) -> None:
    """Run the models on the last episode.  Raises ValueError where a shape is wrong, and passes on their own errors.

    dynamics: fitted dynamics or None.  outcome: reward model or None.  episodes: those the models were fitted to.
    """
    for episode in episodes[-1:]:
        x, u, t = episode.states[:1], episode.actions[:1], np.zeros(1, int)
        if dynamics is not None:
            drawn = dynamics.sample(x, u, t, np.random.default_rng(0))
            for after in (dynamics.mean(x, u, t), drawn):
                if np.shape(after) != x.shape:
                    raise ValueError(f"the model makes {np.shape(after)} of states {x.shape}")
        if outcome is not None:
            outcome.error([episode])
