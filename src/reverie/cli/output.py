"""What verbs print: one JSON object, or lines for people; and the file that they write."""

import contextlib
import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reverie.core.errors import ConfigError, ReverieWarning, one_line

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BY_GYMNASIUM = re.compile(r"(?:WARN|ERROR): (.+)", re.DOTALL)  # so its logger begins all that it warns of


def emit(options: Any, facts: dict[str, Any], *lines: str) -> None:
    """Print `facts` as one JSON object with --json, else the lines."""
    if options.json:
        print(json.dumps(facts, allow_nan=False, default=str))
    else:
        print("\n".join(lines))


@contextlib.contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Have our own warnings and Gymnasium's printed as remarks, without colours and the line of code that they come from."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *rest: Any, **named: Any) -> None:
        theirs = BY_GYMNASIUM.match(COLOUR.sub("", str(message)))
        if issubclass(category, ReverieWarning):
            note(f"reverie: {message}")
        elif theirs and issubclass(category, UserWarning | DeprecationWarning):
            note(f"gymnasium: {one_line(' '.join(theirs[1].split()))}")
        elif "os.fork() was called" not in str(message):  # JAX's, where an environment forks: no child of it runs JAX
            before(message, category, *rest, **named)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def note(text: str) -> None:
    """Print a remark where it cannot get into the results."""
    print(text, file=sys.stderr)


@contextlib.contextmanager
def room_for(options: Any, output: Path | None) -> Iterator[None]:
    """Before anything is done, raise StorageError where `output` (-o) cannot be written.

    Where it is stdout, what is printed inside goes to stderr, so that it does not get into the file.
    """
    from reverie.storage.output_file import output_at  # NumPy comes with it, and `--help` prints without

    if output is None or not output_at(output).is_stdout:
        yield
        return
    if options.json:
        raise ConfigError(f"-o {output} and --json would both print on stdout; leave one of them out")
    with contextlib.redirect_stdout(sys.stderr):
        yield
