"""Is Q(x, ·) what NAF can say, a quadratic that opens downwards?

DDPG, whose critic may have any shape, learns first.  Then, at states along greedy episodes and for each actuator alone, exact
physics tells what an action is worth: its reward and what the policy earns from there on, discounted.  NAF's form is
c - p (u - m)² with p ≥ 0 and m in [-1, 1].  `explained` is the share of Q's variance over [-1, 1] that the best of these has,
`lost` how much of the span of Q its peak leaves, `convex` whether the best parabola opens upwards.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

import reverie as rv
from reverie.domains import DOMAINS, batched
from reverie.environments.env_factory import make_env
from reverie.environments.simulator import DomainSimulator
from studies.study import Row, Study
from studies.summaries import where

EPISODES = {"cartpole": 150}  # of learning
STARTS, EVERY = (12345, 12346, 12347, 12348), 8  # of greedy episodes; steps between states
GRID = np.linspace(-1.0, 1.0, 21)
WELL = 0.9  # of the variance: a parabola that explains less is called poor
COLUMNS = ("domain", "start", "step", "actuator", "span", "explained", "lost", "convex")


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


def run(domain: str) -> Iterator[Row]:
    """Learn, then yield a row for each probe: a start, a step and an actuator."""
    agent = rv.DDPG.paper(domain, discount=0.99)
    with rv.Learner(agent, domain, seed=0) as learner:
        learner.learn(episodes=EPISODES[domain])
        env = make_env(domain)
        inner: Any = env.env.unwrapped

        def policy(observation: np.ndarray) -> np.ndarray:
            return env.spec.from_world(learner.predict(np.float32(observation))).astype(float)

        for start in STARTS:
            states = _greedy_states(env, learner, start)
            simulator = DomainSimulator(DOMAINS[domain], inner.target)
            for step in range(0, len(states) - 1, EVERY):
                x, left = states[step], len(states) - 1 - step
                mean = policy(batched.observe(simulator.domain, x, simulator.target))
                for actuator in range(len(mean)):
                    tries = np.tile(mean, (len(GRID), 1))
                    tries[:, actuator] = GRID
                    values = np.array([value(simulator, policy, x, u, left, agent.discount_factor) for u in tries])
                    explained, lost, convex = fitted(values)
                    row = {"start": start, "step": step, "actuator": actuator, "span": round(float(np.ptp(values)), 6)}
                    yield row | {"explained": explained, "lost": lost, "convex": str(convex)}
        env.close()


def _greedy_states(env: Any, learner: rv.Learner, start: int) -> list[np.ndarray]:
    """Return the states of a greedy episode, the first and the last among them."""
    inner = env.env.unwrapped
    observation, _ = env.env.reset(seed=start)
    states, ended = [inner.state.copy()], False
    while not ended:
        observation, _, died, cut, _ = env.env.step(learner.predict(observation))
        states.append(inner.state.copy())
        ended = died or cut
    return states


def _verdict(rows: list[Row]) -> Iterator[str]:
    for domain in EPISODES:
        mine = where(rows, domain=domain)
        explained, lost = (np.array([row[column] for row in mine]) for column in ("explained", "lost"))
        convex = np.mean([row["convex"] == "True" for row in mine])
        yield (
            f"{domain}, DDPG of seed 0 after {EPISODES[domain]} episodes: {len(mine)} probes; explained "
            f"{np.median(explained):.2f} (median), under {WELL:g} at {np.mean(explained < WELL):.0%}; convex at {convex:.0%}; "
            f"lost {np.mean(lost):.1%} of the span on the mean"
        )


STUDY = Study(
    name="shape",
    question="Is Q(x, ·) a quadratic that opens downwards, the only form that NAF can represent?",
    variants=("ddpg",),
    tasks=tuple(EPISODES),
    seeds=1,
    scored="how well a parabola explains Q over one actuator, at states of greedy episodes",
    minutes=2,
    quoted=("docs/naf.md",),
    columns=COLUMNS,
    key=("domain",),
    cells=tuple((domain,) for domain in EPISODES),
    run=run,
    verdict=_verdict,
)
