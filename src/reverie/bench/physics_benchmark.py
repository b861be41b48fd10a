"""Benchmark of our domains: their speed through Gymnasium as a share of the bare physics' speed."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension module has no stubs.

import statistics
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from reverie.bench.timing import Contender, interleave, ratios
from reverie.core.errors import unknown
from reverie.domains import DOMAINS
from reverie.domains.domain import Domain
from reverie.domains.mujoco_model import compile_model

EPISODES = 4  # episodes of random actions per round, with equal starts and actions on both sides


def chosen(names: str) -> list[str]:
    """Return the domains for "all" or a list such as "reacher,peg".  Raises ConfigError for an unknown one."""
    if names == "all":
        return list(DOMAINS)
    for name in names.split(","):
        if name not in DOMAINS:
            raise unknown("domain", name, [*DOMAINS, "all"])
    return names.split(",")


def domains(names: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time a step of each domain through `gym.make`, and `mj_step` alone with equal frame skip, starts and actions."""
    rows = []
    for name in names:
        times = interleave(_contenders(DOMAINS[name]), rounds)
        ours, bare = (1.0 / statistics.median(times[side]) for side in ("gymnasium", "mj_step"))
        share = ratios(times, "gymnasium")["mj_step"]
        rows.append({"name": name, "steps_per_second": ours, "mj_step_per_second": bare, "share": share})
    return {"unit": "one control step, under random actions", "rows": rows}


def _contenders(domain: Domain) -> list[Contender]:
    env: Any = gym.make(domain.gym_id)
    actions = np.random.default_rng(0).uniform(-1, 1, (EPISODES, domain.horizon, env.action_space.shape[0]))
    starts, episodes = [], []
    for number, episode in enumerate(actions):  # a walker may fall before all actions are taken
        _reset(env, number)
        starts.append(env.unwrapped.state)
        length = 1 + next(i for i, action in enumerate(episode) if any(env.step(action)[2:4]))
        episodes.append(episode[:length])
    steps = sum(map(len, episodes))

    def through_gymnasium() -> None:
        for number, episode in enumerate(episodes):
            _reset(env, number)
            for action in episode:
                env.step(action)

    model = compile_model(domain)
    data = mujoco.MjData(model)

    def bare() -> None:
        control, skip = data.ctrl, domain.frame_skip
        for start, episode in zip(starts, episodes, strict=True):
            mujoco.mj_resetData(model, data)
            data.qpos[:], data.qvel[:] = start[: model.nq], start[model.nq :]
            for action in episode:
                control[:] = action
                mujoco.mj_step(model, data, skip)

    return [Contender("gymnasium", through_gymnasium, steps), Contender("mj_step", bare, steps)]


def _reset(env: gym.Env, number: int) -> None:
    """Start episode `number`: the first reset is seeded, later ones continue the draws, as in use."""
    env.reset(seed=None if number else 0)
