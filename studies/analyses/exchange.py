"""Does NAF learn slower on swimmer6 for what it sees, or for what it makes of it?

One agent (`source`) learns 150 episodes with the paper's settings.  Then NAF and DDPG start anew and learn from its experience
alone, without a step of their own and with as many updates as it had.  Every so often (`steps`, in updates' worth) their
greedy policies play the test episodes of `reverie reproduce` (`return_mean`).
"""

import time
from collections.abc import Iterator

import numpy as np

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.core.agent import Algorithm
from reverie.environments.env_factory import make_env
from reverie.experiments.execution.worker import scored
from reverie.training.trainer import Trainer
from studies.study import Row, Study
from studies.summaries import where

COLUMNS = ("source", "learner", "seed", "steps", "return_mean", "seconds")
DOMAIN, SOURCES, SEED, EPISODES, PARTS = "swimmer6", ("ddpg", "naf"), 0, 150, 5


def agent_of(name: str) -> Algorithm:
    """Return an agent as the paper's experiments have it here."""
    return ALGORITHMS[name].paper(DOMAIN)


def run(source: str) -> Iterator[Row]:
    """Yield what an agent comes to, and then what both come to from its experience."""
    env, began = make_env(DOMAIN), time.perf_counter()

    def row(learner: str, steps: int, trainer: Trainer) -> Row:
        mean, seconds = scored(trainer.greedy, env).mean, time.perf_counter() - began
        facts = {"learner": learner, "seed": SEED, "steps": steps}
        return facts | {"return_mean": round(mean, 1), "seconds": round(seconds, 1)}

    with rv.Learner(agent_of(source), DOMAIN, seed=SEED) as learner:
        learner.learn(episodes=EPISODES)
        trainer = learner.trainer
        experience = trainer.replay.rows[: len(trainer.replay)].copy()
        yield row("itself", len(experience), trainer)
    for name in SOURCES:
        trainer = Trainer(agent_of(name).build(env.spec), SEED)
        trainer.replay.extend(experience)
        for part in np.array_split(np.arange(len(experience)), PARTS):
            for _ in part:
                trainer.run_update()
            yield row(name, int(part[-1]) + 1, trainer)


def _verdict(rows: list[Row]) -> Iterator[str]:
    for source in SOURCES:
        for learner in ("itself", *SOURCES):
            if mine := where(rows, source=source, learner=learner):
                scores = ", ".join(f"{row['return_mean']:g} at {row['steps']:,}" for row in mine)
                yield f"experience of {source} (seed {SEED}, {EPISODES} episodes), learnt from by {learner}: {scores} steps"


STUDY = Study(
    name="exchange",
    question="Does NAF learn slower on swimmer6 for what it sees, or for what it makes of it?",
    variants=("itself", *SOURCES),
    tasks=(DOMAIN,),
    seeds=1,
    scored="the greedy return over 10 episodes, after each fifth of the updates",
    minutes=30,
    quoted=("docs/naf.md",),
    columns=COLUMNS,
    key=("source",),
    cells=tuple((source,) for source in SOURCES),
    sort_by=COLUMNS[:4],
    run=run,
    verdict=_verdict,
)
