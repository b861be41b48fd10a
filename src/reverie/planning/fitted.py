"""Improve a controller with fitted dynamics: run real episodes, fit a model, take a step, and repeat.

The loop is the same for all methods. In the first episodes actions are noise. After that a time-varying
linear-Gaussian controller acts. After each fit a `Method` takes one step from that controller. `LqrKl` takes the step
of Levine & Abbeel (2014): the lowest cost under the model within a KL bound. All episodes have the same start.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from reverie.control.controller import Controller
from reverie.core.dynamics import Episode, FitResult
from reverie.core.errors import ConfigError
from reverie.core.interrupts import raise_if_interrupted
from reverie.core.known_dynamics import KnownDynamics
from reverie.core.seeds import EVALUATE, seed_of
from reverie.core.status import Status
from reverie.environments.exact_dynamics import known_dynamics_of
from reverie.environments.simulator import DomainSimulator, state_of
from reverie.models.linear_gaussian import LinearGaussian
from reverie.planning.planners import IlqgPlanner
from reverie.planning.policies import EpisodeStart, PlanPolicy

NOISE = 0.3  # σ of the actions in the first episodes, if the method has no controller to begin with


class ControllerUpdate(NamedTuple):
    """Result of a method's step. A figure that the method does not have is None."""

    status: Status  # of the step; of the fit, if the step needs a fit and that is not good
    eta: float | None = None  # multiplier of the KL bound
    predicted: float | None = None  # return of the new controller under the model; None if no step was taken
    kl: float | None = None  # KL divergence of the new controller from the old one, nats per step
    share: float | None = None  # share of the episodes' cost that the model does not explain


class Method(Protocol):
    """A way to improve a controller from a fitted model and the episodes it was fitted to."""

    @property
    def controller(self) -> Controller | None:
        """The controller that acts in the next episodes; None: actions are noise."""
        ...

    def improve(self, fit: FitResult, batch: list[Episode], noise: list[np.ndarray]) -> ControllerUpdate:
        """Take a step from the controller that acted in `batch`; if the step fails, keep that controller.

        fit: the result of the fit to `batch`.  noise: standard normal draws of each episode [T, m], before clipping.
        """
        ...


class LqrKl:
    """One backward pass within a KL bound of 0.2 nats per step, on the mean over an episode.

    task: known dynamics of the domain.  action_dim: m.  Source: Levine & Abbeel 2014.
    """

    def __init__(self, task: KnownDynamics, action_dim: int):
        self._ilqg = IlqgPlanner(task, action_dim)

    @property
    def controller(self) -> Controller | None:
        """The current controller; None until the first step."""
        return self._ilqg.controller

    def improve(self, fit: FitResult, batch: list[Episode], noise: list[np.ndarray]) -> ControllerUpdate:
        """Take a step on the fitted dynamics."""
        del noise
        ilqg, before = self._ilqg, self.controller
        if fit.dynamics is None:
            return ControllerUpdate(fit.status, ilqg.eta)
        ilqg.improve(fit.dynamics, batch, None)
        status = ilqg.status if fit.status.good else fit.status
        if ilqg.controller is before:
            return ControllerUpdate(status, ilqg.eta)
        return ControllerUpdate(status, ilqg.eta, ilqg.predicted, ilqg.kl)


class Round(NamedTuple):
    """One round: real episodes, a fit and a step."""

    returns: list[float]  # of the episodes, run with the controller before the step
    fit: Status
    update: ControllerUpdate
    controller: Controller | None  # after the step


class ControllerPolicy(PlanPolicy):
    """Follows the mean of a controller."""

    def __init__(self, start: EpisodeStart, controller: Controller):
        super().__init__(start)
        self._controller = controller

    def decide(self, x: np.ndarray, t: int) -> np.ndarray:
        """Return the action K x + k [m] in state x [n] at step t, clipped to [-1, 1].

        After the controller's last step its last gains are used: it is short if an episode of its fit terminated early.
        """
        t = min(t, len(self._controller.k) - 1)
        return self._controller.act(t, x, np.zeros_like(self._controller.k[t])).clip(-1.0, 1.0)


def improve(
    start: EpisodeStart,
    rounds: int,
    episodes: int,
    seed: int,
    method: Callable[[KnownDynamics, int], Method] = LqrKl,
) -> Iterator[Round]:
    """Yield `rounds` rounds of real episodes, a fit and a step.

    start: the start of all episodes.  episodes: number of episodes per round.  seed: of noise and fits.
    method: (task, action_dim) -> Method.  Raises ConfigError where the reward is not known as a formula.
    """
    simulator = start.planning.simulator
    if not isinstance(simulator, DomainSimulator):
        raise ConfigError(f"{start.source}: fitted models need the reward as a formula, so a domain (`reverie list`)")
    task = known_dynamics_of(start.make())
    assert task is not None
    return _rounds(start, simulator, method(task, simulator.action_dim), rounds, episodes, seed)


def _rounds(
    start: EpisodeStart, simulator: DomainSimulator, method: Method, rounds: int, episodes: int, seed: int
) -> Iterator[Round]:
    model = LinearGaussian(episodes=episodes)
    generator, history, dynamics = np.random.default_rng(seed), [], None
    for number in range(rounds):
        driven = [_episode(start, simulator, method.controller, generator) for _ in range(episodes)]
        batch, noise = [episode for episode, _ in driven], [drawn for _, drawn in driven]
        history = [*history, *batch][-max(model.history, episodes) :]
        fit = model.fit(batch, history, dynamics, seed_of(seed, EVALUATE, number))
        dynamics = fit.dynamics or dynamics
        move = method.improve(fit, batch, noise)
        yield Round([float(episode.rewards.sum()) for episode in batch], fit.status, move, method.controller)


def _episode(
    start: EpisodeStart, simulator: DomainSimulator, controller: Controller | None, generator: np.random.Generator
) -> tuple[Episode, np.ndarray]:
    """Run a real episode with the controller and its noise, or with noise alone.  Returns (episode, noise [T, m])."""
    world = start.make()
    world.reset(seed_of(start.seed, EVALUATE, start.episode))
    context = np.array(simulator.target, float)
    states, actions, noise, rewards, over, terminated = [state_of(world)], [], [], [], False, False
    while not over and len(actions) < start.steps:
        raise_if_interrupted()
        noise.append(drawn := generator.standard_normal(simulator.action_dim))
        u = NOISE * drawn
        if controller is not None:
            u = controller.act(min(len(actions), len(controller.k) - 1), states[-1], drawn)
        u = u.clip(-1.0, 1.0)
        reward, _, terminated, truncated = world.step(world.spec.to_world(u), len(actions) + 1)
        states.append(state_of(world))
        actions.append(u)
        rewards.append(reward)
        over = terminated or truncated
    world.close()
    return Episode(np.array(states), np.array(actions), np.array(rewards), terminated, context), np.array(noise)
