"""A model of reward and termination, for environments whose formulas are not known.

| what        | fitted as                                                                   | used for             |
|-------------|-----------------------------------------------------------------------------|----------------------|
| reward      | a Gaussian process of x', [x'; u] or [x; u]: the one with the most evidence | imagined transitions |
| reward      | a quadratic of [x; u], by ridge regression                                  | planners, as a cost  |
| termination | a quadratic of x', by ridge regression                                      | imagined transitions |

A quadratic of [x; u] has many coefficients, and no narrow peak. After few episodes its predictions are often worse than
the mean reward. But planners need one.

Termination is regressed as an indicator, 1 or 0, and predicted from ½ upwards. If no episode has terminated it is never
predicted. Terminal states are rare, so the regression would seldom reach ½. Therefore its offset is moved to the value
with the fewest wrong predictions.
"""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from reverie.core.dynamics import Episode, FitResult
from reverie.core.status import Status
from reverie.models import gaussian_process, samples
from reverie.models.gaussian_process import GaussianProcess

HELD_OUT = 0.2  # share of samples that R² is computed on
RIDGE = 1e-6  # added to the variance of each standardised feature, which is 1
MOST = 1e3  # largest error that is reported
LEAST = 1e-6  # added curvature of the cost in u, relative to its largest eigenvalue
# What rewards may depend on, by x, u and x'.
INPUTS: tuple[Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray], ...] = (
    lambda x, u, after: after,
    lambda x, u, after: np.concatenate([after, u], axis=1),
    lambda x, u, after: np.concatenate([x, u], axis=1),
)


class QuadraticFit(NamedTuple):
    """The function y ↦ ½ sᵀCs + cᵀs + c0 with s = (y - mean)/std."""

    C: Float[np.ndarray, "d d"]
    c: Float[np.ndarray, "d"]
    c0: Float[np.ndarray, ""]
    mean: Float[np.ndarray, "d"]
    std: Float[np.ndarray, "d"]
    r2: Float[np.ndarray, ""]  # share of the variance of held-out samples that is explained; 0 if there is none

    def value(self, y: Float[np.ndarray, "B d"]) -> Float[np.ndarray, "B"]:
        """Return the function's values at rows y."""
        s = (y - self.mean) / self.std
        return ((0.5 * s @ self.C + self.c) * s).sum(1) + self.c0


