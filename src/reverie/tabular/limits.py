"""Refuse values that are too large to calculate with in float64, in all methods with the same message.

LARGEST leaves room for differences, sums and drawings of values. With discount γ < 1 no value is larger than
max |r| / (1 - γ), so rewards are checked in advance. Without discounting, and without a table, values are checked.
"""

import numpy as np

from reverie.core.errors import ConfigError

LARGEST = 1e300


def check_rewards(rewards: np.ndarray, discount: float) -> None:
    """Raise ConfigError if rewards allow values beyond LARGEST.  rewards: finite, of any shape.  discount: γ."""
    most = float(np.abs(rewards).max(initial=0.0))
    if not most <= LARGEST * ((1.0 - discount) if discount < 1.0 else 1.0):
        raise too_large(f"rewards reach {most:g}, with which values under discount {discount:g} may go")


def check_values(values: np.ndarray) -> None:
    """Raise ConfigError unless all values (of any shape) are within ±LARGEST."""
    if not (np.abs(values) <= LARGEST).all():  # NaN compares false
        raise too_large("values go")


def too_large(what: str) -> ConfigError:
    """Return the error for numbers beyond LARGEST.  what: subject and verb of the message."""
    return ConfigError(f"{what} beyond ±{LARGEST:g}, more than can be calculated with; scale the rewards")
