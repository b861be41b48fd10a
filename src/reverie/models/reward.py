"""Reward and death as quadratics of [x; u] and of x', by ridge regression: for worlds whose formulas nobody has.

Death is regressed as an indicator, 1 or 0, and foretold from ½ upwards; where none was seen it never is.  Deaths are rare,
so the regression alone would hardly reach ½: its offset is moved to where the fewest samples are told wrongly.
"""

from typing import NamedTuple, Self

import numpy as np

from reverie.core.dynamics import Episode, FitResult
from reverie.core.status import Status
from reverie.models import samples

HELD_OUT = 0.2  # of all samples, behind R²
RIDGE = 1e-6  # added to the variance, 1, of each standardised feature
MOST = 1e3  # of an error
LEAST = 1e-6  # curvature of the cost in u, relative to its largest


class QuadraticFit(NamedTuple):
    """y ↦ ½ sᵀCs + cᵀs + c0 of s = (y - mean)/std."""

    C: np.ndarray  # [d, d]
    c: np.ndarray  # [d]
    c0: np.ndarray  # a scalar
    mean: np.ndarray  # [d]
    std: np.ndarray  # [d]
    r2: np.ndarray  # a scalar: share of variance explained on samples held out; 0 where there is no variance

    def value(self, y: np.ndarray) -> np.ndarray:
        """Return the values [B] at rows y [B, d]."""
        s = (y - self.mean) / self.std
        return ((0.5 * s @ self.C + self.c) * s).sum(1) + self.c0


class RewardModel(NamedTuple):
    """What is foretold of reward and death."""

    gain: QuadraticFit
    death: QuadraticFit

    def reward(self, x: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the rewards [B] of actions [B, m] in states [B, n]."""
        return self.gain.value(np.concatenate([x, u], axis=1))

    def terminated(self, x: np.ndarray) -> np.ndarray:
        """Return whether states x' [B, n] are deaths [B]."""
        return self.death.value(x) >= 0.5

    def error(self, episodes: list[Episode]) -> float:
        """Return the root mean square error of rewards on `episodes` over their spread: 1 is what their mean scores.

        Where they do not vary it is 0 if they are foretold to a thousandth, else 1.
        """
        rewards = np.concatenate([e.rewards for e in episodes])
        foretold = np.concatenate([self.reward(e.states[:-1], e.actions) for e in episodes])
        missed, spread = np.sqrt(np.mean((foretold - rewards) ** 2)), rewards.std()
        if not np.isfinite(missed):
            return MOST
        if spread > 0:
            return float(np.minimum(missed / spread, MOST))
        return float(missed > 1e-3 * max(abs(rewards).max(), 1e-9))

    def cost(self, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return C [d, d], c [d], c0 of -r ≈ ½ yᵀCy + cᵀy + c0, convex, strictly so in the last m coordinates, u.

        Eigenvalues of the whole C below 0 become 0; value and gradient at the mean sample stay what they were.
        """
        values, vectors = np.linalg.eigh(-self.gain.C)
        convex = (vectors * np.maximum(values, 0.0)) @ vectors.T
        convex[-m:, -m:] += LEAST * max(np.abs(values).max(), np.finfo(float).tiny) * np.eye(m)
        mean, std = self.gain.mean, self.gain.std
        C, slope = convex / np.outer(std, std), -self.gain.c / std
        return C, slope - C @ mean, -self.gain.c0 - slope @ mean + 0.5 * mean @ C @ mean

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that decides it; `restore` takes it back."""
        return {f"{part}.{name}": a for part, q in self._asdict().items() for name, a in q._asdict().items()}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray]) -> Self:
        """Return the model whose `arrays` these are."""
        return cls(*(QuadraticFit(**{n: arrays[f"{part}.{n}"] for n in QuadraticFit._fields}) for part in cls._fields))


def fit(episodes: list[Episode], seed: int = 0) -> FitResult:
    """Return the RewardModel of episodes; TOO_FEW_SAMPLES or NONFINITE_MODEL (data that are not finite) come without."""
    if wrong := samples.unfit(episodes):
        return FitResult(None, wrong)
    rewards = np.concatenate([e.rewards for e in episodes]).astype(float)
    if not np.isfinite(rewards).all():
        return FitResult(None, Status.NONFINITE_MODEL)
    y = np.concatenate([np.concatenate([e.states[:-1], e.actions], axis=1) for e in episodes]).astype(float)
    after = np.concatenate([e.states[1:] for e in episodes]).astype(float)
    died = np.concatenate([np.arange(1, len(e) + 1) == (len(e) if e.terminated else 0) for e in episodes])
    death = _placed(_quadratic(after, died.astype(float), seed), after, died)
    return FitResult(RewardModel(_quadratic(y, rewards, seed), death), Status.DONE)


def _quadratic(y: np.ndarray, target: np.ndarray, seed: int) -> QuadraticFit:
    """Return the quadratic of y [P, d] nearest to `target` [P]."""
    scale = samples.scale_of(y)
    s, d = (y - scale.mean) / scale.std, y.shape[1]
    rows, columns = np.triu_indices(d)
    if len(y) < 2 * (1 + d + len(rows)):
        rows = columns = np.arange(d)
    features = np.concatenate([s, s[:, rows] * s[:, columns]], axis=1)
    order = np.random.default_rng(seed).permutation(len(y))
    out, kept = np.split(order, [int(HELD_OUT * len(y))])
    weights, offset = _ridge(features[kept], target[kept])
    spread = ((target[out] - target[out].mean()) ** 2).sum() if len(out) else 0.0
    missed = ((features[out] @ weights + offset - target[out]) ** 2).sum()
    weights, offset = _ridge(features, target)
    C = np.zeros((d, d))
    np.add.at(C, (rows, columns), weights[d:])
    r2 = 1.0 - missed / spread if spread > 0 else 0.0
    return QuadraticFit(C + C.T, weights[:d], np.array(offset), *scale, np.array(r2))


def _placed(indicator: QuadraticFit, y: np.ndarray, died: np.ndarray) -> QuadraticFit:
    """Return `indicator` raised or lowered so that ½ parts those that `died` [P] from the rest with fewest mistakes."""
    if not died.any():
        return indicator
    score = indicator.value(y)
    order = np.argsort(-score)
    # Of the k highest, called dead: those alive are mistakes, and so are the dead among the rest.
    mistakes = np.concatenate([[died.sum()], died.sum() + np.cumsum(1 - 2 * died[order].astype(int))])
    ends = np.concatenate([[score.max() + 1.0], score[order], [score.min() - 1.0]])
    cut = mistakes.argmin()
    return indicator._replace(c0=indicator.c0 + 0.5 - (ends[cut] + ends[cut + 1]) / 2)


def _ridge(features: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights [p] and the offset of the ridge regression, whose offset is not shrunk."""
    scale = samples.scale_of(features)
    standard = (features - scale.mean) / scale.std
    gram = standard.T @ standard / len(target) + RIDGE * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, standard.T @ (target - target.mean()) / len(target)) / scale.std
    return weights, float(target.mean() - weights @ scale.mean)
