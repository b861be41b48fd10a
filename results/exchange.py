"""Does NAF learn slower on swimmer6 for what it sees, or for what it makes of it?  `python results/exchange.py [SOURCE …]`.

One agent (`source`) learns so many episodes with the paper's settings.  Then both start anew and learn from its experience
alone, without a step of their own and with as many updates as it had; every so often (`steps`, in updates' worth) their greedy
policies play the test episodes of `reverie reproduce` (`return_mean`).  Fills `exchange.csv`; a quarter of an hour a source.
"""

import sys
import time
from pathlib import Path
from typing import Any

import cells
import numpy as np

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.core.agent import Algorithm
from reverie.environments.env_adapter import make_env
from reverie.experiments.execution.worker import scored
from reverie.training.trainer import Trainer

FILE = Path(__file__).with_suffix(".csv")
COLUMNS: tuple[str, ...] = ("source", "learner", "seed", "steps", "return_mean", "seconds")
DOMAIN, SOURCES, SEED, EPISODES, PARTS = "swimmer6", ("ddpg", "naf"), 0, 150, 5


def settings(name: str) -> Algorithm:
    """Return an agent as the paper's experiments have it here."""
    return ALGORITHMS[name].paper(DOMAIN)


def run(source: str) -> list[dict[str, Any]]:
    """Return what an agent comes to, and then what both come to from its experience."""
    rows: list[dict[str, Any]] = []
    world, began = make_env(DOMAIN), time.perf_counter()

    def add(learner: str, steps: int, trainer: Trainer) -> None:
        mean, seconds = scored(trainer.greedy, world).mean, time.perf_counter() - began
        values = source, learner, SEED, steps, round(mean, 1), round(seconds, 1)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        print(*values, file=sys.stderr, flush=True)

    with rv.Learner(settings(source), DOMAIN, seed=SEED) as learner:
        learner.learn(episodes=EPISODES)
        trainer = learner._session.trainer  # what a learner keeps to itself
        experience = trainer.replay.rows[: len(trainer.replay)].copy()
        add("itself", len(experience), trainer)
    for name in SOURCES:
        trainer = Trainer(settings(name).build(world.spec), SEED)
        trainer.replay.extend(experience)
        for part in np.array_split(np.arange(len(experience)), PARTS):
            for _ in part:
                trainer.run_update()
            add(name, int(part[-1]) + 1, trainer)
    return rows


def main() -> None:
    """Run what is missing."""
    for source in sys.argv[1:] or SOURCES:
        if source not in {row["source"] for row in cells.read(FILE)}:
            cells.add(FILE, run(source))


if __name__ == "__main__":
    main()
