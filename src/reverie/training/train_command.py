"""The `reverie train` command as words: that of a sweep's run, and the one that continues a run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def train_words(options: Mapping[str, Any], settings: Iterable[tuple[str, str]]) -> list[str]:
    """Return the words of a `reverie train`.

    options: values by name: agent, env, and any of steps, budget, imagine, plan, seed, evaluate_every, evaluate_episodes and
    stop_at; None, or "off", leaves an option out.  settings: name and text of each --set.
    """
    words = ["reverie", "train", options["agent"], options["env"], *_given(options, "steps", "budget")]
    for name, text in settings:
        words += ["--set", f"{name}={text}"]
    return [*words, *_given(options, "imagine", "plan", "seed", "evaluate_every", "evaluate_episodes", "stop_at")]


def resume_words(
    options: Mapping[str, Any], settings: Iterable[tuple[str, str]], out: str | Path, relearn: bool = False
) -> list[str]:
    """Return the words of the `reverie train` that continues the run in `out`, with the arguments of `train_words`.

    options: may also have hang_after, collectors and backend.
    """
    words = [*train_words(options, settings), *_given(options, "hang_after", "collectors", "backend")]
    return [*words, "--out", str(out), "--resume", *(["--relearn"] if relearn else [])]


def _given(options: Mapping[str, Any], *names: str) -> list[str]:
    """Return the words of some options, without those that are left out."""
    given = [(name, options[name]) for name in names if options.get(name) not in (None, "off")]
    return [word for name, value in given for word in (f"--{name.replace('_', '-')}", str(value))]
