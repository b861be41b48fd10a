"""Messages read as sentences: "1 episode", and no two stops in a row."""

import argparse
import ast
import dataclasses
import itertools
import re

import pytest

import reverie as rv
from reverie.algorithms import ALGORITHMS
from reverie.cli.parser import UsageError, build_parser
from reverie.core.checked_settings import coerce
from reverie.core.errors import ConfigError, unknown, with_advice
from reverie.core.other_names import called_here
from reverie.core.status import Status
from reverie.core.words import count, either, joined, listed, mean_of_last, number, size, whole_number
from things import ROOT

FILES = sorted((ROOT / "src" / "reverie").rglob("*.py"))
NOUNS = (
    "actions bytes cells cores discrete entries episodes iterations numbers observations processes records rows runs "
    "seeds states steps values worlds"
)
COUNTED = re.compile(rf" (real |test |training )?({'|'.join(NOUNS.split())})\b")
TWICE = re.compile(r"\?\.|!\.|(?<!\.)\.\.(?!\.)|,,|;;|::\s| ,| \.\s|\.$\.")


def test_one_is_singular():
    assert [count(n, "episode") for n in (0, 1, 2)] == ["0 episodes", "1 episode", "2 episodes"]
    assert mean_of_last(1) == "return of the last episode" and mean_of_last(2) == "mean return of the last 2 episodes"
    assert count(1, "entry", "entries") == "1 entry" and count(3, "entry", "entries") == "3 entries"


@pytest.mark.parametrize("value", [0.99, 1.0, 1 - 2**-53, 1e-4, 0.1 + 0.2, 1e5, 12_345_678, -1 / 3, 1e300, 10**12])
def test_numbers_of_settings_are_shown_so_that_they_come_back(value):
    assert float(number(value)) == value and len(number(value)) <= len(repr(value))


@pytest.mark.parametrize(
    ("name", "known", "proposed"),
    [
        ("trpo", ["naf", "ddpg", "sac", "ppo", "dqn"], "ppo"),
        ("reachr", ["reacher", "peg"], "reacher"),
        ("nosuch", ["os", "sys", "make_env"], None),
        ("x", ["os", "gym", "np"], None),
        ("", ["a", "b"], None),
        ("friction", ["horizon", "width"], None),
    ],
)
def test_only_a_name_that_may_be_meant_is_proposed(name, known, proposed):
    says = f"did you mean {proposed!r}?" if proposed else f"known: {', '.join(sorted(known))}"
    assert str(unknown("name", name, known)).endswith(says)


@pytest.mark.parametrize("text", ["1_0", "1_000", "１０", "٣"])
@pytest.mark.parametrize("option", ["train naf E --steps", "train naf E --stop-at", "video R --seconds"])
def test_numbers_are_written_in_plain_digits_wherever_they_are_given(option, text):
    with pytest.raises(
        UsageError, match=r"is no (whole number .* such as 10000 or 1e4|finite number|number of seconds)"
    ):
        build_parser().parse_args([*option.split(), text])
    build_parser().parse_args([*option.split(), "10"])
    for name, whole in (("batch_size", 10), ("hidden", (10,)), ("learning_rate", 10.0)):
        with pytest.raises(ConfigError, match=f"{name} is .*; it must be"):
            coerce(rv.NAF, name, text)
        assert coerce(rv.NAF, name, "10") == whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e4", 10_000),
        ("2.5e3", 2500),
        ("10000.0", 10_000),
        ("0", 0),
        ("007", 7),
        ("1E4", 10_000),
        ("+5", 5),
        ("1" * 12, int("1" * 12)),
    ],
)
def test_whole_numbers_are_taken_however_they_are_written(text, value):
    assert whole_number(text) == value
    assert build_parser().parse_args(["train", "naf", "E", "--steps", text]).steps == value


@pytest.mark.parametrize(
    "text", ["10000.5", "-1", "1e-3", "1e400", "nan", "inf", "many", "", "1_0", "0x10", "1e300", "1e17"]
)
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        whole_number(text)
    with pytest.raises(UsageError, match=r"no whole number of at least 0, such as 10000 or 1e4|expected one argument"):
        build_parser().parse_args(["train", "naf", "E", "--steps", text])


def test_ways_to_write_either():
    assert [either("abc"[:n]) for n in (1, 2, 3)] == ["a", "a or b", "a, b or c"]


