"""The command line, in this process."""

import contextlib
import io
import json
import sys

import pytest

from reverie.cli import main


def reverie(*words):
    """Return exit status, stdout and stderr of a command run in this process."""
    words, out, err = [str(word) for word in words], io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(sys, "argv", ["/usr/local/bin/reverie", *words])
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


def done(*words):
    """Return what a command that must succeed printed."""
    status, out, err = reverie(*words)
    assert status == 0, err
    return out


def one_object(*words):
    """Return the JSON object that a command printed, if it printed that and nothing else."""
    text = done(*words, "--json")
    assert text.count("\n") == 1 and text.endswith("}\n")
    return json.loads(text)


def refusal(*words):
    """Return the one line that wrong input got."""
    status, out, err = reverie(*words)
    assert (status, out) == (2, "") and err.count("\n") == 1 and err.startswith("reverie: "), (status, out, err)
    return err
