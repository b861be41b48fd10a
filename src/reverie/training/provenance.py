"""What decides a run, written to config.json and read back."""

import contextlib
import importlib.metadata
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from reverie.core.agent import Algorithm
from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError, SpaceError, StorageError, with_advice
from reverie.core.machine_limits import Limits
from reverie.core.words import count
from reverie.environments.env_factory import EnvSource, describe
from reverie.storage import limits_json
from reverie.storage.config import FORMAT, RESTORE, Config
from reverie.storage.run import RunDirectory
from reverie.storage.spec import Spec
from reverie.training import agent_config, trust
from reverie.training.clock import Clock
from reverie.training.logged_experience import LoggedExperience

PACKAGES = ("reverie", "jax", "jaxlib", "numpy", "optax", "gymnasium", "mujoco")


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of each package that can change a result; None where it is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def machine() -> str:
    """Return the processor and number of cores of this machine, in words."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{name}, {count(os.cpu_count() or 1, 'core')}"


def command() -> str:
    """Return the command line of this process, as a user would type it."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else []
    return shlex.join(words)


def configuration(
    algorithm: Algorithm,
    source: EnvSource | None,
    spec: EnvSpec,
    seed: int,
    tensorboard: bool,
    limits: Limits | None = None,
    clock: Clock | None = None,
) -> Config:
    """Return the content of config.json for a new run."""
    described = Spec.of(spec)
    return Config(
        format=FORMAT,
        agent=agent_config.written(algorithm),
        env=None if source is None else describe(source),
        spec=described if source is None else None,
        world=None if source is None else described,
        seed=seed,
        tensorboard=tensorboard,
        versions=versions(),
        command=command(),
        limits=limits_json.written(limits),
        clock=None if clock is None else clock.written(),
    )


def begin(run: RunDirectory, config: Config, logged: LoggedExperience | None = None) -> Config:
    """Write config.json of a new run, signed if it names code.

    logged: transitions that the run is to keep; they are written first, since config.json names them.
    Raises StorageError where another run began in the directory meanwhile.
    """
    run.require_new()
    config = config if logged is None else config.changed(experience=logged.keep(run))
    run.write_config(config, sign=bool(trust.foreign_code(config)))
    return config


def algorithm_of(config: Config, run: RunDirectory) -> Algorithm:
    """Return the settings in config.json.  Raises StorageError where no known class has such settings."""
    try:
        return agent_config.read(config.agent)
    except (ConfigError, TypeError, ValueError) as error:
        remedy = "it was written by another version of reverie, or edited"
        if ":" not in config.agent.name:
            remedy += "; for a class of your own use Learner.load(path, config=YourClass(...))"
        raise StorageError(f"{run.config_file}: {with_advice(error, remedy)}") from error


def spec_of(config: Config, run: RunDirectory, source: Any = None) -> EnvSpec | None:
    """Return the EnvSpec of a run without an environment; None where it has one, or where `source` is one.

    Raises StorageError where the spec is invalid.
    """
    try:
        return None if config.spec is None or source is not None else config.spec.value()
    except SpaceError as error:
        raise StorageError(f"{run.config_file} is damaged ({error}); {RESTORE}") from error
