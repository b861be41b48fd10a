"""How long cells will take, before they have run."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from reverie.domains import DOMAINS
from reverie.environments.env_factory import make_env
from reverie.experiments.execution.results_store import Key
from reverie.experiments.execution.worker import agent_of
from reverie.experiments.spec.declaration import RANDOM, RunSpec
from reverie.imagination.settings import Imagination

# Of one thread of the machine that this was written on: three networks forth and back, all the rest of an update, a step of
# the environment and of acting, a step of model predictive control.
FLOPS, UPDATE, STEP, MPC = 1e11, 2e-4, 4e-4, 0.06


def estimates(cells: Iterable[RunSpec], known: dict[Key, dict[str, Any]], begun: Mapping[Key, int]) -> dict[Key, float]:
    """Return seconds by cell: as other seeds of the same took here (`known`: rows of cells.csv), else roughly.

    begun: episodes that a cell has behind it.
    """
    seconds_per_episode: dict[tuple[str, str], list[float]] = {}
    for (domain, variant, _), row in known.items():
        if row["episodes"]:
            seconds_per_episode.setdefault((domain, variant), []).append(row["seconds"] / row["episodes"])
    estimated: dict[tuple[str, str], float] = {}
    found = {}
    for cell in cells:
        pair = cell.key[:2]
        if pair not in seconds_per_episode and pair not in estimated:
            estimated[pair] = _seconds_an_episode(cell)
        an_episode = float(np.mean(seconds_per_episode[pair])) if pair in seconds_per_episode else estimated[pair]
        found[cell.key] = (cell.episodes - begun.get(cell.key, 0)) * an_episode
    return found


def _seconds_an_episode(cell: RunSpec) -> float:
    horizon = DOMAINS[cell.domain].horizon
    if cell.variant.agent == RANDOM:
        return horizon * STEP
    agent: Any = agent_of(cell.variant, cell.domain, cell.length)
    updates, driven = 1.0, 0.0
    if isinstance(agent, Imagination):
        updates += agent.minibatches or agent.rollout_length
        driven = (1 - agent.mixture) if agent.plan == "mpc" else 0.0
        agent = agent.agent
    env = make_env(cell.domain)
    sizes = [env.spec.observation_dim, *agent.hidden, env.spec.action_dim]
    env.close()
    weights = sum(a * b for a, b in itertools.pairwise(sizes))
    an_update = UPDATE + 3 * 6 * weights * agent.batch_size / FLOPS
    return horizon * (STEP + agent.updates_per_step * updates * an_update + driven * MPC)
