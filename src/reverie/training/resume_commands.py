"""The command with which a user continues a run: a line of the shell, or of Python where no command can do it."""

import contextlib
import dataclasses
import functools
import shlex
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

import gymnasium as gym
import msgspec

from reverie.core.errors import DivergedError, with_advice
from reverie.core.words import typed
from reverie.environments.env_factory import OUR_IDS
from reverie.storage.config import Config
from reverie.training import agent_config
from reverie.training.train_command import resume_words

PARTS = ("agent", "model", "plan")  # of an agent, which have arguments of their own beside --set

P = ParamSpec("P")
R = TypeVar("R")


def can_be_typed(env: str | None) -> bool:
    """Return whether a command can make this environment again; False for a user's own object, function or script."""
    if env is None or "<" in env or env.startswith("__main__:"):
        return False
    return ":" in env or env in OUR_IDS or env in gym.registry


def resume_line(
    config: Config,
    out: Path,
    settings: Mapping[str, Any] = MappingProxyType({}),
    relearn: bool = False,
    steps: int | None = None,
) -> str:
    """Return the line that continues a run, with other settings where some are given.

    relearn: learn the journal from its start again.  steps: how many steps to learn; None: as many as are left.
    """
    if not can_be_typed(config.env) or _lacks_veto(config):
        return _python_line(config, out, settings, relearn)
    flat = config.agent.flat()
    options = {"agent": config.agent.name, "env": config.env, "steps": steps}
    options |= {"imagine": flat.get("model"), "plan": flat.get("plan")}
    others = [(name, typed(value)) for name, value in settings.items() if name in flat and name not in PARTS]
    return shlex.join(resume_words(options, others, out, relearn))


def _lacks_veto(config: Config) -> bool:
    """Return whether the veto of the limits has no name, so that a program must give it again."""
    veto = None if config.limits is None else config.limits.veto
    return veto is not None and ":" not in veto


def _python_line(config: Config, out: Path, settings: Mapping[str, Any], relearn: bool) -> str:
    """Return the call of `Learner.load` that continues a run with other settings."""
    own = {name: value for name, value in settings.items() if name in config.agent.settings}
    agent = msgspec.structs.replace(config.agent, settings=config.agent.settings | own)
    words = [
        repr(str(out)),
        *(["env=…"] if config.env is not None else []),
        *(["limits=…"] if _lacks_veto(config) else []),
        *([f"config={_constructed(agent_config.read(agent))}"] if settings else []),
    ]
    return f"rv.Learner.load({', '.join([*words, 'relearn=True'] if relearn else words)})"


def _constructed(value: Any) -> str:
    """Return a Python expression for settings; those at their default are left out."""
    if not dataclasses.is_dataclass(value):
        return repr(value)
    fields = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
    given = [f"{field.name}={_constructed(held)}" for field, held in fields if held != field.default]
    kind = type(value)
    place = "rv" if kind.__module__.startswith("reverie.") else kind.__module__
    return f"{place}.{kind.__name__}({', '.join(given)})"


@contextlib.contextmanager
def diverging_with_line(config: Config | None, out: Path) -> Generator[None]:
    """Make a DivergedError end with the line that continues with other settings.

    config: None where the run is not kept.
    """
    try:
        yield
    except DivergedError as error:
        if config is None or error.line is not None:
            raise
        rate = config.agent.settings.get("learning_rate")
        lower = {}
        if isinstance(rate, float):
            lower["learning_rate"] = 1e-4 if rate > 1e-3 else float(f"{rate / 10:.2g}")
        line = resume_line(config, out, lower)
        complete = DivergedError(with_advice(error, f"all steps are kept; to continue with other settings: {line}"))
        complete.line = line
        raise complete from error


def ends_with_line(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Return a learner's method whose DivergedError ends with the line that continues with other settings."""

    @functools.wraps(method)
    def with_line(self: Any, *positional: P.args, **named: P.kwargs) -> R:
        try:
            return method(self, *positional, **named)
        except DivergedError:
            with diverging_with_line(self.keeps, self.out):
                raise

    return with_line
