"""Does NAF learn slower on swimmer6 for what it sees, or for what it makes of it?  `python results/exchange.py [SOURCE …]`.

One agent (`source`) learns so many episodes with the paper's settings.  Then both start anew and learn from its experience
alone, without a step of their own and with as many updates as it had; every so often (`steps`, in updates' worth) their greedy
policies play ten episodes (`return`).  Fills `exchange.csv`; a quarter of an hour a source.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.environments.world import World, make_world
from reverie.loops.trainer import Trainer
from reverie.storage.tables import read_rows, table_of

FILE = Path(__file__).with_suffix(".csv")
COLUMNS: tuple[str, ...] = ("source", "learner", "seed", "steps", "return")
DOMAIN, SOURCES, SEED, EPISODES, PARTS, STARTS = "swimmer6", ("ddpg", "naf"), 0, 150, 5, range(12345, 12355)


def score(world: World, greedy: Any) -> float:
    """Return the mean return of greedy episodes."""
    total = 0.0
    for start in STARTS:
        observation, _ = world.env.reset(seed=start)
        ended = False
        while not ended:
            action = world.spec.to_world(greedy(np.float32(observation)))
            observation, reward, died, cut, _ = world.env.step(action)
            total += float(reward)
            ended = died or cut
    return total / len(STARTS)


def experience(source: str) -> tuple[np.ndarray, float]:
    """Return an agent's transitions [steps, width], and its own last score."""
    world = make_world(DOMAIN)
    with rv.Learner(ALGORITHMS[source].paper(DOMAIN), DOMAIN, seed=SEED) as learner:
        learner.learn(episodes=EPISODES)
        trainer = learner._session.trainer  # what a learner keeps to itself
        rows = trainer.replay.rows[: len(trainer.replay)].copy()
        return rows, score(world, trainer.greedy)


def learnt(name: str, rows: np.ndarray) -> list[tuple[int, float]]:
    """Return (updates, in steps' worth; score) of an agent that learns from such rows alone."""
    world = make_world(DOMAIN)
    trainer, found = Trainer(ALGORITHMS[name].paper(DOMAIN).build(world.spec), SEED), []
    trainer.replay.extend(rows)
    for part in np.array_split(np.arange(len(rows)), PARTS):
        for _ in part:
            trainer.run_update()
        found.append((int(part[-1]) + 1, score(world, trainer.greedy)))
        print(name, *found[-1], flush=True)
    return found


def main() -> None:
    """Measure and write what is missing."""
    for source in sys.argv[1:] or SOURCES:
        held: list[dict[str, Any]] = read_rows(FILE) if FILE.exists() else []
        if source in {row["source"] for row in held}:
            continue
        rows, last = experience(source)
        print(source, "itself", last, flush=True)
        found = [(source, "itself", SEED, len(rows), last)]
        found += [(source, name, SEED, *figures) for name in SOURCES for figures in learnt(name, rows)]
        new = [dict(zip(COLUMNS, row, strict=True)) for row in found]
        for row in new:
            row["return"] = round(row["return"], 1)
        held = read_rows(FILE) if FILE.exists() else []  # another call may fill it too
        FILE.write_bytes(table_of(COLUMNS, [*held, *new]))


if __name__ == "__main__":
    main()
