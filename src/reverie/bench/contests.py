"""The contests of `reverie bench`: update, step, act."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import jax
import numpy as np

from reverie.algorithms import ALGORITHMS
from reverie.bench.measure import Contender, interleave, table
from reverie.bench.work import ENV, SETTINGS, UPDATES, N, filled_trainer, matmul_limit, peer, spec
from reverie.loops.learner import Learner

BLOCKS = 4  # compiled calls (of I updates each) in one round
STEPS = 100  # environment steps in one round
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
    """Time one environment step while learning, and its parts: all but the update, and the world alone."""
    naf = ALGORITHMS["naf"]
    learner = Learner(naf(**SETTINGS), ENV).learn(2 * STEPS)
    idle = Learner(naf(**(SETTINGS | {"updates_per_step": 0, "warmup_steps": 0})), ENV).learn(STEPS)
    world = gym.make(ENV)
    world.reset(seed=0)
    world.action_space.seed(0)
    actions = [world.action_space.sample() for _ in range(STEPS)]

    def bare() -> None:
        world.reset()
        for action in actions:
            world.step(action)

    contenders = [
        Contender("naf", lambda: learner.learn(STEPS), STEPS),
        Contender("all but the update", lambda: idle.learn(STEPS), STEPS),
        Contender("the world alone", bare, STEPS),
    ]
    for name in peers:
        model = peer(name, gym.make(ENV))
        contenders.append(Contender(name, lambda model=model: model.learn(STEPS, reset_num_timesteps=False), STEPS))
    times = interleave(contenders, rounds)
    learner.close()
    idle.close()
    rows = table(times, "naf")
    for row in rows:
        row["steps_per_second"] = 1e6 / row["median_us"]
    return {"unit": "one environment step, I = 5", "rows": rows}


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


CONTESTS = {"update": update, "step": step, "act": act}
