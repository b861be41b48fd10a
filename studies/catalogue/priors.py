"""Which prior should stand behind a fit from few episodes?

One repetition draws a smooth plan of actions and drives 20 episodes with it plus exploration noise (and a little feedback on
the cart-pole).  Every model is fitted to the last 3, 5, 10 and 20 and scored on 10 more episodes: errors after 1, 5 and 10
steps, where 1 is what "nothing changes" scores (`reverie.models.prediction_errors`).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reverie.core.dynamics import Episode
from reverie.domains import DOMAINS
from reverie.domains.mujoco_model import MujocoModel
from reverie.maths.noises import NOISES
from reverie.models.linear_gaussian import LinearGaussian
from reverie.models.neural import Neural
from reverie.models.prediction_errors import report
from studies.study import Row, Study
from studies.summaries import by_episodes, medians, where

STEPS, HISTORY, HELD_OUT, REPETITIONS = 150, 20, 10, 10
EPISODES, LENGTHS = (3, 5, 10, 20), (1, 5, 10)
NOISE, PROCESS_NOISE = 0.3, 1e-3
TASKS = ("cartpole", "reacher_single", "gripper_single")
COLUMNS = ("world", "model", "episodes", "steps", "nrmse", "lower_quartile", "upper_quartile", "failed", "repetitions")


def cartpole(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return Barto and Sutton's cart-pole after 0.02 s from (p, θ, p', θ'), θ = 0 upright, under 10 u newtons."""
    (_, angle, _, turn), gravity, cart, pole, half = x, 9.8, 1.0, 0.1, 0.5
    pull = (10 * u[0] + pole * half * turn**2 * np.sin(angle)) / (cart + pole)
    spin = gravity * np.sin(angle) - np.cos(angle) * pull
    spin /= half * (4 / 3 - pole * np.cos(angle) ** 2 / (cart + pole))
    return x + 0.02 * np.array([x[2], turn, pull - pole * half * spin * np.cos(angle) / (cart + pole), spin])


def drive(task: str, generator: np.random.Generator) -> Callable[[], Episode]:
    """Return a function that drives another episode of `task` by one policy."""
    plant = None if task == "cartpole" else MujocoModel(DOMAINS[task])
    m = 1 if plant is None else plant.action_dim
    phases, weights = generator.uniform(0, 2 * np.pi, (4, m)), generator.normal(0, 0.3, (4, m))
    waves = np.arange(1, 5)[:, None, None] * 2 * np.pi * np.arange(STEPS)[:, None] / STEPS
    plan = (weights[:, None] * np.sin(waves + phases[:, None])).sum(0)

    def episode() -> Episode:
        noise = NOISES["gaussian" if plant is None else "ou"](scale=NOISE).process()
        memory, x = noise.begin(m), np.array([0.0, np.pi, 0.0, 0.0]) + 0.05 * generator.standard_normal(4)
        if plant is not None:
            start = plant.domain.start(generator)
            x = np.array([*start.q, *start.v])
        states, actions = [x], []
        for planned in plan:
            kick, memory = noise.step(memory, generator.standard_normal(m))
            back = 0.1 * (x[0] + x[2]) if plant is None else 0.0
            u = np.clip(planned - back + kick, -1, 1)
            x = cartpole(x, u) + PROCESS_NOISE * generator.standard_normal(4) if plant is None else plant.step(x, u)
            states.append(x)
            actions.append(u)
        return Episode(np.array(states), np.array(actions), np.zeros(STEPS))

    return episode


def models(episodes: int) -> dict[str, Any]:
    """Return what is compared, by name; `none` is least squares, which needs a vanishing prior to be solved at all."""
    return {
        "none": LinearGaussian(prior="pooled", prior_strength=1e-9),
        "window": LinearGaussian(prior="window", prior_strength=1),
        "pooled of batch": LinearGaussian(prior="pooled", prior_strength=1, history=episodes),
        "pooled of 20": LinearGaussian(prior="pooled", prior_strength=1),
        "pooled of 20, strength 10": LinearGaussian(prior="pooled", prior_strength=10),
        "pooled of 20, map": LinearGaussian(prior="pooled", prior_strength=1, mean="map"),
        "mixture of batch": LinearGaussian(prior="mixture", prior_strength=1, history=episodes),
        "mixture of 20": LinearGaussian(prior="mixture", prior_strength=1),
        "mixture of 20, strength 10": LinearGaussian(prior="mixture", prior_strength=10),
        "one for all steps of batch": LinearGaussian(time_varying=False, history=episodes),
        "one for all steps of 20": LinearGaussian(time_varying=False),
        "network of batch": Neural(),
    }


def repeat(task: str, seed: int) -> list[tuple[str, int, int, float, bool]]:
    """Return (model, episodes, steps, nrmse, failed) of one repetition."""
    episode = drive(task, np.random.default_rng(seed))
    history, held = [episode() for _ in range(HISTORY)], [episode() for _ in range(HELD_OUT)]
    found = []
    for episodes in EPISODES:
        batch = history[-episodes:]
        for name, model in models(episodes).items():
            fit = model.fit(batch, batch if name.startswith("network") else history, None, seed)
            errors = {} if fit.dynamics is None else report(fit.dynamics, held, LENGTHS)
            for steps in LENGTHS:
                found.append((name, episodes, steps, errors.get(f"nrmse_{steps}", np.inf), not fit.status.good))
                if errors and name == "none":
                    found.append(("constant velocity", episodes, steps, errors[f"constant_velocity_{steps}"], False))
    return found


def _run(task: str) -> Iterator[Row]:
    """Yield the median over repetitions, and quartiles, for each model, number of episodes and length."""
    by_case: dict[tuple[str, int, int], list[tuple[float, bool]]] = {}
    for seed in range(REPETITIONS):
        for name, episodes, steps, error, failed in repeat(task, seed):
            by_case.setdefault((name, episodes, steps), []).append((error, failed))
    for (model, episodes, steps), found in sorted(by_case.items()):
        yield {"model": model, "episodes": episodes, "steps": steps} | medians("nrmse", found)


def _settings(stem: str) -> dict[str, Any]:
    del stem
    facts = {"steps": STEPS, "history": HISTORY, "held_out_episodes": HELD_OUT, "repetitions": REPETITIONS}
    facts |= {"noise_scale": NOISE, "process_noise": {"cartpole": PROCESS_NOISE}}
    return facts | {"models": {name: repr(model) for name, model in models(5).items()}}


def _verdict(rows: list[Row]) -> Iterator[str]:
    yield f"Error after 5 steps, median of {REPETITIONS} repetitions, by episodes of the fit (1: nothing changes)"
    for task in TASKS:
        mine = where(rows, world=task, steps=5)
        yield f"{task}:"
        for model in dict.fromkeys(row["model"] for row in mine):
            yield f"  {model:28} {by_episodes(where(mine, model=model), 'nrmse')}"


STUDY = Study(
    name="priors",
    question="Which prior should stand behind a fit from few episodes?",
    variants=("constant velocity", *models(5)),
    tasks=TASKS,
    seeds=REPETITIONS,
    scored="held-out errors of models after 1, 5 and 10 steps, by episodes of the fit",
    minutes=15,
    quoted=("docs/imagination.md",),
    columns=COLUMNS,
    key=("world",),
    cells=tuple((task,) for task in TASKS),
    run=_run,
    settings=_settings,
    verdict=_verdict,
)
