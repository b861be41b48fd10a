"""Advice for learning that diverged, based on the settings and the data seen."""

import numpy as np

from reverie.core.agent import DataRequirements
from reverie.core.words import number

USUAL_SIZE = 10.0  # larger scaled rewards, and larger observations, are mentioned
FAR = 1e3  # larger ones are the likely cause, and come first


def against_divergence(requirements: DataRequirements, rewards: float = 0.0, observations: float = 0.0) -> str:
    """Return the remedies in one clause, the most promising first.

    rewards, observations: the largest absolute values seen.  Of the two, only large ones are mentioned, if there are
        any.
    """
    scale = requirements.reward_scale
    paid = 0.0 if scale is None else rewards * scale
    rate = "lower learning_rate" + (
        f" (it is {number(requirements.learning_rate)})" if requirements.learning_rate is not None else ""
    )
    scales = []
    if scale is not None and (paid > USUAL_SIZE or (scale != 1.0 and observations <= USUAL_SIZE)):
        scales.append((paid, _for_rewards(scale, rewards)))
    if observations > USUAL_SIZE or paid <= USUAL_SIZE:
        scales.append((observations, for_observations(requirements, observations)))
    largest_first = [clause for _, clause in sorted(scales, key=lambda scale: -scale[0])]
    *first, last = [*largest_first, rate] if max(paid, observations) > FAR else [rate, *largest_first]
    return f"{', '.join(first)}, or {last}"


def scales_to_set(requirements: DataRequirements, otherwise: str) -> str:
    """Return which scales can still be left to training, and then `otherwise`, in one clause."""
    settings = ["reward_scale=auto"] if requirements.reward_scale is not None else []
    settings += ["observation_normalisation=true"] if requirements.observation_normalisation is False else []
    return f"set {' and '.join(settings)}, or {otherwise}" if settings else otherwise


def _for_rewards(scale: float, largest: float) -> str:
    reach = f"; rewards reach {largest:.3g}" if largest else ""
    return f"lower reward_scale (it is {number(scale)}{reach}) or clip rewards"


def for_observations(requirements: DataRequirements, largest: float = 0.0) -> str:
    """Return the advice about observations."""
    reach = f" (observations reach {largest:.3g})" if largest > USUAL_SIZE else ""
    if requirements.observation_normalisation is None:
        return f"scale observations{reach}"
    if requirements.observation_normalisation:
        return f"check the sensor whose values jump{reach}: observations are normalised already"
    return f"set observation_normalisation=true{reach}"


def largest(values: np.ndarray) -> float:
    """Return the largest absolute value, 0 for an empty array."""
    return float(np.abs(values).max(initial=0.0))
