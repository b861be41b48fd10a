"""How a computation ended: a code that works under `jit` and `vmap`, with a sentence for each."""

import enum


class Status(enum.IntEnum):
    """Status that solvers and fits return with their result; `text` gives the likely cause and what to try."""

    CONVERGED_GRADIENT = 0
    CONVERGED_COST = 1
    DONE = 2
    INACTIVE = 3
    MAX_ITERATIONS = 4
    REGULARISATION_LIMIT = 5
    NOT_POSITIVE_DEFINITE = 7
    INITIAL_DIVERGED = 8
    NONFINITE_MODEL = 9
    BOUND_UNMET = 10
    TIME_BUDGET = 11
    TOO_FEW_SAMPLES = 12
    SINGULAR = 13
    UNSTABLE = 14
    NOT_STABILISABLE = 15
    NO_STABILISING_SOLUTION = 16
    ILL_CONDITIONED = 17
    INFEASIBLE = 18

    @property
    def good(self) -> bool:
        """Whether the result can be used."""
        return self <= Status.INACTIVE

    @property
    def text(self) -> str:
        """One sentence: what happened, the likely cause, and what to try."""
        return _TEXTS[self]


_TEXTS = {
    Status.CONVERGED_GRADIENT: "converged: the gradient vanishes",
    Status.CONVERGED_COST: "converged: the cost no longer falls, though the gradient has not vanished",
    Status.DONE: "done",
    Status.INACTIVE: "done: the best step lies within the KL bound",
    Status.MAX_ITERATIONS: "stopped at the largest number of iterations; allow more, or accept the result",
    Status.REGULARISATION_LIMIT: "no step lowers the cost even under the largest regularisation; derivatives may be wrong, "
    "or the dynamics not smooth here (contacts)",
    Status.NOT_POSITIVE_DEFINITE: "the cost is not convex in the controls; add a control cost or regularisation",
    Status.INITIAL_DIVERGED: "the first trajectory leaves every bound; start from smaller controls",
    Status.NONFINITE_MODEL: "the model returned a value that is not finite; check its derivatives and its data",
    Status.BOUND_UNMET: "no multiplier meets the KL bound; the nearest step that stays within it was taken",
    Status.TIME_BUDGET: "stopped at the time limit; the result so far is returned",
    Status.TOO_FEW_SAMPLES: "too few samples to fit a model; give more episodes, or a prior",
    Status.SINGULAR: "the samples do not distinguish all directions; add action noise, episodes or a prior",
    Status.UNSTABLE: "the fitted model grows without bound over the horizon; give more episodes or a stronger prior",
    Status.NOT_STABILISABLE: "no controller makes this system stable: no control reaches some unstable mode; add an actuator, "
    "or leave that mode out of the model",
    Status.NO_STABILISING_SOLUTION: "no controller is best among those that make the system stable: the cost does not see a "
    "mode on the unit circle, or has no minimum; add a little cost on every state",
    Status.ILL_CONDITIONED: "rounding errors hide the solution: numbers in this system differ too much in size for float64; "
    "choose units in which states and controls have similar sizes, or add controls",
    Status.INFEASIBLE: "no control lies within these bounds; a lower bound is above its upper bound",
}
