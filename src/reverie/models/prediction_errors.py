"""Prediction errors of dynamics on episodes that they were not fitted to.

Errors are taken after l steps under the recorded actions. Each coordinate's error is divided by the root mean square of
x_{t+l} - x_t. So 1 is the error of predicting no change. The error of predicting a constant velocity,
x_{t+l} = x_t + l (x_t - x_{t-1}), is given as well: a model should have a lower one.
"""

import numpy as np
from jaxtyping import Float

from reverie.core.dynamics import Dynamics, Episode
from reverie.core.errors import ConfigError
from reverie.maths import gaussian

CAP = 1e3  # limit of a normalised error and of the NLL per dimension, so that one that diverges does not hide others


def report(dynamics: Dynamics, episodes: list[Episode], lengths: tuple[int, ...] = (1, 5, 10)) -> dict[str, float]:
    """Return the figures of `predictions`, and those of the linearised model's noise and growth. All are finite.

    | name               | meaning                                                                              |
    |--------------------|--------------------------------------------------------------------------------------|
    | nll                | mean of -ln p(x') per dimension, nats                                                |
    | within_1, within_2 | share of coordinates within 1, 2 standard deviations; 0.68, 0.95 for the right noise |
    | radius             | largest spectral radius of ∂x'/∂x                                                    |
    """
    return predictions(dynamics, episodes, lengths) | _noise(dynamics, episodes)


def predictions(dynamics: Dynamics, episodes: list[Episode], lengths: tuple[int, ...] = (1, 5, 10)) -> dict[str, float]:
    """Return prediction errors by name, all finite.

    lengths: numbers of steps l. Lengths for which no episode is long enough are left out.

    | name                | meaning                                           |
    |---------------------|---------------------------------------------------|
    | nrmse_l             | error after l steps, over all time steps          |
    | worst_l             | the same, at the worst time step                  |
    | constant_velocity_l | error of predicting a constant velocity           |
    | capped              | share of errors that were above CAP or not finite |
    """
    found: dict[str, float] = {}
    starts, capped = _starts(dynamics, episodes), 0.0
    if not starts:
        return found
    at = np.array([t for _, t in starts])
    left = np.array([_usable(dynamics, e) - t for e, t in starts])
    x = np.array([e.states[t] for e, t in starts], float)
    first = x
    before = np.array([e.states[max(t - 1, 0)] for e, t in starts], float)
    for step in range(1, max(lengths) + 1):
        going = left >= step
        if not going.any():
            break
        u = np.array([e.actions[t + step - 1] for (e, t), go in zip(starts, going, strict=True) if go], float)
        x = x.copy()
        with np.errstate(all="ignore"):
            x[going] = dynamics.mean(x[going], u, at[going] + step - 1)
        if step in lengths:
            truth = np.array([e.states[t + step] for (e, t), go in zip(starts, going, strict=True) if go], float)
            changes = truth - first[going]
            error, cut = _normalised(x[going] - truth, changes)
            found[f"nrmse_{step}"] = _score(error)
            found[f"worst_{step}"] = max(_score(error[at[going] == t]) for t in np.unique(at[going]))
            moving = at[going] > 0
            steady = changes[moving] - step * (first - before)[going][moving]
            if moving.any():
                found[f"constant_velocity_{step}"] = _score(_normalised(steady, changes)[0])
            capped = max(capped, cut)
    return found | {"capped": capped}


def _usable(dynamics: Dynamics, episode: Episode) -> int:
    """Return the number of steps of an episode that are within the horizon of the dynamics."""
    return len(episode) if dynamics.horizon is None else min(len(episode), dynamics.horizon)


def _starts(dynamics: Dynamics, episodes: list[Episode]) -> list[tuple[Episode, int]]:
    return [(e, t) for e in episodes for t in range(_usable(dynamics, e))]


def _normalised(
    error: Float[np.ndarray, "_points n"], changes: Float[np.ndarray, "P n"]
) -> tuple[Float[np.ndarray, "_points _moving"], float]:
    """Return (errors relative to the size of `changes`, at most CAP; the share of errors above CAP).

    Coordinates that never change are left out.
    """
    size = np.sqrt((changes**2).mean(0))
    with np.errstate(all="ignore"):
        error = np.abs(error[:, size > 0] / size[size > 0])
    fine = error < CAP
    return np.where(fine, error, CAP), 1.0 - float(fine.mean()) if fine.size else 0.0


def _score(error: Float[np.ndarray, "P _moving"]) -> float:
    """Return the root mean square error, averaged over coordinates. 0 if no coordinate ever changes."""
    return float(np.sqrt((error**2).mean(0)).mean()) if error.size else 0.0


def _noise(dynamics: Dynamics, episodes: list[Episode]) -> dict[str, float]:
    """Return the figures of the linearised model's noise and growth. Empty if the dynamics cannot be linearised."""
    radius, densities, ratios = 0.0, [], []
    for episode, length in ((e, _usable(dynamics, e)) for e in episodes if len(e)):
        states, u = np.asarray(episode.states[: length + 1], float), np.asarray(episode.actions[:length], float)
        try:
            model = dynamics.linearize(states, u)
        except ConfigError:
            return {}
        x, n = states[:-1], states.shape[1]
        radius = max(radius, float(np.abs(np.linalg.eigvals(model.F[:, :, :n])).max()))
        mean = dynamics.mean(x, u, np.arange(length))
        if model.covariance is None:  # nothing is random, so a density has no figure
            continue
        std = np.sqrt(np.diagonal(model.covariance, axis1=1, axis2=2))
        if (std > 0).all():
            lower = std[:, :, None] * gaussian.factor(model.covariance / gaussian.outer(std))
            densities.append(gaussian.log_density(states[1:], mean, lower) / n)
            ratios.append(np.abs(states[1:] - mean) / std)
    if not densities:
        return {"radius": radius} if episodes else {}
    nll, ratio = -np.concatenate(densities), np.concatenate(ratios)
    within = {f"within_{k}": float((ratio <= k).mean()) for k in (1, 2)}
    return {"radius": radius, "nll": float(np.clip(nll, -CAP, CAP).mean()), **within}