def test_names_are_joined_as_in_a_sentence():
    assert [joined("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert joined([4, 3]) == "4 and 3"


ELSEWHERE = [
    ("naf", "lr", "learning_rate"),
    ("naf", "gamma", "discount"),
    ("naf", "γ", "discount"),
    ("naf", "tau", "target_rate"),
    ("naf", "sigma", "noise_scale"),
    ("ppo", "sigma", "std"),
    ("naf", "normalization", "normalisation"),
    ("naf", "observation_normalization", "observation_normalisation"),
    ("ppo", "normalize_obs", "observation_normalisation"),
    ("naf", "Batch-Size", "batch_size"),
    ("naf", "buffer_size", "replay_capacity"),
    ("naf", "I", "updates_per_step"),
    ("ddpg", "utd", "updates_per_step"),
    ("sac", "alpha", "temperature"),
    ("naf", "alpha", "learning_rate"),
    ("sac", "ent_coef", "temperature"),
    ("xqc", "v_max", "value_limit"),
    ("xqc", "n_atoms", "atoms"),
    ("xqc", "policy_freq", "policy_delay"),
    ("xqc", "hidden_dims_actor", "actor_hidden"),
    ("xqc", "hidden_dims", "hidden"),
    ("ppo", "ent_coef", "entropy_weight"),
    ("ppo", "n_steps", "rollout"),
    ("ppo", "gae_lambda", "trace"),
    ("dqn", "exploration_final_eps", "epsilon_end"),
    ("dqn", "net_arch", "hidden"),
]


@pytest.mark.parametrize(("agent", "name", "ours"), ELSEWHERE)
def test_names_that_settings_have_elsewhere_are_told(agent, name, ours):
    with pytest.raises(ConfigError) as caught:
        coerce(ALGORITHMS[agent], name, "1")
    assert str(caught.value) == f"unknown setting {name!r}; {name} is called {ours} here"


def test_our_own_names_of_settings_are_nobody_elses():
    for kind in (*ALGORITHMS.values(), rv.Imagination):
        names = [field.name for field in dataclasses.fields(kind)]
        assert not [name for name in names if called_here(name, names)]


def test_what_is_meant_by_a_setting_that_an_agent_lacks_is_not_made_up():
    assert called_here("gae_lambda", ["discount", "hidden"]) is None and called_here("", ["a"]) is None
    assert str(unknown("verb", "lr", ["train", "list"])) == "unknown verb 'lr'; known: list, train"


def test_lists_in_messages_stay_short():
    assert listed("abc") == "a, b, c" and listed(range(14)).endswith("10, 11 and 2 more")
    assert listed(["x" * 290, "y" * 20]) == "x" * 290 + " and 1 more" and listed([]) == ""
    many = [f"name-{i}" for i in range(5000)]
    assert len(str(unknown("thing", "?", many))) < 200 and str(unknown("thing", "?", many)).endswith("and 4988 more")
    assert str(unknown("thing", "?", many, "see there")) == "unknown thing '?'; see there"
    assert str(unknown("thing", "name-12", [*many, "nearer"], "see there")).endswith("did you mean 'name-12'?")


@pytest.mark.parametrize(
    ("number", "text"),
    {
        0: "0 bytes",
        1: "1 byte",
        999: "999 bytes",
        1000: "1 kB",
        42_499: "42 kB",
        999_499: "999 kB",
        999_500: "1.0 MB",
    }.items(),
)
def test_sizes_are_never_0_of_a_larger_unit(number, text):
    assert size(number) == text


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "src")))
def test_numbers_in_messages_are_counted_with_their_nouns(file):
    """Of f-strings: where a number that may be 1 stands before its noun, `count` is to join them."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for value, text in itertools.pairwise(parts):
            if not isinstance(value, ast.FormattedValue) or not isinstance(text, ast.Constant):
                continue
            ratio = isinstance(value.value, ast.Name) and value.value.id.isupper()  # a constant of ours
            if not ratio and value.format_spec is None and COUNTED.match(str(text.value)):
                found.append(f"line {node.lineno}: {ast.unparse(value.value)}{text.value}")
    assert not found


def helps():
    """Return the --help of every verb, in one line each."""
    (verbs,) = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return {"reverie": build_parser(), **verbs.choices}


@pytest.mark.parametrize("verb", helps())
def test_help_reads_as_sentences(verb):
    text = " ".join(helps()[verb].format_help().split())
    assert not TWICE.search(text.replace("...", "")), TWICE.search(text)


@pytest.mark.parametrize("status", Status)
def test_texts_of_statuses_read_as_sentences(status):
    assert not TWICE.search(status.text) and status.text[-1] not in ".?!"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "src")))
def test_texts_have_one_stop_at_their_end(file):
    tree = ast.parse(file.read_text())
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    found = [text for text in texts if " " in text.strip() and re.search(r"[a-z)](\?\.|!\.|\.\.|,,|;;)(\s|$)", text)]
    assert not found


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        ("it is wrong", "it is wrong; mend it"),
        ("did you mean 'naf'?", "did you mean 'naf'? Mend it"),
        ("It broke.\n", "It broke. Mend it"),
        (unknown("agent", "nav", ["naf"]), "unknown agent 'nav'; did you mean 'naf'? Mend it"),
    ],
)
def test_no_semicolon_follows_a_sentence_that_has_ended(said, whole):
    assert with_advice(said, "mend it") == whole
