"""One cell at work, in this process: a contender learns, and its greedy policy is scored now and then.

`python -m reverie.experiments.execution.worker FOLDER` takes up the cell that FOLDER/cell.json describes and says on
stdout how it goes, a JSON object to a line.  A cell that was killed continues from its last score, and ends with the
numbers of one that was not: what came after that score is lived again.
"""

import contextlib
import functools
import json
import math
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.core.agent import Algorithm
from reverie.core.errors import ConfigError, DivergedError, unknown
from reverie.core.seeds import NOISE, seed_of
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import make_env
from reverie.experiments.execution.results_store import SCORE, RunResult
from reverie.experiments.execution.worker_process import serve
from reverie.experiments.spec.declaration import RANDOM, REST_SPEED, TEST_EPISODES, TEST_SEED, RunSpec, Variant
from reverie.models import MODELS
from reverie.report.film import record
from reverie.storage.files import make_folder, write_whole
from reverie.storage.reading import exists, read_json, read_whole
from reverie.storage.tables import Table, number, read_table, table_at
from reverie.training.evaluation import play
from reverie.training.provenance import machine, versions

COLUMNS = SCORE | {"seconds": number}  # of the scores.csv of a cell under way
FILM, FILM_SECONDS, FILM_SEED = "film.mp4", 12.0, 0  # of the cell with this seed
AFRESH = "delete the cell's folder to start it again"
REST = 0.1  # the last share of an episode's time limit, in which an arm should have come to rest

Greedy = Callable[[np.ndarray], np.ndarray]


class _Variant(msgspec.Struct, forbid_unknown_fields=True):
    """A `Variant` in cell.json."""

    name: str
    text: str
    agent: str
    settings: dict[str, Any]
    model: str
    model_settings: dict[str, Any]
    as_paper: bool
    imagination: dict[str, Any]


class _Cell(msgspec.Struct, forbid_unknown_fields=True):
    """A `Cell` in cell.json."""

    domain: str
    variant: _Variant
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    episodes: Annotated[int, msgspec.Meta(ge=1)]
    every: Annotated[int, msgspec.Meta(ge=1)]
    length: Annotated[int, msgspec.Meta(ge=0)]


class Score(NamedTuple):
    """What a policy is worth: returns of its test episodes, and whether things still move at their end."""

    mean: float
    std: float
    rest_speed: float  # root mean square of the generalised velocities (rad/s, m/s) of all episodes together
    still: float  # share of episodes that end at rest


def agent_of(variant: Variant, domain: str, length: int) -> Algorithm:
    """Return the settings of a contender that learns.  length: l of its rollouts."""
    if variant.agent not in ALGORITHMS:
        raise unknown("agent", variant.agent, ALGORITHMS)
    if variant.model and variant.model not in MODELS:
        raise unknown("model", variant.model, MODELS)
    try:
        agent = ALGORITHMS[variant.agent].paper(domain, **variant.settings)
        if not variant.model:
            return agent
        model = MODELS[variant.model](**variant.model_settings)
        settings: dict[str, Any] = {"rollout_length": length, **variant.imagination}
        imagined = rv.Imagination.paper if variant.as_paper else rv.Imagination
        return imagined(agent, model, **settings)
    except ConfigError as error:
        raise ConfigError(f"{domain}/{variant.name}: {error}") from None


def learn(cell: RunSpec, folder: Path, on_row: Callable[[dict[str, Any]], None]) -> None:
    """Fill FOLDER/scores.csv, and film the final policy of seed `FILM_SEED`.

    on_row: called with each new row of it.  Raises ReverieError where the cell cannot be run.
    """
    env = make_env(cell.domain)
    scores = _Scores(folder / "scores.csv", cell, on_row)
    try:
        if cell.variant.agent == RANDOM:
            _act_at_random(cell, env, scores)
            return
        with _open(cell, folder / "run", scores) as learner:
            _learn(learner, env, scores)
            if cell.seed == FILM_SEED:
                _film(learner, cell.domain, folder / FILM)
    finally:
        env.close()


class _Scores:
    """scores.csv as it grows, and the time that went into it."""

    def __init__(self, path: Path, cell: RunSpec, on_row: Callable[[dict[str, Any]], None]):
        self._table, self._cell, self._on_row = Table(path, COLUMNS), cell, on_row
        self._rows = read_table(path, COLUMNS, remedy=AFRESH)
        self._began = time.monotonic()
        self._before = self._rows[-1]["seconds"] if self._rows else 0.0

    def keep(self, episodes: int) -> None:
        """Forget what a learner who stands at `episodes` has still to live."""
        self._rows = [row for row in self._rows if row["episode"] <= episodes]
        self._table.replace(self._rows)

    def next_episode(self) -> int | None:
        """Return the episode after which the next score is due; None where all are there."""
        done = self._rows[-1]["episode"] if self._rows else 0
        return min(done + self._cell.every, self._cell.episodes) if done < self._cell.episodes else None

    def add(self, step: int, score: Score) -> None:
        """Add the score that is due."""
        seconds = round(self._before + time.monotonic() - self._began, 1)
        values = (self.next_episode(), step, *(float(f"{value:.6g}") for value in score), seconds)
        row: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
        self._table.append(row, durable=True)
        self._rows.append(row)
        self._on_row(row)


