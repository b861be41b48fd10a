"""A program as a file of NumPy arrays, which `reverie.policy` reads with NumPy alone."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from reverie.export.program import Program
from reverie.policy import VERSION, Policy


def array_bytes(program: Program, facts: dict[str, Any]) -> bytes:
    """Return a program as the bytes of an .npz file. Its entry `facts` is JSON text: steps, names, units, bounds."""
    steps = [[step.op, step.inputs, step.output, dict(step.attributes)] for step in program.steps]
    return npz_bytes(facts | {"version": VERSION, "steps": steps}, program.constants)


def npz_bytes(facts: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays by name, and facts as JSON text in the entry `facts`, as the bytes of an .npz file."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, facts=np.array(json.dumps(facts, allow_nan=False)), **arrays)
    return file.getvalue()


def answers(data: bytes, observations: np.ndarray, last: np.ndarray | None = None) -> np.ndarray:
    """Return the actions [batch, m] of the file `data`.  last: the last actions [batch, m], where it has a slew."""
    return policy_of(data).predict(observations, last)[0]


def policy_of(data: bytes) -> Policy:
    """Return the policy that a reader of the file `data` has."""
    return Policy.load(io.BytesIO(data))
