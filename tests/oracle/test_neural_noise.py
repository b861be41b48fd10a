"""Networks as dynamics: the noise that a fit reports, against a system whose noise is known."""

import numpy as np
import pytest

from reverie.models.neural import Neural
from systems import linear_episodes

NOISE = 0.1  # σ of the process noise in each of the 4 coordinates
MODEL = Neural(updates=500)
STEPS, FITS = 50, 12


@pytest.fixture(scope="module")
def fits():
    """Return (reported noise, error on fresh episodes), over the known noise, after each of FITS fits in a row.

    One new episode comes before each fit, as with `refit_every=1`.
    """
    episodes, *_ = linear_episodes(np.random.default_rng(0), MODEL.episodes + FITS + 10, STEPS, NOISE)
    seen, fresh = episodes[:-10], episodes[-10:]
    x, u, after = (
        np.concatenate(parts) for parts in zip(*((e.states[:-1], e.actions, e.states[1:]) for e in fresh), strict=True)
    )
    dynamics, found = None, []
    for end in range(MODEL.episodes, len(seen)):
        batch, history = seen[end - MODEL.episodes : end], seen[max(end - MODEL.episodes - 1, 0) : end]
        dynamics = MODEL.fit(batch, history, dynamics, end).dynamics
        variance = np.trace(dynamics.noise @ dynamics.noise.T) / 4
        error = ((after - dynamics.mean(x, u, np.zeros(len(x), int))) ** 2).mean()
        found.append((np.sqrt(variance) / NOISE, np.sqrt(error) / NOISE))
    return np.array(found)


def test_known_noise_is_recovered_at_each_warm_refit(fits):
    """Measured: 1.11 to 1.20. With validation samples drawn anew at each fit it was .75 to 1.13."""
    assert 0.85 < fits[:, 0].min()
    assert fits[:, 0].max() < 1.4


def test_reported_noise_is_the_error_on_fresh_episodes(fits):
    """Measured: .93 to .99. With validation samples drawn anew at each fit it was .61 to .94."""
    ratio = fits[:, 0] / fits[:, 1]
    assert 0.8 < ratio.min()
    assert ratio.max() < 1.25
