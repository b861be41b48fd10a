"""The `reverie` command: it parses arguments and calls a verb.  Heavy imports wait until a verb runs."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from reverie.cli import stopping  # imported first: it handles Ctrl-C and SIGTERM from here on
from reverie.cli.parser import VERBS, UsageError, build_parser
from reverie.cli.stopping import DONE, WRONG
from reverie.core.errors import ReverieError, sentence, unknown
from reverie.core.interrupts import FLAG, Interrupted, raise_if_interrupted


def command() -> NoReturn:
    """Run the command line and exit."""
    stopping.leave(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status: 0 done, 2 wrong input (one line on stderr), 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    with stopping.handled():
        try:
            return _run([word for word in words if word != "--debug"])
        except BaseException as error:
            if debug and not (FLAG.asked or isinstance(error, KeyboardInterrupt)):
                raise
            if debug:
                import traceback

                traceback.print_exc()
            return _end(error)


def _run(words: Sequence[str]) -> int:
    raise_if_interrupted()
    if words and not words[0].startswith("-") and words[0] not in VERBS:
        raise unknown("verb", words[0], VERBS)
    try:
        options = build_parser(words[0] if words and words[0] in VERBS else None).parse_args(words)
    except SystemExit as asked:  # --help and --version have printed their output
        return asked.code if isinstance(asked.code, int) else DONE
    from reverie.cli.output import warnings_in_one_line

    raise_if_interrupted()
    with warnings_in_one_line():
        return options.run(options) or DONE


def _end(error: BaseException) -> int:
    """Print in one line why a verb ended; return the exit status."""
    if isinstance(error, Interrupted):
        return stopping.print_message(_how_far(error))
    if FLAG.asked:  # the failure may be caused by the signal, since child processes receive it too
        return (
            stopping.print_message()
            if isinstance(error, KeyboardInterrupt)
            else stopping.print_message(f"({sentence(error)})")
        )
    if isinstance(error, KeyboardInterrupt):
        return stopping.print_message()
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough (`reverie list | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    if isinstance(error, ReverieError | UsageError):
        print(f"reverie: {error}", file=sys.stderr)
        return WRONG
    print(f"reverie: {sentence(error)} (--debug shows where)", file=sys.stderr)
    return 1


def _how_far(error: BaseException | None) -> str:
    """Return the text of an interrupt, or of an earlier one: closing may have been interrupted as well."""
    while error is not None and not (isinstance(error, Interrupted) and str(error)):
        error = error.__context__
    return "" if error is None else str(error)
