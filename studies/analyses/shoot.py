"""What could be scored on canada2d?  Each of 20 episodes is planned with the exact physics.

Cross-entropy shooting: torques are given every 0.1 s for the first 1.2 s, linear between, then joints brake themselves.  It
knows the physics and the start, as no learner does, and sees nothing afterwards.
"""

from collections.abc import Iterator

import numpy as np

from reverie.domains import DOMAINS
from reverie.domains.domain import SCALAR, InitialState, State
from reverie.domains.mujoco_model import MujocoModel
from reverie.experiments.spec.paper_numbers import TABLE1
from studies.study import Row, Study
from studies.summaries import spread

DOMAIN = DOMAINS["canada2d"]
SEEDS = range(10_000, 10_020)
JOINTS = 3
KNOTS, EVERY, BRAKE = 12, 5, 0.5  # torques, control steps between them, action per rad/s afterwards
ROUNDS, SAMPLES, ELITE, KEPT = 25, 40, 6, 0.2
FIRST_SPREAD, LEAST_SPREAD = 0.7, 0.01  # standard deviations of torques


def rollout(plant: MujocoModel, start: InitialState, knots: np.ndarray) -> float:
    """Return the return of an episode under torques [KNOTS, JOINTS]."""
    plant.state = np.concatenate([start.q, start.v])
    total, before = 0.0, State(list(start.q), list(start.v))
    for t in range(DOMAIN.horizon):
        place, (i, part) = t / EVERY, divmod(t, EVERY)
        if place < KNOTS - 1:
            u = knots[i] + (knots[i + 1] - knots[i]) * part / EVERY
        else:
            u = np.clip(-BRAKE * plant.v[:JOINTS], -1.0, 1.0)
        plant.advance(u)
        now = State(plant.q.tolist(), plant.v.tolist())
        total += DOMAIN.reward(before, u.tolist(), now, DOMAIN.features(now, start.target, SCALAR), SCALAR)
        before = now
    return total


def plan(plant: MujocoModel, seed: int) -> float:
    """Return the best return found from the start that `seed` draws."""
    generator = np.random.default_rng(seed)
    start = DOMAIN.start(generator)
    mean, spread, best = np.zeros((KNOTS, JOINTS)), np.full((KNOTS, JOINTS), FIRST_SPREAD), -np.inf
    for _ in range(ROUNDS):
        tried = np.clip(mean + spread * generator.standard_normal((SAMPLES, KNOTS, JOINTS)), -1.0, 1.0)
        scores = np.array([rollout(plant, start, knots) for knots in tried])
        elite = tried[np.argsort(scores)[-ELITE:]]
        mean = KEPT * mean + (1 - KEPT) * elite.mean(0)
        spread = KEPT * spread + (1 - KEPT) * elite.std(0) + LEAST_SPREAD
        best = max(best, float(scores.max()))
    return best


def run(seed: int) -> Iterator[Row]:
    """Yield the best return from one start."""
    yield {"return": round(plan(MujocoModel(DOMAIN), seed), 4)}


def _verdict(rows: list[Row]) -> Iterator[str]:
    printed = TABLE1["canada2d"].naf
    yield f"canada2d, starts of {len(rows)} seeds: {spread(row['return'] for row in rows)}; the paper's NAF {printed}"


STUDY = Study(
    name="shoot",
    question="What could be scored on canada2d?",
    variants=("cross-entropy shooting",),
    tasks=("canada2d",),
    seeds=len(SEEDS),
    scored="the best return found from a start, with exact physics",
    minutes=3,
    quoted=("docs/domains.md", "docs/planning.md"),
    columns=("seed", "return"),
    key=("seed",),
    cells=tuple((seed,) for seed in SEEDS),
    run=run,
    verdict=_verdict,
)
