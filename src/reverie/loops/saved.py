"""A policy read from a run directory, to act greedily and nothing else.  Takes no lock: the run may still be learning."""

import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reverie.core.errors import ConfigError, ReverieWarning, StorageError
from reverie.core.types import EnvSpec
from reverie.core.words import count
from reverie.environments.world import World, make_world
from reverie.loops import provenance
from reverie.loops import trust as trusted
from reverie.loops.evaluation import limit_for
from reverie.loops.facts import Facts
from reverie.loops.identity import require_same_run, require_same_world
from reverie.loops.sound import finite_actions
from reverie.loops.trainer import DREAMS
from reverie.storage import checkpoint
from reverie.storage.episodes import COLUMNS
from reverie.storage.journal import read_header
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec
from reverie.storage.tables import read_table


class SavedPolicy:
    """The greedy policy of a run's latest (or best) checkpoint.  Raises StorageError where there is none."""

    def __init__(self, path: str | Path, best: bool = False, *, trust: bool = False):
        self._run, self._trust = RunDirectory(path), trust
        self.written = (run := self._run).read_config()
        trusted.require(run, self.written, trust, env=False)
        self.config = provenance.algorithm_of(self.written, run)
        header = read_header(run.journal_file)
        self._spec_name = str(run.path)
        n, m = header.observation_dim, header.action_dim
        m = 0 if header.actions else m
        self.spec = EnvSpec(n, [-1.0] * m, [1.0] * m, actions=header.actions)  # a greedy policy knows of [-1, 1] alone
        agent = self.config.build(self.spec)
        like = jax.eval_shape(agent.init, jax.random.key(0))
        like = {"state": like, "memory": np.asarray(agent.begin(None, None))}
        arrays, facts = _read(run, like, best)
        require_same_run(run, self.written, facts)
        self._units: tuple[EnvSpec, EnvSpec] | None = None  # (the policy's, the world's) where their bounds differ
        self._agent, self._policy, self.step = agent, agent.policy(arrays["state"]), facts["steps"]

    def limit(self, world: World) -> int:
        """Return after how many steps a greedy episode of `world` is cut (`limit_for`)."""
        rows = read_table(file, COLUMNS) if exists(file := self._run.episodes_file) else []
        return limit_for(world, [row["length"] for row in rows], any(row["truncated"] for row in rows))

    def greedy(self, observation: np.ndarray) -> np.ndarray:
        """Return greedy actions [..., m] in [-1, 1] for observations [..., n].

        In a world of other bounds they mean what they meant, in the world's units, as far as its bounds reach.
        Raises DivergedError where one is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            actions = self._agent.greedy(self._policy, observation)
        finite = finite_actions(actions, self._spec_name, self.step, self._agent.feed)
        return finite if self._units is None else self._units[1].from_world(self._units[0].to_world(finite))

    def world(self, source: str | None = None, allow_new_bounds: bool = False, **options: Any) -> World:
        """Return the run's environment, or `source`; raises ConfigError where neither can be made, or it is another world."""
        if source is None:
            trusted.require(self._run, self.written, self._trust)
            source = self.written.env
        if source is None:
            raise ConfigError("this run has no environment of its own (ask and tell); give one with --env")
        world = make_world(source, **options)
        here, there = map(_sizes, (world.spec, self.spec))
        if here != there:
            raise ConfigError(f"{world.name} has {here}, this run's policy {there}")
        held = self.written.world or self.written.spec
        require_same_world(self._run.config_file, held, Spec.of(world.spec), allow_new_bounds)
        if held is not None and (held.action_low, held.action_high) != (
            list(world.spec.action_low),
            list(world.spec.action_high),
        ):
            self._units = held.value(), world.spec
        return world


def _read(run: RunDirectory, like: Any, best: bool) -> tuple[Any, dict[str, Any]]:
    """Return (arrays, facts) of the best or the latest checkpoint; of the previous where that is damaged or gone."""

    def load(file: Path) -> tuple[Any, dict[str, Any]]:
        return checkpoint.load(file, like, free=DREAMS, kind=Facts)

    file, hint = run.latest_file, "train on with --resume"
    if best:
        file, hint = run.best_file, "train with --evaluate-every"
        good = (load(file), None) if exists(file) else None
    else:
        good = checkpoint.newest_good(file, run.previous_file, load)
    if good is None:
        raise StorageError(f"{file} does not exist yet; {hint}")
    found, damage = good
    if damage is not None:
        warnings.warn(f"{damage}; {run.previous_file.name} acts instead", ReverieWarning, stacklevel=3)
    return found


def _sizes(spec: EnvSpec) -> str:
    actions = f"{count(spec.actions, 'discrete action')}" if spec.actions else count(spec.action_dim, "action")
    return f"{count(spec.observation_dim, 'observation')} and {actions}"
