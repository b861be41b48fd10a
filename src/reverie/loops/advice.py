"""What to do where learning diverged, as the settings and what was seen have it."""

import numpy as np

from reverie.core.agent import Feed
from reverie.core.words import number

USUAL = 10.0  # larger rewards, scaled, and larger observations are worth a word


def against_divergence(feed: Feed, rewards: float = 0.0, observations: float = 0.0) -> str:
    """Return the remedies in one clause; rewards, observations: the largest that were seen, by size."""
    found = [
        "lower learning_rate" + (f" (it is {number(feed.learning_rate)})" if feed.learning_rate is not None else "")
    ]
    if feed.reward_scale != 1.0 or rewards * feed.reward_scale > USUAL:
        reach = f"; rewards reach {rewards:.3g}" if rewards else ""
        found.append(f"lower reward_scale (it is {number(feed.reward_scale)}{reach}) or clip rewards")
    return ", ".join([*found, "or " + for_observations(feed, observations)])


def for_observations(feed: Feed, largest: float = 0.0) -> str:
    """Return what to do about observations."""
    reach = f" (observations reach {largest:.3g})" if largest > USUAL else ""
    if feed.observation_normalisation is None:
        return f"scale observations{reach}"
    if feed.observation_normalisation:
        return f"mend the sensor whose values leap{reach}: observations are normalised already"
    return f"set observation_normalisation=true{reach}"


def largest(values: np.ndarray) -> float:
    """Return the largest of values by size, 0 where there are none."""
    return float(np.abs(values).max(initial=0.0))
