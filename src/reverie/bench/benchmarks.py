"""The benchmarks of learning and acting: update, step, act."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reverie.algorithms import ALGORITHMS
from reverie.bench.benchmark_cases import (
    BATCH,
    BENCHMARK_CASES,
    CHEETAH,
    ENV,
    SETTINGS,
    UPDATES,
    BenchmarkCase,
    M,
    N,
    filled_trainer,
    matmul_limit,
    peer,
    peer_update,
)
from reverie.bench.timing import Contender, interleave, table
from reverie.core.machine_limits import Limits, resolved
from reverie.environments.env_factory import make_env
from reverie.export.array_file import array_bytes, policy_of
from reverie.export.fusing import fused
from reverie.export.policy_file import in_units
from reverie.export.program import trace
from reverie.policy import Policy
from reverie.storage.journal import Journal
from reverie.training.learner import Learner

CALLS = 500  # actions per round
BASELINES = ("sac", "ppo", "dqn")  # each has its own table, since its work has another size


def update(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time one gradient update of each algorithm, sampling included, against peers and the matrix-multiply limit."""
    naf = BENCHMARK_CASES["naf"]
    contenders = [*map(_our_updates, ("naf", "ddpg")), matmul_limit("naf")]
    times = interleave([*contenders, *(_their_updates(name, naf) for name in peers)], rounds)
    facts = {"unit": "one update", "rows": table(times, "naf"), "over_ddpg": table(times, "ddpg")}
    for name in BASELINES:
        theirs = [_their_updates(peer, BENCHMARK_CASES[name]) for peer in peers]
        # the matrices of the others are too small to set a limit
        more = [matmul_limit(name), _our_updates("xqc")] if name == "sac" else []
        facts[f"of_{name}"] = table(interleave([_our_updates(name), *more, *theirs], rounds), name)
    return facts


def _our_updates(name: str) -> Contender:
    work = BENCHMARK_CASES[name]
    trainer = filled_trainer(work.config, work.spec)

    def run() -> None:
        for _ in range(work.calls):
            trainer.run_update()
            _ = trainer.policy

    return Contender(name, run, work.calls * work.updates)


def _their_updates(name: str, work: BenchmarkCase) -> Contender:
    once = peer_update(peer(name, work), work)
    return Contender(name, lambda: [once() for _ in range(work.calls)], work.calls * work.updates)


def step(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time one environment step while learning, the same without updates, and the parts of that."""
    steps = BENCHMARK_CASES["naf"].steps
    idle = Learner(ALGORITHMS["naf"](**(SETTINGS | {"updates_per_step": 0, "warmup_steps": 0})), ENV).learn(steps)
    with tempfile.TemporaryDirectory() as folder:
        rest = [Contender("no update", lambda: idle.learn(steps), steps)]
        rows = _steps("naf", peers, rounds, [*rest, *_parts(Path(folder) / "journal.bin", steps)])
    idle.close()
    facts = {"unit": "one environment step", "rows": rows}
    return facts | {f"of_{name}": _steps(name, peers, rounds, []) for name in BASELINES}


def _steps(name: str, peers: Sequence[str], rounds: int, rest: list[Contender]) -> list[dict[str, Any]]:
    """Return the table for steps of an algorithm and its peers.  rest: further entries."""
    work = BENCHMARK_CASES[name]
    learner = Learner(work.config, work.env).learn(2 * max(work.steps, work.config.batch_size))
    contenders = [Contender(name, lambda: learner.learn(work.steps), work.steps)]
    for other in peers:
        model = peer(other, work)
        run = lambda model=model: model.learn(work.steps, reset_num_timesteps=False)  # noqa: E731
        contenders.append(Contender(other, run, work.steps))
    rows = table(interleave([*contenders, *rest], rounds), name)
    learner.close()
    for row in rows:
        row["steps_per_second"] = 1e6 / row["median_us"]
    return rows


def _parts(file: Path, steps: int) -> list[Contender]:
    """Return the parts of a step other than the update, one entry each."""
    world, trainer = make_env(ENV), filled_trainer(ALGORITHMS["naf"](**(SETTINGS | {"warmup_steps": 0})))
    journal, observation = Journal(file, N, M), np.ones(N, np.float32)
    generator = np.random.default_rng(0)
    actions, row = generator.uniform(-1, 1, (steps, M)), trainer.replay.rows[0].copy()

    def move() -> None:
        world.reset(0)
        for number, action in enumerate(actions):
            world.step(world.spec.to_world(action), number)

    def remember() -> None:
        for _ in range(steps):
            trainer.replay.add(row)
            trainer.replay.sample(generator, (UPDATES, BATCH))

    def write() -> None:
        for number, action in enumerate(actions):
            journal.append(number, 0.0, 1, 0, 0.0, action, observation, observation)
        journal.sync()

    return [
        Contender("  world", move, steps),
        Contender("  acting", lambda: [trainer.act(observation) for _ in range(steps)], steps),
        Contender("  journal", write, steps),
        Contender("  replay", remember, steps),
    ]


def act(peers: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time one action for one observation, greedy, exploring and exported, against peers and a compiled JAX call."""
    trainer = filled_trainer(ALGORITHMS["naf"](**(SETTINGS | {"warmup_steps": 0})))
    learner = Learner(BENCHMARK_CASES["naf"].config, spec=CHEETAH)
    observation = np.ones(N, np.float32)
    agent, state = trainer.agent, trainer.state
    compiled = jax.jit(lambda state, x: agent.greedy(agent.policy(state), x))
    exported = _exported(lambda x: agent.greedy(agent.policy(state), x))
    contenders = [
        Contender("naf", lambda: [trainer.act(observation) for _ in range(CALLS)], CALLS),
        Contender("greedy", lambda: [trainer.greedy(observation) for _ in range(CALLS)], CALLS),
        Contender("predict", lambda: [learner.predict(observation) for _ in range(CALLS)], CALLS),
        Contender("exported", lambda: [exported.predict(observation) for _ in range(CALLS)], CALLS),
        Contender("compiled", lambda: [np.asarray(compiled(state, observation)) for _ in range(CALLS)], CALLS),
    ]
    for name in peers:
        model = peer(name, BENCHMARK_CASES["naf"])
        contenders.append(
            Contender(name, lambda model=model: [model.predict(observation) for _ in range(CALLS)], CALLS)
        )
    result = {"unit": "one action", "rows": table(interleave(contenders, rounds), "naf")}
    learner.close()
    return result


def _exported(greedy: Callable[[Any], Any]) -> Policy:
    """Return a policy for HalfCheetah as `reverie export … -o FILE.npz` and `reverie.policy` make it."""
    program = fused(trace(in_units(greedy, CHEETAH, resolved(Limits(), CHEETAH)), N, "naf"))
    facts = {"observation_dim": N, "action_dim": M, "actions": 0}
    return policy_of(array_bytes(program, facts))
