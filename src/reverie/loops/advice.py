"""What to do where learning diverged, as the settings and what was seen have it."""

import numpy as np

from reverie.core.agent import Feed
from reverie.core.words import number

USUAL = 10.0  # larger rewards, scaled, and larger observations are worth a word
FAR = 1e3  # larger ones are the likely cause, and named first


def against_divergence(feed: Feed, rewards: float = 0.0, observations: float = 0.0) -> str:
    """Return the remedies in one clause, the likeliest first; rewards, observations: the largest that were seen, by size.

    Of rewards and observations only that is named which is large, where one is.
    """
    paid = rewards * feed.reward_scale
    rate = "lower learning_rate" + (f" (it is {number(feed.learning_rate)})" if feed.learning_rate is not None else "")
    scales = []
    if paid > USUAL or (feed.reward_scale != 1.0 and observations <= USUAL):
        scales.append((paid, _for_rewards(feed, rewards)))
    if observations > USUAL or paid <= USUAL:
        scales.append((observations, for_observations(feed, observations)))
    largest_first = [clause for _, clause in sorted(scales, key=lambda scale: -scale[0])]
    *first, last = [*largest_first, rate] if max(paid, observations) > FAR else [rate, *largest_first]
    return f"{', '.join(first)}, or {last}"


def _for_rewards(feed: Feed, largest: float) -> str:
    reach = f"; rewards reach {largest:.3g}" if largest else ""
    return f"lower reward_scale (it is {number(feed.reward_scale)}{reach}) or clip rewards"


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
