"""Do NAF and DDPG know what they earn?

Both learn cartpole with the paper's settings, NAF with two discounts, and bounded by what rewards allow (`naf-bounded`).
Every 50 episodes the greedy policy plays from ten starts.  `return` is its mean return.  `earned` is the mean, over all steps,
of the discounted rewards that came after; `expected` is what V(x) (of NAF) or Q(x, μ(x)) (of DDPG) says there, both in the
environment's rewards.  No reward of cartpole is above 0, so no value can be: `above` is the share of steps where one is said
to be.  `loss` is the mean squared error of the last minibatches, of scaled rewards.
"""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.core.types import Transition
from reverie.environments.env_factory import make_env
from studies.study import Row, Study
from studies.summaries import where

CONTENDERS = (("naf", 0.99), ("ddpg", 0.99), ("naf", 0.97), ("naf-bounded", 0.99))
DOMAIN, EPISODES, EVERY, SEEDS, STARTS = "cartpole", 250, 50, (0, 3), range(12345, 12355)
FIGURES = ("return", "earned", "expected", "above", "loss")


def played(learner: rv.Learner, env: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return observations [E, T, n] and rewards [E, T] of greedy episodes."""
    observations, rewards = [], []
    for start in STARTS:
        observation, _ = env.env.reset(seed=start)
        seen, got, ended = [], [], False
        while not ended:
            seen.append(observation)
            observation, reward, died, cut, _ = env.env.step(learner.predict(observation))
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
    """Return what the agent says that states [N, n] are worth [N], in the environment's rewards."""
    trainer = learner.trainer
    none = np.zeros((1, trainer.agent.spec.action_dim), np.float32)

    def one(observation: Any) -> Any:
        batch = Transition(observation[None], none, none[:, 0], none[:, 0], observation[None])
        return trainer.agent.diagnose(trainer.state, batch)["value_mean"]

    return np.asarray(jax.jit(jax.vmap(one))(observations.astype(np.float32))) / scale


def run(name: str, discount: float, seed: int) -> Iterator[Row]:
    """Learn; yield a row every so many episodes."""
    agent, _, bounded = name.partition("-")
    changes = {"discount": discount} | ({"value_bound": True} if bounded else {})
    config, env = ALGORITHMS[agent].paper(DOMAIN, **changes), make_env(DOMAIN)
    with rv.Learner(config, DOMAIN, seed=seed) as learner:
        for episode in range(EVERY, EPISODES + 1, EVERY):
            learner.learn(episodes=EVERY)
            observations, rewards = played(learner, env)
            said = expected(learner, observations.reshape(-1, observations.shape[-1]), config.fixed_reward_scale)
            found = (
                rewards.sum(1).mean(),
                earned(rewards, config.discount_factor).mean(),
                said.mean(),
                (said > 0).mean(),
            )
            found = (*found, (learner.newest_metrics or {})["loss"])
            yield {"episode": episode} | {k: round(float(v), 4) for k, v in zip(FIGURES, found, strict=True)}
    env.close()


def _verdict(rows: list[Row]) -> Iterator[str]:
    for agent, discount in CONTENDERS:
        for row in where(rows, agent=agent, discount=discount, episode=EPISODES):
            yield (
                f"{agent}, discount {discount:g}, seed {row['seed']}, after {EPISODES} episodes: return {row['return']:g}; "
                f"earned {row['earned']:g} from there on, expected {row['expected']:g}; above 0 at {row['above']:.0%} of "
                f"steps; loss {row['loss']:g}"
            )


STUDY = Study(
    name="values",
    question="Do NAF and DDPG know what they earn?",
    variants=tuple(f"{agent} {discount:g}" for agent, discount in CONTENDERS),
    tasks=(DOMAIN,),
    seeds=len(SEEDS),
    scored="what the greedy policy earns, and what the agent expects, every 50 episodes",
    minutes=15,
    quoted=("docs/naf.md", "src/reverie/algorithms/tuned.py"),
    columns=("agent", "discount", "seed", "episode", *FIGURES),
    key=("agent", "discount", "seed"),
    cells=tuple((*contender, seed) for contender in CONTENDERS for seed in SEEDS),
    run=run,
    verdict=_verdict,
)
