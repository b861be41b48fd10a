"""The work that all contenders do: 17 observations, 6 actions, batch 100, 2x200 networks, I = 5 (HalfCheetah-v5)."""

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from reverie.bench.measure import Contender
from reverie.core.errors import ConfigError, unknown
from reverie.core.types import EnvSpec
from reverie.loops.trainer import Trainer

ENV = "HalfCheetah-v5"
N, M, BATCH, HIDDEN, UPDATES = 17, 6, 100, 200, 5
SETTINGS: dict[str, Any] = {  # plain networks, as the peers' are
    "normalisation": "none",
    "batch_size": BATCH,
    "hidden": (HIDDEN, HIDDEN),
    "updates_per_step": UPDATES,
    "warmup_steps": BATCH,
}
PEERS = {"sb3": "stable_baselines3", "sbx": "sbx"}
PLANNERS = {"crocoddyl": "crocoddyl", "mim": "mim_solvers", "diffilqrax": "diffilqrax"}


def spec() -> EnvSpec:
    """Return sizes and bounds of the benchmark's world."""
    return EnvSpec(N, [-1.0] * M, [1.0] * M, ENV)


def filled_trainer(config: Any) -> Trainer:
    """Return a trainer with 10,000 made-up transitions in replay."""
    trainer = Trainer(config.build(spec()), seed=0)
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((10_000, trainer.replay.rows.shape[1])).astype(np.float32)
    rows[:, N : N + M] = np.clip(rows[:, N : N + M], -1, 1)
    rows[:, N + M + 1] = 1.0
    trainer.replay.extend(rows)
    return trainer


def matmul_limit(blocks: int) -> Contender:
    """Return the matrix products of `blocks` times UPDATES NAF updates and nothing else, by NumPy's BLAS on all cores.

    Forward and backward of three networks (no gradient flows into observations), forward of the target's V.
    """
    x, w1 = np.ones((BATCH, N), np.float32), np.ones((N, HIDDEN), np.float32)
    h, w2 = np.ones((BATCH, HIDDEN), np.float32), np.ones((HIDDEN, HIDDEN), np.float32)
    products = [(x, w1), (h, w2), (h, np.ones((HIDDEN, 1), np.float32))]  # the target's V
    for outputs in (1, M, M * (M + 1) // 2):
        head, gradient = np.ones((HIDDEN, outputs), np.float32), np.ones((BATCH, outputs), np.float32)
        products += [(x, w1), (h, w2), (h, head)]
        products += [(h.T, gradient), (gradient, head.T), (h.T, h), (h, w2.T), (x.T, h)]

    def once() -> None:
        for left, right in products:
            np.matmul(left, right)

    return Contender("limit", lambda: [once() for _ in range(blocks * UPDATES)], blocks * UPDATES)


def peers_of(contest: str) -> dict[str, str]:
    """Return the peers that can take part in a contest, and their modules."""
    return PLANNERS if contest == "plan" else PEERS


def check_peers(names: Sequence[str], contest: str | None) -> None:
    """Raise ConfigError where a peer is unknown to the contest (None: to all) or not installed."""
    known = peers_of(contest) if contest else PEERS | PLANNERS
    for name in names:
        if name not in known:
            raise unknown("peer", name, known)
        if importlib.util.find_spec(known[name]) is None:
            raise ConfigError(f"{name} is not installed: pip install 'reverie[bench]'")


def peer(name: str, env: gym.Env) -> Any:
    """Return Stable-Baselines3's or SBX's DDPG at the same work, warmed up."""
    module = importlib.import_module(PEERS[name])
    model = module.DDPG(
        "MlpPolicy",
        env,
        learning_rate=1e-3,
        buffer_size=100_000,
        learning_starts=BATCH,
        batch_size=BATCH,
        train_freq=1,
        gradient_steps=UPDATES,
        policy_kwargs={"net_arch": [HIDDEN, HIDDEN]},
        device="cpu",
        seed=0,
    )
    return model.learn(2 * BATCH)