class RewardModel(NamedTuple):
    """Fitted reward and termination."""

    gain: QuadraticFit  # reward, as a function of [x; u]
    death: QuadraticFit  # termination, as a function of x': from ½ upwards
    smooth: GaussianProcess  # reward, as a function of one of `INPUTS`
    inputs: Int[np.ndarray, ""]  # its number

    def reward(
        self, x: Float[np.ndarray, "B n"], u: Float[np.ndarray, "B m"], after: Float[np.ndarray, "B n"]
    ) -> Float[np.ndarray, "B"]:
        """Return the predicted rewards of actions u that lead from states x to states `after`."""
        return self.smooth.value(INPUTS[int(self.inputs)](x, u, after))

    def terminated(self, x: Float[np.ndarray, "B n"]) -> Bool[np.ndarray, "B"]:
        """Return whether states x' are predicted to be terminal."""
        return self.death.value(x) >= 0.5

    def error(self, episodes: list[Episode]) -> float:
        """Return the root mean square error of rewards on `episodes`, relative to their standard deviation.

        1 is the error of predicting their mean. If rewards do not vary, the result is 0 for errors up to a thousandth
        of the reward, else 1.
        """
        rewards = np.concatenate([e.rewards for e in episodes])
        foretold = np.concatenate([self.reward(e.states[:-1], e.actions, e.states[1:]) for e in episodes])
        missed, deviation = np.sqrt(np.mean((foretold - rewards) ** 2)), rewards.std()
        if not np.isfinite(missed):
            return MOST
        if deviation > 0:
            return float(np.minimum(missed / deviation, MOST))
        return float(missed > 1e-3 * max(abs(rewards).max(), 1e-9))

    def cost(self, m: int) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d"], Float[np.ndarray, ""]]:
        """Return C, c and c0 of a convex cost ½ yᵀCy + cᵀy + c0 ≈ -r, with y = [x; u].

        m: number of actions, the last coordinates of y, in which the cost is strictly convex. Negative eigenvalues of C
        become 0. Value and gradient at the mean sample do not change.
        """
        values, vectors = np.linalg.eigh(-self.gain.C)
        convex = (vectors * np.maximum(values, 0.0)) @ vectors.T
        convex[-m:, -m:] += LEAST * max(np.abs(values).max(), np.finfo(float).tiny) * np.eye(m)
        mean, std = self.gain.mean, self.gain.std
        C, slope = convex / np.outer(std, std), -self.gain.c / std
        return C, slope - C @ mean, -self.gain.c0 - slope @ mean + 0.5 * mean @ C @ mean

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, for a checkpoint."""
        fitted = {"gain": self.gain, "death": self.death, "smooth": self.smooth}
        flat = {f"{part}.{name}": a for part, q in fitted.items() for name, a in q._asdict().items()}
        return flat | {"inputs": self.inputs}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray]) -> Self:
        """Return the model whose `arrays` were saved."""
        gain, death = (
            QuadraticFit(**{name: arrays[f"{part}.{name}"] for name in QuadraticFit._fields})
            for part in ("gain", "death")
        )
        smooth = GaussianProcess(**{name: arrays[f"smooth.{name}"] for name in GaussianProcess._fields})
        return cls(gain, death, smooth, arrays["inputs"])


def fit(episodes: list[Episode], seed: int = 0) -> FitResult:
    """Return a RewardModel fitted to episodes.  seed: of the samples that are held out.

    Status TOO_FEW_SAMPLES or NONFINITE_MODEL (data are not finite): there is no model.
    """
    if wrong := samples.unfit(episodes):
        return FitResult(None, wrong)
    rewards = np.concatenate([e.rewards for e in episodes]).astype(float)
    if not np.isfinite(rewards).all():
        return FitResult(None, Status.NONFINITE_MODEL)
    x = np.concatenate([e.states[:-1] for e in episodes]).astype(float)
    u = np.concatenate([e.actions for e in episodes]).astype(float)
    after = np.concatenate([e.states[1:] for e in episodes]).astype(float)
    y = np.concatenate([x, u], axis=1)
    died = np.concatenate([np.arange(1, len(e) + 1) == (len(e) if e.terminated else 0) for e in episodes])
    death = _placed(_quadratic(after, died.astype(float), seed), after, died)
    fits = [gaussian_process.fit(inputs(x, u, after), rewards) for inputs in INPUTS]
    best = int(np.argmax([found.evidence for found in fits]))
    return FitResult(RewardModel(_quadratic(y, rewards, seed), death, fits[best].function, np.array(best)), Status.DONE)


def _quadratic(y: Float[np.ndarray, "P d"], target: Float[np.ndarray, "P"], seed: int) -> QuadraticFit:
    """Return the quadratic of y fitted to `target`. With few samples it has squares only."""
    scale = samples.scale_of(y)
    s, d = (y - scale.mean) / scale.std, y.shape[1]
    rows, columns = np.triu_indices(d)
    if len(y) < 2 * (1 + d + len(rows)):
        rows = columns = np.arange(d)
    features = np.concatenate([s, s[:, rows] * s[:, columns]], axis=1)
    order = np.random.default_rng(seed).permutation(len(y))
    out, kept = np.split(order, [int(HELD_OUT * len(y))])
    weights, offset = _ridge(features[kept], target[kept])
    total = ((target[out] - target[out].mean()) ** 2).sum() if len(out) else 0.0
    missed = ((features[out] @ weights + offset - target[out]) ** 2).sum()
    weights, offset = _ridge(features, target)
    C = np.zeros((d, d))
    np.add.at(C, (rows, columns), weights[d:])
    r2 = 1.0 - missed / total if total > 0 else 0.0
    return QuadraticFit(C + C.T, weights[:d], np.array(offset), *scale, np.array(r2))


def _placed(indicator: QuadraticFit, y: Float[np.ndarray, "P d"], died: Bool[np.ndarray, "P"]) -> QuadraticFit:
    """Return `indicator` with its offset moved so that the threshold ½ makes the fewest mistakes.

    y: states.  died: whether they are terminal.
    """
    if not died.any():
        return indicator
    score = indicator.value(y)
    order = np.argsort(-score)
    # Mistakes if the k highest scores are called terminal: those that are not, and terminal ones among the rest.
    mistakes = np.concatenate([[died.sum()], died.sum() + np.cumsum(1 - 2 * died[order].astype(int))])
    ends = np.concatenate([[score.max() + 1.0], score[order], [score.min() - 1.0]])
    cut = mistakes.argmin()
    return indicator._replace(c0=indicator.c0 + 0.5 - (ends[cut] + ends[cut + 1]) / 2)


def _ridge(features: Float[np.ndarray, "P p"], target: Float[np.ndarray, "P"]) -> tuple[Float[np.ndarray, "p"], float]:
    """Return weights and offset of a ridge regression of `target` on `features`.

    The offset is not shrunk.
    """
    scale = samples.scale_of(features)
    standard = (features - scale.mean) / scale.std
    gram = standard.T @ standard / len(target) + RIDGE * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, standard.T @ (target - target.mean()) / len(target)) / scale.std
    return weights, float(target.mean() - weights @ scale.mean)
