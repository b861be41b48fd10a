"""The type of arrays in signatures.

`Float[Array, "T n m"]` (jaxtyping) is an array of floating-point numbers with axes T, n and m. Equal letters in one
signature are equal sizes. Axes have the same letters everywhere: T steps, n states, m actions, d = n + m, B states side
by side, N samples. Tests check all signatures of `maths`, `control`, `models` and `algorithms` while they run
(`tests/support/shape_checks.py`); in use nothing is checked.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import jax
import numpy as np

Array: TypeAlias = jax.Array | np.ndarray  # traced arrays are instances of the first
Layers: TypeAlias = Sequence[Mapping[str, Array]]  # of a network (`reverie.maths.networks`)
Moments: TypeAlias = Mapping[str, Array]  # running means and variances, of observations or of one layer
