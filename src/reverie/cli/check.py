"""`reverie check`: arguments and output."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reverie.cli import argument_types as types
from reverie.cli import groups, stopping
from reverie.cli.output import emit, note
from reverie.core.errors import ConfigError, one_line
from reverie.core.interrupts import raise_if_interrupted

if TYPE_CHECKING:  # verbs import late what takes long
    from reverie.environments.environment_check import Finding

STEPS = 1000  # where --steps is left out
SHOWN_STEPS = 200  # random steps that show what an environment's observations usually are


def run(options: Any) -> int | None:
    """Print the findings; return exit status 2 where learning cannot work."""
    from reverie.logs.log import is_log

    raise_if_interrupted()
    stopping.set_message("a check saves nothing")
    return _check_log(options) if is_log(options.env) else _check_env(options)


def _check_env(options: Any) -> int | None:
    from reverie.environments.environment_check import check
    from reverie.training.hang_guard import hang_guard

    for flag, value in (("--env", options.against), ("--columns", options.columns), ("--reward", options.reward)):
        if value is not None:
            raise ConfigError(f"{flag} is for checking a log (FILE.csv, FILE.npz, a run, minari:NAME); leave it out")
    with hang_guard(options.hang_after, options.env, lambda: "a check saves nothing"):
        findings, figures = check(options.env, STEPS if options.steps is None else options.steps)
    return _report(options, {"env": options.env}, findings, figures, "learn on")


def _check_log(options: Any) -> int | None:
    from reverie.environments.env_factory import make_env
    from reverie.environments.environment_check import observed
    from reverie.logs.checks import check
    from reverie.logs.log import Log
    from reverie.training.hang_guard import hang_guard

    log = Log(options.env, options.columns, options.reward)
    if options.against is None:
        findings, figures = check(log.read(None))
    else:
        adapter = make_env(options.against)
        try:
            data = log.read(adapter.spec)
            with hang_guard(options.hang_after, options.against, lambda: "a check saves nothing"):
                usual = observed(adapter, options.steps or SHOWN_STEPS)
            findings, figures = check(data, adapter.spec, usual)
        finally:
            adapter.close()
    return _report(options, {"log": options.env, "env": options.against}, findings, figures, "learn from")


def _report(
    options: Any, named: dict[str, Any], findings: "Sequence[Finding]", figures: dict[str, Any], use: str
) -> int | None:
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    facts = {**named, "fit": not wrong, "findings": [finding._asdict() for finding in findings], **figures}
    lines = [f"{finding.verdict:6}{finding.topic:9}{finding.text}" for finding in findings]
    emit(options, facts, options.env, *lines)
    if wrong:
        note(one_line(f"reverie: {options.env} is not fit to {use}: {wrong[0].text}"))
        return 2
    return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "env",
        metavar="ENV|FILE",
        help=f"{groups.ENV}; or a log: FILE.csv, FILE.npz, the directory of a run, or minari:NAME",
    )
    parser.add_argument(
        "--steps",
        type=types.up_to(10**7, least=1),
        metavar="N",
        help=f"random steps to try ({STEPS}; with a log and --env {SHOWN_STEPS})",
    )
    parser.add_argument(
        "--env",
        dest="against",
        metavar="ENV",
        help="of a log: the environment whose sensors, bounds and units it should have",
    )
    groups.add_log(parser, "of a log: ")
    groups.add_hang_after(parser)
