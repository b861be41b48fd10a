"""Warnings on the command line: ours and Gymnasium's in one plain line, others as Python shows them."""

import warnings

import pytest
from gymnasium import logger

from reverie.cli import main
from reverie.cli.output import warnings_in_one_line
from reverie.core.errors import ReverieWarning


def told(capsys, give):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with warnings_in_one_line():
            give()
    return capsys.readouterr().err


@pytest.mark.parametrize("give", [logger.warn, logger.deprecation, logger.error])
def test_what_gymnasium_warns_of_is_one_plain_line(give, capsys):
    assert told(capsys, lambda: give("the %s\n  is old", "id")) == "gymnasium: the id is old\n"


def test_our_own_are_one_line_and_others_are_shown_as_before(capsys, monkeypatch):
    assert told(capsys, lambda: warnings.warn("so it is", ReverieWarning, stacklevel=1)) == "reverie: so it is\n"
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, category, *_, **__: shown.append(category))
    for category in (UserWarning, DeprecationWarning, RuntimeWarning):
        with warnings_in_one_line():
            warnings.showwarning(category("so it is"), category, "file.py", 1)
    assert shown == [UserWarning, DeprecationWarning, RuntimeWarning] and not capsys.readouterr().err


def test_an_id_without_a_version_is_told_of_in_one_line(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["solve", "FrozenLake", "--method", "value-iteration"]) == 0
    errors = capsys.readouterr().err
    assert errors.startswith("gymnasium: Using the latest versioned environment") and errors.count("\n") == 1
