"""Finite Markov decision processes as arrays.

The end of an episode is a property of steps, not of states, as in Gymnasium's tables. A step leads to a state from
which the episode continues, or to the end, whose value is 0. Therefore rows of `transitions` sum to 1 - `ends`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from reverie.core.argument_checks import finite, shown, whole
from reverie.core.array_like import as_array
from reverie.core.errors import ConfigError
from reverie.tabular.outcomes import Outcomes, of_columns, of_table

SLACK = 1e-9  # largest distance of a sum of probabilities from 1
LARGEST = 1_000_000_000  # most entries of a table, 12 bytes each

__all__ = ["MDP", "Outcomes", "checked", "from_outcomes", "random_mdp"]


class MDP(NamedTuple):
    """A Markov decision process of S states and A actions.

    Arrays [S, A] are stored action by action, as the rows of `transitions` are. So a maximum over actions reads memory
    in order, which is several times as fast.
    """

    transitions: Any  # CSR [A S, S]; row a S + s: probabilities of the next states after action a in state s
    ends: np.ndarray  # [S, A], probability that the episode ends with this step
    rewards: np.ndarray  # [S, A], expected rewards
    terminal: np.ndarray  # [S] bool: whether the state is terminal; its value is 0
    starts: np.ndarray  # [S], probability that an episode starts in this state

    @property
    def states(self) -> int:
        """The number of states S."""
        return self.rewards.shape[0]

    @property
    def actions(self) -> int:
        """The number of actions A."""
        return self.rewards.shape[1]


def from_outcomes(
    outcomes: Outcomes | Mapping[int, Any], states: int, actions: int, starts: np.ndarray | None = None
) -> MDP:
    """Return the MDP of K outcomes, or of the dict `P` of a Gymnasium environment.

    starts: probabilities of starting in each state [S]; None: equal for all states that are not terminal.

    A state is terminal if episodes end in it, and are never in it otherwise, and never start in it. A state in which
    only steps from itself end is terminal only if all its steps stay in it with reward 0, as tables mark states after
    the end.  Raises ConfigError as `checked` does.
    """
    states, actions = whole("states", states, 1), whole("actions", actions, 1)
    _require_room("from_outcomes", states * actions)
    read = of_table if isinstance(outcomes, Mapping) else of_columns
    s, a, p, successor, reward, terminated = read(outcomes, states, actions)
    row = a * states + s
    _refuse(~(p >= 0), lambda k: f"a probability of {_at(row[k], states)} is {p[k]:g}; it must be 0 or more")
    _refuse(~np.isfinite(reward), lambda k: f"a reward of {_at(row[k], states)} is {reward[k]:g}; it must be finite")
    terminal = _ended_in(s[p > 0], successor[p > 0], reward[p > 0], terminated[p > 0], states)
    begun = _anywhere_but(terminal) if starts is None else _starts(starts, states)
    terminal &= begun == 0

    acts = ~terminal[s]  # what tables say about steps from terminal states is ignored
    live = np.flatnonzero(acts & ~terminated)
    live = live[np.argsort(row[live], kind="stable")]
    pointers = np.concatenate([[0], np.cumsum(np.bincount(row[live], minlength=actions * states))])
    transitions = csr_array((p[live], successor[live], pointers), shape=(actions * states, states))

    def total(weights: np.ndarray) -> np.ndarray:
        return np.bincount(row[acts], weights[acts], minlength=actions * states).reshape(actions, states).T

    ends = total(p * terminated)
    ends[terminal] = 1.0
    return checked(MDP(transitions, ends, total(p * reward), terminal, begun))


def _ended_in(
    s: np.ndarray, successor: np.ndarray, reward: np.ndarray, terminated: np.ndarray, states: int
) -> np.ndarray:
    """Return in which states [S] episodes can only be after they have ended, if they start elsewhere.

    s, successor, reward, terminated: outcomes that are possible [K].
    """
    moves = s != successor
    lives = np.zeros(states, bool)  # some step leads to another state or has a reward
    lives[s[moves | (reward != 0)]] = True
    ended = np.zeros(states, bool)
    ended[successor[terminated & (moves | ~lives[s])]] = True
    ended[successor[~terminated & moves]] = False
    return ended


def _anywhere_but(terminal: np.ndarray) -> np.ndarray:
    """Return equal probabilities of starting in all states [S] that are not terminal; in all if there are no others."""
    possible = np.ones(len(terminal), bool) if terminal.all() else ~terminal
    return possible / possible.sum()


def _starts(starts: Any, states: int) -> np.ndarray:
    """Return the probabilities of starting as an array [S].  Raises ConfigError where they are not."""
    found = as_array(starts)
    if found.dtype.kind not in "iufb" or found.size != states:
        raise ConfigError(f"the probabilities of starting are {shown(starts)}; give one for each state, ({states},)")
    return found.astype(float).ravel()


def _read(mdp: Any) -> MDP:
    """Return an MDP of arrays with transitions in CSR format.  Raises ConfigError where a part is not such an array."""
    if not isinstance(mdp, MDP):
        raise ConfigError(f"the table is {shown(mdp)}; give an MDP, such as `from_outcomes` makes")
    parts: dict[str, Any] = {name: as_array(getattr(mdp, name)) for name in ("ends", "rewards", "terminal", "starts")}
    try:
        rows = mdp.transitions
        parts["transitions"] = rows if isinstance(rows, csr_array) else csr_array(rows)
    except Exception:  # SciPy may raise anything
        raise ConfigError(
            f"transitions are {shown(mdp.transitions)}; give a matrix [A S, S], best a CSR array"
        ) from None
    for name, part in parts.items():
        if part.dtype.kind not in "iufb":
            raise ConfigError(f"{name} is {shown(getattr(mdp, name))}; give an array of real numbers")
    if parts["rewards"].ndim != 2 or 0 in parts["rewards"].shape:
        raise ConfigError(f"rewards has shape {parts['rewards'].shape}; give one for each state and action, [S, A]")
    if parts["terminal"].dtype.kind != "b" and not np.isin(parts["terminal"], (0, 1)).all():
        raise ConfigError(f"terminal is {shown(mdp.terminal)}; give True or False for each state")
    parts["terminal"] = parts["terminal"].astype(bool, copy=False)
    return mdp if all(part is getattr(mdp, name) for name, part in parts.items()) else MDP(**parts)


def checked(mdp: MDP) -> MDP:
    """Check an MDP and return it.  Raises ConfigError that names the first state and action that are wrong."""
    mdp = _read(mdp)
    S, A = mdp.rewards.shape
    shapes = {"transitions": (A * S, S), "ends": (S, A), "terminal": (S,), "starts": (S,)}
    for name, shape in shapes.items():
        if getattr(mdp, name).shape != shape:
            raise ConfigError(
                f"{name} has shape {getattr(mdp, name).shape}; for rewards of {(S, A)} it must be {shape}"
            )
    data, ends = mdp.transitions.data, mdp.ends.T.ravel()
    _refuse(
        ~(data >= 0),
        lambda k: (
            f"a probability of {_at(np.searchsorted(mdp.transitions.indptr, k, 'right') - 1, S)} is {data[k]:g}; "
            "it must be 0 or more"
        ),
    )
    _refuse(~(ends >= 0), lambda k: f"the probability to end of {_at(k, S)} is {ends[k]:g}; it must be 0 or more")
    rewards = mdp.rewards.T.ravel()
    _refuse(~np.isfinite(rewards), lambda k: f"the reward of {_at(k, S)} is {rewards[k]:g}; it must be finite")
    sums = mdp.transitions @ np.ones(S) + ends
    _refuse(
        ~(np.abs(sums - 1.0) <= SLACK),
        lambda k: f"the probabilities of {_at(k, S)} sum to {sums[k]:.10g}; they must sum to 1",
    )
    stays = mdp.terminal[:, None] & ((mdp.ends < 1.0 - SLACK) | (mdp.rewards != 0))
    _refuse(
        stays.T.ravel(),
        lambda k: f"{_at(k, S)}, which is terminal, continues or has a reward; it must end, with reward 0",
    )
    if not (mdp.starts >= 0).all() or abs(mdp.starts.sum() - 1.0) > SLACK:
        raise ConfigError(
            f"the probabilities of starting sum to {mdp.starts.sum():.10g}; they must be 0 or more, sum 1"
        )
    return mdp


def random_mdp(states: int, actions: int, successors: int, seed: int = 0, ending: float = 0.0) -> MDP:
    """Return a random sparse MDP.

    Each step leads to `successors` states, drawn uniformly, with random probabilities. Rewards are uniform in [0, 1].
    Episodes start in any state, and end with probability `ending` at each step.

    Raises ConfigError where a size is not a positive number, where `ending` is outside [0, 1], and where the table
    would have more than LARGEST entries.
    """
    sizes = {"states": states, "actions": actions, "successors": successors}
    states, actions, successors = (whole(f"random_mdp: {name}", size, 1) for name, size in sizes.items())
    seed, ending = whole("random_mdp: seed", seed), finite("random_mdp: ending", ending)
    if not 0 <= ending <= 1:
        raise ConfigError(f"random_mdp: ending is {ending:g}; it must lie in [0, 1]")
    _require_room("random_mdp", states * actions * successors)
    generator = np.random.default_rng(seed)
    rows = actions * states
    indices = generator.integers(states, size=rows * successors, dtype=np.int32)
    weights = generator.random((rows, successors))
    weights *= (1.0 - ending) / weights.sum(1, keepdims=True)
    pointers = np.arange(0, rows * successors + 1, successors, dtype=np.int32 if rows * successors < 2**31 else None)
    transitions = csr_array((weights.ravel(), indices, pointers), shape=(rows, states))
    starts = np.full(states, 1.0 / states)
    rewards = generator.random((actions, states)).T
    return MDP(transitions, np.full((actions, states), ending).T, rewards, np.zeros(states, bool), starts)


def _require_room(what: str, entries: int) -> None:
    """Raise ConfigError if a table would have more entries than LARGEST."""
    if entries > LARGEST:
        raise ConfigError(f"{what}: {entries:,} entries are too many; at most {LARGEST:,} fit")


def _refuse(wrong: np.ndarray, sentence: Any) -> None:
    """Raise ConfigError about the first entry that is wrong.  sentence: index of that entry -> message."""
    if wrong.any():
        raise ConfigError(sentence(int(np.argmax(wrong))))


def _at(row: Any, states: int) -> str:
    action, state = divmod(int(row), states)
    return f"action {action} in state {state}"
