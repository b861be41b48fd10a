"""What decides a run, written as config.json and read back."""

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from reverie.algorithms import ALGORITHMS
from reverie.algorithms.imagination import Imagination
from reverie.core.agent import Algorithm
from reverie.core.errors import ConfigError, StorageError, unknown
from reverie.core.types import EnvSpec
from reverie.environments.world import EnvSource, describe
from reverie.models import MODELS
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


def machine() -> str:
    """Return what this machine computes with, in words."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{name}, {os.cpu_count()} cores"


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
        "agent": written(config),
        **world,
        "seed": seed,
        "tensorboard": tensorboard,
        "versions": versions(),
        "command": command(),
    }


def written(config: Any) -> dict[str, Any]:
    """Return an algorithm's settings for JSON; what is wrapped in imagination keeps its own name and settings."""
    if not isinstance(config, Imagination):
        return {"name": config.name, "settings": dataclasses.asdict(config)}
    settings = dataclasses.asdict(config.model)  # type: ignore[call-overload]
    # A function (of Exact) cannot be written down: whoever goes on with the run binds it anew.
    model = {"name": config.model.name, "settings": {k: v for k, v in settings.items() if not callable(v)}}
    numbers = {name: getattr(config, name) for name in config.numbers()}
    return written(config.agent) | {"imagination": {"model": model, "settings": numbers}}


def _read(agent: dict[str, Any]) -> Algorithm:
    """Return the settings that `_written` wrote."""
    if agent["name"] not in ALGORITHMS:
        raise unknown("agent", agent["name"], ALGORITHMS)
    inner = ALGORITHMS[agent["name"]](**agent["settings"])
    if "imagination" not in agent:
        return inner
    model, settings = agent["imagination"]["model"], agent["imagination"]["settings"]
    if model["name"] not in MODELS:
        raise unknown("model", model["name"], MODELS)
    return Imagination(inner, MODELS[model["name"]](**model["settings"]), **settings)


def config_of(written: dict[str, Any], run: RunDirectory) -> Algorithm:
    """Return the algorithm's settings that config.json holds.  Raises StorageError where they are not this version's."""
    try:
        return _read(written["agent"])
    except (ConfigError, KeyError, TypeError) as error:
        raise StorageError(
            f"{run.config_file}: {error}; it was written by another version of reverie, or edited"
        ) from error


def spec_of(written: dict[str, Any]) -> EnvSpec | None:
    """Return the EnvSpec of a run without an environment, or None."""
    return EnvSpec(**written["spec"]) if "spec" in written else None
