"""Do logs of a poor controller save real steps, and what do logs of another machine setting do?

The machine is the beam line of `studies/steering.py`.  The log is of a controller that multiplies the monitors' readings by
the inverse of a wrong response matrix (each entry of the right one times a random factor), with a small gain and some noise;
each seed has another log.  NAF learns beside it with default settings of the log, or with one of them changed.

A cell tests the greedy policy before the first real step and after every 30, over 20 episodes without noise.
"""

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import reverie as rv
from studies.steering import MONITORS, NEAR, STEP, STEPS, Steering, make_env, response
from studies.study import Row, Study, product
from studies.summaries import difference, finite, in_words, reached, where

TASK, SEEDS, EVERY, TESTED = "steering", 10, 30, 20
LAST, COMPARED = (
    1200,
    450,
)  # real steps at most; and after which all are compared, where a log's cell ends if it was good
GOOD = -3.0  # a return that the machine can be run with; idle is at about -28
GAIN, WRONG, SHAKE = 0.3, 0.5, 0.1  # of the poor controller: gain, spread of its matrix's factors, noise in amperes
AGENT = rv.NAF(hidden=(64, 64), discount=0.9, reward_scale=0.1)
SHORT = rv.NAF(hidden=(64, 64), discount=0.9, reward_scale=0.1, warmup_steps=50)
# Other ways for the logged share to change with the real steps.  "to 0": after as many as 200 logged transitions.
SHARES = {
    "fixed": lambda steps: 0.5 if steps else 1.0,
    "to 0": lambda steps: 0.5 * max(0.0, 1 - steps / 200) if steps else 1.0,
}
# by variant: the machine setting of the log, its transitions, and what differs from the defaults
VARIANTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "no log": ("", 0, {}),
    "no log, warm-up 50": ("", 0, {"agent": SHORT}),
    "log 200": ("today", 200, {}),
    "log 1000": ("today", 1000, {}),
    "log 200, no pretraining": ("today", 200, {"pretrain_updates": 0}),
    "log 200, warm-up 50": ("today", 200, {"warmup": 50}),
    "other optics 200": ("other optics", 200, {}),
    "reversed 200": ("reversed", 200, {}),
    "reversed 1000": ("reversed", 1000, {}),
    "reversed 1000, share fixed": ("reversed", 1000, {"share": "fixed"}),
    "log 200, share to 0": ("today", 200, {"share": "to 0"}),
    "reversed 200, share to 0": ("reversed", 200, {"share": "to 0"}),
}


def write_log(path: Path, setting: str, transitions: int, seed: int) -> None:
    """Write the log of a poor controller on a setting of the machine."""
    env, generator = Steering(setting), np.random.default_rng([seed, 1])
    inverse = np.linalg.pinv(response(setting) * (1 + WRONG * generator.standard_normal((MONITORS, MONITORS))))
    rows: list[list[float]] = []
    while len(rows) < transitions:
        observation, _ = env.reset(seed=int(generator.integers(2**31)))
        episode = len(rows) // STEPS + 1
        for t in range(min(STEPS, transitions - len(rows))):
            shake = SHAKE * generator.standard_normal(MONITORS)
            action = np.clip(shake - GAIN * inverse @ observation[:MONITORS], -STEP, STEP)
            after, reward, *_ = env.step(action)
            last = t == STEPS - 1 or len(rows) == transitions - 1
            rows.append([len(rows) + 1, episode, *observation, *action, reward, 0, int(last), *after])
            observation = after
    seen = [f"observation[{i}]" for i in range(2 * MONITORS)]
    sent = [f"action[{i}]" for i in range(MONITORS)]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["step", "episode", *seen, *sent, "reward", "terminated", "truncated", *(f"next {n}" for n in seen)]
        )
        writer.writerows(rows)