def _open(cell: RunSpec, run: Path, scores: _Scores) -> rv.Learner:
    """Return the cell's learner as its last save left it, or a new one where that is past a score that was lost."""
    if any(exists(run / "checkpoint" / f"{name}.safetensors") for name in ("latest", "previous")):
        learner = rv.Learner.load(run, go_back=True)
        due = scores.next_episode()
        if due is None or learner.episodes <= due:
            return learner
        learner.close()
    shutil.rmtree(run, ignore_errors=True)
    agent = agent_of(cell.variant, cell.domain, cell.length)
    return rv.Learner(agent, cell.domain, seed=cell.seed, out=run, timed_checkpoints=False)


def _greedy(learner: rv.Learner) -> Greedy:
    """Return the learner's policy, which continues as it learns."""
    return lambda observation: learner.spec.from_world(learner.predict(observation))


def _learn(learner: rv.Learner, env: EnvAdapter, scores: _Scores) -> None:
    scores.keep(learner.episodes)
    while (due := scores.next_episode()) is not None:
        try:
            learner.learn(episodes=due - learner.episodes)  # none where it was killed between saving and scoring
            score = scored(_greedy(learner), env)
        except DivergedError:  # a result like any other: the lowest there is, from here to the end
            while scores.next_episode() is not None:
                scores.add(learner.steps, Score(-math.inf, 0.0, math.nan, 0.0))
            return
        scores.add(learner.steps, score)


def _act_at_random(cell: RunSpec, env: EnvAdapter, scores: _Scores) -> None:
    generator = np.random.default_rng(seed_of(cell.seed, NOISE))
    score = scored(lambda observation: generator.uniform(-1, 1, env.spec.action_dim), env)
    scores.keep(0)
    while scores.next_episode() is not None:
        scores.add(0, score)


def scored(greedy: Greedy, env: EnvAdapter) -> Score:
    """Return what a policy, observation [n] -> action [m] in [-1, 1], is worth on a domain."""
    inner: Any = env.env.unwrapped
    resting = (1 - REST) * inner.horizon
    returns: list[float] = []
    squares: list[list[float]] = [[] for _ in range(TEST_EPISODES)]

    def watch(step: int) -> None:
        if step > resting:
            squares[len(returns)].append(float(np.mean(inner.state[-inner.model.nv :] ** 2)))

    for episode in range(TEST_EPISODES):
        returns.append(play(greedy, env, TEST_SEED, episode, watch).total)
    ends = [own for own in squares if own]  # an episode may end before
    rest_speed = math.sqrt(np.mean(np.concatenate(ends))) if ends else math.nan
    still = sum(np.mean(own) < REST_SPEED**2 for own in ends) / TEST_EPISODES
    return Score(float(np.mean(returns)), float(np.std(returns)), rest_speed, still)


def _film(learner: rv.Learner, domain: str, output: Path) -> None:
    """Film the policy, where this machine can."""
    with contextlib.suppress(ConfigError):  # the packages that films need are an extra
        record(_greedy(learner), functools.partial(make_env, domain), output, TEST_SEED, FILM_SECONDS)


def write(cell: RunSpec, folder: Path) -> None:
    """Describe the cell in FOLDER/cell.json."""
    make_folder(folder)
    facts = cell._asdict() | {"variant": cell.variant._asdict()}
    write_whole(folder / "cell.json", json.dumps(facts).encode())


def read(folder: Path) -> RunSpec:
    """Return the cell that FOLDER/cell.json describes."""
    found = read_json(folder / "cell.json", _Cell, AFRESH)
    variant = Variant(**msgspec.structs.asdict(found.variant))
    return RunSpec(found.domain, variant, found.seed, found.episodes, found.every, found.length)


def episodes_done(folder: Path) -> int:
    """Return how many episodes the cell in a folder has behind it, as its last score says."""
    rows = _kept(folder)
    return rows[-1]["episode"] if rows else 0


def _kept(folder: Path) -> list[dict[str, Any]]:
    """Return the scores that a cell left in its folder."""
    scores = folder / "scores.csv"
    return table_at(scores, COLUMNS, AFRESH)


def collect(folder: Path, error: str) -> RunResult:
    """Return what a cell left in its folder.  error: what ended it early, or ""."""
    film = folder / FILM
    found = versions()
    software = ", ".join(f"{name} {found[name]}" for name in ("reverie", "jax", "mujoco", "numpy", "python"))
    return RunResult(_kept(folder), read_whole(film) if exists(film) else None, error, software, machine())


def packed(result: RunResult, folder: Path) -> RunResult:
    """Return the result, which holds all that is kept."""
    del folder
    return result


def lost(error: str) -> RunResult:
    """Return the result of a cell that left nothing."""
    return RunResult([], error=error)


if __name__ == "__main__":
    sys.exit(serve(lambda folder, on_row: learn(read(folder), folder, on_row)))
