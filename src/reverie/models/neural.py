"""An ensemble of networks that predict x' - x from [x; u], trained on the last episodes.

Whole episodes are held out for validation. They give the end of training and the noise, and no fit that goes on from
this one trains on them (`validation`).

The dynamics are the same at all times. Training is compiled once for each size of networks and minibatches. It does not
depend on the amount of data, because minibatches are drawn outside of it. Prediction and linearisation run on NumPy.
"""

import dataclasses
import functools
import itertools
from typing import NamedTuple, TypeAlias, TypeGuard, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Float, Float32, Int

from reverie.core.checked_settings import Settings
from reverie.core.dynamics import Episode, FitResult, Linear
from reverie.core.errors import ConfigError
from reverie.core.status import Status
from reverie.maths import gaussian, networks
from reverie.maths.array_types import Array
from reverie.models import samples, validation
from reverie.models.validation import NO_SIDES, Sides

CHUNK = 25  # updates between two evaluations of the validation error
PATIENCE = 4  # evaluations without an improvement after which training ends
FEWEST = 20  # samples


class NeuralDynamics(NamedTuple):
    """E networks with standardised input and output, and the noise of their residuals."""

    weights: tuple[Float32[np.ndarray, "E _i _o"], ...]  # of each layer
    biases: tuple[Float32[np.ndarray, "E _o"], ...]  # of each layer
    mean_in: Float[np.ndarray, "d"]  # of y = [x; u]
    std_in: Float[np.ndarray, "d"]  # of y
    mean_out: Float[np.ndarray, "n"]  # of x' - x
    std_out: Float[np.ndarray, "n"]  # of x' - x
    noise: Float[np.ndarray, "n n"]  # lower Cholesky factor of the residuals' covariance
    held_out: Int[np.ndarray, "_held"]  # fingerprints of the episodes that validation used
    trained_on: Int[np.ndarray, "_trained"]  # of those that were trained on

    @property
    def horizon(self) -> None:
        """None: the model does not vary with time."""
        return None

    def members(self, x: Float[np.ndarray, "B n"], u: Float[np.ndarray, "B m"]) -> Float[np.ndarray, "E B n"]:
        """Return the next states that each member predicts. They differ more where there were few data."""
        out = self._forward(x, u)[-1].astype(float)
        return x + out * self.std_out + self.mean_out

    def disagreement(self, x: Float[np.ndarray, "B n"], u: Float[np.ndarray, "B m"]) -> Float[np.ndarray, "B"]:
        """Return the standard deviation of the members' predictions, relative to that of x' - x in the data.

        It is averaged over coordinates.
        """
        return (self.members(x, u).std(0) / self.std_out).mean(1)

    def mean(
        self, x: Float[np.ndarray, "B n"], u: Float[np.ndarray, "B m"], t: Int[np.ndarray, "B"]
    ) -> Float[np.ndarray, "B n"]:
        """Return the mean of the members' predictions.  t: not used."""
        del t
        return self.members(x, u).mean(0)

    def sample(
        self,
        x: Float[np.ndarray, "B n"],
        u: Float[np.ndarray, "B m"],
        t: Int[np.ndarray, "B"],
        generator: np.random.Generator,
    ) -> Float[np.ndarray, "B n"]:
        """Return the mean plus noise with the covariance of the residuals."""
        return self.mean(x, u, t) + generator.standard_normal(x.shape) @ self.noise.T

    def linearize(self, states: Float[np.ndarray, "T+1 n"], actions: Float[np.ndarray, "T m"]) -> Linear:
        """Return the mean to first order about states and actions.

        The Jacobian follows by the chain rule through the active units.
        """
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
        """Return weight0, bias0, … and the scales by name, for a checkpoint."""
        layers = {f"weight{i}": a for i, a in enumerate(self.weights)} | {
            f"bias{i}": a for i, a in enumerate(self.biases)
        }
        return layers | {name: getattr(self, name) for name in self._fields[2:]}

    def _forward(
        self, x: Float[np.ndarray, "B n"], u: Float[np.ndarray, "B m"]
    ) -> list[Float[np.ndarray, "E B _units"]]:
        """Return the output of each layer. The last is the standardised change x' - x."""
        value = ((np.concatenate([x, u], axis=1) - self.mean_in) / self.std_in).astype(np.float32)
        values: list[np.ndarray] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            value = value @ weight + bias[:, None]
            if len(values) < len(self.weights) - 1:
                value = np.maximum(value, 0.0)
            values.append(value)
        return values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Neural(Settings):
    """Dynamics by an ensemble of networks. The paper reports that imagination with a network did not help.

    Raises ConfigError where a value cannot work.
    """

    episodes: int = 5
    """Real episodes before the first fit (n), and with the paper's settings between fits. Later fits see the last n + 1."""
    members: int = 5
    """Number of networks. Each has its own first weights and its own minibatches."""
    hidden: tuple[int, ...] = (200, 200)
    """Number of units in each hidden layer."""
    learning_rate: float = 1e-3
    """Step size of the optimiser, Adam."""
    batch_size: int = 64
    """Number of samples in a minibatch."""
    updates: int = 500
    """Most updates in one fit. A fit begins with the networks of the last one."""

    name = "neural"

    def __post_init__(self):
        super().__post_init__()
        self.require(episodes=1, members=1, batch_size=1, updates=1)
        if not self.learning_rate > 0:
            raise ConfigError(f"learning_rate is {self.learning_rate}; it must be positive")
        if any(units < 1 for units in self.hidden):
            raise ConfigError(f"hidden is {self.hidden}; every layer needs at least 1 unit")

    def fit(self, batch: list[Episode], history: list[Episode], previous: object = None, seed: int = 0) -> FitResult:
        """Return networks trained on the episodes `history`, or on `batch` if it is empty.

        previous: the last networks, with which training begins if their sizes fit.  seed: of weights and minibatches.
        Status TOO_FEW_SAMPLES or NONFINITE_MODEL: there are no dynamics. UNSTABLE: there are, but their predictions
        diverge, see `samples.explodes`.
        """
        episodes = history or batch
        if wrong := samples.unfit(episodes):
            return FitResult(None, wrong)
        if sum(map(len, episodes)) < FEWEST:
            return FitResult(None, Status.TOO_FEW_SAMPLES)
        generator = np.random.default_rng(seed)
        d = episodes[0].states.shape[1] + episodes[0].actions.shape[1]
        z = samples.pool(episodes)
        scale = samples.scale_of(z)
        dynamics = _rescaled(previous, scale, d) if self._continues(previous, scale, d) else self._begin(scale, d, seed)
        sides = validation.take_sides(episodes, Sides(dynamics.held_out, dynamics.trained_on))
        if not len(sides.held_out):  # these networks have seen every episode
            dynamics, sides = self._begin(scale, d, seed), validation.take_sides(episodes, NO_SIDES)
        held, kept = _parted(episodes, sides)
        dynamics = dynamics._replace(**sides._asdict())
        dynamics = self._train(dynamics, ((kept - scale.mean) / scale.std).astype(np.float32), held, generator)
        dynamics = _stilled(dynamics, np.ptp(z[:, d:], axis=0) > 0)
        dynamics = dynamics._replace(noise=_noise(dynamics, held, scale.std[d:]))
        if not all(np.isfinite(a).all() for a in dynamics.arrays().values()):
            return FitResult(None, Status.NONFINITE_MODEL)
        return FitResult(dynamics, Status.UNSTABLE if samples.explodes(dynamics, batch or episodes) else Status.DONE)

    def rehearse(self, episode: Episode) -> None:
        """Compile what `fit` calls, for the sizes of `episode`."""
        self.replace(updates=1).fit([episode], [episode])

    def restore(self, arrays: dict[str, np.ndarray]) -> NeuralDynamics:
        """Return the dynamics whose `arrays` were saved."""
        layers = range(sum(name.startswith("weight") for name in arrays))
        weights, biases = (tuple(arrays[f"{kind}{i}"] for i in layers) for kind in ("weight", "bias"))
        known = NO_SIDES._asdict() | arrays  # older checkpoints do not say which episodes were held out
        return NeuralDynamics(weights, biases, **{name: known[name] for name in NeuralDynamics._fields[2:]})

    def _sizes(self, scale: samples.Scale, d: int) -> tuple[int, ...]:
        return (d, *self.hidden, len(scale.std) - d)

    def _continues(self, previous: object, scale: samples.Scale, d: int) -> TypeGuard[NeuralDynamics]:
        """Return whether `previous` holds networks of the right sizes, and says what they were trained on."""
        sizes = self._sizes(scale, d)
        wanted = [(self.members, i, o) for i, o in itertools.pairwise(sizes)]
        if not isinstance(previous, NeuralDynamics) or not len(previous.trained_on):
            return False
        return [w.shape for w in previous.weights] == wanted

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
            weights, biases, scale.mean[:d], scale.std[:d], scale.mean[d:], scale.std[d:], np.zeros((n, n)), *NO_SIDES
        )

    def _train(
        self,
        dynamics: NeuralDynamics,
        rows: Float32[np.ndarray, "P D"],
        held: Float[np.ndarray, "_held D"],
        generator: np.random.Generator,
    ) -> NeuralDynamics:
        """Return `dynamics` after training on standardised `rows`, at their lowest error on `held`."""
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


