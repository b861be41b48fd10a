"""The benchmark of fits: dynamics from few episodes, against the same in plain NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.bench.timing import Contender, interleave, table
from reverie.core.dynamics import Episode
from reverie.models import mixture, samples
from reverie.models.linear_gaussian import LinearGaussian
from reverie.models.neural import Neural

T, N, M, BATCH, HISTORY = 150, 20, 6, 5, 20  # steps, states, actions; episodes of a fit, and of its prior
CLUSTERS, ITERATIONS = (
    18,
    20,
)  # of the plain mixture: 40 points of the batch per cluster; half the iterations to convergence


def fit(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time fits of dynamics: to 5 episodes with each prior, networks refitted to 20, and plain NumPy's mixture.

    The plain mixture gets the 5 episodes alone.
    """
    del peers  # no peer fits dynamics
    history = episodes(HISTORY)
    batch = history[-BATCH:]
    points = samples.pool(batch)
    scale = samples.scale_of(points)
    points = (points - scale.mean) / scale.std
    network = Neural()
    last = network.fit(batch, history).dynamics
    models = {"pooled": LinearGaussian(prior="pooled"), "mixture": LinearGaussian(prior="mixture")}
    contenders = [Contender(kind, lambda model=model: model.fit(batch, history), 1) for kind, model in models.items()]
    contenders += [
        Contender("neural", lambda: network.fit(batch, history, last), 1),
        Contender("mixture alone", lambda: mixture.fit(points, 0), 1),
        Contender("plain NumPy EM", lambda: plain(points), 1),
    ]
    return {"unit": "one fit", "rows": table(interleave(contenders, rounds), "mixture")}


def episodes(number: int) -> list[Episode]:
    """Return episodes of a stable linear system under random actions."""
    generator = np.random.default_rng(0)
    A = 0.95 * np.linalg.qr(generator.standard_normal((N, N)))[0]
    B, found = generator.standard_normal((N, M)), []
    for _ in range(number):
        states, actions = [generator.standard_normal(N)], generator.uniform(-1, 1, (T, M))
        for u in actions:
            states.append(A @ states[-1] + B @ u + 0.1 * generator.standard_normal(N))
        found.append(Episode(np.array(states), actions, np.zeros(T)))
    return found


def plain(points: np.ndarray) -> np.ndarray:
    """Return the responsibilities [P, K] of a mixture of `points` [P, D] after EM, written as in textbooks."""
    share = np.eye(CLUSTERS)[np.random.default_rng(0).integers(CLUSTERS, size=len(points))]
    for _ in range(ITERATIONS):
        mass = share.sum(0)
        mean = share.T @ points / mass[:, None]
        spread = [(weight[:, None] * off).T @ off for weight, off in zip(share.T, points - mean[:, None], strict=True)]
        covariance = np.array(spread) / mass[:, None, None] + mixture.FLOOR * np.eye(points.shape[1])
        parts = zip(mean, np.linalg.cholesky(covariance), strict=True)
        log = np.log(mass / len(points)) + np.array([_density(points, *part) for part in parts]).T
        share = np.exp(log - log.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
    return share


def _density(points: np.ndarray, mean: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return ln N(z; mean, L Lᵀ) [P], with one solve for all points."""
    white = np.linalg.solve(lower, (points - mean).T)
    size = np.log(np.diagonal(lower)).sum() + 0.5 * len(mean) * np.log(2 * np.pi)
    return -0.5 * (white**2).sum(0) - size
