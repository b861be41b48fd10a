"""Is Q(x, ·) what NAF can say, a quadratic that opens downwards?  `python results/shape.py [DOMAIN …]` fills `shape.csv`.

DDPG, whose critic may have any shape, learns first.  Then, at states along greedy episodes and for each actuator alone, exact
physics tells what an action is worth: its reward and what the policy earns from there on, discounted.  NAF's form is
c - p (u - m)² with p ≥ 0 and m in [-1, 1]; `explained` is the share of Q's variance over [-1, 1] that the best of these has,
`lost` how much of the span of Q its peak leaves, `convex` whether the best parabola opens upwards.
A row per domain, start, step and actuator; printed are medians and shares.  Two minutes.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

import reverie as rv
from reverie.domains import DOMAINS, batched
from reverie.environments.env_adapter import make_env
from reverie.environments.simulator import DomainSimulator
from reverie.storage.tables import read_rows, table_of

FILE = Path(__file__).parent / "shape.csv"
COLUMNS: tuple[str, ...] = ("domain", "start", "step", "actuator", "span", "explained", "lost", "convex")
EPISODES = {"cartpole": 150}  # of learning
STARTS, EVERY = (12345, 12346, 12347, 12348), 8  # of greedy episodes; steps between states
GRID = np.linspace(-1.0, 1.0, 21)


def value(simulator: DomainSimulator, policy: Any, x: np.ndarray, u: np.ndarray, steps: int, discount: float) -> float:
    """Return what u is worth at x: the discounted rewards of an episode that has so many steps left."""
    simulator.begin(x)
    states, actions = [x], []
    for _ in range(steps):
        actions.append(u)
        states.append(simulator.advance(u).copy())
        u = policy(batched.observe(simulator.domain, states[-1], simulator.target))
    rewards, _ = simulator.scores(np.array(states), np.array(actions))
    return float(discount ** np.arange(steps) @ rewards)


def fitted(values: np.ndarray) -> tuple[float, float, bool]:
    """Return `explained`, `lost` and `convex` of values on GRID."""
    spread = float(((values - values.mean()) ** 2).sum())
    best, at = spread, int(np.argmin(np.abs(GRID)))
    for place, m in enumerate(GRID):
        arch = -((GRID - m) ** 2)
        arch -= arch.mean()
        p = max(0.0, float(arch @ values / (arch @ arch)))
        if (left := float(((values - values.mean() - p * arch) ** 2).sum())) < best:
            best, at = left, place
    lost = float((values.max() - values[at]) / np.ptp(values))
    return 1 - best / spread, lost, bool(np.polyfit(GRID, values, 2)[0] > 0)


def measured(name: str) -> list[dict[str, Any]]:
    """Learn, then return a row for each probe."""
    agent, rows = rv.DDPG.paper(name, discount=0.99), []
    with rv.Learner(agent, name, seed=0) as learner:
        learner.learn(episodes=EPISODES[name])
        world = make_env(name)
        env: Any = world.env.unwrapped

        def policy(observation: np.ndarray) -> np.ndarray:
            return world.spec.from_world(learner.predict(np.float32(observation))).astype(float)

        for start in STARTS:
            observation, _ = world.env.reset(seed=start)
            simulator = DomainSimulator(DOMAINS[name], env.target)
            states, ended = [env.state.copy()], False
            while not ended:
                observation, _, died, cut, _ = world.env.step(learner.predict(observation))
                states.append(env.state.copy())
                ended = died or cut
            for step in range(0, len(states) - 1, EVERY):
                x, left = states[step], len(states) - 1 - step
                mean = policy(batched.observe(simulator.domain, x, simulator.target))
                for actuator in range(len(mean)):
                    tries = np.tile(mean, (len(GRID), 1))
                    tries[:, actuator] = GRID
                    values = np.array([value(simulator, policy, x, u, left, agent.discount) for u in tries])
                    found = round(float(np.ptp(values)), 6), *fitted(values)
                    rows.append(dict(zip(COLUMNS, (name, start, step, actuator, *found), strict=True)))
        world.close()
    return rows


def main(names: list[str]) -> None:
    """Measure, write, print."""
    old = read_rows(FILE) if FILE.exists() else []
    for name in names or EPISODES:
        rows = measured(name)
        old = [row for row in old if row["domain"] != name] + rows
        explained, lost = (np.array([row[column] for row in rows]) for column in ("explained", "lost"))
        print(
            f"{name}: {len(rows)} probes; explained {np.median(explained):.2f} (median), under .9 at "
            f"{np.mean(explained < 0.9):.0%}; convex at {np.mean([row['convex'] for row in rows]):.0%}; "
            f"lost {np.mean(lost):.1%} of the span on the mean",
            flush=True,
        )
        FILE.write_bytes(table_of(COLUMNS, old))


if __name__ == "__main__":
    main(sys.argv[1:])
