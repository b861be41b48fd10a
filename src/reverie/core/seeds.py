"""Random draws as functions of (seed, stream, count), so that nothing must be stored to repeat them."""

import numpy as np

INIT, UPDATE, BEGIN = range(3)  # streams of JAX keys, folded into the seed's root key
NOISE, SAMPLE, RESET, EVALUATE, LOOK, PLANNED_EPISODES, IMAGINED, MODEL, LOGGED, COLLECTED = range(10)  # NumPy streams


def seed_of(seed: int, stream: int, number: int = 0) -> int:
    """Return the seed for draw `number` of a stream.  It depends on the arguments alone."""
    return int(np.random.SeedSequence([seed, stream, number]).generate_state(1)[0])
