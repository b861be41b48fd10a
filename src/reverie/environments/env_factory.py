"""Make environments from what users name: a domain, a Gymnasium id, a "package.module:callable", or the thing itself."""

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import parse_env_id

from reverie.core.errors import ConfigError
from reverie.domains import DOMAINS, MAZES
from reverie.environments.blocking_calls import MAKE, failed
from reverie.environments.env_adapter import EnvAdapter, adapter_of
from reverie.environments.imports import imported, imported_module
from reverie.environments.mujoco_messages import without_others_warnings
from reverie.environments.unknown_names import no_environment
from reverie.environments.values import close_unawaited, shown

OUR_IDS = {name: ours.gym_id for name, ours in (DOMAINS | MAZES).items()}

EnvSource = str | Callable[..., gym.Env] | gym.Env


def make_env(source: EnvSource, **options: Any) -> EnvAdapter:
    """Make an environment and return its `EnvAdapter`.

    source: a domain, a Gymnasium id, a "package.module:callable", a callable that returns an environment, or an
    environment.  options: passed on to what makes it, for example `render_mode`.
    Raises ConfigError where there is no such environment, SpaceError where its spaces do not fit, and WorldError where
    its own code raises.
    """
    return adapter_of(*make_gym_env(source, **options))


def make_gym_env(source: EnvSource, **options: Any) -> tuple[gym.Env, str]:
    """Make an environment without checking it.  Returns (environment, name).

    The arguments and errors are those of `make_env`.
    """
    if isinstance(source, gym.Env):
        return source, describe(source)
    if isinstance(source, str):
        if not is_id(source):
            return _called(imported(source, "environment"), source, options), source
        return _registered(source, options), source
    if callable(source):
        return _called(source, describe(source), options), describe(source)
    raise ConfigError(
        f"env is {source!r}; give a domain, a Gymnasium id, a 'package.module:callable', a callable or an environment"
    )


def is_id(source: str) -> bool:
    """Return whether `source` is the name or id of a registered environment, and not a "package.module:callable"."""
    return ":" not in source or source.rpartition(":")[2].rpartition("-v")[2].isdigit()


def describe(source: EnvSource) -> str:
    """Return the name of an environment source, as config.json stores it. `make_env` may accept it again."""
    if isinstance(source, str):
        return source
    if isinstance(source, gym.Env):
        return source.spec.id if source.spec is not None else type(source.unwrapped).__name__
    return f"{getattr(source, '__module__', '?')}:{getattr(source, '__qualname__', type(source).__name__)}"


def _registered(name: str, options: dict[str, Any]) -> gym.Env:
    known = OUR_IDS.get(name, name)
    if ":" in known:  # "package.module:Id-v0": the module registers it
        imported_module(known.partition(":")[0], name, "environment")
    try:
        parse_env_id(known.rpartition(":")[2])
    except gym.error.Error:  # not in the form of an id
        raise no_environment(name, [*OUR_IDS, *gym.registry]) from None
    with warnings.catch_warnings():
        # Gymnasium warns that there are newer versions, but the user chose this one.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            with MAKE, without_others_warnings():
                return gym.make(known, disable_env_checker=True, **options)
        except (gym.error.NameNotFound, gym.error.NamespaceNotFound, gym.error.VersionNotFound):
            raise no_environment(name, [*OUR_IDS, *gym.registry]) from None
        except gym.error.DeprecatedEnv:
            raise _outdated(name, known) from None
        except gym.error.DependencyNotInstalled as error:
            extra = "mujoco" if "mujoco" in str(error).lower() else "video"
            raise ConfigError(
                f"{name} needs a package that is not installed: pip install 'reverie[{extra}]'"
            ) from error
        except BaseException as error:
            raise failed(name, f"could not be made{_given(options)}", error) from error


def _given(options: dict[str, Any]) -> str:
    """Return text that names the options of an environment, because one of them may be the cause of an error."""
    return "".join(f"{', ' if i else ' with '}{name}={shown(value)}" for i, (name, value) in enumerate(options.items()))


def _outdated(name: str, known: str) -> ConfigError:
    """Return the error for an id of which Gymnasium has only a newer version."""
    space, title, _ = parse_env_id(known.rpartition(":")[2])
    specs = [spec for spec in gym.registry.values() if (spec.namespace, spec.name) == (space, title)]
    newest = max(specs, key=lambda spec: -1 if spec.version is None else spec.version)
    text = f"there is no {name} any more; use {newest.id}"
    if newest.id in toy_text_ids():
        text += f", whose states are numbered: reverie solve {newest.id} --method q-learning"
    return ConfigError(text)


def toy_text_ids() -> list[str]:
    """Return the ids of Gymnasium's environments with numbered states. Most of them have a table of transitions."""
    return [name for name, spec in gym.registry.items() if str(spec.entry_point).startswith("gymnasium.envs.toy_text")]


def _called(maker: Callable[..., gym.Env], name: str, options: dict[str, Any]) -> gym.Env:
    if not callable(maker):
        raise ConfigError(f"{name} is a {type(maker).__name__}; give a callable that returns a gymnasium.Env")
    try:
        with MAKE, without_others_warnings():
            env = maker(**options)
    except BaseException as error:
        raise failed(name, f"raised when called{_given(options)}", error) from error
    if not isinstance(env, gym.Env):
        close_unawaited(env)
        raise ConfigError(f"{name} returned {type(env).__name__}; it must return a gymnasium.Env")
    return env
