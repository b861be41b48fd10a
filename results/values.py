"""Do NAF and DDPG know what they earn?  `python results/values.py` fills `values.csv` in a quarter of an hour.

Both learn cartpole with the paper's settings, NAF with two discounts, and bounded by what rewards allow (`naf-bounded`).
Every so many episodes the greedy policy plays from ten starts: `return` is its mean return, `earned` the mean, over all steps,
of the discounted rewards that came after, `expected` what V(x) (of NAF) or Q(x, μ(x)) (of DDPG) says there, both in the world's
rewards.  No reward of cartpole is above 0, so no value can be: `above` is the share of steps where it is said to be.  `loss`:
mean squared error of the last minibatches, of scaled rewards.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.core.types import Transition
from reverie.environments.env_adapter import make_env
from reverie.storage.tables import read_rows, table_of

FILE = Path(__file__).parent / "values.csv"
COLUMNS: tuple[str, ...] = ("agent", "discount", "seed", "episode", "return", "earned", "expected", "above", "loss")
CONTENDERS = (("naf", 0.99), ("ddpg", 0.99), ("naf", 0.97), ("naf-bounded", 0.99))
DOMAIN, EPISODES, EVERY, SEEDS, STARTS = "cartpole", 250, 50, (0, 3), range(12345, 12355)


def played(learner: rv.Learner, world: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return observations [E, T, n] and rewards [E, T] of greedy episodes."""
    observations, rewards = [], []
    for start in STARTS:
        observation, _ = world.env.reset(seed=start)
        seen, got, ended = [], [], False
        while not ended:
            seen.append(observation)
            observation, reward, died, cut, _ = world.env.step(learner.predict(observation))
            got.append(reward)
            ended = died or cut
        observations.append(seen)
        rewards.append(got)
    return np.array(observations), np.array(rewards)


def earned(rewards: np.ndarray, discount: float) -> np.ndarray:
    """Return the discounted rewards from each step to the end [E, T]."""
    found = np.zeros_like(rewards)
    after = np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        found[:, t] = after = rewards[:, t] + discount * after
    return found


def expected(learner: rv.Learner, observations: np.ndarray, scale: float) -> np.ndarray:
    """Return what the agent says that states [N, n] are worth [N], in the world's rewards."""
    trainer = learner._session.trainer  # what a learner keeps to itself
    none = np.zeros((1, trainer.agent.spec.action_dim), np.float32)

    def one(observation: Any) -> Any:
        batch = Transition(observation[None], none, none[:, 0], none[:, 0], observation[None])
        return trainer.agent.diagnose(trainer.state, batch)["value_mean"]

    return np.asarray(jax.jit(jax.vmap(one))(observations.astype(np.float32))) / scale


def measured(name: str, discount: float, seed: int) -> list[dict[str, Any]]:
    """Learn; return a row every so many episodes."""
    agent, _, bounded = name.partition("-")
    changes = {"discount": discount} | ({"value_bound": True} if bounded else {})
    config, world, rows = ALGORITHMS[agent].paper(DOMAIN, **changes), make_env(DOMAIN), []
    with rv.Learner(config, DOMAIN, seed=seed) as learner:
        for episode in range(EVERY, EPISODES + 1, EVERY):
            learner.learn(episodes=EVERY)
            observations, rewards = played(learner, world)
            said = expected(learner, observations.reshape(-1, observations.shape[-1]), config.reward_scale)
            figures = (rewards.sum(1).mean(), earned(rewards, config.discount).mean(), said.mean(), (said > 0).mean())
            figures = (*figures, (learner._session.newest_metrics or {})["loss"])
            row = (name, discount, seed, episode, *(round(float(figure), 4) for figure in figures))
            rows.append(dict(zip(COLUMNS, row, strict=True)))
            print(*row, flush=True)
    world.close()
    return rows


def main() -> None:
    """Measure and write what is missing."""
    rows: list[dict[str, Any]] = read_rows(FILE) if FILE.exists() else []
    done = {(row["agent"], float(row["discount"]), int(row["seed"])) for row in rows}
    for seed in SEEDS:
        for name, discount in CONTENDERS:
            if (name, discount, seed) in done:
                continue
            rows += measured(name, discount, seed)
            FILE.write_bytes(table_of(COLUMNS, rows))


if __name__ == "__main__":
    main()
