"""The work that is the same for all entries of a benchmark, and the peers.

NAF and DDPG: HalfCheetah-v5 (17 observations, 6 actions), batch 100, 2x200 units, I = 5.
SAC: HalfCheetah-v5, batch 256, 2x256, I = 1.
XQC: HalfCheetah-v5, batch 256, critics 4x512, actor 4x256, I = 2; no peer has it, and SAC stands beside it.
PPO: HalfCheetah-v5, batch 64, 2x64, 10 epochs over 2048 steps.
DQN: CartPole-v1 (4 observations, 2 actions), batch 100, 2x200, I = 1.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from reverie.algorithms import ALGORITHMS
from reverie.bench.timing import Contender
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, unknown
from reverie.environments.mujoco_messages import without_others_warnings
from reverie.training.trainer import Trainer

ENV = "HalfCheetah-v5"
N, M, BATCH, HIDDEN, UPDATES = 17, 6, 100, 200, 5
SETTINGS: dict[str, Any] = {  # plain networks, like the peers'
    "normalisation": "none",
    "batch_size": BATCH,
    "hidden": (HIDDEN, HIDDEN),
    "updates_per_step": UPDATES,
    "warmup_steps": BATCH,
}
PEERS = {"sb3": "stable_baselines3", "sbx": "sbx"}
PLANNERS = {"crocoddyl": "crocoddyl", "mim": "mim_solvers", "diffilqrax": "diffilqrax"}
SOLVERS = {"mdptoolbox": "mdptoolbox"}


class BenchmarkCase(NamedTuple):
    """One algorithm's update and step, equal for all entries."""

    algorithm: str
    settings: dict[str, Any]
    env: str
    spec: EnvSpec
    calls: int  # updates per round, enough that idle threads of the entry before have gone to sleep
    steps: int  # environment steps per round
    peer: str  # name of the peers' class, "" where they have none
    given: dict[str, Any]  # further arguments of it

    @property
    def config(self) -> Any:
        """Our settings."""
        return ALGORITHMS[self.algorithm](**self.settings)

    @property
    def updates(self) -> int:
        """Minibatch updates per call."""
        return self.config.requirements.updates_per_step


CHEETAH = EnvSpec(N, [-1.0] * M, [1.0] * M, ENV)
OFF_POLICY = {"buffer_size": 100_000, "train_freq": 1}
DDPG = {"batch_size": BATCH, "learning_starts": BATCH, "gradient_steps": UPDATES, "learning_rate": 1e-3}
SAC = {"batch_size": 256, "learning_starts": 256, "gradient_steps": 1, "learning_rate": 3e-4}
DQN = {"batch_size": BATCH, "learning_starts": BATCH, "gradient_steps": 1, "learning_rate": 1e-3}
PPO = {"batch_size": 64, "n_steps": 2048, "n_epochs": 10, "learning_rate": 3e-4}
BENCHMARK_CASES = {
    "naf": BenchmarkCase("naf", SETTINGS, ENV, CHEETAH, 20, 250, "DDPG", OFF_POLICY | DDPG),
    "ddpg": BenchmarkCase("ddpg", SETTINGS, ENV, CHEETAH, 20, 250, "DDPG", OFF_POLICY | DDPG),
    "sac": BenchmarkCase("sac", {"warmup_steps": 256}, ENV, CHEETAH, 50, 100, "SAC", OFF_POLICY | SAC),
    "xqc": BenchmarkCase("xqc", {"warmup_steps": 256}, ENV, CHEETAH, 3, 10, "", {}),
    "ppo": BenchmarkCase("ppo", {}, ENV, CHEETAH, 1, 2048, "PPO", PPO),
    "dqn": BenchmarkCase(
        "dqn", {"warmup_steps": BATCH}, "CartPole-v1", EnvSpec(4, actions=2), 200, 500, "DQN", OFF_POLICY | DQN
    ),
}


