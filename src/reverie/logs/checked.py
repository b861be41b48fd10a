"""Read a log for learning: checked first, and refused where it is not fit to learn from."""

from reverie.core.env_spec import EnvSpec
from reverie.core.errors import ConfigError
from reverie.logs.checks import check
from reverie.logs.log import Log
from reverie.logs.stored import LoggedTransitions, learnable


def checked(log: Log, spec: EnvSpec) -> tuple[LoggedTransitions, list[str]]:
    """Return the transitions that an agent of `spec` can learn from, and notes to be shown, a sentence each.

    Raises ConfigError where `reverie check` finds something wrong, or nothing is left.
    """
    data = log.read(spec)
    findings, _ = check(data, spec)
    for finding in findings:
        if finding.verdict == "wrong":
            raise ConfigError(f"{log.name} is not fit to learn from: {finding.text}")
    found = learnable(data, spec)
    if not len(found):
        raise ConfigError(f"{log.name} is not fit to learn from: all its actions lie outside the bounds")
    return found, [f"{log.name}: {finding.text}" for finding in findings if finding.verdict == "note"]
