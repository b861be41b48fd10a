"""The `reverie` command: argument types to calls.  Heavy imports wait until a verb runs."""

import os
import sys
from collections.abc import Sequence

from reverie.cli.output import warnings_in_one_line
from reverie.cli.parser import VERBS, UsageError, build_parser
from reverie.core.errors import ReverieError, unknown

DONE, WRONG, INTERRUPTED = 0, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status: 0 done, 2 wrong input (one line on stderr), 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        if words and not words[0].startswith("-") and words[0] not in VERBS:
            raise unknown("verb", words[0], VERBS)
        options = build_parser().parse_args([word for word in words if word != "--debug"])
        with warnings_in_one_line():
            return options.run(options) or DONE
    except (ReverieError, UsageError) as error:
        if debug:
            raise
        print(f"reverie: {error}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        if debug:
            raise
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough (`reverie list | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if debug:
            raise
        print(f"reverie: {type(error).__name__}: {' '.join(str(error).split())} (--debug shows where)", file=sys.stderr)
        return 1