_Parameters: TypeAlias = tuple[
    tuple[Float32[Array, "E _i _o"], ...], tuple[Float32[Array, "E _o"], ...]
]  # weights and biases of each layer


@functools.partial(jax.jit, static_argnames="d")
def _updates(
    parameters: _Parameters,
    state: optax.OptState,
    picks: Float32[Array, "_updates E _batch D"],
    d: int,
    learning_rate: Float[jax.Array, ""] | float,
) -> tuple[_Parameters, optax.OptState]:
    """Return (parameters, Adam's state) after one update for each minibatch of `picks`."""
    optimiser = optax.adam(learning_rate)

    def loss(parameters: _Parameters, batch: Float32[Array, "E _batch D"]) -> Float32[Array, ""]:
        value = batch[..., :d]
        for i, (weight, bias) in enumerate(zip(*parameters, strict=True)):
            # One product per member: XLA's batched products are far slower on the CPU.
            value = jnp.stack([v @ w for v, w in zip(value, weight, strict=True)]) + bias[:, None]
            value = jnp.maximum(value, 0.0) if i < len(parameters[0]) - 1 else value
        return ((value - batch[..., d:]) ** 2).mean((1, 2)).sum()

    def update(carry: tuple[_Parameters, optax.OptState], batch: Float32[Array, "E _batch D"]):
        parameters, state = carry
        steps, state = optimiser.update(jax.grad(loss)(parameters, batch), state)
        return (cast(_Parameters, optax.apply_updates(parameters, steps)), state), None

    return jax.lax.scan(update, (parameters, state), picks)[0]


