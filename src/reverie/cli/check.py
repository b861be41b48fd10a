"""`reverie check`."""

from typing import Any

from reverie.cli import stopping
from reverie.cli.output import emit, note
from reverie.core.errors import one_line
from reverie.environments.environment_check import check


def run(options: Any) -> int | None:
    """Print what was found; exit status 2 where learning cannot work."""
    stopping.say("a check saves nothing")
    findings, figures = check(options.env, options.steps)
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    facts = {"env": options.env, "fit": not wrong, "findings": [finding._asdict() for finding in findings], **figures}
    lines = [f"{finding.verdict:6}{finding.topic:9}{finding.text}" for finding in findings]
    emit(options, facts, options.env, *lines)
    if wrong:
        note(one_line(f"reverie: {options.env} is not fit to learn on: {wrong[0].text}"))
        return 2
    return None
