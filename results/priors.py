"""Which prior should stand behind a fit from few episodes?  `python results/priors.py [WORLD …]` writes priors.csv.

One repetition draws a smooth plan of actions, drives 20 episodes with the plan plus exploration noise (and a little feedback
on the cart-pole), fits every model to the last 3, 5, 10 and 20 and scores it on 10 more episodes: errors after 1, 5 and 10
steps, 1 being what "nothing changes" scores (`reverie.models.prediction_errors`).
priors.csv holds the median over repetitions and
their quartiles; `failed` counts fits that came without a model, or flagged.  Worlds that it holds already are not run again.
"""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reverie.core.dynamics import Episode
from reverie.domains import DOMAINS
from reverie.domains.mujoco_model import MujocoModel
from reverie.maths.exploration import process
from reverie.models.linear_gaussian import LinearGaussian
from reverie.models.neural import Neural
from reverie.models.prediction_errors import report
from reverie.training.provenance import versions

FILE = Path(__file__).with_suffix(".csv")
STEPS, HISTORY, HELD_OUT, REPETITIONS = 150, 20, 10, 10
EPISODES, LENGTHS = (3, 5, 10, 20), (1, 5, 10)
NOISE = 0.3
COLUMNS = ("world", "model", "episodes", "steps", "nrmse", "lower_quartile", "upper_quartile", "failed", "repetitions")


def cartpole(x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return Barto and Sutton's cart-pole after 0.02 s from (p, θ, p', θ'), θ = 0 upright, under 10 u newtons."""
    (_, angle, _, turn), gravity, cart, pole, half = x, 9.8, 1.0, 0.1, 0.5
    pull = (10 * u[0] + pole * half * turn**2 * np.sin(angle)) / (cart + pole)
    spin = gravity * np.sin(angle) - np.cos(angle) * pull
    spin /= half * (4 / 3 - pole * np.cos(angle) ** 2 / (cart + pole))
    return x + 0.02 * np.array([x[2], turn, pull - pole * half * spin * np.cos(angle) / (cart + pole), spin])


def drive(world: str, generator: np.random.Generator) -> Callable[[], Episode]:
    """Return a function that drives another episode of `world` by one policy."""
    plant = None if world == "cartpole" else MujocoModel(DOMAINS[world])
    m = 1 if plant is None else plant.action_dim
    phases, weights = generator.uniform(0, 2 * np.pi, (4, m)), generator.normal(0, 0.3, (4, m))
    waves = np.arange(1, 5)[:, None, None] * 2 * np.pi * np.arange(STEPS)[:, None] / STEPS
    plan = (weights[:, None] * np.sin(waves + phases[:, None])).sum(0)

    def episode() -> Episode:
        noise = process("gaussian" if plant is None else "ou")
        memory, x = noise.begin(m), np.array([0.0, np.pi, 0.0, 0.0]) + 0.05 * generator.standard_normal(4)
        if plant is not None:
            start = plant.domain.start(generator)
            x = np.array([*start.q, *start.v])
        states, actions = [x], []
        for planned in plan:
            kick, memory = noise.step(memory, generator.standard_normal(m), NOISE)
            back = 0.1 * (x[0] + x[2]) if plant is None else 0.0
            u = np.clip(planned - back + kick, -1, 1)
            x = cartpole(x, u) + 1e-3 * generator.standard_normal(4) if plant is None else plant.step(x, u)
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


def repeat(world: str, seed: int) -> list[tuple]:
    """Return (model, episodes, steps, nrmse, failed) of one repetition."""
    episode = drive(world, np.random.default_rng(seed))
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


def summary(world: str) -> list[tuple]:
    """Return a row for each model, number of episodes and length."""
    by_case: dict[tuple, list] = {}
    for seed in range(REPETITIONS):
        for name, episodes, steps, error, failed in repeat(world, seed):
            by_case.setdefault((name, episodes, steps), []).append((error, failed))
        print(world, seed, flush=True)
    rows = []
    for case, found in sorted(by_case.items()):
        low, middle, high = np.percentile([error for error, _ in found], (25, 50, 75), method="nearest")
        figures = [float(f"{value:.4g}") for value in (middle, low, high)]
        rows.append((world, *case, *figures, sum(failed for _, failed in found), len(found)))
    return rows


def main(names: list[str]) -> None:
    """Run what is missing."""
    rows = list(csv.reader(FILE.open(newline="")))[1:] if FILE.exists() else []
    for world in names or ("cartpole", "reacher_single", "gripper_single"):
        if not any(row[0] == world for row in rows):
            rows += summary(world)
            with FILE.open("w", newline="") as lines:
                csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])
    facts = {
        "steps": STEPS,
        "history": HISTORY,
        "held_out_episodes": HELD_OUT,
        "repetitions": REPETITIONS,
        "noise_scale": NOISE,
        "process_noise": {"cartpole": 1e-3},
        "models": {name: repr(model) for name, model in models(5).items()},
        "versions": versions(),
        "command": "python results/priors.py",
    }
    FILE.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
