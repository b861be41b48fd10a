"""Run an exported policy (`reverie export RUN -o FILE.npz`). Needs NumPy alone: this file may be copied anywhere.

    policy = Policy.load("line7.npz")
    action, _ = policy.predict(observation)  # in the machine's units

`predict` has the signature of policies of Stable-Baselines3 and of CERN's Geoff.
"""

import io
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike

VERSION = 1


def _standardise(x: np.ndarray, gain: np.ndarray, shift: np.ndarray, axis: int, epsilon: float) -> np.ndarray:
    centred = x - np.add.reduce(x, -1, keepdims=True) / x.shape[-1]
    if x.ndim == 1:
        return centred * (gain / math.sqrt(centred @ centred / x.shape[-1] + epsilon)) + shift
    variance = np.einsum("...i,...i->...", centred, centred)[..., None] / x.shape[-1]
    return centred / np.sqrt(variance + np.float32(epsilon)) * gain + shift


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{"LayerNormalization": _standardise, "Erf": np.vectorize(math.erf, otypes=[np.float32])},
    **{"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Max": np.maximum, "Min": np.minimum},
    **{"Pow": np.power, "Sqrt": np.sqrt, "Tanh": np.tanh, "Exp": np.exp, "Log": np.log, "Neg": np.negative},
    **{"Abs": np.abs, "Sin": np.sin, "Cos": np.cos, "Floor": np.floor, "MatMul": np.matmul},
    **{"Greater": np.greater, "Less": np.less, "GreaterOrEqual": np.greater_equal, "LessOrEqual": np.less_equal},
    **{"Equal": np.equal, "Not": np.logical_not, "And": np.logical_and, "Or": np.logical_or},
    "Clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    **{"Where": np.where, "Reshape": np.reshape, "Identity": lambda x: x},
    **{"Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Cast": lambda x, to: x.astype(np.float32)},
    "ReduceSum": lambda x, keepdims: np.add.reduce(x, -1, keepdims=bool(keepdims)),
    "ReduceMax": lambda x, keepdims: np.maximum.reduce(x, -1, keepdims=bool(keepdims)),
    **{"ArgMax": lambda x, axis, keepdims: np.argmax(x, axis), "Concat": lambda *x, axis: np.concatenate(x, axis)},
    "Slice": lambda x, start, stop, axis: x[..., start[0] : stop[0]],
}


class Policy:
    """A greedy policy.  facts: names, units, bounds and limits of observations and actions, and where it comes from."""

    def __init__(self, facts: dict[str, Any], constants: Mapping[str, np.ndarray]):
        if facts.get("version") != VERSION:
            raise ValueError(f"this policy has version {facts.get('version')}; this reader reads version {VERSION}")
        self.facts, self._values, self._discrete = facts, dict(constants), bool(facts["actions"])
        self._calls = [(OPERATIONS[op], *rest) for op, *rest in facts["steps"]]
        self._slewed = any("last_action" in inputs for _, inputs, *_ in facts["steps"])
        self._flat = all(op != "Reshape" for op, *_ in facts["steps"])  # so that one observation needs no batch axis
        with np.errstate(all="ignore"):
            for batch in ((), (2,)):  # so that a damaged file fails here
                self.predict(np.zeros((*batch, facts["observation_dim"])))

    @classmethod
    def load(cls, path: str | os.PathLike[str] | IO[bytes]) -> "Policy":
        """Read a policy from a file that `reverie export` wrote.  Raises ValueError for another or a damaged one."""
        # np.load would leave a damaged file open.
        file = io.BytesIO(Path(path).read_bytes()) if isinstance(path, str | os.PathLike) else path
        try:
            arrays = dict(np.load(file, allow_pickle=False))
            return cls(json.loads(str(arrays.pop("facts"))), arrays)
        except Exception as error:  # damage may raise anything
            raise ValueError(f"cannot read a policy from {path}, which may be damaged: {error!r}") from error

    def predict(
        self, observation: ArrayLike, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        """Return (action [m] or [batch, m] in the machine's units, state) for observations [n] or [batch, n].

        state: the one returned last, from which a slew counts; None where an episode starts.
        """
        try:
            x, n = np.asarray(observation, np.float32), self.facts["observation_dim"]
        except (TypeError, OverflowError) as error:
            raise ValueError(f"the observation is not an array of numbers: {error}") from None
        if x.ndim not in (1, 2) or x.shape[-1] != n:
            raise ValueError(f"the observation has shape {x.shape}; give [{n}] or [batch, {n}]")
        if not np.isfinite(x).all():
            raise ValueError(f"the observation is not finite: {x.tolist()}")
        lead, values = x.shape[:-1], self._values | {"input": x if x.ndim == 2 or self._flat else x[None]}
        if self._slewed:
            last = np.full((*lead, self.facts["action_dim"]), np.nan if state is None else state, np.float32)
            if episode_start is not None:
                last[np.asarray(episode_start, bool).reshape(lead)] = np.nan
            values["last_action"] = last if x.ndim == 2 or self._flat else last[None]
        for function, inputs, output, attributes in self._calls:
            values[output] = function(*[values[name] for name in inputs], **attributes)
        action = values["action"].reshape(*lead, self.facts.get("action_dim", -1))
        if not np.isfinite(action).all():
            raise ValueError(f"the action for the observation {x.tolist()} is not finite")
        return action.astype(np.int64) if self._discrete else action, action if self._slewed else state
