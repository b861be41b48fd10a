"""The benchmark of imagination: the cost of rollouts beside the updates that use them, and of fits."""

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from reverie.algorithms.naf import NAF
from reverie.bench.timing import Contender, interleave, table
from reverie.imagination.settings import Imagination
from reverie.imagination.source import ImaginationSource
from reverie.models import MODELS
from reverie.training.learner import Learner

DOMAIN, EPISODES, LENGTH = "reacher_single", 6, 5
FITTED = ("linear", "neural", "exact")


def imagine(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time, per real step, the updates at I = 5 and l = 5, the rollouts for them, and the fit after each episode."""
    del peers  # no peer has imagination
    contenders = []
    with tempfile.TemporaryDirectory() as folder:
        learners = {
            name: Learner(
                Imagination(NAF(updates_per_step=1), MODELS[name](), rollout_length=LENGTH),
                DOMAIN,
                out=f"{folder}/{name}",
            )
            for name in FITTED
        }
        for name, learner in learners.items():
            learner.learn(episodes=EPISODES)
            contenders += _parts(name, learner)
        times = interleave(contenders, rounds)
        for learner in learners.values():
            learner.close()
    return {"unit": "one real step", "rows": table(times, "updates")}


def _parts(name: str, learner: Learner) -> list[Contender]:
    trainer = learner.trainer
    assert isinstance(trainer.source, ImaginationSource)
    dreams, steps = trainer.source.replay, trainer.source.replay.settings.rollouts
    horizon = len(dreams.history[-1])
    found = [
        Contender(f"rollouts, {name}", lambda: dreams.imagine(lambda: trainer.policy), steps),
        Contender(f"fit and judgement, {name}", dreams.refit, horizon),
    ]
    if name == FITTED[0]:
        count = 5 * (1 + LENGTH)
        rows = trainer.replay.sample(np.random.default_rng(0), (count, trainer.agent.requirements.batch_size))

        def updates() -> None:
            for number in range(steps):
                # the compiled call alone, without sampling
                flat = trainer._update(trainer.state, rows, np.uint32(number))  # pyright: ignore[reportPrivateUsage]
                trainer.state, trainer._flat = flat  # pyright: ignore[reportPrivateUsage]
                _ = trainer.policy

        found.insert(0, Contender("updates", updates, steps))
    return found
