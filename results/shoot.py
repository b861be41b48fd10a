"""What could be scored on canada2d?  `python results/shoot.py` plans each of 20 episodes with the exact physics.

Cross-entropy shooting: torques given every 0.1 s for the first 1.2 s, linear between, then joints brake themselves.  It knows
the physics and the start, as no learner does, and sees nothing afterwards.  `shoot.csv` holds a row per start (seeds 10,000
to 10,019).  About three minutes.
"""

import csv
from pathlib import Path

import numpy as np

from reverie.domains import DOMAINS
from reverie.domains.domain import SCALAR, InitialState, State
from reverie.domains.mujoco_model import MujocoModel

DOMAIN = DOMAINS["canada2d"]
SEEDS = range(10_000, 10_020)
KNOTS, EVERY, BRAKE = 12, 5, 0.5  # torques, control steps between them, action per rad/s afterwards
ROUNDS, SAMPLES, ELITE, KEPT = 25, 40, 6, 0.2


def rollout(plant: MujocoModel, start: InitialState, knots: np.ndarray) -> float:
    """Return the return of an episode under torques [KNOTS, 3]."""
    plant.state = np.concatenate([start.q, start.v])
    total, before = 0.0, State(list(start.q), list(start.v))
    for t in range(DOMAIN.horizon):
        place, (i, part) = t / EVERY, divmod(t, EVERY)
        if place < KNOTS - 1:
            u = knots[i] + (knots[i + 1] - knots[i]) * part / EVERY
        else:
            u = np.clip(-BRAKE * plant.v[:3], -1.0, 1.0)
        plant.advance(u)
        now = State(plant.q.tolist(), plant.v.tolist())
        total += DOMAIN.reward(before, u.tolist(), now, DOMAIN.features(now, start.target, SCALAR), SCALAR)
        before = now
    return total


def plan(plant: MujocoModel, seed: int) -> float:
    """Return the best return found from the start that `seed` draws."""
    generator = np.random.default_rng(seed)
    start = DOMAIN.start(generator)
    mean, spread, best = np.zeros((KNOTS, 3)), np.full((KNOTS, 3), 0.7), -np.inf
    for _ in range(ROUNDS):
        tried = np.clip(mean + spread * generator.standard_normal((SAMPLES, KNOTS, 3)), -1.0, 1.0)
        scores = np.array([rollout(plant, start, knots) for knots in tried])
        elite = tried[np.argsort(scores)[-ELITE:]]
        mean = KEPT * mean + (1 - KEPT) * elite.mean(0)
        spread = KEPT * spread + (1 - KEPT) * elite.std(0) + 0.01
        best = max(best, float(scores.max()))
    return best


def main() -> None:
    """Plan, print, write."""
    plant = MujocoModel(DOMAIN)
    rows = [(seed, round(plan(plant, seed), 4)) for seed in SEEDS]
    print(f"canada2d: {np.mean([score for _, score in rows]):.4g} over {len(rows)} starts; the paper's NAF -4.21")
    with (Path(__file__).parent / "shoot.csv").open("w", newline="") as lines:
        csv.writer(lines, lineterminator="\n").writerows([("seed", "return"), *rows])


if __name__ == "__main__":
    main()
