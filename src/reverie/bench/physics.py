"""How much of bare physics' speed is left when a domain is stepped through Gymnasium."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension module has no stubs.

import statistics
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from reverie.bench.measure import Contender, interleave, ratios
from reverie.core.errors import unknown
from reverie.domains import DOMAINS
from reverie.domains.plant import compile_model

EPISODES = 4  # of random actions in one round, with the very same starts and actions on both sides


def chosen(names: str) -> list[str]:
    """Return the domains that "all" or "reacher,peg" stands for.  Raises ConfigError for an unknown one."""
    if names == "all":
        return list(DOMAINS)
    for name in names.split(","):
        if name not in DOMAINS:
            raise unknown("domain", name, [*DOMAINS, "all"])
    return names.split(",")


def domains(names: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time a step of each domain through `gym.make`, and `mj_step` alone with the same frame skip, starts and actions."""
    rows = []
    for name in names:
        times = interleave([_through_gymnasium(name), _bare(name)], rounds)
        ours, bare = (1.0 / statistics.median(times[side]) for side in ("gymnasium", "mj_step"))
        share = ratios(times, "gymnasium")["mj_step"]
        rows.append({"name": name, "steps_per_second": ours, "mj_step_per_second": bare, "share": share})
    return {"unit": "one control step, under random actions", "rows": rows}


def _actions(name: str, size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (EPISODES, DOMAINS[name].horizon, size))


def _episodes(env: Any, actions: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
    """Return how each episode starts, and how many of the actions it takes: a walker falls sooner."""
    starts, lengths = [], []
    for number, episode in enumerate(actions):
        _reset(env, number)
        starts.append(env.unwrapped.state)
        lengths.append(1 + next(i for i, action in enumerate(episode) if any(env.step(action)[2:4])))
    return starts, lengths


def _reset(env: gym.Env, number: int) -> None:
    """Begin episode `number`: seeded once, then drawn on, as in use."""
    env.reset(seed=None if number else 0)


def _through_gymnasium(name: str) -> Contender:
    env: Any = gym.make(DOMAINS[name].gym_id)
    actions = _actions(name, env.action_space.shape[0])
    _, lengths = _episodes(env, actions)

    def run() -> None:
        for number, (episode, length) in enumerate(zip(actions, lengths, strict=True)):
            _reset(env, number)
            for action in episode[:length]:
                env.step(action)

    return Contender("gymnasium", run, sum(lengths))


def _bare(name: str) -> Contender:
    domain, model = DOMAINS[name], compile_model(DOMAINS[name])
    data, actions = mujoco.MjData(model), _actions(name, model.nu)
    starts, lengths = _episodes(gym.make(domain.gym_id), actions)

    def run() -> None:
        control, skip = data.ctrl, domain.frame_skip
        for start, episode, length in zip(starts, actions, lengths, strict=True):
            mujoco.mj_resetData(model, data)
            data.qpos[:], data.qvel[:] = start[: model.nq], start[model.nq :]
            for action in episode[:length]:
                control[:] = action
                mujoco.mj_step(model, data, skip)

    return Contender("mj_step", run, sum(lengths))
