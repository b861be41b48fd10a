"""How a computation ended: a code that works under `jit` and `vmap`, with a sentence for each."""

import enum
from typing import Self


class Status(enum.IntEnum):
    """Status that solvers and fits return with their result; `text` gives the likely cause and what to try."""

    text: str  # one sentence: what happened, the likely cause, and what to try

    def __new__(cls, value: int, text: str) -> Self:
        """Return a member.  text: its sentence."""
        member = int.__new__(cls, value)
        member._value_, member.text = value, text
        return member

    CONVERGED_GRADIENT = 0, "converged: the gradient vanishes"
    CONVERGED_COST = 1, "converged: the cost no longer falls, though the gradient has not vanished"
    DONE = 2, "done"
    INACTIVE = 3, "done: the best step lies within the KL bound"
    MAX_ITERATIONS = 4, "stopped at the largest number of iterations; allow more, or accept the result"
    REGULARISATION_LIMIT = (
        5,
        "no step lowers the cost even under the largest regularisation; derivatives may be wrong, or the dynamics not "
        "smooth here (contacts)",
    )
    NOT_POSITIVE_DEFINITE = 7, "the cost is not convex in the controls; add a control cost or regularisation"
    INITIAL_DIVERGED = 8, "the first trajectory leaves every bound; start from smaller controls"
    NONFINITE_MODEL = 9, "the model returned a value that is not finite; check its derivatives and its data"
    BOUND_UNMET = 10, "no multiplier meets the KL bound; the nearest step that stays within it was taken"
    TIME_BUDGET = 11, "stopped at the time limit; the result so far is returned"
    TOO_FEW_SAMPLES = 12, "too few samples to fit a model; give more episodes, or a prior"
    SINGULAR = 13, "the samples do not distinguish all directions; add action noise, episodes or a prior"
    UNSTABLE = (
        14,
        "the fitted model grows without bound over the horizon; give more episodes or a stronger prior",
    )
    NOT_STABILISABLE = (
        15,
        "no controller makes this system stable: no control reaches some unstable mode; add an actuator, or leave that "
        "mode out of the model",
    )
    NO_STABILISING_SOLUTION = (
        16,
        "no controller is best among those that make the system stable: the cost does not see a mode on the unit circle, "
        "or has no minimum; add a little cost on every state",
    )
    ILL_CONDITIONED = (
        17,
        "rounding errors hide the solution: numbers in this system differ too much in size for float64; choose units in "
        "which states and controls have similar sizes, or add controls",
    )
    INFEASIBLE = 18, "no control lies within these bounds; a lower bound is above its upper bound"

    @property
    def good(self) -> bool:
        """Whether the result can be used."""
        return self <= Status.INACTIVE
