"""A program as a file of NumPy arrays, which `reverie.policy` reads with NumPy alone."""

import io
import json
from typing import Any

import numpy as np

from reverie.export.program import Program
from reverie.policy import VERSION, Policy


def array_bytes(program: Program, facts: dict[str, Any]) -> bytes:
    """Return a program as the bytes of an .npz file. Its entry `facts` is JSON text: steps, names, units, bounds."""
    steps = [[step.op, step.inputs, step.output, dict(step.attributes)] for step in program.steps]
    text = json.dumps(facts | {"version": VERSION, "steps": steps}, allow_nan=False)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, facts=np.array(text), **program.constants)
    return file.getvalue()


def answers(data: bytes, observations: np.ndarray) -> np.ndarray:
    """Return the actions [batch, m] of the file `data`."""
    return policy_of(data).predict(observations)[0]


def policy_of(data: bytes) -> Policy:
    """Return the policy that a reader of the file `data` has."""
    return Policy.load(io.BytesIO(data))
