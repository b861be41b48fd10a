"""Callbacks of `Learner.learn`: functions (learner, event) -> True to stop, anything else to go on."""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from reverie.core.argument_checks import finite, whole

if TYPE_CHECKING:
    from reverie.training.learner import Learner


class Began(NamedTuple):
    """`learn` began at `step`; it will end at step `goal`, or (None) after so many `episodes`."""

    step: int
    goal: int | None
    episodes: int | None = None


class Compiling(NamedTuple):
    """Programs are compiled before the next step, so that none stalls later: seconds may pass."""

    step: int


class Ended(NamedTuple):
    """`learn` ends, whatever the reason."""

    step: int


class StepEnded(NamedTuple):
    """A step was learnt from."""

    step: int


class EpisodeEnded(NamedTuple):
    """An episode ended; `row` as in episodes.csv."""

    row: dict[str, Any]


class Evaluated(NamedTuple):
    """An evaluation was written; `row` as in evaluations.csv, `best` if none before was as good.

    cut: a sentence on episodes that had to be cut, or "".
    """

    row: dict[str, Any]
    best: bool
    cut: str = ""


class Noticed(NamedTuple):
    """Something was noticed that somebody should look at; as in events.csv."""

    step: int
    episode: int
    kind: str
    text: str


Event = Began | Compiling | StepEnded | EpisodeEnded | Evaluated | Noticed | Ended


class Callback(Protocol):
    """What `Learner.learn(callbacks=…)` takes."""

    def __call__(self, learner: "Learner", event: Event) -> bool | None:
        """Look at an event; return True to stop learning."""
        ...


def asks_to_stop(answer: Any) -> bool:
    """Return whether what a callback returned ends learning: a True of Python's or NumPy's, and nothing else."""
    return isinstance(answer, bool | np.bool_) and bool(answer)


@dataclasses.dataclass(frozen=True)
class StopAtReturn:
    """Stop once the mean return of the last `episodes` training episodes reaches `target`."""

    target: float
    """The mean return to reach."""
    episodes: int = 10
    """Training episodes to the mean."""

    def __post_init__(self):
        finite("StopAtReturn(target)", self.target)
        whole("StopAtReturn(episodes)", self.episodes, 1)

    def __call__(self, learner: "Learner", event: Event) -> bool:
        """See the class."""
        if not isinstance(event, EpisodeEnded):
            return False
        last = list(learner.recent_returns)[-self.episodes :]
        return len(last) == self.episodes and sum(last) / len(last) >= self.target


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluate the greedy policy every `every` steps over `episodes` episodes, on an environment of its own."""

    every: int
    """Steps between evaluations."""
    episodes: int = 10
    """Greedy episodes each."""

    def __post_init__(self):
        whole("Evaluate(every)", self.every, 1)
        whole("Evaluate(episodes)", self.episodes, 1)

    def __call__(self, learner: "Learner", event: Event) -> None:
        """See the class."""
        # Counted from the last one, so that an evaluation which a crash swallowed is made up for.
        if isinstance(event, StepEnded) and event.step // self.every > learner.evaluated_at // self.every:
            learner.evaluate(self.episodes)


@dataclasses.dataclass(frozen=True)
class SaveBest:
    """Keep the policy with the best evaluation in checkpoint/best.safetensors."""

    def __call__(self, learner: "Learner", event: Event) -> None:
        """See the class."""
        if isinstance(event, Evaluated) and event.best:
            learner.save_best()
