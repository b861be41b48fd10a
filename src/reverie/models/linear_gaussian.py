"""Time-varying linear-Gaussian dynamics x' ~ N(F_t [x; u] + f_t, Σ_t) from few episodes.  Gu et al. 2016, section 5.3.

At each step t the episodes that have not ended give samples z = [x; u; x' - x]. A joint Gaussian over z is fitted to
them, under a normal-inverse-Wishart prior. Conditioned on y = [x; u] it gives the model. Fewer than n + m + 2 episodes
do not determine all directions of y: the prior supplies the rest. The paper does not give a prior. Levine & Abbeel
2014, which it cites, fit a mixture.
"""

import dataclasses
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from reverie.core.checked_settings import Settings
from reverie.core.dynamics import Episode, FitResult, Linear
from reverie.core.status import Status
from reverie.maths import gaussian
from reverie.models import mixture, samples
from reverie.models.samples import Scale

START = 1e-6  # least variance of x_0, relative to that over all steps, because all starts may be equal
TOLD_APART = 1e-5  # least variance of u given x, relative to that of u over all steps, that counts as action noise


class LinearDynamics(NamedTuple):
    """Fitted dynamics of K modes (usually 1), each with T time steps; T = 1 if the model does not vary with time."""

    F: Float[np.ndarray, "K T n d"]
    f: Float[np.ndarray, "K T n"]
    covariance: Float[np.ndarray, "K T n n"]
    noise: Float[np.ndarray, "K T n n"]  # lower Cholesky factor of the covariance
    centre: Float[np.ndarray, "K T n"]  # mean of x_t within a mode
    whiten: Float[np.ndarray, "K T n n"]  # L⁻¹ of x_t's covariance L Lᵀ within a mode
    rank: Int[np.ndarray, "K T"]  # number of directions of y that the samples of a step span without the prior
    varying: Bool[np.ndarray, ""]  # whether the model varies with time

    @property
    def horizon(self) -> int | None:
        """Number of steps of the longest episode of the batch; None if the model does not vary with time."""
        return self.f.shape[1] if self.varying else None

    def mean(
        self, x: Float[np.ndarray, "B n"], u: Float[np.ndarray, "B m"], t: Int[np.ndarray, "B"]
    ) -> Float[np.ndarray, "B n"]:
        """Return the mean of the next states, F y + f.  Raises IndexError for steps beyond the horizon.

        t: time steps.
        """
        at = self._at(x, t)
        return (self.F[at] @ np.concatenate([x, u], axis=1)[:, :, None])[:, :, 0] + self.f[at]

    def sample(
        self,
        x: Float[np.ndarray, "B n"],
        u: Float[np.ndarray, "B m"],
        t: Int[np.ndarray, "B"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "B n"]:
        """Return next states drawn from N(F y + f, Σ).  The arguments and errors are those of `mean`."""
        draw = generator.standard_normal((*x.shape, 1))
        return self.mean(x, u, t) + (self.noise[self._at(x, t)] @ draw)[:, :, 0]

    def linearize(self, states: Float[np.ndarray, "T+1 n"], actions: Float[np.ndarray, "T m"]) -> Linear:
        """Return the model of steps 0 … T - 1, with the likeliest mode of each step."""
        at = self._at(states[: len(actions)], np.arange(len(actions)))
        return Linear(self.F[at], self.f[at], self.covariance[at])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all fields by name, for a checkpoint."""
        return self._asdict()

    def _at(
        self, x: Float[np.ndarray, "B n"], t: Int[np.ndarray, "B"]
    ) -> tuple[Int[np.ndarray, "B"] | int, Int[np.ndarray, "B"]]:
        """Return the indices (mode, step) for rows x, t. The mode is the likeliest one for x_t."""
        t = np.asarray(t)
        if not self.varying:
            t = np.zeros_like(t)
        elif t.size and not (t.min() >= 0 and t.max() < self.f.shape[1]):
            raise IndexError(f"step {t.min()} to {t.max()}; the model knows of 0 to {self.f.shape[1] - 1}")
        if len(self.f) == 1:
            return 0, t
        whiten = self.whiten[:, t]
        far = ((whiten @ (x - self.centre[:, t])[..., None])[..., 0] ** 2).sum(-1)
        logs = np.log(np.diagonal(whiten, axis1=-2, axis2=-1)).sum(-1)
        return (logs - 0.5 * far).argmax(0), t


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearGaussian(Settings):
    """Time-varying linear-Gaussian dynamics, fitted to the last few episodes with a prior from more of them.

    Raises ConfigError where a value cannot work.
    """

    episodes: int = 5
    """Number of real episodes that the model is fitted to (n of Gu et al. 2016)."""
    prior: Literal["none", "window", "pooled", "mixture"] = "pooled"
    """Prior for the few samples of each time step: none, the steps next to it, one Gaussian of all steps, or a mixture
    of Gaussians."""
    prior_strength: float = 10.0
    """Weight of the prior, as a number of episodes. With "window": weight of each sample of a neighbouring step. With
    "pooled" and 10 the model of 5 episodes varies little with time. Levine & Abbeel use a mixture and 1, which follows
    the plant, but is too weak for many states (studies `varying` and `priors`)."""
    ridge: float = 1e-6
    """Added to the variances of states and actions, relative to their variance over all steps."""
    history: int = 20
    """Number of last episodes from which the priors "pooled" and "mixture" are made."""
    window: int = 2
    """Number of time steps, before and after each step, that the prior "window" is made from."""
    time_varying: bool = True
    """Fit a model for each time step. False: one model for all steps, for comparison."""
    modes: int = 1
    """Number of groups that episodes are divided into by their starts. Each has a model; the likeliest is used."""
    mean: Literal["empirical", "map"] = "empirical"
    """Means of the Gaussians: "empirical" takes the samples' means, "map" lets the prior change them too."""

    name = "linear"

    def __post_init__(self):
        super().__post_init__()
        self.require(episodes=1, prior_strength=0, ridge=0, history=1, window=0, modes=1)

    def fit(self, batch: list[Episode], history: list[Episode], previous: object = None, seed: int = 0) -> FitResult:
        """Return dynamics fitted to the episodes `batch`, with a prior from the last episodes of `history`.

        previous: not used.  seed: of the mixture.

        | status          | dynamics     | meaning                                                                 |
        |-----------------|--------------|-------------------------------------------------------------------------|
        | DONE            | yes          |                                                                         |
        | TOO_FEW_SAMPLES | none         |                                                                         |
        | NONFINITE_MODEL | none         | data are not finite                                                     |
        | SINGULAR        | none, or yes | a matrix cannot be inverted; with dynamics: u given x does not vary     |
        | UNSTABLE        | yes          | predictions diverge, see `samples.explodes`                             |

        Dynamics that come with SINGULAR or UNSTABLE may be wrong.
        """
        del previous
        behind = (history or batch)[-self.history :]
        if wrong := samples.unfit(batch) or samples.unfit(behind):
            return FitResult(None, wrong)
        if not self.time_varying:
            batch, behind = behind, []
        points = samples.pool(behind if behind and self.prior in ("pooled", "mixture") else batch)
        scale, d = samples.scale_of(points), batch[0].states.shape[1] + batch[0].actions.shape[1]
        standard = (points - scale.mean) / scale.std
        groups = _groups(batch, self.modes, scale)
        z, alive = samples.stack(batch, scale)
        if not self.time_varying:
            groups = np.repeat(groups, alive.sum(1))
            z, alive = z[alive][:, None], np.ones((int(alive.sum()), 1), bool)
        model = mixture.fit(standard, seed) if self.prior == "mixture" and self.time_varying else None
        parts = []
        for group in range(groups.max() + 1):
            mine = groups == group
            behind_it = self._prior(z[mine], alive[mine], standard, model)
            if behind_it is None or (self._alone and alive[mine].sum(0).min() <= d):
                return FitResult(None, Status.TOO_FEW_SAMPLES)
            try:
                parts.append(self._part(z[mine], alive[mine], behind_it, scale, d))
            except np.linalg.LinAlgError:
                return FitResult(None, Status.SINGULAR)
        noisy = min(part.pop("noisy") for part in parts)
        fields = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
        dynamics = LinearDynamics(**fields, varying=np.array(self.time_varying))
        if samples.explodes(dynamics, batch):
            return FitResult(dynamics, Status.UNSTABLE)
        return FitResult(dynamics, Status.DONE if noisy > TOLD_APART else Status.SINGULAR)

    def rehearse(self, episode: Episode) -> None:
        """Compile what `fit` calls, for the sizes of `episode` and any number of episodes."""
        if self.prior == "mixture" and self.time_varying:
            mixture.rehearse(samples.joint(episode).shape[1])

    def restore(self, arrays: dict[str, np.ndarray]) -> LinearDynamics:
        """Return the dynamics whose `arrays` were saved."""
        return LinearDynamics(**arrays)

    @property
    def _alone(self) -> bool:
        """Whether there is no prior."""
        return self.prior == "none" or not self.time_varying

    def _prior(
        self,
        z: Float[np.ndarray, "N T D"],
        alive: Bool[np.ndarray, "N T"],
        points: Float[np.ndarray, "P D"],
        model: mixture.Mixture | None,
    ) -> gaussian.Prior | None:
        """Return the prior of each time step. None if there are too few samples for it."""
        (_, T, D), strength = z.shape, self.prior_strength
        zero = np.zeros((T, D, D))
        if self._alone:
            return gaussian.Prior(zero[:, 0], zero, 0.0, 0.0)
        if self.prior == "window":
            each, weight, scatter = samples.moments(z, alive), np.zeros(T), zero
            for shift in range(1, self.window + 1):
                for to, of in ((slice(shift, None), slice(-shift)), (slice(-shift), slice(shift, None))):
                    weight[to] += strength * each.number[of]
                    scatter[to] += strength * each.scatter[of]
            enough = (weight + each.number).min() > D - z.shape[2] // 2
            return gaussian.Prior(each.mean, scatter, 0.0, weight) if enough else None
        if len(points) <= D + 2:
            return None
        if model is None:
            mean, covariance = points.mean(0), np.cov(points.T, bias=True)
            mean, covariance = np.broadcast_to(mean, (T, D)), np.broadcast_to(covariance, (T, D, D))
        else:
            share = np.zeros((*alive.shape, len(model.weight)))
            share[alive] = mixture.responsibilities(model, z[alive])
            count = alive.sum(0)[:, None]
            share = np.where(count > 0, share.sum(0) / np.maximum(count, 1), model.weight)
            mean, covariance = mixture.mixed(model, share)
        # As in the inverse-Wishart mode of cbfinn/gps, but without its outdated count of points.
        return gaussian.Prior(mean, strength * covariance, strength, strength * (1 - (D + 2) / len(points)))

    def _part(
        self,
        z: Float[np.ndarray, "N T D"],
        alive: Bool[np.ndarray, "N T"],
        prior: gaussian.Prior,
        scale: Scale,
        d: int,
    ) -> dict[str, np.ndarray]:
        """Return the fields of one mode in physical units, and `noisy`: the standardised variance of u given x."""
        n = z.shape[2] - d
        each = samples.moments(z, alive)
        found = gaussian.posterior(*each, prior)
        seen = (each.number > 0)[:, None]
        mean = found.mean if self.mean == "map" else np.where(seen, each.mean, found.mean)
        diagonal = np.full((z.shape[1], z.shape[2]), self.ridge)
        diagonal[:, d:] = 0.0
        diagonal[0, :n] += np.maximum(START - np.diagonal(found.covariance[0])[:n], 0.0)
        covariance = found.covariance + diagonal[:, None] * np.eye(z.shape[2])
        model = gaussian.condition(gaussian.Joint(mean, covariance), d)
        noise = scale.std[d:, None] * gaussian.factor(model.covariance)
        F = scale.std[d:, None] * model.F / scale.std[:d]
        f = scale.std[d:] * model.f + scale.mean[d:] - F @ scale.mean[:d]
        # The last block of the Cholesky factor of Σ_yy is the factor of the covariance of u given x.
        lower = np.linalg.cholesky(covariance[:, :d, :d])
        noisy = np.diagonal(lower, axis1=1, axis2=2)[:, n:].min(1) ** 2
        return {
            "F": F + np.eye(n, d),
            "f": f,
            "covariance": noise @ noise.swapaxes(1, 2),
            "noise": noise,
            "centre": mean[:, :n] * scale.std[:n] + scale.mean[:n],
            "whiten": np.linalg.solve(lower[:, :n, :n], np.eye(n)) / scale.std[:n],
            "rank": samples.rank(z, alive, d),
            "noisy": np.median(noisy),
        }


def _groups(batch: list[Episode], modes: int, scale: Scale) -> Int[np.ndarray, "N"]:
    """Return the group 0, 1, … of each episode by its start, by k-means. First centres are starts far apart."""
    starts = np.array([e.states[0] for e in batch], float) / scale.std[: batch[0].states.shape[1]]
    centres = starts[:1]
    while len(centres) < modes:
        far = ((starts[:, None] - centres) ** 2).sum(2).min(1)
        if not far.max() > 0:
            break
        centres = np.vstack([centres, starts[far.argmax()]])
    label = np.zeros(len(starts), int)
    for _ in range(10):
        label = ((starts[:, None] - centres) ** 2).sum(2).argmin(1)
        centres = np.array([starts[label == k].mean(0) if (label == k).any() else c for k, c in enumerate(centres)])
    return np.unique(label, return_inverse=True)[1]