def _parted(episodes: list[Episode], sides: Sides) -> tuple[Float[np.ndarray, "_held D"], Float[np.ndarray, "_kept D"]]:
    """Return the samples z that are held out, and those to train on. Of a single episode the last tenth is held out."""
    if not len(sides.held_out):
        z = samples.pool(episodes)
        last = len(z) - int(validation.SHARE * len(z))
        return z[last:], z[:last]
    held = [validation.fingerprint(episode) in sides.held_out for episode in episodes]
    own = [[episode for episode, out in zip(episodes, held, strict=True) if out == side] for side in (True, False)]
    return samples.pool(own[0]), samples.pool(own[1])


def _residuals(dynamics: NeuralDynamics, held: Float[np.ndarray, "P D"]) -> Float[np.ndarray, "P n"]:
    """Return the standardised errors of the mean on samples z `held`."""
    n, d = len(dynamics.mean_out), len(dynamics.mean_in)
    change = dynamics.mean(held[:, :n], held[:, n:d], np.zeros(len(held), int)) - held[:, :n]
    return (held[:, d:] - change) / dynamics.std_out


def _error(dynamics: NeuralDynamics, held: Float[np.ndarray, "P D"]) -> float:
    return float((_residuals(dynamics, held) ** 2).mean())


def _noise(
    dynamics: NeuralDynamics, held: Float[np.ndarray, "P D"], std: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n n"]:
    """Return the Cholesky factor of the residuals' covariance about 0. With few samples it is diagonal."""
    residuals = _residuals(dynamics, held)
    covariance = residuals.T @ residuals / len(held)
    if len(held) < 2 * len(std):
        covariance = np.diag(np.diagonal(covariance))
    return std[:, None] * gaussian.factor(covariance)


def _stilled(dynamics: NeuralDynamics, moving: Bool[np.ndarray, "n"]) -> NeuralDynamics:
    """Return dynamics that never change coordinates which did not change in the data.  moving: which changed."""
    weight, bias = (a[-1] * moving.astype(np.float32) for a in (dynamics.weights, dynamics.biases))
    return dynamics._replace(weights=(*dynamics.weights[:-1], weight), biases=(*dynamics.biases[:-1], bias))


def _rescaled(dynamics: NeuralDynamics, scale: samples.Scale, d: int) -> NeuralDynamics:
    """Return the same networks, in physical units, with weights for a new standardisation."""
    mean_in, std_in, mean_out, std_out = scale.mean[:d], scale.std[:d], scale.mean[d:], scale.std[d:]
    weights, biases = list(dynamics.weights), list(dynamics.biases)
    biases[0] = biases[0] + ((mean_in - dynamics.mean_in) / dynamics.std_in) @ weights[0]
    weights[0] = (std_in / dynamics.std_in)[:, None] * weights[0]
    weights[-1] = weights[-1] * (dynamics.std_out / std_out)
    biases[-1] = (biases[-1] * dynamics.std_out + dynamics.mean_out - mean_out) / std_out
    weights, biases = (tuple(a.astype(np.float32) for a in arrays) for arrays in (weights, biases))
    return dynamics._replace(
        weights=weights, biases=biases, mean_in=mean_in, std_in=std_in, mean_out=mean_out, std_out=std_out
    )
