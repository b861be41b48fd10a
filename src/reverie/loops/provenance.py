"""What decides a run, written as config.json and read back."""

import dataclasses
import importlib.metadata
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from reverie.algorithms import ALGORITHMS
from reverie.core.agent import Algorithm
from reverie.core.errors import ConfigError, StorageError, unknown
from reverie.core.types import EnvSpec
from reverie.environments.world import EnvSource, describe
from reverie.storage.run import FORMAT, RunDirectory

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


def command() -> str:
    """Return the command line of this process, as one would type it."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else []
    return shlex.join(words)


def configuration(
    config: Algorithm, source: EnvSource | None, spec: EnvSpec, seed: int, tensorboard: bool
) -> dict[str, Any]:
    """Return the content of config.json for a new run."""
    world = {"env": describe(source)} if source is not None else {"spec": dataclasses.asdict(spec)}
    return {
        "format": FORMAT,
        "agent": {"name": config.name, "settings": dataclasses.asdict(config)},  # type: ignore[call-overload]
        **world,
        "seed": seed,
        "tensorboard": tensorboard,
        "versions": versions(),
        "command": command(),
    }


def config_of(written: dict[str, Any], run: RunDirectory) -> Algorithm:
    """Return the algorithm's settings that config.json holds.  Raises StorageError where they are not this version's."""
    try:
        name, settings = written["agent"]["name"], dict(written["agent"]["settings"])
        if name not in ALGORITHMS:
            raise unknown("agent", name, ALGORITHMS)
        return ALGORITHMS[name](**settings)
    except (ConfigError, KeyError, TypeError) as error:
        raise StorageError(
            f"{run.config_file}: {error}; it was written by another version of reverie, or edited"
        ) from error


def spec_of(written: dict[str, Any]) -> EnvSpec | None:
    """Return the EnvSpec of a run without an environment, or None."""
    return EnvSpec(**written["spec"]) if "spec" in written else None
