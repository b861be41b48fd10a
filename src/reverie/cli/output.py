"""Output of verbs: one JSON object or lines for people, and the file that a verb writes."""

import contextlib
import json
import re
import sys
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

from reverie.core.errors import ConfigError, ReverieWarning, one_line

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BY_GYMNASIUM = re.compile(r"(?:WARN|ERROR): (.+)", re.DOTALL)  # prefix of the warnings of Gymnasium's logger


def emit(options: Any, facts: dict[str, Any], *lines: str) -> None:
    """Print `facts` as one JSON object with --json, otherwise the lines."""
    if options.json:
        print(json.dumps(facts, allow_nan=False, default=str))
    else:
        print("\n".join(lines))


@contextlib.contextmanager
def warnings_in_one_line() -> Generator[None]:
    """Print our own and Gymnasium's warnings as one-line remarks, without colours and source lines."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *rest: Any, **named: Any) -> None:
        theirs = BY_GYMNASIUM.match(COLOUR.sub("", str(message)))
        if issubclass(category, ReverieWarning):
            note(f"reverie: {message}")
        elif theirs and issubclass(category, UserWarning | DeprecationWarning):
            note(f"gymnasium: {one_line(' '.join(theirs[1].split()))}")
        # JAX warns when an environment forks, but none of its children runs JAX
        elif "os.fork() was called" not in str(message):
            before(message, category, *rest, **named)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def note(text: str) -> None:
    """Print a remark on stderr, away from the results."""
    print(text, file=sys.stderr)


@contextlib.contextmanager
def room_for(options: Any, output: Path | None) -> Generator[None]:
    """Raise StorageError, before any work is done, where `output` (-o) cannot be written.

    If `output` is stdout, everything printed inside the block goes to stderr, so that it stays out of the file.
    """
    from reverie.storage.output_file import output_at  # it imports NumPy, which `--help` does not need

    if output is None or not output_at(output).is_stdout:
        yield
        return
    if options.json:
        raise ConfigError(f"-o {output} and --json would both print on stdout; leave one of them out")
    with contextlib.redirect_stdout(sys.stderr):
        yield