def filled_trainer(config: Any, spec: EnvSpec = CHEETAH) -> Trainer:
    """Return a trainer with 10,000 random transitions in replay, or with one rollout."""
    trainer = Trainer(config.build(spec), seed=0)
    generator = np.random.default_rng(0)
    n, m = spec.observation_dim, spec.action_dim
    rows = generator.standard_normal((10_000, trainer.replay.rows.shape[1])).astype(np.float32)
    rows[:, n : n + m] = np.stack([spec.random(generator) for _ in rows])
    rows[:, n + m + 1] = 1.0
    trainer.replay.extend(rows)
    return trainer


def matmul_limit(name: str) -> Contender:
    """Return only the matrix products of one round of NAF or SAC updates, by NumPy's BLAS on all cores.

    NAF: forward and backward of its three networks, forward of the target's V.
    SAC: forward and backward of both critics and of the actor; forward of both targets, and of the actor at next
        observations; in the actor's loss, forward of both critics and back to their input.
    """
    work = BENCHMARK_CASES[name]
    batch, hidden = work.config.batch_size, work.config.hidden[0]
    if name == "naf":
        heads = (1, M, M * (M + 1) // 2)
        parts = [_products(batch, N, hidden, 1)]
        parts += [_products(batch, N, hidden, outputs, back) for outputs in heads for back in ("", "weights")]
    else:
        ways = ("", "", "weights", "", "input")
        parts = [_products(batch, N + M, hidden, 1, back) for back in ways] * 2
        parts += [_products(batch, N, hidden, 2 * M, back) for back in ("", "", "weights")]
    products = [product for part in parts for product in part]

    def once_over() -> None:
        for left, right in products:
            np.matmul(left, right)

    units = work.calls * work.updates
    return Contender("limit", lambda: [once_over() for _ in range(units)], units)


def _products(batch: int, inputs: int, hidden: int, outputs: int, back: str = "") -> list[Any]:
    """Return the factors of a two-layer network's products: forward, or backward to weights or input (`back`)."""
    x, h, y = (np.ones((batch, size), np.float32) for size in (inputs, hidden, outputs))
    shapes = ((inputs, hidden), (hidden, hidden), (hidden, outputs))
    w1, w2, w3 = (np.ones(shape, np.float32) for shape in shapes)
    if not back:
        return [(x, w1), (h, w2), (h, w3)]
    down = [(y, w3.T), (h, w2.T)]
    return down + ([(h.T, y), (h.T, h), (x.T, h)] if back == "weights" else [(h, w1.T)])


def peers_of(contest: str) -> dict[str, str]:
    """Return the peers of a benchmark, and their modules."""
    return {"plan": PLANNERS, "solve": SOLVERS}.get(contest, PEERS)


def check_peers(names: Sequence[str], contest: str | None) -> None:
    """Raise ConfigError where a peer is unknown to the benchmark (None: to all of them) or not installed."""
    known = peers_of(contest) if contest else PEERS | PLANNERS | SOLVERS
    for name in names:
        if name not in known:
            raise unknown("peer", name, known)
        if importlib.util.find_spec(known[name]) is None:
            raise ConfigError(f"{name} is not installed: pip install 'reverie[bench]'")


def peer(name: str, work: BenchmarkCase) -> Any:
    """Return the algorithm of Stable-Baselines3 or SBX for the same work, warmed up."""
    module = importlib.import_module(PEERS[name])
    config = work.config
    with without_others_warnings():
        env = gym.make(work.env)
    model = getattr(module, work.peer)(
        "MlpPolicy",
        env,
        policy_kwargs={"net_arch": list(config.hidden)},
        device="cpu",
        seed=0,
        **work.given,
    )
    return model.learn(2 * max(config.batch_size, config.requirements.rollout // 2))


def peer_update(model: Any, work: BenchmarkCase) -> Callable[[], object]:
    """Return a function that makes a peer do the updates of one call."""
    config = work.config
    if config.requirements.rollout:
        return model.train
    return functools.partial(model.train, gradient_steps=work.updates, batch_size=config.batch_size)
