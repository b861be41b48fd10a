"""Planning without the physics: fit a model to a few real episodes, take a bounded step, act, and so on.

Levine & Abbeel 2014: episodes are first driven by noise, then by a time-varying linear-Gaussian controller, which after
each fit takes the step that the model likes best among those within a KL bound.  All episodes have one start.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from reverie.algorithms.imagination import Imagination
from reverie.algorithms.naf import NAF
from reverie.control.controller import Controller
from reverie.core.dynamics import Episode
from reverie.core.errors import ConfigError
from reverie.core.seeds import EVALUATE, seed_of
from reverie.core.status import Status
from reverie.environments.simulator import DomainSimulator, state_of
from reverie.environments.task import task_of
from reverie.loops.driver import Ilqg
from reverie.loops.pilot import Pilot, Start
from reverie.models.linear_gaussian import LinearGaussian

NOISE = 0.3  # σ of the first episodes' actions


class Round(NamedTuple):
    """One fit and step; kl and predicted are those of the new controller, returns those of the one before."""

    returns: list[float]  # of the real episodes that were fitted to
    predicted: float | None  # None where no step was taken
    kl: float | None  # nats a step
    eta: float
    fit: Status
    status: Status
    controller: Controller | None


class Steered(Pilot):
    """Follows the mean of a controller."""

    def __init__(self, start: Start, controller: Controller):
        super().__init__(start)
        self._controller = controller

    def decide(self, x: np.ndarray, t: int) -> np.ndarray:
        """Return K x + k; past the controller's last step, which a death may have brought early, those of that step."""
        t = min(t, len(self._controller.k) - 1)
        return self._controller.act(t, x, np.zeros_like(self._controller.k[t])).clip(-1.0, 1.0)


def improve(start: Start, rounds: int, episodes: int, seed: int) -> Iterator[Round]:
    """Return rounds of `episodes` real episodes, a fit and a step.  Raises ConfigError where the reward is no formula."""
    simulator = start.planning.simulator
    if not isinstance(simulator, DomainSimulator):
        raise ConfigError(f"{start.source}: fitted models need the reward as a formula, so a domain (`reverie list`)")
    return _rounds(start, simulator, rounds, episodes, seed)


def _rounds(start: Start, simulator: DomainSimulator, rounds: int, episodes: int, seed: int) -> Iterator[Round]:
    model = LinearGaussian(episodes=episodes)
    task = task_of(start.make())
    assert task is not None
    driver = Ilqg(Imagination(NAF(), model, plan="ilqg"), task, simulator.action_dim)
    generator, history, dynamics = np.random.default_rng(seed), [], None
    for number in range(rounds):
        batch = [_episode(start, simulator, driver, generator) for _ in range(episodes)]
        history = [*history, *batch][-model.history :]
        fit = model.fit(batch, history, dynamics, seed_of(seed, EVALUATE, number))
        before = driver.controller
        if fit.dynamics is not None:
            dynamics = fit.dynamics
            driver.improve(dynamics, batch, None)
        moved = driver.controller is not before
        yield Round(
            [float(episode.rewards.sum()) for episode in batch],
            driver.predicted if moved else None,
            driver.kl if moved else None,
            driver.eta,
            fit.status,
            driver.status,
            driver.controller,
        )


def _episode(start: Start, simulator: DomainSimulator, driver: Ilqg, generator: np.random.Generator) -> Episode:
    """Return a real episode, driven by noise until there is a controller."""
    world = start.make()
    world.reset(seed_of(start.seed, EVALUATE, start.episode))
    context = np.array(simulator.target, float)
    driver.begin(context)
    states, actions, rewards, over, terminated = [state_of(world)], [], [], False, False
    while not over:
        innovation = generator.standard_normal(simulator.action_dim)
        u = driver.act(states[-1], innovation) if driver.ready else (NOISE * innovation).clip(-1.0, 1.0)
        reward, _, terminated, truncated = world.step(world.spec.to_world(u), len(actions) + 1)
        states.append(state_of(world))
        actions.append(u)
        rewards.append(reward)
        over = terminated or truncated
    world.close()
    return Episode(np.array(states), np.array(actions), np.array(rewards), terminated, context)
