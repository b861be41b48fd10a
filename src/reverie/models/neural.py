"""An ensemble of networks that predict x' - x from [x; u], the same at all times, trained on all experience.

Training is compiled once for given sizes of networks and minibatches, however much data there is: minibatches are drawn
outside.  Prediction and linearisation are NumPy's.
"""

import dataclasses
import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from reverie.core.checked_settings import Settings
from reverie.core.dynamics import Episode, FitResult, Linear
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.maths import gaussian, networks
from reverie.models import samples

CHUNK = 25  # updates between two looks at the validation error
PATIENCE = 4  # looks without a better one before training ends
VALIDATION = 0.1  # share of samples that are looked at only


class NeuralDynamics(NamedTuple):
    """E networks of standardised input and output, and their residuals' noise."""

    weights: tuple[np.ndarray, ...]  # each layer's [E, i, o], float32
    biases: tuple[np.ndarray, ...]  # [E, o]
    mean_in: np.ndarray  # of y = [x; u]  [d]
    std_in: np.ndarray  # [d]
    mean_out: np.ndarray  # of x' - x  [n]
    std_out: np.ndarray  # [n]
    noise: np.ndarray  # lower factor of the residuals' covariance [n, n]

    @property
    def horizon(self) -> None:
        """Time does not matter."""
        return None

    def members(self, x: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return each member's next states [E, B, n]; their spread tells where data were few."""
        out = self._forward(x, u)[-1].astype(float)
        return x + out * self.std_out + self.mean_out

    def disagreement(self, x: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the members' standard deviation over that of steps, averaged over coordinates [B]."""
        return (self.members(x, u).std(0) / self.std_out).mean(1)

    def mean(self, x: np.ndarray, u: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return the members' mean [B, n]."""
        del t
        return self.members(x, u).mean(0)

    def sample(self, x: np.ndarray, u: np.ndarray, t: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the mean with residual noise [B, n]."""
        return self.mean(x, u, t) + generator.standard_normal(x.shape) @ self.noise.T

    def linearize(self, states: np.ndarray, actions: np.ndarray) -> Linear:
        """Return the first order of the mean, its Jacobian by the chain rule through the units that are on."""
        x, n = states[: len(actions)], states.shape[1]
        *hidden, _ = self._forward(x, actions)
        slope = self.weights[-1].swapaxes(1, 2)[:, None]  # [E, 1, n, h]
        for weight, value in zip(self.weights[-2::-1], hidden[::-1], strict=True):
            slope = (slope * (value > 0)[:, :, None]) @ weight.swapaxes(1, 2)[:, None]
        F = self.std_out[:, None] * slope.mean(0, dtype=float) / self.std_in + np.eye(n, slope.shape[-1])
        y = np.concatenate([x, actions], axis=1)
        f = self.mean(x, actions, np.arange(len(x))) - (F @ y[:, :, None])[:, :, 0]
        return Linear(F, f, np.broadcast_to(self.noise @ self.noise.T, (len(x), n, n)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return weight0, bias0, … and the scales."""
        layers = {f"weight{i}": a for i, a in enumerate(self.weights)} | {
            f"bias{i}": a for i, a in enumerate(self.biases)
        }
        return layers | {name: getattr(self, name) for name in self._fields[2:]}

    def _forward(self, x: np.ndarray, u: np.ndarray) -> list[np.ndarray]:
        """Return each layer's values [E, B, units]: hidden ones, then the standardised change."""
        value = ((np.concatenate([x, u], axis=1) - self.mean_in) / self.std_in).astype(np.float32)
        values = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            value = value @ weight + bias[:, None]
            if len(values) < len(self.weights) - 1:
                value = np.maximum(value, 0.0)
            values.append(value)
        return values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Neural(Settings):
    """Dynamics by an ensemble of networks; the paper reports that with a network imagination did not help."""

    episodes: int = 5
    """Real episodes between two fits."""
    members: int = 5
    """Networks, each from weights of its own and on minibatches of its own."""
    hidden: tuple[int, ...] = (200, 200)
    """Units of each hidden layer."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    batch_size: int = 64
    """Samples in a minibatch."""
    updates: int = 500
    """Most updates of a fit, which begins where the last one ended."""

    name = "neural"

    def __post_init__(self):
        super().__post_init__()
        self.require(episodes=1, members=1, batch_size=1, updates=1)
        if not self.learning_rate > 0:
            raise ConfigError(f"learning_rate is {self.learning_rate}; it must be positive")
        if any(units < 1 for units in self.hidden):
            raise ConfigError(f"hidden is {self.hidden}; every layer needs at least 1 unit")

    def fit(self, batch: list[Episode], history: list[Episode], previous: Any = None, seed: int = 0) -> FitResult:
        """Return networks trained on `history` (on `batch` where there is none), from `previous` where that fits.

        TOO_FEW_SAMPLES and NONFINITE_MODEL come without dynamics, UNSTABLE (see `explodes`) with them.
        """
        episodes = history or batch
        if wrong := samples.unfit(episodes):
            return FitResult(None, wrong)
        if sum(map(len, episodes)) < 2 / VALIDATION:
            return FitResult(None, Status.TOO_FEW_SAMPLES)
        generator = np.random.default_rng(seed)
        z, d = generator.permutation(samples.pool(episodes)), episodes[0].states.shape[1] + episodes[0].actions.shape[1]
        scale = samples.scale_of(z)
        dynamics = _rescaled(previous, scale, d) if self._continues(previous, scale, d) else self._begin(scale, d, seed)
        held, kept = np.split(z, [int(VALIDATION * len(z))])
        dynamics = self._train(dynamics, ((kept - scale.mean) / scale.std).astype(np.float32), held, generator)
        dynamics = _stilled(dynamics, np.ptp(z[:, d:], axis=0) > 0)
        dynamics = dynamics._replace(noise=_noise(dynamics, held, scale.std[d:]))
        if not all(np.isfinite(a).all() for a in dynamics.arrays().values()):
            return FitResult(None, Status.NONFINITE_MODEL)
        return FitResult(dynamics, Status.UNSTABLE if samples.explodes(dynamics, batch or episodes) else Status.DONE)

    def rehearse(self, episode: Episode) -> None:
        """Have all that `fit` calls compiled, at the sizes of `episode`."""
        self.replace(updates=1).fit([episode], [episode])

    def restore(self, arrays: dict[str, np.ndarray]) -> NeuralDynamics:
        """Return the dynamics whose `arrays` these are."""
        layers = range(sum(name.startswith("weight") for name in arrays))
        weights, biases = (tuple(arrays[f"{kind}{i}"] for i in layers) for kind in ("weight", "bias"))
        return NeuralDynamics(weights, biases, **{name: arrays[name] for name in NeuralDynamics._fields[2:]})

    def _sizes(self, scale: samples.Scale, d: int) -> tuple[int, ...]:
        return (d, *self.hidden, len(scale.std) - d)

    def _continues(self, previous: Any, scale: samples.Scale, d: int) -> bool:
        """Return whether `previous` has the networks that are wanted."""
        sizes = self._sizes(scale, d)
        wanted = [(self.members, i, o) for i, o in itertools.pairwise(sizes)]
        return isinstance(previous, NeuralDynamics) and [w.shape for w in previous.weights] == wanted

    def _begin(self, scale: samples.Scale, d: int, seed: int) -> NeuralDynamics:
        """Return untrained networks."""
        keys = jax.random.split(jax.random.key(seed), self.members)
        layers = [networks.init_layers(key, self._sizes(scale, d)) for key in keys]
        weights, biases = (
            tuple(np.stack([np.asarray(layer[name]) for layer in each]) for each in zip(*layers, strict=True))
            for name in ("w", "b")
        )
        n = len(scale.std) - d
        return NeuralDynamics(
            weights, biases, scale.mean[:d], scale.std[:d], scale.mean[d:], scale.std[d:], np.zeros((n, n))
        )

    def _train(self, dynamics: NeuralDynamics, rows: np.ndarray, held: np.ndarray, generator: np.random.Generator):
        """Return `dynamics` trained on standardised `rows` [P, D], as they were when they foretold `held` best."""
        optimiser = optax.adam(self.learning_rate)
        d = len(dynamics.mean_in)
        parameters = (dynamics.weights, dynamics.biases)
        state = optimiser.init(parameters)
        best, least, waited = dynamics, _error(dynamics, held), 0
        for _ in range(-(-self.updates // CHUNK)):
            picks = rows[generator.integers(len(rows), size=(CHUNK, self.members, self.batch_size))]
            parameters, state = _updates(parameters, state, picks, d, self.learning_rate)
            dynamics = dynamics._replace(
                weights=tuple(map(np.asarray, parameters[0])), biases=tuple(map(np.asarray, parameters[1]))
            )
            error = _error(dynamics, held)
            waited = 0 if error < least else waited + 1
            best, least = (dynamics, error) if error < least else (best, least)
            if waited == PATIENCE:
                break
        return best


@functools.partial(jax.jit, static_argnames="d")
def _updates(parameters, state, picks, d, learning_rate):
    """Return parameters and Adam's state after one update for each minibatch of `picks` [CHUNK, E, batch, D]."""
    optimiser = optax.adam(learning_rate)

    def loss(parameters, batch):
        value = batch[..., :d]
        for i, (weight, bias) in enumerate(zip(*parameters, strict=True)):
            # Member by member: XLA's batched products on the CPU are far slower than its plain ones.
            value = jnp.stack([v @ w for v, w in zip(value, weight, strict=True)]) + bias[:, None]
            value = jnp.maximum(value, 0.0) if i < len(parameters[0]) - 1 else value
        return ((value - batch[..., d:]) ** 2).mean((1, 2)).sum()

    def update(carry, batch):
        parameters, state = carry
        steps, state = optimiser.update(jax.grad(loss)(parameters, batch), state)
        return (optax.apply_updates(parameters, steps), state), None

    return jax.lax.scan(update, (parameters, state), picks)[0]


def _residuals(dynamics: NeuralDynamics, held: np.ndarray) -> np.ndarray:
    """Return the standardised errors [P, n] of the mean on z `held` [P, D]."""
    n, d = len(dynamics.mean_out), len(dynamics.mean_in)
    change = dynamics.mean(held[:, :n], held[:, n:d], np.zeros(len(held))) - held[:, :n]
    return (held[:, d:] - change) / dynamics.std_out


def _error(dynamics: NeuralDynamics, held: np.ndarray) -> float:
    return float((_residuals(dynamics, held) ** 2).mean())


def _noise(dynamics: NeuralDynamics, held: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return the factor [n, n] of the residuals' covariance about 0; without correlations where samples are few."""
    residuals = _residuals(dynamics, held)
    covariance = residuals.T @ residuals / len(held)
    if len(held) < 2 * len(std):
        covariance = np.diag(np.diagonal(covariance))
    return std[:, None] * gaussian.factor(covariance)


def _stilled(dynamics: NeuralDynamics, moving: np.ndarray) -> NeuralDynamics:
    """Return dynamics with no output but for coordinates that were seen `moving` [n]: what never changed stays exactly."""
    weight, bias = (a[-1] * moving.astype(np.float32) for a in (dynamics.weights, dynamics.biases))
    return dynamics._replace(weights=(*dynamics.weights[:-1], weight), biases=(*dynamics.biases[:-1], bias))


def _rescaled(dynamics: NeuralDynamics, scale: samples.Scale, d: int) -> NeuralDynamics:
    """Return the same functions of the same units in the terms of a new scale."""
    mean_in, std_in, mean_out, std_out = scale.mean[:d], scale.std[:d], scale.mean[d:], scale.std[d:]
    weights, biases = list(dynamics.weights), list(dynamics.biases)
    biases[0] = biases[0] + ((mean_in - dynamics.mean_in) / dynamics.std_in) @ weights[0]
    weights[0] = (std_in / dynamics.std_in)[:, None] * weights[0]
    weights[-1] = weights[-1] * (dynamics.std_out / std_out)
    biases[-1] = (biases[-1] * dynamics.std_out + dynamics.mean_out - mean_out) / std_out
    weights, biases = (tuple(a.astype(np.float32) for a in arrays) for arrays in (weights, biases))
    return NeuralDynamics(weights, biases, mean_in, std_in, mean_out, std_out, dynamics.noise)
