"""The types of arrays in signatures.

`Float[Array, "T n m"]` (jaxtyping) is an array of floating-point numbers with axes T, n and m. `Real` also takes
integers. Equal letters in one signature are equal sizes, except names that begin with `_`, which may be of any size.
`...` are any leading axes, and `*b` are equal leading axes. Tests check all signatures of `maths`, `control`, `models`
and `algorithms` while they run (`tests/support/shape_checks.py`); in use nothing is checked. Axes have the same letters
everywhere:

| axis    | meaning                                                               |
|---------|-----------------------------------------------------------------------|
| T       | time steps of an episode or a plan                                    |
| n, m, d | states, actions, and d = n + m for y = [x; u]                         |
| x       | coordinates of a state: n, or more if states hold quaternions         |
| D       | coordinates of z = [x; u; x' - x], or of another joint vector         |
| B       | states side by side                                                   |
| N, P    | samples or episodes, and points: the time steps of all episodes       |
| S       | step lengths of a line search                                         |
| K, E    | modes or clusters of a model, and networks of an ensemble             |
| i, o, h | inputs and outputs of a layer, and units of the last hidden layer     |

A module explains the letters that it alone uses.
"""

from collections.abc import Sequence
from typing import TypeAlias

import jax
import numpy as np
from jax.typing import ArrayLike

Array: TypeAlias = jax.Array | np.ndarray  # traced arrays are instances of the first

Numbers: TypeAlias = ArrayLike | Sequence["Numbers"]
"""An array, a number, or nested lists of numbers: what a function takes that converts its arguments itself, and raises
SpaceError where it cannot."""