def _score(learner: rv.Learner) -> dict[str, float]:
    """Return the greedy policy's mean return and share of successes over episodes without noise."""
    env, returns, successes = Steering(noise=0.0), 0.0, 0
    for number in range(TESTED):
        observation, _ = env.reset(seed=12345 + number)
        for _ in range(STEPS):
            observation, reward, *_ = env.step(learner.predict(observation))
            returns += reward
        successes += env.rms < NEAR
    return {"return_mean": round(returns / TESTED, 3), "success": successes / TESTED}


def _run(task: str, variant: str, seed: int) -> Iterator[Row]:
    del task
    setting, transitions, changes = VARIANTS[variant]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        named: dict[str, Any] = {"env": make_env, "seed": seed}
        if transitions:
            write_log(path, setting, transitions, seed)
            named |= {"experience": path, "pretrain_updates": changes.get("pretrain_updates")}
        with rv.Learner(changes.get("agent", AGENT), **named) as learner:
            if "warmup" in changes:  # beside a log there is none otherwise
                learner.trainer.warmup_steps = changes["warmup"]
            if (logged := learner.trainer.logged) is not None and "share" in changes:
                logged.share = SHARES[changes["share"]]
            learner.pretrain()
            scored = _score(learner)
            yield {"step": 0, **scored}
            best = scored["return_mean"]
            while learner.steps < (COMPARED if transitions and best >= GOOD else LAST):
                learner.learn(EVERY)
                scored = _score(learner)
                yield {"step": learner.steps, **scored}
                best = max(best, scored["return_mean"])


def _steps_needed(rows: list[Row], variant: str) -> dict[int, float]:
    """Return by seed the first tested step at which the return is good; the last one plus one test where none is."""
    found: dict[int, float] = {}
    for seed in sorted({row["seed"] for row in where(rows, variant=variant)}):
        curve = {row["step"]: row["return_mean"] for row in where(rows, variant=variant, seed=seed)}
        found[seed] = min(reached(curve, GOOD), float(LAST + EVERY))
    return found


def _facts(rows: list[Row]) -> dict[str, Any]:
    """Return, per variant, the real steps needed, and how many more those are than without a log, seed by seed."""
    plain, facts = _steps_needed(rows, "no log"), dict[str, Any]()
    for variant in VARIANTS:
        if not (needed := _steps_needed(rows, variant)):
            continue
        ends = where(rows, variant=variant, step=COMPARED)
        found = facts[variant] = {
            "seeds": len(needed),
            "steps": list(needed.values()),
            "steps_median": float(np.median(list(needed.values()))),
            f"return_{COMPARED}": round(float(np.mean([row["return_mean"] for row in ends])), 2) if ends else None,
            f"success_{COMPARED}": round(float(np.mean([row["success"] for row in ends])), 3) if ends else None,
        }
        if variant != "no log" and (both := sorted(set(needed) & set(plain))):
            found["steps_minus_no_log"] = difference([needed[seed] - plain[seed] for seed in both])
    return finite(facts)


def _verdict(rows: list[Row]) -> Iterator[str]:
    yield f"real steps until the greedy return is {GOOD:g}, at most {LAST + EVERY}; and what is scored after {COMPARED}"
    for variant, of in _facts(rows).items():
        line = f"{variant:28} median {of['steps_median']:g}, {of['seeds']} seeds"
        if "steps_minus_no_log" in of:
            line += f"; {in_words(of['steps_minus_no_log'])} steps more than without a log"
        yield f"{line}; return {of[f'return_{COMPARED}']}, success {of[f'success_{COMPARED}']}"


STUDY = Study(
    name="logs",
    question="Do logs of a poor controller save real steps, and what do logs of another machine setting do?",
    variants=tuple(VARIANTS),
    tasks=(TASK,),
    seeds=SEEDS,
    scored=f"greedy return and success over {TESTED} episodes without noise, every {EVERY} real steps",
    minutes=25,
    quoted=("docs/how-to/logs.md",),
    columns=("task", "variant", "seed", "step", "return_mean", "success"),
    key=("task", "variant", "seed"),
    cells=product((TASK,), VARIANTS, SEEDS),
    run=_run,
    facts=_facts,
    settings=lambda stem: {"agent": repr(AGENT), "good": GOOD},
    verdict=_verdict,
)
