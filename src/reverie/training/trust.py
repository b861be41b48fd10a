"""Checks of whose code a run may import: the user's own code on this machine is allowed, other code needs consent."""

from collections.abc import Collection

from reverie.core.errors import StorageError
from reverie.storage.config import Config, is_own
from reverie.storage.run import RunDirectory

HOW = "check it, then continue with --trust (in Python: trust=True)"


def foreign_code(config: Config, *, agent: bool = True, env: bool = True, veto: bool = True) -> list[str]:
    """Return what loading a run would import, other than reverie and installed Gymnasium environments.

    An entry is such as "env 'os:abort'".  agent, env, veto: whether these come from the config and not from the user.
    """
    from_config = {"env": env, "veto": veto}
    return [f"{what} {name!r}" for what, name in config.code if from_config.get(what, agent)]


def require(
    run: RunDirectory,
    config: Config,
    trust: bool,
    *,
    agent: bool = True,
    env: bool = True,
    veto: bool = True,
    named: Collection[str] = (),
) -> None:
    """Raise StorageError where loading would import code that the user has not written, named or trusted.

    named: the "package.module:name"s that the user gave.
    """
    named = [f"{what} {name!r}" for what, name in config.code if name in named]
    code = [found for found in foreign_code(config, agent=agent, env=env, veto=veto) if found not in named]
    if not code or trust or is_own(config):
        return
    given = "; or give the environment with --env (in Python: env=)" if any(c.startswith("env ") for c in code) else ""
    raise StorageError(
        f"{run.config_file} was not written by you on this machine for the code that is here, and would import "
        f"{' and '.join(code)}: {HOW}{given}"
    )
