"""What settings say of themselves, to `help` and to `reverie list`."""

import dataclasses
import pydoc

import pytest

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.control.pilqr_step import PILQR
from reverie.core.checked_settings import Settings
from reverie.core.setting_docs import setting_docs
from reverie.maths.noises import NOISES
from reverie.models import MODELS
from reverie.tabular.q_learning import QLearningSettings

KINDS = [*ALGORITHMS.values(), *MODELS.values(), *NOISES.values(), rv.Imagination, PILQR, QLearningSettings]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base(Settings):
    """A base."""

    first: int = 1
    """The first,
    in two lines."""
    second: tuple[int, ...] = (2, 3)
    """The second."""
    third: float = 0.5  # nothing is said of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Own(Base):
    """A class of its own.

    Raises nothing.
    """

    second: tuple[int, ...] = ()
    fourth: bool


def test_a_setting_has_the_text_below_it_or_that_of_its_base():
    docs = {doc.name: doc for doc in setting_docs(Own)}
    assert [docs[name].text for name in ("first", "second", "third")] == ["The first, in two lines.", "The second.", ""]
    assert docs["second"].default == () and docs["fourth"].default is dataclasses.MISSING


def test_help_ends_in_the_settings():
    assert Base.__doc__.splitlines()[:4] == ["A base.", "", "Settings:", "    first = 1"]
    assert "    second = (2, 3)\n        The second." in Base.__doc__
    assert Own.__doc__.startswith("A class of its own.\n\nRaises nothing.\n\nSettings:\n    first = 1\n")
    assert "    fourth\n" in Own.__doc__ + "\n" and Own(fourth=True).__doc__ == Own.__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_help_names_every_setting_with_default_and_meaning(kind):
    text = pydoc.plain(pydoc.render_doc(kind))
    for doc in setting_docs(kind):
        assert doc.text and doc.text[-1] in ".)?", f"{kind.__name__}.{doc.name}"
        default = "" if doc.default is dataclasses.MISSING else f" = {doc.default!r}"
        assert f" |      {doc.name}{default}\n" in text or f" |    {doc.name}{default}\n" in text


def test_where_there_is_no_source_settings_are_named_all_the_same():
    names = {"__name__": "typed"}
    exec(
        "import dataclasses\nfrom reverie.core.checked_settings import Settings\n"
        "@dataclasses.dataclass(frozen=True, kw_only=True)\nclass Typed(Settings):\n    'Typed in.'\n    x: int = 1\n",
        names,
    )
    assert names["Typed"].__doc__ == "Typed in.\n\nSettings:\n    x = 1"
