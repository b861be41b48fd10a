"""Read and check the outcomes of steps, from a user's table of transitions. Errors name the state and the action."""

import numbers
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from reverie.core.argument_checks import shown
from reverie.core.array_like import as_array
from reverie.core.errors import ConfigError
from reverie.core.words import count

FORM = "(probability, next state, reward, terminated)"
USUAL_TYPES = {(float, int, float, bool), (float, int, int, bool)}
EXACT = 2**53  # float64 holds all integers up to this


class Outcomes(NamedTuple):
    """Possible outcomes of steps, in arrays with one entry for each outcome [K]."""

    state: np.ndarray
    action: np.ndarray
    probability: np.ndarray
    successor: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray  # bool: the episode ends in `successor`


def of_table(table: Any, states: int, actions: int) -> Outcomes:
    """Return the outcomes of a table P in Gymnasium's form.

    `P[s][a]` is a list of (probability, next state, reward, terminated). Each state has all actions.
    states, actions: their numbers.  Raises ConfigError that names the first state and action whose entry is wrong.
    """
    rows = list(_rows(table, states, actions))
    if not rows:
        raise ConfigError("the table of transitions has no state")
    s, a, p, successor, reward, terminated = zip(*rows, strict=True)
    whole, real = (lambda column: np.array(column, np.int64)), (lambda column: np.array(column, float))
    return Outcomes(whole(s), whole(a), real(p), whole(successor), real(reward), np.array(terminated, bool))


def _rows(table: Any, states: int, actions: int) -> Iterator[tuple[int, int, float, int, float, bool]]:
    """Yield (state, action, probability, next state, reward, terminated) for each outcome."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"the table of transitions is {shown(table)}; give a dict P, where P[s][a] lists {FORM}")
    for state, moves in table.items():
        if not _is_whole(state) or not 0 <= state < states:
            raise ConfigError(f"the table has a state {shown(state)}; states are 0 to {states - 1}")
        if not isinstance(moves, Mapping):
            raise ConfigError(f"state {state} holds {shown(moves)}; give a dict of its {count(actions, 'action')}")
        if len(moves) != actions:
            raise ConfigError(f"state {state} has {count(len(moves), 'action')}; there are {actions}")
        for action, outcomes in moves.items():
            if not _is_whole(action) or not 0 <= action < actions:
                raise ConfigError(f"state {state} has an action {shown(action)}; actions are 0 to {actions - 1}")
            where = f"action {action} in state {state}"
            if not isinstance(outcomes, list | tuple) or not outcomes:
                raise ConfigError(f"{where} leads to {shown(outcomes)}; give a list of {FORM}, at least one")
            for outcome in outcomes:
                p, after, reward, over = outcome if _is_usual(outcome, states) else _outcome(where, outcome, states)
                yield int(state), int(action), p, after, reward, over


def _is_usual(outcome: Any, states: int) -> bool:
    """Return whether an outcome has the usual types and is right. Others need the full check, which is much slower."""
    if type(outcome) is not tuple or tuple(map(type, outcome)) not in USUAL_TYPES:
        return False
    _, successor, reward, _ = outcome
    return 0 <= successor < states and -EXACT < reward < EXACT


def _outcome(where: str, outcome: Any, states: int) -> tuple[float, int, float, bool]:
    if not isinstance(outcome, list | tuple) or len(outcome) != 4:
        raise ConfigError(f"an outcome of {where} is {shown(outcome)}; it must be {FORM}")
    p, successor, reward, terminated = map(_plain, outcome)
    if not _is_whole(successor) or not 0 <= successor < states:
        raise ConfigError(f"{where} leads to state {shown(successor)}; states are whole numbers from 0 to {states - 1}")
    if not _is_flag(terminated):
        raise ConfigError(f"terminated of {where} is {shown(terminated)}; it must be True or False")
    p, reward = _real(f"a probability of {where}", p), _real(f"a reward of {where}", reward)
    return p, int(successor), reward, bool(terminated)


def _plain(value: Any) -> Any:
    """Return the entry of an array with one entry; return anything else as it is."""
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


def _is_whole(value: Any) -> bool:
    return type(value) is int or (isinstance(value, numbers.Integral) and not isinstance(value, bool))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) or (isinstance(value, numbers.Real) and value in (0, 1))


def _real(what: str, value: Any) -> float:
    try:
        if isinstance(value, numbers.Real | np.bool_):
            return float(value)
    except OverflowError:  # an integer or a fraction beyond float64
        pass
    raise ConfigError(f"{what} is {shown(value)}; it must be a finite number")


def of_columns(outcomes: Any, states: int, actions: int) -> Outcomes:
    """Return outcomes as arrays of equal length.

    states, actions: their numbers.  Raises ConfigError where an array has a wrong type or length, or a wrong entry.
    """
    if not isinstance(outcomes, tuple) or len(outcomes) != len(Outcomes._fields):
        raise ConfigError(f"outcomes are {shown(outcomes)}; give Outcomes, or a dict P where P[s][a] lists {FORM}")
    kinds = {"state": "iu", "action": "iu", "successor": "iu", "terminated": "biu"}
    columns = {}
    for name, value in zip(Outcomes._fields, outcomes, strict=True):
        columns[name] = _column(name, value, kinds.get(name, "iuf"))
        if columns[name].shape != columns["state"].shape:
            shapes = f"{columns[name].shape}, state {columns['state'].shape}"
            raise ConfigError(f"{name} of the outcomes has shape {shapes}; all are [K], an entry for each outcome")
    for name, size in (("state", states), ("action", actions), ("successor", states), ("terminated", 2)):
        odd = (columns[name] < 0) | (columns[name] >= size)
        if odd.any():
            k = int(np.argmax(odd))
            where = f"action {columns['action'][k]} in state {columns['state'][k]}"
            raise ConfigError(_beyond(name, where, columns[name][k], size))
    columns["terminated"] = columns["terminated"].astype(bool)
    return Outcomes(**columns)


def _column(name: str, value: Any, kinds: str) -> np.ndarray:
    column = as_array(value)
    if column.dtype.kind not in kinds or column.ndim != 1 or not len(column):
        wanted = {"iu": "whole numbers", "biu": "bools", "iuf": "real numbers"}[kinds]
        raise ConfigError(f"{name} of the outcomes is {shown(value)}; give an array [K] of {wanted}")
    return column


def _beyond(name: str, where: str, value: Any, size: int) -> str:
    if name == "successor":
        return f"{where} leads to state {value}; states are 0 to {size - 1}"
    if name == "terminated":
        return f"terminated of {where} is {value}; it must be True or False"
    return f"the outcomes have {name} {value}; {name}s are 0 to {size - 1}"
