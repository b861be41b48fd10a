"""Callbacks of `Learner.learn`: functions (learner, event) that return True to stop, anything else to continue."""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from reverie.core.argument_checks import finite, whole

if TYPE_CHECKING:
    from reverie.training.learner import Learner


class Began(NamedTuple):
    """`learn` began at `step`; it ends at step `goal`, or after `episodes` where that is None."""

    step: int
    goal: int | None
    episodes: int | None = None


class Compiling(NamedTuple):
    """Programs are being compiled before the next step, so that no later step stalls.  It may take seconds."""

    step: int


class Pretraining(NamedTuple):
    """Logged transitions are being learnt from before the first real step.  It may take seconds or minutes."""

    step: int


class Ended(NamedTuple):
    """`learn` ends, for whatever reason."""

    step: int


class StepEnded(NamedTuple):
    """A step was learnt from."""

    step: int


class EpisodeEnded(NamedTuple):
    """An episode ended; `row` is that of episodes.csv."""

    row: dict[str, Any]


class Evaluated(NamedTuple):
    """An evaluation was written; `row` is that of evaluations.csv, `best` whether no earlier one was as good.

    cut: a sentence about episodes that had to be cut, or "".
    """

    row: dict[str, Any]
    best: bool
    cut: str = ""


class Noticed(NamedTuple):
    """A problem was noticed; the fields are those of events.csv."""

    step: int
    episode: int
    kind: str
    text: str


Event = Began | Compiling | Pretraining | StepEnded | EpisodeEnded | Evaluated | Noticed | Ended


class Callback(Protocol):
    """What `Learner.learn(callbacks=…)` takes."""

    def __call__(self, learner: "Learner", event: Event) -> bool | None:
        """Handle an event; return True to stop learning."""
        ...


def asks_to_stop(answer: Any) -> bool:
    """Return whether a callback's result ends learning: only True of Python or NumPy does."""
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
        """Return whether to stop, after an episode."""
        if not isinstance(event, EpisodeEnded):
            return False
        last = list(learner.recent_returns)[-self.episodes :]
        return len(last) == self.episodes and sum(last) / len(last) >= self.target


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluate the greedy policy every `every` steps over `episodes` episodes, on a separate environment."""

    every: int
    """Steps between evaluations."""
    episodes: int = 10
    """Greedy episodes each."""

    def __post_init__(self):
        whole("Evaluate(every)", self.every, 1)
        whole("Evaluate(episodes)", self.episodes, 1)

    def __call__(self, learner: "Learner", event: Event) -> None:
        """Evaluate if it is time."""
        # Counted from the last evaluation, so that one that a crash prevented is made up for.
        if isinstance(event, StepEnded) and event.step // self.every > learner.evaluated_at // self.every:
            learner.evaluate(self.episodes)


@dataclasses.dataclass(frozen=True)
class SaveBest:
    """Keep the policy with the best evaluation in checkpoint/best.safetensors."""

    def __call__(self, learner: "Learner", event: Event) -> None:
        """Save the policy if this evaluation is the best."""
        if isinstance(event, Evaluated) and event.best:
            learner.save_best()


def usual_callbacks(every: int, episodes: int, stop_at: float | None) -> list[Callback]:
    """Return what `reverie train` has besides its progress.

    every: steps between evaluations of `episodes` greedy episodes, of which the best policy is kept; 0: none.
    stop_at: the mean return of training episodes that ends learning; None: none does.
    """
    found: list[Callback] = [Evaluate(every, episodes), SaveBest()] if every else []
    return found if stop_at is None else [*found, StopAtReturn(stop_at)]
