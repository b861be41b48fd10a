"""A policy read from a run directory, for greedy actions only.  Takes no lock: the run may still be learning."""

import re
import shlex
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, ReverieWarning, StorageError
from reverie.core.limiter import Limiter
from reverie.core.words import count, listed
from reverie.environments.env_adapter import EnvAdapter
from reverie.environments.env_factory import make_env
from reverie.storage import checkpoint, limits_json
from reverie.storage.config import Config
from reverie.storage.episodes import COLUMNS
from reverie.storage.journal_format import read_header
from reverie.storage.reading import exists
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec
from reverie.storage.tables import table_at
from reverie.training import provenance
from reverie.training import trust as trusted
from reverie.training.checkpoint_facts import Facts
from reverie.training.evaluation import limit_for
from reverie.training.experience_source import SOURCE_PREFIX
from reverie.training.finite_checks import finite_actions
from reverie.training.resume_commands import resume_line
from reverie.training.run_identity import require_as_begun, require_same_env, require_same_run, warn_of_sensors


class SavedPolicy:
    """The greedy policy of a run's latest (or best) checkpoint.  Raises StorageError where there is none.

    path: the run directory, or `checkpoint/before-relearn-N` in it, which holds what was learnt before a relearning.
    best: take the best checkpoint.  trust: import what config.json names, though it was written elsewhere.
    """

    def __init__(self, path: str | Path, best: bool = False, *, trust: bool = False):
        self.run, number = _places(path)
        self._trust, run = trust, self.run
        held = run.read_config()
        self.written = held if number is None else _before(run, held, number)
        # The signature covers the present config, so only code that this config still names is known to be the user's
        # own.
        self._signed = held if set(self.written.code) <= set(held.code) else self.written
        trusted.require(run, self._signed, trust, env=False)
        self.config = provenance.algorithm_of(self.written, run)
        header = read_header(run.journal_file)
        require_as_begun(run, held, header)
        self._spec_name = str(run.path)
        n, m = header.observation_dim, header.action_dim
        m = 0 if header.actions else m
        self.spec = EnvSpec(n, [-1.0] * m, [1.0] * m, actions=header.actions)  # a greedy policy works in [-1, 1]
        agent = self.config.build(self.spec)
        like = jax.eval_shape(agent.init, jax.random.key(0))
        like = {"state": like, "memory": np.asarray(agent.begin(None, None))}
        arrays, facts = _read(run, held, number, like, best)
        require_same_run(run, self.written, facts)
        # (the policy's, the environment's) where their bounds differ
        self._units: tuple[EnvSpec, EnvSpec] | None = None
        self._agent, self._policy, self.step = agent, agent.policy(arrays["state"]), facts["steps"]

    def network(self, observation: Any) -> Any:
        """Return greedy actions [..., m] in [-1, 1], as `greedy` does, of arrays that JAX may trace."""
        return self._agent.greedy(self._policy, observation)

    def limiter(self, spec: EnvSpec) -> Limiter:
        """Return what holds the actions sent to an environment within the limits of the run.

        spec: of the environment.  Raises ConfigError where the limits do not fit it.
        """
        return Limiter(spec, limits_json.read(self.written, self.run))

    def limit(self, env: EnvAdapter) -> int:
        """Return the number of steps after which a greedy episode of `env` is cut (`limit_for`)."""
        rows = table_at(self.run.episodes_file, COLUMNS)
        return limit_for(env, [row["length"] for row in rows], any(row["truncated"] for row in rows))

    def greedy(self, observation: np.ndarray) -> np.ndarray:
        """Return greedy actions [..., m] in [-1, 1] for observations [..., n].

        In an environment with other bounds, they keep their meaning in the environment's units, clipped to its bounds.
        Raises DivergedError where one is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            actions = self._agent.greedy(self._policy, observation)
        finite = finite_actions(actions, self._spec_name, self.step, self._agent.requirements)
        return finite if self._units is None else self._units[1].from_world(self._units[0].to_world(finite))

    def env(self, source: str | None = None, allow_new_bounds: bool = False, **options: Any) -> EnvAdapter:
        """Return the run's environment, or one made from `source`.

        Raises ConfigError where neither can be made, or where it does not match the run.
        """
        if source is None:
            trusted.require(self.run, self._signed, self._trust)
            source = self.written.env
        if source is None:
            raise ConfigError("this run has no environment of its own (ask and tell); give one with --env")
        env = make_env(source, **options)
        here, there = map(_sizes, (env.spec, self.spec))
        if here != there:
            raise ConfigError(f"{env.name} has {here}, but this run's policy has {there}")
        held = self.written.env_spec
        require_same_env(self.run.config_file, held, Spec.of(env.spec), allow_new_bounds)
        warn_of_sensors(self.run.config_file, held, Spec.of(env.spec))
        if held is not None and (held.action_low, held.action_high) != (
            list(env.spec.action_low),
            list(env.spec.action_high),
        ):
            self._units = held.value(), env.spec
        return env


def _places(path: str | Path) -> tuple[RunDirectory, int | None]:
    """Return the run of `path`, and N where `path` is a `before-relearn-N` folder in it."""
    run = RunDirectory(path)
    number = re.fullmatch(r"before-relearn-(\d{1,9})", run.path.name)
    if number is None or run.holds_run or run.path.parent.name != "checkpoint":
        return run, None
    return RunDirectory(run.path.parent.parent), int(number[1])


def _before(run: RunDirectory, held: Config, number: int) -> Config:
    relearnt = [n for n in range(1, len(held.history)) if held.history[n].learnt_from == 0]
    if number not in relearnt:
        names = listed(run.set_aside(n).name for n in relearnt)
        there = (
            f"the run has {names}; give one that it has, or" if names else "its journal was never learnt again; give"
        )
        raise StorageError(f"there is no {run.set_aside(number)}: {there} {run.path} itself")
    try:
        return held.before(number)
    except ValueError as error:
        raise StorageError(f"{run.set_aside(number)} does not fit {run.config_file}: {error}") from None


def _read(run: RunDirectory, held: Config, number: int | None, like: Any, best: bool) -> tuple[Any, dict[str, Any]]:
    """Return (arrays, facts) of the best or latest checkpoint; of the previous one if the latest is damaged or gone."""

    def load(file: Path) -> tuple[Any, dict[str, Any]]:
        return checkpoint.load(file, like, free=SOURCE_PREFIX, kind=Facts)

    for folder in _folders(run, held, number):
        latest, previous = folder / run.latest_file.name, folder / run.previous_file.name
        if best:
            file = folder / run.best_file.name
            good = (load(file), None) if exists(file) else None
        else:
            good = checkpoint.newest_good(latest, previous, load)
        if good is not None:
            found, damage = good
            if damage is not None:
                warnings.warn(f"{damage}; {previous.name} is used instead", ReverieWarning, stacklevel=3)
            return found
    raise StorageError(_none(run, held, number, best))


def _folders(run: RunDirectory, held: Config, number: int | None) -> list[Path]:
    """Return the folders that may hold a policy; during an unfinished change, checkpoints are not yet set aside."""
    aside, here = [] if number is None else [run.set_aside(number)], [run.latest_file.parent]
    if held.moving:
        return aside + (here if number == held.moving else [])
    return aside or here


def _none(run: RunDirectory, held: Config, number: int | None, best: bool) -> str:
    """Return the sentence for a missing checkpoint, with what to do."""
    if number is not None:
        return f"{run.set_aside(number)} holds no {'best' if best else 'latest'} policy; give {run.path} itself"
    file = run.best_file if best else run.latest_file
    hint = "train with --evaluate-every" if best else f"continue the run: {resume_line(held, run.path)}"
    older = [n for n in range(1, len(held.history)) if any(map(exists, _checkpoints(run, held, n, best)))]
    if older:
        hint += f"; to see what was learnt before: reverie evaluate {shlex.quote(str(run.set_aside(older[-1])))}"
    return f"{file} does not exist yet; {hint}"


def _checkpoints(run: RunDirectory, held: Config, number: int, best: bool) -> list[Path]:
    names = [run.best_file.name] if best else [run.latest_file.name, run.previous_file.name]
    return [folder / name for folder in _folders(run, held, number) for name in names]


def _sizes(spec: EnvSpec) -> str:
    actions = f"{count(spec.actions, 'discrete action')}" if spec.actions else count(spec.action_dim, "action")
    return f"{count(spec.observation_dim, 'observation')} and {actions}"
