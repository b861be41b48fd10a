"""Which episodes a model holds out while it is trained again and again, so that its validation never saw training.

An episode is known by a fingerprint of its states and actions. It keeps its side, held out or trained on, at all fits
that go on from one another. A split by samples would not do: neighbours in time are alike. A split drawn anew at each fit
would not do either: it holds samples that earlier fits trained on.
"""

import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from reverie.core.dynamics import Episode

SHARE = 0.1  # least share of samples that is held out, in whole episodes


class Sides(NamedTuple):
    """Fingerprints of the episodes of a fit, by side."""

    held_out: Int[np.ndarray, "_held"]
    trained_on: Int[np.ndarray, "_trained"]


NO_SIDES = Sides(np.zeros(0, np.int64), np.zeros(0, np.int64))


def fingerprint(episode: Episode) -> int:
    """Return 64 bits that tell the episode from others. Equal episodes have equal ones."""
    parts = (np.ascontiguousarray(part, float) for part in (episode.states, episode.actions))
    digest = hashlib.blake2b(b"".join(part.tobytes() for part in parts), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def take_sides(episodes: list[Episode], before: Sides) -> Sides:
    """Return the sides of episodes, the oldest first. Those of `before` keep theirs.

    New episodes are held out, the newest first, until a tenth of all samples is. Others are trained on, at least one.
    Nothing is held out if there is no new episode to take, or only one episode.
    """
    keys = [fingerprint(episode) for episode in episodes]
    samples = dict.fromkeys(keys, 0)
    for key, episode in zip(keys, episodes, strict=True):
        samples[key] += len(episode)
    held = {key for key in samples if key in before.held_out}
    new = [key for key in samples if key not in held and key not in before.trained_on]
    wanted = SHARE * sum(samples.values())
    for key in reversed(new):
        if sum(samples[each] for each in held) < wanted and len(held) + 1 < len(samples):
            held.add(key)
    if len(held) == len(samples):
        held = set()
    own = [[key for key in samples if (key in held) == side] for side in (True, False)]
    return Sides(*(np.array(side, np.int64) for side in own))
