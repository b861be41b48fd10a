"""How far do fits follow dynamics that vary with time, under each prior and strength?

One repetition draws a linear plant x' = F_t [x; u] + noise with four states and two actions, whose F_t changes smoothly and
strongly over an episode of 40 steps. Models are fitted to the last 3, 5, 10 and 20 of 20 episodes of noise. The error of
F_t is over all entries and steps, relative to that of F_t's mean over time, which is the best constant: from 1 on, a fit
knows nothing of how the plant varies.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.linalg import expm

from reverie.core.dynamics import Episode
from reverie.models.linear_gaussian import LinearGaussian
from studies.study import Row, Study
from studies.summaries import by_episodes, medians, where

STATES, ACTIONS, STEPS, HISTORY, REPETITIONS = 4, 2, 40, 20, 10
EPISODES = (3, 5, 10, 20)
NOISE, TURN = 0.02, 1.5  # σ of the plant's noise; rad by which its states are turned at most in a step
TASK = "linear plant"
COLUMNS = ("world", "model", "episodes", "error", "lower_quartile", "upper_quartile", "failed", "repetitions")


def plant(generator: np.random.Generator) -> np.ndarray:
    """Return F [T, n, n + m] of a stable plant that varies with time."""
    phase = 2 * np.pi * np.arange(STEPS)[:, None, None] / STEPS

    def wave(*shape: int) -> np.ndarray:
        return np.sin(phase + generator.uniform(0, 2 * np.pi, shape)) * generator.normal(0, 1, shape)

    root = wave(STATES, STATES)
    A = expm(TURN * (root - root.swapaxes(1, 2)) / 2)  # rotations, since their generators are skew-symmetric
    return np.concatenate([0.95 * A, wave(STATES, ACTIONS)], axis=2)


def drive(F: np.ndarray, generator: np.random.Generator) -> Episode:
    """Return an episode of random actions from a start near one point."""
    x = 1.0 + 0.3 * generator.standard_normal(STATES)
    states, actions = [x], generator.uniform(-1, 1, (STEPS, ACTIONS))
    for t, u in enumerate(actions):
        x = F[t] @ np.concatenate([x, u]) + NOISE * generator.standard_normal(STATES)
        states.append(x)
    return Episode(np.array(states), actions, np.zeros(STEPS))


def models() -> dict[str, LinearGaussian]:
    """Return what is compared, by name."""
    named = {f"{prior}, strength {strength:g}": LinearGaussian(prior=prior, prior_strength=strength)
             for prior in ("pooled", "mixture") for strength in (0.1, 1.0, 3.0, 10.0)}  # fmt: skip
    return (
        {"none": LinearGaussian(prior="pooled", prior_strength=1e-9)}
        | named
        | {"one for all steps": LinearGaussian(time_varying=False)}
    )


def repeat(seed: int) -> Iterator[tuple[str, int, float, bool]]:
    """Yield (model, episodes, error of F relative to the best constant's, failed) of one repetition."""
    generator = np.random.default_rng(seed)
    F = plant(generator)
    history = [drive(F, generator) for _ in range(HISTORY)]
    constant = np.linalg.norm(F - F.mean(0))
    for episodes in EPISODES:
        for name, model in models().items():
            fit = model.fit(history[-episodes:], history, None, seed)
            found = None if fit.dynamics is None else fit.dynamics.F[0]
            error = np.inf if found is None else float(np.linalg.norm(found - F) / constant)
            yield name, episodes, error, not fit.status.good


def _run(task: str) -> Iterator[Row]:
    """Yield the median over repetitions, and quartiles, for each model and number of episodes."""
    del task
    by_case: dict[tuple[str, int], list[tuple[float, bool]]] = {}
    for seed in range(REPETITIONS):
        for name, episodes, error, failed in repeat(seed):
            by_case.setdefault((name, episodes), []).append((error, failed))
    for (model, episodes), found in by_case.items():
        yield {"model": model, "episodes": episodes} | medians("error", found)


def _settings(stem: str) -> dict[str, Any]:
    del stem
    facts = {"states": STATES, "actions": ACTIONS, "steps": STEPS, "history": HISTORY, "repetitions": REPETITIONS}
    facts |= {"noise": NOISE, "turn": TURN}
    return facts | {"models": {name: repr(model) for name, model in models().items()}}


def _verdict(rows: list[Row]) -> Iterator[str]:
    yield f"Error of F over the best constant's, median of {REPETITIONS} plants, by episodes of the fit"
    for model in dict.fromkeys(row["model"] for row in rows):
        yield f"  {model:22} {by_episodes(where(rows, model=model), 'error')}"


STUDY = Study(
    name="varying",
    question="How far do fits follow dynamics that vary with time, under each prior and strength?",
    variants=tuple(models()),
    tasks=(TASK,),
    seeds=REPETITIONS,
    scored="errors of F_t, over that of the best constant, by episodes of the fit",
    minutes=1,
    quoted=("docs/imagination.md",),
    columns=COLUMNS,
    key=("world",),
    cells=((TASK,),),
    run=_run,
    settings=_settings,
    verdict=_verdict,
)
