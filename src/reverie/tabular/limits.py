"""Values that float64 can calculate with: whatever goes beyond is refused, by every method, in the same words.

LARGEST leaves room for differences, sums and drawings of values.  With discount γ no value is larger than max |r| / (1 - γ),
so that rewards tell in advance; without discounting, and of worlds without a table, values themselves have to.
"""

import numpy as np

from reverie.core.errors import ConfigError

LARGEST = 1e300


def check_rewards(rewards: np.ndarray, discount: float) -> None:
    """Raise ConfigError where rewards (any shape), all finite, allow values beyond LARGEST."""
    most = float(np.abs(rewards).max(initial=0.0))
    if not most <= LARGEST * ((1.0 - discount) if discount < 1.0 else 1.0):
        raise too_large(f"rewards reach {most:g}, with which values under discount {discount:g} may go")


def check_values(values: np.ndarray) -> None:
    """Raise ConfigError unless all values (any shape) are within LARGEST."""
    if not (np.abs(values) <= LARGEST).all():  # NaN compares false
        raise too_large("values go")


def too_large(what: str) -> ConfigError:
    """Return the error for what goes beyond LARGEST."""
    return ConfigError(f"{what} beyond ±{LARGEST:g}, more than can be calculated with; scale the rewards")
