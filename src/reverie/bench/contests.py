"""The contests of `reverie bench`: update, step, act, fit, plan."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import jax
import numpy as np

from reverie.algorithms import ALGORITHMS
from reverie.bench.fit import fit
from reverie.bench.imagine import imagine
from reverie.bench.measure import Contender, interleave, table
from reverie.bench.plan import plan
from reverie.bench.work import BATCH, ENV, SETTINGS, UPDATES, M, N, filled_trainer, matmul_limit, peer, spec
from reverie.environments.world import make_world
from reverie.loops.learner import Learner
from reverie.storage.journal import Journal

BLOCKS = 20  # compiled calls (of I updates each) in one round: long enough that a neighbour's idling threads have gone to sleep
STEPS = 250  # environment steps in one round
CALLS = 500  # actions in one round


def update(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time one gradient update of each algorithm, sampling included, against peers and the matrix-multiply limit."""

    def ours(name: str) -> Contender:
        trainer = filled_trainer(ALGORITHMS[name](**SETTINGS))

        def run() -> None:
            for _ in range(BLOCKS):
                trainer.run_update()
                _ = trainer.policy

        return Contender(name, run, BLOCKS * UPDATES)

    def theirs(name: str) -> Contender:
        model = peer(name, gym.make(ENV))
        return Contender(
            name, lambda: [model.train(UPDATES, SETTINGS["batch_size"]) for _ in range(BLOCKS)], BLOCKS * UPDATES
        )

    contenders = [*map(ours, ALGORITHMS), matmul_limit(BLOCKS), *map(theirs, peers)]
    times = interleave(contenders, rounds)
    return {"unit": "one update", "rows": table(times, "naf"), "over_ddpg": table(times, "ddpg")}


def step(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time one environment step while learning, all of it but the update, and the parts of that."""
    learner = Learner(ALGORITHMS["naf"](**SETTINGS), ENV).learn(2 * STEPS)
    contenders = [Contender("naf", lambda: learner.learn(STEPS), STEPS)]
    for name in peers:
        model = peer(name, gym.make(ENV))
        contenders.append(Contender(name, lambda model=model: model.learn(STEPS, reset_num_timesteps=False), STEPS))
    idle = Learner(ALGORITHMS["naf"](**(SETTINGS | {"updates_per_step": 0, "warmup_steps": 0})), ENV).learn(STEPS)
    contenders.append(Contender("no update", lambda: idle.learn(STEPS), STEPS))
    with tempfile.TemporaryDirectory() as folder:
        contenders += _parts(Path(folder) / "journal.bin")
        times = interleave(contenders, rounds)
    learner.close()
    idle.close()
    rows = table(times, "naf")
    for row in rows:
        row["steps_per_second"] = 1e6 / row["median_us"]
    return {"unit": "one environment step, I = 5", "rows": rows}


def _parts(file: Path) -> list[Contender]:
    """Return what a step does besides the update, one part each."""
    world, trainer = make_world(ENV), filled_trainer(ALGORITHMS["naf"](**(SETTINGS | {"warmup_steps": 0})))
    journal, observation = Journal(file, N, M), np.ones(N, np.float32)
    generator = np.random.default_rng(0)
    actions, row = generator.uniform(-1, 1, (STEPS, M)), trainer.replay.rows[0].copy()

    def move() -> None:
        world.reset(0)
        for number, action in enumerate(actions):
            world.step(world.spec.to_world(action), number)

    def remember() -> None:
        for _ in range(STEPS):
            trainer.replay.add(row)
            trainer.replay.sample(generator, (UPDATES, BATCH))

    def write() -> None:
        for number, action in enumerate(actions):
            journal.append(number, 0.0, 1, 0, 0.0, action, observation, observation)
        journal.sync()

    return [
        Contender("  world", move, STEPS),
        Contender("  acting", lambda: [trainer.act(observation) for _ in range(STEPS)], STEPS),
        Contender("  journal", write, STEPS),
        Contender("  replay", remember, STEPS),
    ]


def act(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time one action for one observation: greedy and exploring, against peers and against a compiled JAX call."""
    trainer = filled_trainer(ALGORITHMS["naf"](**(SETTINGS | {"warmup_steps": 0})))
    learner = Learner(ALGORITHMS["naf"](**SETTINGS), spec=spec())
    observation = np.ones(N, np.float32)
    agent, state = trainer.agent, trainer.state
    compiled = jax.jit(lambda state, x: agent.greedy(agent.policy(state), x))
    contenders = [
        Contender("naf", lambda: [trainer.act(observation) for _ in range(CALLS)], CALLS),
        Contender("greedy", lambda: [trainer.greedy(observation) for _ in range(CALLS)], CALLS),
        Contender("predict", lambda: [learner.predict(observation) for _ in range(CALLS)], CALLS),
        Contender("compiled", lambda: [np.asarray(compiled(state, observation)) for _ in range(CALLS)], CALLS),
    ]
    for name in peers:
        model = peer(name, gym.make(ENV))
        contenders.append(
            Contender(name, lambda model=model: [model.predict(observation) for _ in range(CALLS)], CALLS)
        )
    result = {"unit": "one action", "rows": table(interleave(contenders, rounds), "naf")}
    learner.close()
    return result


CONTESTS = {"update": update, "step": step, "act": act, "fit": fit, "plan": plan, "imagine": imagine}
